"""A subclass's own `start`, which may take upstream's steps itself and never come to ours.

What our own does around the steps is done around the whole: while it runs the server is starting; what it
made is adopted when the Hub gets the server, and removed where it fails. A `gen.coroutine` goes on inside
when the Hub has cancelled what it gave, so such a start is ended by its steps: the one under way is
cancelled, and no other begins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.lifecycle import cleanup, furnish, monitor, ownership, start_slot
from asyncdockerspawner.lifecycle.server import Server
from asyncdockerspawner.lifecycle.spawn import Phase, Spawn, StartCall, calling, resolved
from asyncdockerspawner.names import labels


async def attempt(server: Server, start: Callable[[], Any]) -> Any:
    """Run a subclass's `start` as one spawn and give what it gives; called within one, just run it."""
    if _of_the_caller(server) is not None:
        return await resolved(start())
    spawn = server.spawn
    if spawn is None or not spawn.live:
        server.spawn = spawn = Spawn(labels.new_spawn_id(), live=True)
    spawn.begun = True
    server.start_call = call = StartCall()
    mark = calling.set(call)
    try:
        if not server.record.object_id:
            server.name_object()
        begun = start()
        # What a `gen.coroutine` gives is no task; cancelled, it would tell nobody any more when it has ended.
        apart = asyncio.isfuture(begun) and not isinstance(begun, asyncio.Task)
        call.future = begun if apart else asyncio.ensure_future(resolved(begun))
        result = await (asyncio.shield(call.future) if apart else call.future)
    except BaseException:
        if call.future is not None and not call.future.done():
            call.give_up()
            call.future.add_done_callback(lambda done: _fallen(server, call, done))
        else:
            call.over = True
            _failed(server)
        raise
    finally:
        calling.reset(mark)
    call.over = True
    _hand_over(server)
    return result


@contextmanager
def step(server: Server) -> Iterator[None]:
    """Within it, a step of a start is done: it can be cancelled, and is not begun where that is given up."""
    call, task = _of_the_caller(server), asyncio.current_task()
    if call is None or task is None:
        yield
        return
    if call.given_up:
        raise asyncio.CancelledError
    call.steps.add(task)
    try:
        yield
    finally:
        call.steps.discard(task)


def as_step(server: Server, task: asyncio.Task[Any]) -> asyncio.Task[Any]:
    """Return a task that has not had its first turn, as a step of the start that has made it, if one has."""
    call = _of_the_caller(server)
    if call is not None and call.given_up:
        task.cancel()
    elif call is not None:
        call.steps.add(task)
        task.add_done_callback(call.steps.discard)
    return task


async def claim(server: Server) -> None:
    """Do, before a start that takes the steps itself makes or starts an object, what ours does."""
    spawn = server.spawn
    if spawn is None or not _takes_the_steps_itself(server, spawn):
        return
    if await start_slot.claim(server, spawn):
        # On disk before anything is created.
        server.hub.save(commit=True)


async def furnished(server: Server, ref: str = "") -> None:
    """Put into the object, before a start that takes the steps itself starts it, what ours does.

    Where `ref`, which is about to be started, is another object, nothing is done.
    """
    spawn = server.spawn
    if spawn is None or not _takes_the_steps_itself(server, spawn):
        return
    object_id = server.record.object_id or spawn.made
    if not ref or ref == server.object_name or (object_id and object_id.startswith(ref)):
        await furnish.furnish(server, object_id or ref)


def _takes_the_steps_itself(server: Server, spawn: Spawn) -> bool:
    return _of_the_caller(server) is not None and spawn.live and spawn.launching is None


def within_a_start(server: Server) -> bool:
    """Tell whether this is called by a subclass's `start`."""
    return _of_the_caller(server) is not None


def _of_the_caller(server: Server) -> StartCall | None:
    call = server.start_call
    return call if call is not None and call.is_ours else None


async def seen(server: Server, document: JsonObject | None) -> JsonObject | None:
    """Have a start that takes the steps itself go on with what it has found, as it does in DockerSpawner.

    Raises NotOurs for what is somebody else's.
    """
    spawn = server.spawn
    if _of_the_caller(server) is None or spawn is None or spawn.launching is not None:
        return document
    observed = None if document is None else await server.workload.observed(document)
    found = ownership.checked(server.identity, observed)
    if found is None:
        server.record.object_id = ""
    else:
        ownership.adopt(server, found)
    return document


def _fallen(server: Server, call: StartCall, done: asyncio.Future[Any]) -> None:
    if not done.cancelled():
        # Nobody waits for it any more.
        done.exception()
    call.over = True
    _failed(server)


def _failed(server: Server) -> None:
    """Remove what was made, unless our own `start` has seen to that, or has handed a server over."""
    spawn = server.spawn
    if spawn is not None and spawn.live:
        cleanup.abandon(server, spawn)
        spawn.end()


def _hand_over(server: Server) -> None:
    """Adopt what a start has made or found without ours: the Hub has its server."""
    spawn = server.spawn
    if spawn is None or spawn.phase is Phase.RUNNING:
        return
    server.record.object_id = server.record.object_id or spawn.made
    if server.record.object_id and server.record.object_id == spawn.made:
        server.record.removal = server.policy.remove
    spawn.end()
    spawn.phase = Phase.RUNNING
    if server.record.object_id:
        server.watch.begin()
        monitor.follow(server)
