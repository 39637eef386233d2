"""`post_start_cmd`: a command that is run inside a started container; over a real Engine."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.site import SHELL, Site
from tests.support.world import MakeWorld

pytestmark = pytest.mark.parametrize("site", ["real"], indirect=True)


async def test_a_command_after_the_start_runs_inside_and_is_logged(
    make_world: MakeWorld, site: Site, log: pytest.LogCaptureFixture
) -> None:
    world = make_world(
        post_start_cmd="/bin/busybox sh -c 'echo \"well done\"; echo but >&2; echo x > /tmp-made'"
    )
    spawner = await world.spawn()
    told = {(record.levelname, record.getMessage().partition(" wrote to ")[2]) for record in log.records}
    assert {("DEBUG", "stdout: well done"), ("WARNING", "stderr: but")} <= told
    assert "without a shell" not in log.text
    changes = site.http.get(f"/containers/{spawner.object_id}/changes").json()
    assert "/tmp-made" in [change["Path"] for change in changes]
    await world.user.stop("")


async def test_of_a_command_that_writes_much_the_end_is_told(
    make_world: MakeWorld, site: Site, log: pytest.LogCaptureFixture
) -> None:
    much = "/bin/busybox yes | /bin/busybox head -c 3000000; echo the last word; exit 4"
    world = make_world(post_start_cmd=[*SHELL, much])
    await world.spawn()
    await world.user.stop("")
    assert "the last word" in log.text
    assert len(log.text) < 300_000


@pytest.mark.parametrize("command", [[*SHELL, "echo oops >&2; exit 4"], "/nowhere"])
async def test_a_command_that_fails_is_a_warning_unless_it_is_required(
    make_world: MakeWorld, site: Site, log: pytest.LogCaptureFixture, command: Any
) -> None:
    world = make_world(post_start_cmd=command)
    await world.spawn()
    await world.user.stop("")
    assert "`post_start_cmd` failed with code" in log.text
    world.settings["config"].DockerSpawner.post_start_required = True
    log.clear()
    with pytest.raises(Exception, match="A command that prepares the server has failed"):
        await world.restarted().spawn()
    assert "`post_start_cmd` failed with code" in log.text
    assert site.containers() == []


@pytest.mark.parametrize("command", ["/bin/busybox echo done && /bin/busybox echo more", "cd /www"])
async def test_a_command_that_was_written_for_a_shell_is_told_how_to_get_one(
    make_world: MakeWorld, log: pytest.LogCaptureFixture, command: str
) -> None:
    world = make_world(post_start_cmd=command)
    await world.spawn()
    await world.user.stop("")
    sign = "cd" if command.startswith("cd") else "&&"
    assert f"run without a shell, which `{sign}` needs: write sh -c" in log.text
