"""The walks of a spawn: launch, halt, and the questions in between.

Promises: what a spawn created and did not hand over is removed, also when it is cancelled at any point;
what it found and resumed is never removed; nobody else's object is touched; the Engine, not our memory,
says whether a server runs.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from asyncdockerspawner import errors
from asyncdockerspawner.lifecycle import (
    advice,
    attend,
    cleanup,
    obtain,
    own_start,
    ownership,
    preparation,
    readiness,
    shared,
    turns,
)
from asyncdockerspawner.lifecycle.host import RUNNING, STARTING, Host, Spawn, resolved
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.container import endpoint, status


async def launch(host: Host) -> tuple[str, int]:
    """Create or resume the object, start it, and give the address at which its server answers."""
    with own_start.step(host):
        return await _launch(host)


async def _launch(host: Host) -> tuple[str, int]:
    await preparation.prepare(host)
    spawn = host.spawn
    assert spawn is not None  # noqa: S101 - prepare has just made it
    spawn.begun = True
    spawn.launching = asyncio.current_task()
    end = time.monotonic() + max(host.start_timeout - 1.0, 1.0)
    try:
        await preparation.complete(host, spawn)
        await turns.claim(host, spawn)
        kept = await obtain.kept(host)
        if kept is None:
            # It may have got another name, and needs a turn where a kept one does not.
            await turns.claim(host, spawn)
            await turns.take(host, spawn)
        host.owed = False
        # On disk before anything is created: a Hub that is killed mid-start knows what it was making. Most
        # often there is nothing left to write, but the end of another request may have rolled it back.
        host.keep_state(commit=True)
        await obtain.obtain(host, spawn, kept)
        ip, port = await _start(host, spawn, end)
    except BaseException:
        cleanup.abandon(host, spawn)
        raise
    finally:
        spawn.end()
    spawn.phase = RUNNING
    attend.follow(host)
    return ip, port


async def _start(host: Host, spawn: Spawn, end: float) -> tuple[str, int]:
    advice.say_what_any_means(host)
    for left in reversed(range(shared.TRIES + 1)):
        try:
            return await _start_once(host, spawn, end)
        except errors.PortInUse:
            if not left or not await shared.give_way(host, spawn):
                raise
        await obtain.obtain(host, spawn, None)
    raise AssertionError("the last try returns or raises")


async def _start_once(host: Host, spawn: Spawn, end: float) -> tuple[str, int]:
    known = labels.ownership_labels_of(host.owner)
    if not host.removes:
        known[labels.KEEP] = "true"
    with (
        shared.claimed(host) as port,
        host.watch.starting(host.object_id, host.object_name, known | port) as ended,
    ):
        await shared.check_free(host, spawn)
        host.report("Starting the server", progress=60)
        spawn.starting = True
        await resolved(host.start_object())
        spawn.starting = False
        if host.post_start_cmd:
            await resolved(host.post_start_exec())
        if spawn.lease is not None:
            spawn.lease.release_in(host.start_hold)
        return await readiness.Start(host, ended, end).address()


async def halt(host: Host) -> None:
    """Stop the server and, with `remove`, its object. What cannot be done now is owed by the janitor."""
    spawn = host.spawn
    await _end_start(host)
    attend.unfollow(host)
    if not host.object_id and spawn is None:
        return
    if host.owed and host.engine.janitor.busy(host.object_name):
        # Nothing has been made since that stop was asked for.
        return
    try:
        async with asyncio.timeout(cleanup.SWEEP_SECONDS):
            await host.engine.janitor.settled(host.object_name)
        if host.object_id or (not cleanup.is_kept(host, spawn) and await _found_by_name(host)):
            await _end(host)
    except asyncio.CancelledError:
        cleanup.owe(host)
        raise
    # The Hub swallows what comes from here and forgets the server, so nothing may.
    except Exception as exc:  # noqa: BLE001
        host.log.error("Could not stop %s now, it will be tried again: %r", host.object_name, exc)
        cleanup.owe(host)


async def _end_start(host: Host) -> None:
    if under_way := _give_up(host):
        await asyncio.wait(under_way, timeout=cleanup.SWEEP_SECONDS)


def _give_up(host: Host) -> list[asyncio.Future[Any]]:
    """Cancel the start that is under way; a `gen.coroutine` goes on inside when only the Hub does that."""
    spawn, call = host.spawn, host.start_call
    under_way = list[asyncio.Future[Any]]()
    # A start may stop its server itself, and go on.
    if call is not None and call.future is not None and not call.over and not call.is_ours:
        call.give_up()
        under_way.append(call.future)
    if spawn is not None and spawn.launching not in {None, asyncio.current_task()}:
        spawn.launching.cancel()
        under_way.append(spawn.launching)
    return under_way


async def poll(host: Host) -> int | None:
    """Answer None while the server runs or may run, 0 or its exit code once it certainly does not.

    Asks nothing of the Engine while the watch is in step with it, but about a start that was cut off.
    """
    call = host.start_call
    if (host.spawn is not None and host.spawn.live) or (call is not None and not call.over):
        return None
    if not host.object_id and host.spawn is None:
        return 0
    if host.engine.janitor.busy(host.object_name):
        # The Hub then calls stop(), which waits for the clean-up.
        return None
    try:
        document = await ownership.known_object(host)
        if document and host.spawn and host.spawn.phase == STARTING and not status.is_running(document):
            # A Hub that was killed may have asked for its start: the Engine answers when that is done.
            document = await host.workload.find(str(document["Id"]))
        if document and status.is_running(document) and host.is_wrapped:
            await _found_again(host)
        return status.poll_status(document)
    except errors.EngineError as exc:
        host.log.warning("Cannot ask about %s, taking it for running: %s", host.object_name, exc)
        return None


async def _found_again(host: Host) -> None:
    """Complete the adoption of a wrapped server: of what the Hub asks first, a wrapper passes on `poll`."""
    if host.spawn is None or host.watch.follows(host.object_id):
        return
    try:
        await host.move_to(*await locate(host), route=False)
    except errors.NoEndpoint as exc:
        host.log.warning("Cannot find the address of %s again: %s", host.object_name, exc)


def leave(host: Host) -> None:
    """Let go of a spawn that is being forgotten. Under a wrapper nobody else sees to what is left of it."""
    attend.unfollow(host)
    if host.spawn is None or _give_up(host):
        return
    if host.is_wrapped and not host.spawn.live:
        cleanup.clear_away(host)


async def locate(host: Host) -> tuple[str, int]:
    """Find a running server's address again after the Hub's restart, and complete its adoption."""
    document = await ownership.known_object(host)
    if document is None:
        raise errors.NoEndpoint(f"There is no {host.object_name} at the Engine.")
    if endpoint.shared_port_of(document) is None and not endpoint.is_complete(document):
        # A list does not tell the port of what DockerSpawner has made; `self.port` is to give it.
        document = await resolved(host.get_object()) or document
    ownership.adopt(host, document)
    ip, port = await resolved(host.get_ip_and_port())
    if host.spawn is not None:
        host.spawn.phase = RUNNING
    host.keep_state()
    attend.follow(host)
    return str(ip), int(port)


async def _end(host: Host) -> None:
    await resolved(host.stop_object())
    if host.removes:
        await resolved(host.remove_object())
        host.object_id = ""


async def _found_by_name(host: Host) -> bool:
    """Find what a spawn made of which only the name is known, as after a Hub that was killed."""
    try:
        document = await ownership.own_object(host)
    except errors.NotOurs:
        return False
    if document is not None:
        ownership.adopt(host, document)
    return document is not None
