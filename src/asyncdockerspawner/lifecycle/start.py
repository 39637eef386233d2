"""A start: create or resume the object, start it, and see its server answer.

Promises: what a spawn created and did not hand over is removed, also when it is cancelled at any point;
what it found and resumed is never removed; nobody else's object is touched; the Engine, not our memory,
says whether a server runs.
"""

from __future__ import annotations

import asyncio
import time

from asyncdockerspawner import errors
from asyncdockerspawner.lifecycle import (
    advice,
    cleanup,
    furnish,
    monitor,
    obtain,
    readiness,
    sandbox,
    shared_network,
    start_slot,
    subclass_start,
)
from asyncdockerspawner.lifecycle.prepare import complete, prepare
from asyncdockerspawner.lifecycle.server import Server
from asyncdockerspawner.lifecycle.spawn import Phase, Spawn
from asyncdockerspawner.workloads.observed import Observed
from asyncdockerspawner.workloads.ports import SharedPort


async def start(server: Server) -> tuple[str, int]:
    """Create or resume the object, start it, and give the address at which its server answers."""
    with subclass_start.step(server):
        return await _started(server)


async def _started(server: Server) -> tuple[str, int]:
    await prepare(server)
    spawn = server.spawn
    assert spawn is not None  # noqa: S101 - prepare has just made it
    spawn.begun = True
    spawn.launching = asyncio.current_task()
    policy = server.policy
    end = time.monotonic() + max(policy.start_timeout + policy.placement_timeout - 1.0, 1.0)
    try:
        await complete(server, spawn)
        await start_slot.claim(server, spawn)
        kept = await obtain.kept(server)
        if kept is None:
            # It may have got another name, and needs a start slot where a kept one does not.
            await start_slot.claim(server, spawn)
            await start_slot.acquire(server, spawn)
        server.record.owed = False
        # On disk before anything is created: a Hub that is killed mid-start knows what it was making. Most
        # often there is nothing left to write, but the end of another request may have rolled it back.
        server.hub.save(commit=True)
        await obtain.obtain(server, spawn, kept)
        ip, port = await _start(server, spawn, end)
        if spawn.slot is not None:
            spawn.slot.answered()
    except BaseException:
        cleanup.abandon(server, spawn)
        raise
    finally:
        spawn.end()
    spawn.phase = Phase.RUNNING
    monitor.follow(server)
    return ip, port


async def _start(server: Server, spawn: Spawn, end: float) -> tuple[str, int]:
    advice.explain_any(server)
    for left in reversed(range(shared_network.TRIES + 1)):
        try:
            return await _start_once(server, spawn, end)
        except errors.PortInUse:
            if not left or not await shared_network.give_way(server, spawn):
                raise
        except errors.AsyncDockerSpawnerError:
            if not left or not await sandbox.is_lost(server, spawn):
                raise
        await obtain.obtain(server, spawn, None)
    raise AssertionError("the last try returns or raises")


async def _start_once(server: Server, spawn: Spawn, end: float) -> tuple[str, int]:
    with shared_network.claimed(server) as port, server.watch.starting(_expected(server, port)) as exited:
        await shared_network.check_free(server, spawn)
        await furnish.furnish(server)
        server.hub.report("Starting the server", progress=60)
        spawn.starting = True
        await server.after(server.overrides.start())
        spawn.starting = False
        if spawn.slot is not None:
            spawn.slot.release_in(server.policy.start_hold)
        if server.policy.post_start_cmd:
            await server.after(server.overrides.after_start())
        if server.policy.placement_timeout:
            # The swarm's search for a node was not the server's time.
            end = min(end, time.monotonic() + server.policy.start_timeout)
        return await readiness.Start(server, exited, end).address()


def _expected(server: Server, port: SharedPort | None) -> Observed:
    """Return what is known, without asking, of an object that is about to be started."""
    owner = server.owner
    return Observed(
        id=server.record.object_id,
        name=server.object_name,
        hub_id=owner.hub_id,
        owner=owner,
        removal=server.removes,
        sandbox=server.record.sandbox,
        shared_port=port,
    )
