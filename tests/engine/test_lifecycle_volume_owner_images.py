"""Fresh volumes belong to whom a server of a real image runs as, as its own files tell."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.inside import said
from tests.support.site import SHELL, Site
from tests.support.world import MakeWorld
from tests.testbed.user_images import ensure_filled_image, ensure_stacks_stub, ensure_userless_image

ALICE = {"NB_USER": "alice", "NB_UID": "7001", "NB_GID": "7002"}
CASES: dict[str, tuple[Callable[[], str], str, dict[str, str], str]] = {
    "whom it names": (ensure_filled_image, "/data", {}, "1000:100"),
    "whom it has no name for": (ensure_userless_image, "/data", {}, "4321:0"),
    "whom it becomes": (ensure_stacks_stub, "/data", {}, "1000:100"),
    "whom it is told to become": (ensure_stacks_stub, "/data", ALICE, "7001:7002"),
    "who has what it brings": (ensure_filled_image, "/home/jovyan/work", {}, "1000:100"),
}


@pytest.mark.real_engine
@pytest.mark.parametrize("site", ["real"], indirect=True)
@pytest.mark.parametrize("case", CASES)
async def test_a_fresh_volume_is_writable_for(make_world: MakeWorld, site: Site, case: str) -> None:
    image, path, environment, owner = CASES[case]
    world = make_world(image=image(), environment=environment, volumes={"{prefix}-{username}": path})
    spawner = await world.spawn()
    command = f"touch {path}/kept && stat -c %u:%g {path} {path}/*"
    told = said(site.http, spawner.object_id, *SHELL, command, user=owner).split()
    assert told == [owner] * (3 if "brings" in case else 2)
    await world.user.stop("")
