"""What is left of a spawn when nobody waits for it any more, and what is wanted of that."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from asyncdockerspawner import errors
from asyncdockerspawner.engine.janitor import Janitor
from asyncdockerspawner.lifecycle import ownership
from asyncdockerspawner.lifecycle.server import Server
from asyncdockerspawner.lifecycle.spawn import Spawn
from asyncdockerspawner.lifecycle.wanted import End, Wanted, want, want_late
from asyncdockerspawner.workloads.protocol import Workload

SWEEP_SECONDS = 10.0
"""How long the Hub's stop waits for work that goes on without it."""


async def sweep(server: Server) -> None:
    """Remove what a spawn that is over has left, where the Hub did not call `stop()`."""
    task = clear_away(server)
    if task is None:
        return
    await asyncio.wait([task], timeout=SWEEP_SECONDS)
    if task.done() and not task.cancelled() and task.result():
        server.record.object_id = ""


def clear_away(server: Server) -> asyncio.Task[bool] | None:
    """Begin to remove what a spawn that is over has left; None where that is nothing."""
    spawn, object_id = server.spawn, server.record.object_id
    if not server.removes or (not object_id and spawn is None) or is_kept(server, spawn):
        return None
    janitor, workload = server.engine.janitor, server.workload
    if janitor.busy(server.object_name):
        # A stop that is owed removes it; until then the state keeps its id.
        return None
    if object_id:
        server.watch.unfollow(object_id)
    wanted = _wanted(server, End.REMOVED_IF_ENDED, object_id)
    if not object_id and spawn is not None and spawn.create_lost and spawn.creating is None:
        # The Engine may be about to make what a Hub that was killed has asked for.
        want_late(janitor, workload, wanted)
    return want(janitor, workload, wanted)


def is_kept(server: Server, spawn: Spawn | None) -> bool:
    """Tell whether this spawn has failed, and what it made is to stay."""
    return spawn is not None and spawn.made != "" and spawn.made == server.record.failed_id


def abandon(server: Server, spawn: Spawn) -> None:
    """Give up what this spawn created; what it found stays."""
    made, keep = spawn.made, server.policy.keep_failed
    janitor, workload = server.engine.janitor, server.workload
    if made and server.record.object_id == made:
        server.record.object_id = ""
    if keep and made:
        server.record.failed_id = made
        server.log.warning("%s has failed and is kept, as `keep_failed` says", server.object_name)
    wanted = _wanted(server, End.STOPPED if keep else End.REMOVED, made, "of a start that did not end well")
    if made:
        want(janitor, workload, wanted)
    elif spawn.creating is not None:
        _want_what_is_created(janitor, workload, wanted, spawn)
    kept = server.record.object_id if spawn.resumed else server.record.failed_id
    if spawn.starting and kept:
        _want_stopped_late(server, kept)


def owe(server: Server) -> None:
    """Have the object stopped, and removed with `remove`, as soon as the Engine is back."""
    end = End.STOPPED_AND_REMOVED if server.removes else End.STOPPED
    wanted = _wanted(server, end, server.record.object_id, grace=server.stop_timeout)
    # In the saved state too, for a Hub that is restarted before that.
    server.record.owed, server.record.owed_now = True, server.stop_timeout == 0
    task = want(server.engine.janitor, server.workload, wanted)
    task.add_done_callback(lambda done: _paid(server, done))


def _paid(server: Server, done: asyncio.Task[bool]) -> None:
    if not done.cancelled() and done.result():
        server.settle_debt()


def _wanted(server: Server, end: End, object_id: str, why: str = "", *, grace: int | None = None) -> Wanted:
    return Wanted(
        name=server.object_name, owner=server.owner, object_id=object_id, end=end, grace=grace, why=why
    )


def _want_what_is_created(janitor: Janitor, workload: Workload, wanted: Wanted, spawn: Spawn) -> None:
    """Have an end made to what a create makes that nobody waits for any more."""
    creating = spawn.creating

    async def find() -> str:
        assert creating is not None  # noqa: S101 - asked before
        try:
            return await asyncio.shield(creating)
        except errors.AsyncDockerSpawnerError:
            # Whatever came last: once an answer was lost, the Engine may have acted, or be about to.
            if not spawn.create_lost:
                return ""
        found = await ownership.created_by(workload, wanted.name, wanted.owner)
        if not found:
            want_late(janitor, workload, replace(wanted, end=End.REMOVED_IF_ENDED))
        return found

    want(janitor, workload, replace(wanted, find=find))


def _want_stopped_late(server: Server, object_id: str) -> None:
    """Have an object that stays stopped, should the Engine start it when nobody waits for that any more."""
    engine, watch, name = server.engine, server.watch, server.object_name

    def is_due() -> bool:
        # A later spawn that has taken it over stands in one of these two, and begins behind this work.
        return name not in engine.claims.names() and not watch.follows(object_id)

    wanted = _wanted(server, End.STOPPED, object_id, "of a start that did not end well")
    want_late(engine.janitor, server.workload, replace(wanted, is_due=is_due))
