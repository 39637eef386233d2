"""A real Engine on a small disk: what does not fit fails its spawns with a sentence and leaves the room."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tornado import web

from tests.support.site import Site
from tests.support.world import World, new_world
from tests.testbed.engine import ensure_engine
from tests.testbed.images import ensure_stub_image
from tests.testbed.own_engine import TEST_SECONDS, OwnEngine, own_engine
from tests.testbed.registry import Registry, layer, registry

pytestmark = pytest.mark.timeout(TEST_SECONDS)

MIB = 1 << 20
DISK = 64 * MIB
BIG = 96 * MIB
SLACK = 2 * MIB
"""What the Engine may have written meanwhile that is not of a pull: its own databases and logs."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """The folder of the test's own Engine, on a disk of its own."""
    path = tmp_path / "own-engine"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(path)], check=True)
    try:
        yield path
    finally:
        # The Engine's own end takes the mount away too.
        if path.is_mount():
            subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.fixture
def small_engine(disk: Path, tmp_path: Path) -> Iterator[OwnEngine]:
    assert free(disk) < BIG
    with own_engine(tmp_path, live_restore=False) as engine:
        yield engine


@pytest.fixture
def images(tmp_path: Path) -> Iterator[Registry]:
    folder = tmp_path / "images"
    folder.mkdir()
    with registry(folder) as started:
        yield started


@pytest.fixture
def site(small_engine: OwnEngine) -> Site:
    """The Engine on the small disk; it ends with the test, and its containers with it."""
    return Site(small_engine.url, small_engine.http)


@pytest.fixture
def worlds(site: Site, tmp_path: Path) -> Iterator[Callable[[str, str], World]]:
    """Give a user's world in which servers run an image."""
    made: list[World] = []

    def make(user: str, image: str) -> World:
        folder = tmp_path / f"{user}-{len(made)}"
        folder.mkdir()
        made.append(new_world(site, folder, username=user, image=image))
        return made[-1]

    yield make
    for world in made:
        world.db.close()


def free(path: Path) -> int:
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def image_names(site: Site) -> set[str]:
    found = site.http.get("/images/json", params={"all": 1}).raise_for_status().json()
    return {str(tag) for one in found for tag in one["RepoTags"] or ["<none>"]}


async def fails_for_want_of_room(world: World) -> None:
    """Spawn, and read that the disk is full, without a path of the Engine's machine; the Hub counts it."""
    with pytest.raises(web.HTTPError) as caught:
        await world.spawn()
    said = caught.value.jupyterhub_message  # type: ignore[attr-defined]
    assert caught.value.status_code == 507
    assert "is full" in said
    assert "/" not in said


@pytest.mark.parametrize("fills", ["while it is fetched", "while it is unpacked"])
async def test_a_pull_that_does_not_fit_fails_its_spawns_and_leaves_the_room_to_the_next(
    site: Site, disk: Path, images: Registry, worlds: Callable[[str, str], World], fills: str
) -> None:
    first, stub = ensure_engine(), ensure_stub_image()
    # What is random stays large on its way; zeros are large only when they have arrived.
    content = os.urandom(BIG) if fills == "while it is fetched" else bytes(BIG)
    big = images.add("big", stub, first, layer(content))
    small = images.add("small", stub, first, layer(b"small"))
    room, before = free(disk), image_names(site)

    waiting = [worlds(user, big) for user in ("alice", "bob", "carol")]
    await asyncio.gather(*map(fails_for_want_of_room, waiting))
    assert site.containers() == []
    assert image_names(site) == before
    assert await has_room(disk, room - SLACK)
    for world in waiting:
        assert world.user.orm_user.orm_spawners[""].state == {}
        assert await world.new_spawner().poll() == 0

    # Again, so that nothing of the first time is taken for the image.
    await fails_for_want_of_room(worlds("alice", big))
    assert await has_room(disk, room - SLACK)

    world = worlds("alice", small)
    spawner = await world.spawn()
    assert await spawner.poll() is None
    assert site.inspect(spawner.object_id)["Config"]["Image"] == small
    await world.user.stop("")
    assert site.containers() == []


async def test_a_disk_that_others_have_filled_fails_starts_until_there_is_room(
    site: Site, disk: Path, worlds: Callable[[str, str], World]
) -> None:
    ballast = disk / "ballast"
    with ballast.open("wb") as file, pytest.raises(OSError, match="No space left"):  # noqa: PT012
        while True:
            file.write(bytes(MIB))
            file.flush()
    assert free(disk) == 0
    world = worlds("alice", ensure_stub_image())
    await fails_for_want_of_room(world)
    assert site.containers() == []

    ballast.unlink()
    spawner = await world.spawn()
    assert await spawner.poll() is None
    await world.user.stop("")
    assert site.containers() == []


async def has_room(disk: Path, wanted: int) -> bool:
    """Tell whether so much is free, at the latest a little after the Engine has answered."""
    for _ in range(100):
        if free(disk) >= wanted:
            return True
        await asyncio.sleep(0.1)
    return False
