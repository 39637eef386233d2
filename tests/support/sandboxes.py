"""Sandboxes as tests see them: at the Engine, and in a Hub that keeps some ready."""

from __future__ import annotations

import asyncio
from typing import Any

from asyncdockerspawner import DockerSpawner
from asyncdockerspawner.engine import registry
from asyncdockerspawner.engine.sandboxes import Sandboxes
from asyncdockerspawner.names import labels
from tests.support.engines import engines_of
from tests.support.site import Site
from tests.support.waiting import until
from tests.support.world import MakeWorld, World


def sandboxes(site: Site) -> list[str]:
    """Return the ids of this Hub's sandboxes that run."""
    return sorted(
        each["Id"]
        for each in site.containers()
        if labels.SANDBOX_FOR in each["Labels"] and each["State"] == "running"
    )


def servers(site: Site) -> list[str]:
    """Return the ids of everything else of this Hub's that there is, and of sandboxes that do not run."""
    running = sandboxes(site)
    return [each["Id"] for each in site.containers() if each["Id"] not in running]


def sandbox_of(site: Site, spawner: DockerSpawner) -> str:
    """Return the id of the container whose network a server is in; empty where that is its own."""
    mode = str(site.inspect(spawner.object_id)["HostConfig"]["NetworkMode"])
    return mode.partition("container:")[2]


def pool(site: Site) -> Sandboxes:
    """Return what the Hub has made ahead."""
    (engine,) = engines_of(site.url)
    return engine.sandboxes(site.hub_id)


async def settled(site: Site, count: int) -> None:
    """Wait until so many are ready and no others are there, in use or left."""
    await until(lambda: pool(site).ready == count and not pool(site)._users, 30)
    await until(lambda: sandboxes(site) == sorted(pool(site)._ready), 30)


async def warmed(make_world: MakeWorld, site: Site, count: int = 1, **options: Any) -> World:
    """Make a world in which so many are ready; its first server started in the usual way."""
    world = make_world(sandboxes=count, **options)
    await world.spawn("first")
    await world.user.stop("first")
    await settled(site, count)
    return world


async def next_process(world: World, **options: Any) -> World:
    """Start the Hub again, and have it look around, as the first server of a process does."""
    for settings, engine in list(registry._engines.get(asyncio.get_running_loop(), {}).items()):
        await engine.aclose()
        del registry._engines[asyncio.get_running_loop()][settings]
    world.settings["config"].DockerSpawner.update(options)
    restarted = world.restarted()
    watch = restarted.new_spawner("first")._managed.watch
    watch.begin()
    await until(watch._listed.is_set)
    return restarted
