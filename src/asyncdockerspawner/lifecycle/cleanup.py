"""What must still be done when nobody waits for it any more: handed to the janitor."""

from __future__ import annotations

import asyncio

from asyncdockerspawner import errors
from asyncdockerspawner.engine.janitor import Janitor
from asyncdockerspawner.lifecycle import ownership
from asyncdockerspawner.lifecycle.server import Server
from asyncdockerspawner.lifecycle.spawn import Spawn
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.protocol import Workload

SWEEP_SECONDS = 10.0
"""How long the Hub's stop waits for work that goes on without it."""
LATE_PAUSES = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
"""Seconds between looks for an object whose creation was asked for, but never answered."""


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
    spawn, ref = server.spawn, server.record.object_id
    if not server.removes or (not ref and spawn is None) or is_kept(server, spawn):
        return None
    workload, name, owner, janitor = server.workload, server.object_name, server.owner, server.engine.janitor
    if janitor.busy(name):
        # A stop that is owed removes it; until then the state keeps its id.
        return None

    if ref:
        server.watch.unfollow(ref)

    async def work() -> None:
        if found := ref or await ownership.created_by(workload, name, owner):
            # Not by force: whatever was thought of it, a running server is not removed here.
            await workload.remove(found, force=False)
        elif spawn is not None and spawn.create_lost and spawn.creating is None:
            # The Engine may be about to make what a Hub that was killed has asked for.
            _look_later(workload, name, owner, janitor)

    return janitor.submit(name, work, what=f"remove {name}")


def is_kept(server: Server, spawn: Spawn | None) -> bool:
    """Tell whether this spawn has failed, and what it made is to stay."""
    return spawn is not None and spawn.made != "" and spawn.made == server.record.failed_id


def abandon(server: Server, spawn: Spawn) -> None:
    """Hand what this spawn created to the janitor; what it found stays."""
    workload, name, owner, janitor = server.workload, server.object_name, server.owner, server.engine.janitor
    made, keep = spawn.made, server.policy.keep_failed
    if made and server.record.object_id == made:
        server.record.object_id = ""

    async def work() -> None:
        ref = made or await _created(spawn, workload, name, owner, janitor)
        if ref and keep:
            await workload.stop(ref)
        elif ref:
            await workload.remove(ref, force=True)

    if keep and made:
        server.record.failed_id = made
        server.log.warning("%s has failed and is kept, as `keep_failed` says", name)
    if made or spawn.creating is not None:
        janitor.submit(name, work, what=f"remove {name} of a start that did not end well")
    if spawn.starting:
        _stop_late(server, spawn)


def _stop_late(server: Server, spawn: Spawn) -> None:
    """Stop an object that stays, should the Engine start it after nobody waits for that any more."""
    engine, watch, workload, name = server.engine, server.watch, server.workload, server.object_name
    ref = server.record.object_id if spawn.resumed else server.record.failed_id
    if not ref:
        return

    async def once() -> None:
        # A later spawn that has taken it over stands in one of these two, and begins behind this work.
        if name in engine.launching or watch.follows(ref):
            return
        document = await workload.find(ref)
        if document is not None and workload.running(document):
            await workload.stop(ref)

    async def work() -> None:
        for pause in (0.0, *LATE_PAUSES):
            await asyncio.sleep(pause)
            what = f"stop {name} of a start that did not end well"
            await engine.janitor.submit(name, once, what=what, goal=("late", ref))

    engine.janitor.start(work, what=f"stop {name}, if it is started late")


async def _created(spawn: Spawn, workload: Workload, name: str, owner: labels.Owner, janitor: Janitor) -> str:
    """Give the id of what a create that nobody waits for any more has made, if it has made anything."""
    if spawn.creating is None:
        return ""
    try:
        return await asyncio.shield(spawn.creating)
    except errors.EngineError:
        # Whatever came last: once an answer was lost, the Engine may have acted, or be about to.
        if not spawn.create_lost:
            return ""
        found = await ownership.created_by(workload, name, owner)
        if not found:
            _look_later(workload, name, owner, janitor)
        return found


def _look_later(workload: Workload, name: str, owner: labels.Owner, janitor: Janitor) -> None:
    """Look a few times for an object that was made after nobody waited for it any more, and remove it.

    Not in the queue of its name, so that the user's next spawn need not wait for that.
    """

    async def work() -> None:
        for pause in LATE_PAUSES:
            await asyncio.sleep(pause)
            if found := await ownership.created_by(workload, name, owner, unstarted=True):
                await workload.remove(found, force=False)
                return

    what = f"remove {name}, if it was created late"
    janitor.submit(f"{name} (late)", work, what=what, goal=owner.spawn_id)


def owe(server: Server) -> None:
    """Have the object stopped, and removed with `remove`, as soon as the Engine is back."""
    workload, remove, ref, grace = (
        server.workload,
        server.removes,
        server.record.object_id,
        server.stop_timeout,
    )
    name, owner = server.object_name, server.owner

    async def work() -> None:
        if found := ref or await ownership.created_by(workload, name, owner):
            await workload.stop(found, grace=grace)
            if remove:
                await workload.remove(found, force=True)

    # In the saved state too, for a Hub that is restarted before that.
    server.record.owed, server.record.owed_now = True, grace == 0
    goal = ("end", ref or owner.spawn_id, remove, grace)
    task = server.engine.janitor.submit(name, work, what=f"stop {name}", goal=goal)
    task.add_done_callback(lambda done: _paid(server, done))


def _paid(server: Server, done: asyncio.Task[bool]) -> None:
    if not done.cancelled() and done.result():
        server.settle_debt()
