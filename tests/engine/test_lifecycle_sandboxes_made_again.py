"""Sandboxes are made again when nothing else starts, and where something goes wrong; over the fake Engine."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asyncdockerspawner.engine import sandboxes as room
from tests.fake_engine import FakeEngine
from tests.support.sandboxes import next_process, pool, sandbox_of, sandboxes, servers, settled, warmed
from tests.support.site import Site
from tests.support.waiting import until
from tests.support.world import MakeWorld

FAILED = "Cannot make a sandbox; servers start without"


def failures(log: pytest.LogCaptureFixture) -> int:
    """Count how often the log tells that none could be made."""
    return sum(FAILED in each.message for each in log.records)


def remove_image(site: Site) -> None:
    """Remove the image of sandboxes, as an administrator does who needs the room."""
    site.http.delete(f"/images/{pool(site)._image}", params={"force": 1}).raise_for_status()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again without waiting long."""
    monkeypatch.setattr(room, "RETRY_PAUSES", (0.05,))


@pytest.mark.parametrize("waits", [True, False], ids=["as long as it takes", "for its time"])
async def test_the_next_one_is_made_when_nobody_starts_any_more_or_after_a_while(
    make: MakeWorld, fake_site: Site, fake: FakeEngine, waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "IDLE_SECONDS", 600.0 if waits else 0.05)
    world = await warmed(make, fake_site, concurrent_starts=2, start_timeout=600)
    (taken,) = sandboxes(fake_site)
    fake.clear_requests()
    fake.rule("POST", "/start$", hang=True, times=1)
    starting = asyncio.create_task(world.spawn("slow"))
    await until(lambda: fake.requests("POST", "/containers/{ref}/start"))
    if waits:
        # It could have been made while another one's whole start went by.
        other = await world.spawn("other")
        assert sandbox_of(fake_site, other) == ""
        assert pool(fake_site)._filling is not None
        assert sandboxes(fake_site) == [taken]
        await world.user.stop("other")
    else:
        await until(lambda: pool(fake_site).ready == 1, 30)
    assert not starting.done()
    starting.cancel()
    await asyncio.wait([starting])
    await settled(fake_site, 1)


async def test_one_that_ends_before_its_time_is_replaced(make: MakeWorld, fake_site: Site) -> None:
    await warmed(make, fake_site)
    (before,) = sandboxes(fake_site)
    fake_site.kill(before)
    await until(lambda: sandboxes(fake_site) not in ([], [before]), 30)
    await settled(fake_site, 1)
    assert servers(fake_site) == []


@pytest.mark.parametrize(
    "rule",
    [
        {"method": "POST", "path": "^/containers/create$", "status": 500, "message": "out of cheese"},
        {"method": "POST", "path": "^/containers/create$", "reset_after": True},
        {"method": "POST", "path": "^/containers/.*/start$", "status": 500, "message": "out of cheese"},
        {
            "method": "GET",
            "path": "^/images/asyncdockerspawner-pause",
            "status": 500,
            "message": "out of cheese",
        },
        {"method": "POST", "path": "^/images/load$", "status": 500, "message": "out of cheese"},
    ],
)
async def test_what_fails_is_tried_again_and_leaves_nothing(
    make: MakeWorld, fake_site: Site, fake: FakeEngine, rule: dict[str, Any], log: pytest.LogCaptureFixture
) -> None:
    world = await warmed(make, fake_site)
    remove_image(fake_site)
    pool(fake_site)._image = ""
    fake.rule(**rule, times=2)
    pool(fake_site)._count = 2
    pool(fake_site)._fill()
    # Both have failed: no server's own request shall take the second fault.
    await until(lambda: failures(log) == 2, 30)
    await world.spawn()
    await until(lambda: pool(fake_site).ready == 2, 30)
    await world.user.stop("")
    await settled(fake_site, 2)
    assert servers(fake_site) == []


async def test_one_that_ends_at_once_is_a_failure_like_others(
    make: MakeWorld, fake_site: Site, fake: FakeEngine, log: pytest.LogCaptureFixture
) -> None:
    await warmed(make, fake_site)
    fake.rule("GET", "^/containers/[0-9a-f]{64}/json$", status=404)
    pool(fake_site)._count = 2
    pool(fake_site)._fill()
    await until(lambda: failures(log) > 0, 30)
    fake.clear_rules()
    await settled(fake_site, 2)
    # So there is a pause before each further try, and the first alone is a warning.
    levels = [each.levelname for each in log.records if FAILED in each.message]
    assert levels == ["WARNING", *["DEBUG"] * (len(levels) - 1)]
    assert servers(fake_site) == []


async def test_an_image_that_somebody_has_removed_is_loaded_again(
    make: MakeWorld, fake_site: Site, fake: FakeEngine
) -> None:
    world = await warmed(make, fake_site)
    remove_image(fake_site)
    await world.spawn()
    await until(lambda: pool(fake_site).ready == 1, 30)
    await world.user.stop("")
    await settled(fake_site, 1)


async def test_a_sandbox_whose_removal_is_refused_keeps_no_server(
    make: MakeWorld, fake_site: Site, fake: FakeEngine, log: pytest.LogCaptureFixture
) -> None:
    world = await warmed(make, fake_site)
    used = sandbox_of(fake_site, await world.spawn())
    fake.rule("DELETE", f"^/containers/{used}", status=400, times=1)
    await world.user.stop("")
    assert f"Cannot remove the sandbox {used[:12]} yet" in log.text
    await settled(fake_site, 1)
    assert servers(fake_site) == []
    assert used not in sandboxes(fake_site)


async def test_while_the_database_cannot_be_asked_nothing_is_taken_over(
    make: MakeWorld, fake_site: Site, log: pytest.LogCaptureFixture
) -> None:
    world = await warmed(make, fake_site)
    (ready,) = sandboxes(fake_site)

    def unknown(_: object) -> list[str]:
        raise ValueError("the database is locked")

    # The first server of a process says how many there are to be.
    await next_process(world, sandboxes=0, hub_id="another")
    found = pool(fake_site)
    found.set_up(1, unknown)
    found._watch.begin()
    await until(lambda: "Cannot tell yet which sandboxes were taken" in log.text)
    assert (found.ready, found.take()) == (0, None)
    found.set_up(1, lambda _: ())
    found._listed()
    assert found.ready == 1
    assert sandboxes(fake_site) == [ready]
