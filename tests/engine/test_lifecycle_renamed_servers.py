"""A server with another name has the volumes and folders that it had, however they were named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from asyncdockerspawner import DockerSpawner
from tests.support.site import Site
from tests.support.world import MakeWorld, World


async def renamed(world: World, old: str, new: str) -> World:
    """As JupyterHub 6 does it: the spawner is asked, then the row changes, then there is another spawner."""
    spawner = world.new_spawner(old)
    await spawner.rename(old, new)
    spawner.orm_spawner.name = new
    return world.restarted()


async def sources(world: World, site: Site, name: str) -> set[str]:
    """Start the server and give what is mounted in it."""
    spawner = await world.spawn(name)
    found = site.inspect(spawner.object_id)["HostConfig"]
    await world.user.stop(name)
    mounted = {one["Source"] for one in found.get("Mounts") or ()}
    return mounted | {bind.partition(":")[0] for bind in found.get("Binds") or ()}


def by_function(site: Site, option: str) -> dict[str, Any]:
    """`option` as a function that writes names itself."""

    def written(spawner: DockerSpawner) -> Any:
        name = f"t{site.hub_id}-{spawner.name}-{spawner.user.name}"
        return [{"target": "/w", "source": name}] if option == "mounts" else {name: "/w"}

    async def awaited(spawner: DockerSpawner) -> Any:
        return written(spawner)

    return {option: awaited if option == "volumes" else written}


def by_hook(site: Site) -> dict[str, Any]:
    def hook(spawner: DockerSpawner) -> None:
        spawner.volumes[f"t{site.hub_id}-{spawner.name}"] = "/w"

    return {"pre_spawn_hook": hook, "volumes": {f"t{site.hub_id}-{{username}}": "/u"}}


def by_template(site: Site) -> dict[str, Any]:
    return {"mounts": [{"target": "/w", "source": f"t{site.hub_id}-{{username}}-{{servername}}"}]}


KINDS: dict[str, Callable[[Site], dict[str, Any]]] = {
    "function": lambda site: by_function(site, "volumes"),
    "function for read-only": lambda site: by_function(site, "read_only_volumes"),
    "function for mounts": lambda site: by_function(site, "mounts"),
    "hook": by_hook,
    "template in mounts": by_template,
}


@pytest.mark.parametrize("kind", list(KINDS))
async def test_a_renamed_server_has_the_volumes_that_it_had(
    make_world: MakeWorld, site: Site, kind: str
) -> None:
    world = make_world(**KINDS[kind](site))
    before = await sources(world, site, "old")
    assert any("old" in name for name in before)
    world = await renamed(world, "old", "mid")
    world = await renamed(world, "mid", "new")
    assert await sources(world, site, "new") == before
    assert await sources(world.restarted(), site, "new") == before


async def test_what_is_configured_after_a_rename_counts(make_world: MakeWorld, site: Site) -> None:
    world = make_world(**by_function(site, "mounts"))
    await sources(world, site, "old")
    world = await renamed(world, "old", "new")
    world.settings["config"].DockerSpawner.mounts = [
        {"target": "/w", "source": f"t{site.hub_id}-{{servername}}"}
    ]
    assert await sources(world, site, "new") == {f"t{site.hub_id}-new"}


async def test_a_server_whose_volumes_cannot_be_told_keeps_its_name(
    make_world: MakeWorld, log: pytest.LogCaptureFixture
) -> None:
    async def fails(_: DockerSpawner) -> dict[str, str]:
        raise OSError("the directory does not answer")

    with pytest.raises(Exception, match="cannot have another name") as caught:
        await make_world(volumes=fails).new_spawner("old").rename("old", "new")
    assert caught.value.status_code == 409  # type: ignore[attr-defined]
    assert "directory does not answer" in log.text
