"""What feeds a watch: the objects of one kind at one Engine, and hints of what happens to them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from asyncdockerspawner.workloads.observed import Observed


class Happened(Enum):
    """What a hint tells of an object."""

    CREATED = "created"
    STARTED = "started"
    SIGNALLED = "asked from outside to end, or ended by force"
    ENDED = "its process has ended; it may be started again"
    REMOVED = "removed"
    RENAMED = "renamed"
    CHANGED = "something about it may have changed: who wants to know has to ask"
    ELSEWHERE = "something that many objects hang on has changed: a list tells which"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """One thing that happened to an object, as the Engine tells it: maybe late, and never the whole truth."""

    kind: Happened
    observed: Observed
    """What it tells of the object: its id, its name, and what its labels say."""
    by_force: bool = False
    """Of a signal: it cannot be caught."""
    exit_code: int | None = None
    """Of an end, where that is told."""
    time: int = 0
    """The Engine's, in nanoseconds since 1970; 0 where it tells none."""


class Source(Protocol):
    """The objects of one kind at one Engine. All of it raises EngineError where the Engine does not answer.

    A list counts more than hints, and an answer about one object more than a list.
    """

    @property
    def tells_ends(self) -> bool:
        """Whether hints tell of each end; else whoever waits for one has to ask."""

    def hints(self) -> AbstractAsyncContextManager[AsyncIterator[Hint]]:
        """Subscribe to what happens; once entered, nothing later is missed until the iteration breaks off."""

    async def list(self, hub_id: str, also: Collection[str]) -> list[Observed]:
        """Return all objects that carry this Hub's label, and those of the ids that `also` has at the end."""

    async def find(self, object_id: str) -> Observed | None:
        """Return one object, or None where there is no such object."""

    def pause(self, *, waited_for: bool) -> float:
        """Return the seconds between two lists; `waited_for`: somebody waits for an object's next state."""
