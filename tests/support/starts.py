"""Starts as the Hub makes them, broken off, and what is left and told of them."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from asyncdockerspawner import DockerSpawner
from tests.support.site import Site
from tests.support.world import World


async def direct(world: World, name: str = "", **options: Any) -> DockerSpawner:
    """A spawner that was prepared as the Hub does it, but not started."""
    spawner: DockerSpawner = world.new_spawner(name)
    for option, value in options.items():
        setattr(spawner, option, value)
    await spawner.run_pre_spawn_hook()
    return spawner


async def cancelled(spawner: DockerSpawner, after: float) -> float:
    """Start, cancel after so many seconds, and give the seconds that it took to unwind."""
    task = asyncio.ensure_future(spawner.start())
    await asyncio.wait([task], timeout=after)
    begin = time.monotonic()
    task.cancel()
    await asyncio.wait([task])
    return time.monotonic() - begin


async def nothing_left(site: Site, seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while site.left() and time.monotonic() < end:  # noqa: ASYNC110 - the Engine has no event for us
        await asyncio.sleep(0.1)
    return site.left() == []


def last_line(world: World, name: str) -> str:
    """What the user has been told last."""
    if name not in world.user.orm_user.orm_spawners:
        return ""
    lines = [event["message"] for _, _, event in world.spawner(name)._link.spawn_log._lines]
    return str(lines[-1]) if lines else ""
