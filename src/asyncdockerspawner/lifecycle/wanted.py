"""One way to an end: what an object is to come to, and the one worker that sees to it.

Whoever gives an object up says here what is wanted of it; the Engine's janitor works that off, in order for
each name, again and again while the Engine cannot be reached. Nothing here acts on a name: an object is meant
by its id, or by its creation where no id is known yet, since names are used again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import partial

from asyncdockerspawner.engine.janitor import Janitor
from asyncdockerspawner.lifecycle import ownership
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.protocol import Workload

LATE_PAUSES = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
"""Seconds between looks for what the Engine may do late: a create or a start that it has not answered."""


class End(Enum):
    """What an object is to come to: (it is stopped first, it is removed, also while it runs)."""

    STOPPED = (True, False, False)
    STOPPED_AND_REMOVED = (True, True, True)
    """A stop has asked for it."""
    REMOVED = (False, True, True)
    """At once: it was created by a spawn that has failed, or its server is deleted."""
    REMOVED_IF_ENDED = (False, True, False)
    """Whatever is thought of it, a running server is left alone."""
    STOPPED_AND_REMOVED_IF_ENDED = (True, True, False)
    """As long as nobody has started it again in between."""

    @property
    def verb(self) -> str:
        """Return the word for it in the log."""
        return "remove" if self.value[1] else "stop"


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is wanted of one object; while an equal one is worked off, it is not queued again."""

    name: str
    """Its name: work on one name is done in order."""
    owner: labels.Owner
    """Its creation, which tells it where no id is known."""
    object_id: str = ""
    end: End
    grace: int | None = None
    """Seconds that it has to end by itself; None is its own."""
    why: str = ""
    """Goes behind what is done, in the log."""
    late: bool = False
    """It is looked for later: of its creation, only what was never started is meant."""
    find: Callable[[], Awaitable[str]] | None = field(default=None, compare=False)
    """Returns its id, or nothing where there is no such object; None is by id, else by creation."""
    is_due: Callable[[], bool] = field(default=_always, compare=False)
    """Is asked before each step: meanwhile somebody may have taken the object over."""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.end.verb, self.name, self.why)))


def want(janitor: Janitor, workload: Workload, wanted: Wanted) -> asyncio.Task[bool]:
    """Have it worked off; the task tells whether that was done."""
    return janitor.submit(wanted.name, partial(_reach, workload, wanted), what=str(wanted), goal=wanted)


async def want_within(janitor: Janitor, workload: Workload, wanted: Wanted, timeout: float) -> bool:
    """Have it worked off, and tell whether that was done within `timeout` seconds; else it goes on alone."""
    return await janitor.attempt(
        wanted.name, partial(_reach, workload, wanted), what=str(wanted), goal=wanted, timeout=timeout
    )


def want_late(janitor: Janitor, workload: Workload, wanted: Wanted) -> None:
    """Have it worked off some more times, should the Engine do late what it was asked for.

    The pauses are not in the queue of its name, so the user's next spawn need not wait for them.
    """
    again = replace(wanted, late=True)

    async def look() -> None:
        await want(janitor, workload, again)

    janitor.start(partial(repeat_late, look), what=f"{wanted}, should it come late")


async def repeat_late(work: Callable[[], Awaitable[None]]) -> None:
    """Do work whenever the Engine may have done late what it was asked for."""
    for pause in LATE_PAUSES:
        await asyncio.sleep(pause)
        await work()


async def _reach(workload: Workload, wanted: Wanted) -> None:
    stops, removes, by_force = wanted.end.value
    ref = await (wanted.find() if wanted.find is not None else _found(workload, wanted))
    if ref and stops and wanted.is_due():
        await workload.stop(ref, grace=wanted.grace)
    if ref and removes and wanted.is_due():
        by_force = by_force or (wanted.late and await _runs_by_its_creation(workload, wanted, ref))
        await workload.remove(ref, force=by_force)


async def _runs_by_its_creation(workload: Workload, wanted: Wanted, ref: str) -> bool:
    """Tell whether what was created late runs, though nobody who is still there has started it."""
    if wanted.object_id:
        return False
    observed = await workload.find(ref)
    return observed is not None and observed.starts_itself


async def _found(workload: Workload, wanted: Wanted) -> str:
    if not wanted.object_id:
        return await ownership.created_by(workload, wanted.name, wanted.owner, unstarted=wanted.late)
    if not wanted.late:
        return wanted.object_id
    # It was asked for before; only what has happened since is to be undone.
    observed = await workload.find(wanted.object_id)
    return wanted.object_id if observed is not None and observed.runs else ""
