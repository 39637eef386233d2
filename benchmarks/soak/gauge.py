"""What this process holds: memory, objects, descriptors, sockets, tasks; and the Hub's rows."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jupyterhub import orm

from asyncdockerspawner import DockerSpawner
from tests.testbed.proc import own_descriptors

PAGE = os.sysconf("SC_PAGE_SIZE")
QUIET_WITHIN = 10.0
"""Seconds that what goes on behind a stop may take; what is still there then is counted."""
STILL = 0.1
"""Seconds without a change that count as quiet."""
HUB_ROWS = (orm.APIToken, orm.OAuthClient, orm.Server, orm.Spawner)


@dataclass(frozen=True)
class Sample:
    """One look at a moment when nothing is in flight."""

    cycles: int  # done so far
    memory: int  # resident bytes
    objects: int  # that Python's collector knows
    spawners: int  # among them
    descriptors: int
    sockets: int
    tasks: int
    rows: int  # of the Hub's tables that spawns write to


async def sample(cycles: int, db: Any, containers: Callable[[], int]) -> Sample:
    """Wait until nothing is in flight, then look."""
    await _quiet(containers)
    # The Hub's session keeps what it has read until its next commit; a Hub commits all the time.
    db.commit()
    rows = sum(db.query(table).count() for table in HUB_ROWS)
    db.commit()
    gc.collect()
    sockets, descriptors = _open_descriptors()
    memory, objects = _resident(), gc.get_objects()
    return Sample(
        cycles=cycles,
        memory=memory,
        objects=len(objects),
        spawners=sum(issubclass(type(each), DockerSpawner) for each in objects),
        descriptors=descriptors,
        sockets=sockets,
        tasks=len(asyncio.all_tasks()),
        rows=rows,
    )


async def _quiet(containers: Callable[[], int]) -> None:
    """Wait until no container is left and the number of tasks stands still."""
    loop = asyncio.get_running_loop()
    end = loop.time() + QUIET_WITHIN
    before, since = -1, loop.time()
    while loop.time() < end:
        await asyncio.sleep(STILL / 4)
        now = len(asyncio.all_tasks())
        if now != before:
            before, since = now, loop.time()
        elif loop.time() - since >= STILL and not containers():
            return


def _resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE


def _open_descriptors() -> tuple[int, int]:
    """How many of them are sockets, and how many there are."""
    targets = own_descriptors()
    return sum(target.startswith("socket:") for target in targets), len(targets)
