"""A spawn's turn to start: behind what is still being cleaned up, then a place in the Engine's start gate."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from asyncdockerspawner import errors
from asyncdockerspawner.engine.start_slots import Slot
from asyncdockerspawner.lifecycle.host import Host, Spawn, volumes_of

TAKEN_OVER_SECONDS = 5.0
"""How long a place in the start gate is kept between the Hub's hook and its start."""

CLEANUP_SECONDS = 60.0
"""How long a start waits for what an earlier server has left, beyond the grace that one may have had."""
TELL_SECONDS = 1.0
"""Between two words about that."""


async def take(host: Host, spawn: Spawn) -> None:
    """Wait for a place in the Engine's start gate, unless there is one, or a kept object is only resumed.

    Nobody holds a place while an earlier server is still being ended. Raises StillStopping, QueueTimeout.
    """
    await behind(host)
    await _take(host, spawn)
    while host.engine.janitor.busy(host.object_name):
        # Something was found to be left while this one was in the queue.
        spawn.leave_gate()
        await behind(host)
        await _take(host, spawn)


async def claim(host: Host, spawn: Spawn) -> bool:
    """Wait until nothing is done any more to what has the object's name, and say that it is to be started.

    False where that was said before. Raises StillStopping.
    """
    engine, name = host.engine, host.object_name
    if (engine, name) in spawn.claimed:
        return False
    await behind(host)
    engine.launching.add(name)
    spawn.claimed.append((engine, name))
    await host.watch.ready()
    return True


async def behind(host: Host) -> None:
    """Wait until nothing of an earlier server, or of a deleted user of this name, is being ended any more.

    Raises StillStopping where that takes too long: a container may wait for a file system that is gone.
    """
    janitor, end = host.engine.janitor, time.monotonic() + CLEANUP_SECONDS + (host.stop_timeout or 0)
    for name, what in (
        (host.object_name, "The earlier server is still being stopped"),
        (volumes_of(host.owner), "Volumes of a deleted user or server are still being removed"),
    ):
        while janitor.busy(name):
            with suppress(TimeoutError):
                async with asyncio.timeout(min(TELL_SECONDS, max(end - time.monotonic(), 0))):
                    await janitor.settled(name)
                    break
            told = f"{what}, for {janitor.busy_for(name):.0f} s"
            host.report(told, progress=5, topic="cleanup")
            if time.monotonic() >= end:
                raise errors.StillStopping(
                    f"{told}. Try again later.",
                    advice=f"The Engine does not come to an end with {name}: this log says what it answers. "
                    "See whether its machine, or a network file system there, hangs.",
                )


async def _take(host: Host, spawn: Spawn) -> None:
    gate = host.engine.start_slots
    if spawn.gate is not gate:
        # The start goes to another Engine than it was to.
        spawn.leave_gate()
    if (host.object_id and not host.remove) or (spawn.lease is not None and not spawn.lease.released):
        return

    begin, places = time.monotonic(), list[int]()

    def told(ahead: int) -> None:
        places.append(ahead)
        place = f"{ahead} are ahead of this one" if ahead else "this one is next"
        host.report(f"Many servers are starting; {place}", progress=35, topic="queue")

    spawn.gate = gate
    spawn.lease = lease = await gate.acquire(
        host.concurrent_starts, timeout=host.queue_timeout, on_position=told
    )
    if places:
        host.report(f"It is this server's turn, after {time.monotonic() - begin:.0f} s", progress=38)
    task = asyncio.current_task()
    if task is not None:
        task.add_done_callback(lambda _: _leave_to_the_start(spawn, lease))


def _leave_to_the_start(spawn: Spawn, lease: Slot) -> None:
    """Give a place back where the task that waited for it has ended and no start follows.

    The Hub runs its hook and its start as one task after the other, and we hear of the first one's end first.
    """

    def look() -> None:
        if not spawn.begun:
            lease.release()

    asyncio.get_running_loop().call_later(TAKEN_OVER_SECONDS, look)
