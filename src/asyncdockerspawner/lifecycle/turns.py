"""A spawn's turn to start: its place in the Engine's start gate, from the Hub's hook to its start."""

from __future__ import annotations

import asyncio
import time

from asyncdockerspawner.engine.admission import Lease
from asyncdockerspawner.lifecycle.host import Host, Spawn

TAKEN_OVER_SECONDS = 5.0
"""How long a place in the start gate is kept between the Hub's hook and its start."""


async def take(host: Host, spawn: Spawn) -> None:
    """Wait for a place in the Engine's start gate, unless there is one, or a kept object is only resumed."""
    gate = host.engine.gate
    if spawn.gate is not gate:
        # The start goes to another Engine than it was to.
        spawn.leave_gate()
    if (host.object_id and not host.remove) or (spawn.lease is not None and spawn.lease.held):
        return

    begin, places = time.monotonic(), list[int]()

    def told(ahead: int) -> None:
        places.append(ahead)
        place = f"{ahead} are ahead of this one" if ahead else "this one is next"
        host.report(f"Many servers are starting; {place}", progress=35, topic="queue")

    spawn.gate = gate
    spawn.lease = lease = await gate.enter(host.concurrent_starts, patience=host.queue_timeout, told=told)
    if places:
        host.report(f"It is this server's turn, after {time.monotonic() - begin:.0f} s", progress=38)
    task = asyncio.current_task()
    if task is not None:
        task.add_done_callback(lambda _: _leave_to_the_start(spawn, lease))


def _leave_to_the_start(spawn: Spawn, lease: Lease) -> None:
    """Give a place back where the task that waited for it has ended and no start follows.

    The Hub runs its hook and its start as one task after the other, and we hear of the first one's end first.
    """

    def look() -> None:
        if not spawn.begun:
            lease.release()

    asyncio.get_running_loop().call_later(TAKEN_OVER_SECONDS, look)
