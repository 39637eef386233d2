"""A spawn's start slot: behind what is still being cleaned up, then in the order of the Engine's queue."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from asyncdockerspawner import errors
from asyncdockerspawner.engine.start_slots import Slot
from asyncdockerspawner.lifecycle.server import Server, volumes_of
from asyncdockerspawner.lifecycle.spawn import Spawn

TAKEN_OVER_SECONDS = 5.0
"""How long a start slot is kept between the Hub's hook and its start."""

CLEANUP_SECONDS = 60.0
"""How long a start waits for what an earlier server has left, beyond the grace that one may have had."""
TELL_SECONDS = 1.0
"""Between two words about that."""


async def acquire(server: Server, spawn: Spawn) -> None:
    """Acquire a start slot at the Engine, unless there is one, or a kept object is only resumed.

    Nobody holds a slot while an earlier server is still being ended. Raises StillStopping, QueueTimeout.
    """
    await behind(server)
    await _acquire(server, spawn)
    while server.engine.janitor.busy(server.object_name):
        # Something was found to be left while this one was in the queue.
        spawn.release_slot()
        await behind(server)
        await _acquire(server, spawn)


async def claim(server: Server, spawn: Spawn) -> bool:
    """Wait until nothing is done any more to what has the object's name, and say that it is to be started.

    False where that was said before. Raises StillStopping.
    """
    engine, name = server.engine, server.object_name
    if (engine, name) in spawn.claimed:
        return False
    await behind(server)
    spawn.claimed.append((engine, name))
    await server.watch.ready()
    return True


async def behind(server: Server) -> None:
    """Wait until nothing of an earlier server, or of a deleted user of this name, is being ended any more.

    Raises StillStopping where that takes too long: a container may wait for a file system that is gone.
    """
    janitor, begin = server.engine.janitor, time.monotonic()
    username = server.hub.names.username
    for name, what in (
        (server.object_name, "The earlier server is still being stopped"),
        (volumes_of(username), "Volumes of a deleted user or server are still being removed"),
    ):
        while janitor.busy(name):
            end = begin + CLEANUP_SECONDS + (server.stop_timeout or 0)
            with suppress(TimeoutError):
                async with asyncio.timeout(min(TELL_SECONDS, max(end - time.monotonic(), 0))):
                    await janitor.settled(name)
                    break
            told = f"{what}, for {janitor.busy_for(name):.0f} s"
            server.hub.report(told, progress=5, topic="cleanup")
            if time.monotonic() >= end:
                raise errors.StillStopping(
                    f"{told}. Try again later.",
                    advice=f"The Engine does not come to an end with {name}: this log says what it answers. "
                    "See whether its machine, or a network file system there, hangs.",
                )


async def _acquire(server: Server, spawn: Spawn) -> None:
    slots, slot = server.start_slots, spawn.slot
    if spawn.slots is not slots:
        # The start goes to another Engine than it was to.
        spawn.release_slot()
    if (server.record.object_id and not server.policy.remove) or (slot is not None and not slot.released):
        return

    begin, positions = time.monotonic(), list[int]()

    def report(ahead: int) -> None:
        positions.append(ahead)
        place = f"{ahead} are ahead of this one" if ahead else "this one is next"
        server.hub.report(f"Many servers are starting; {place}", progress=35, topic="queue")

    spawn.slots = slots
    spawn.slot = slot = await slots.acquire(
        server.policy.concurrent_starts, timeout=server.policy.queue_timeout, on_position=report
    )
    if positions:
        server.hub.report(f"It is this server's turn, after {time.monotonic() - begin:.0f} s", progress=38)
    task = asyncio.current_task()
    if task is not None:
        task.add_done_callback(lambda _: _leave_to_the_start(spawn, slot))


def _leave_to_the_start(spawn: Spawn, slot: Slot) -> None:
    """Release a slot where the task that waited for it has ended and no start follows.

    The Hub runs its hook and its start as one task after the other, and we hear of the first one's end first.
    """

    def look() -> None:
        if not spawn.begun:
            slot.release()

    asyncio.get_running_loop().call_later(TAKEN_OVER_SECONDS, look)
