"""A stop: end the server now, or have it ended as soon as that can be done."""

from __future__ import annotations

import asyncio
from typing import Any

from asyncdockerspawner import errors
from asyncdockerspawner.lifecycle import cleanup, monitor, ownership
from asyncdockerspawner.lifecycle.server import Server


async def stop(server: Server, *, now: bool) -> None:
    """Stop the server and, with `remove`, its object. What cannot be done now is owed by the janitor."""
    server.stops_at_once = now
    try:
        await _stop(server)
    finally:
        server.stops_at_once = False


async def _stop(server: Server) -> None:
    spawn = server.spawn
    await _end_start(server)
    monitor.unfollow(server)
    if not server.record.object_id and spawn is None:
        return
    if server.record.owed and server.engine.janitor.busy(server.object_name):
        # Nothing has been made since that stop was asked for.
        return
    try:
        async with asyncio.timeout(cleanup.SWEEP_SECONDS):
            await server.engine.janitor.settled(server.object_name)
        if server.record.object_id or (not cleanup.is_kept(server, spawn) and await _found_by_name(server)):
            await _end(server)
    except asyncio.CancelledError:
        cleanup.owe(server)
        raise
    # The Hub swallows what comes from here and forgets the server, so nothing may.
    except Exception as exc:  # noqa: BLE001
        server.log.error("Could not stop %s now, it will be tried again: %r", server.object_name, exc)
        cleanup.owe(server)


async def _end_start(server: Server) -> None:
    if under_way := _give_up(server):
        await asyncio.wait(under_way, timeout=cleanup.SWEEP_SECONDS)


def _give_up(server: Server) -> list[asyncio.Future[Any]]:
    """Cancel the start that is under way; a `gen.coroutine` goes on inside when only the Hub does that."""
    spawn, call = server.spawn, server.start_call
    under_way = list[asyncio.Future[Any]]()
    # A start may stop its server itself, and go on.
    if call is not None and call.future is not None and not call.over and not call.is_ours:
        call.give_up()
        under_way.append(call.future)
    if spawn is not None and spawn.launching not in {None, asyncio.current_task()}:
        spawn.launching.cancel()
        under_way.append(spawn.launching)
    return under_way


def leave(server: Server) -> None:
    """Forget the spawn. Under a wrapper nobody else sees to what is left of it."""
    monitor.unfollow(server)
    spawn = server.spawn
    if spawn is not None and not _give_up(server) and server.hub.is_wrapped and not spawn.live:
        cleanup.clear_away(server)
    server.forget_spawn()


async def _end(server: Server) -> None:
    await server.after(server.overrides.stop())
    if server.removes:
        await server.after(server.overrides.remove())
        server.record.object_id = ""


async def _found_by_name(server: Server) -> bool:
    """Find what a spawn made of which only the name is known, as after a Hub that was killed."""
    try:
        observed = await ownership.own_object(server)
    except errors.NotOurs:
        return False
    if observed is not None:
        ownership.adopt(server, observed)
    return observed is not None
