"""One spawn: what has been settled for it, and what of it is under way."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from asyncdockerspawner.engine.engine import Engine
from asyncdockerspawner.engine.sandboxes import Lease
from asyncdockerspawner.engine.start_slots import Slot, StartSlots
from asyncdockerspawner.images.pulls import PullPolicy


class Phase(StrEnum):
    """How far a spawn has come, as saved states tell it."""

    STARTING = "starting"
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class Choice:
    """A user's choice of an image, and what came of it."""

    wanted: Any
    image: str
    """The spawner's image afterwards."""
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class ImageWanted:
    """What decides whether an image is there: another one of these has to be ensured anew."""

    engine: Engine
    image: str
    pull_policy: PullPolicy
    # It may hold passwords.
    registry_auth: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class ImageEnsured:
    """An image that was ensured for a spawn, or could not be."""

    wanted: ImageWanted
    image: str
    """The spawner's image afterwards: a `pull_image` of a site's own may set it."""
    error: Exception | None = None


@dataclass(slots=True)
class Spawn:
    """One spawn: `spawn_id` names the creation and is a label of what it creates."""

    spawn_id: str
    phase: Phase = Phase.STARTING
    live: bool = False
    """Prepared or launching in this process; not so for a spawn that was read from the database."""
    resumed: bool = False
    made: str = ""
    """Id of what this spawn created; never that of something it found."""
    creating: asyncio.Task[str] | None = None
    create_lost: bool = False
    """A create's answer was lost, maybe with the Hub: the Engine may have made something, or be about to."""
    starting: bool = False
    """The Engine was asked to start the object and has not answered."""
    begun: bool = False
    """`start` was called."""
    launching: asyncio.Task[Any] | None = None
    choice: Choice | None = None
    """What `check_allowed` has said last."""
    ensured: ImageEnsured | None = None
    registry_auth: dict[str, str] = field(default_factory=dict, repr=False)
    """Registry → what a service's nodes show to it, as a site's own function has given it."""
    lost_ports: set[int] = field(default_factory=set)
    """Ports in a shared network that were chosen for it and turned out to be somebody else's."""
    own_volumes: Sequence[str] | None = None
    """Volumes of what it made that are its user's alone; None where it made nothing."""
    made_from: str = ""
    """The fingerprint of its object; empty where that is not known."""
    slot: Slot | None = None
    """Its start slot."""
    slots: StartSlots | None = None
    """Whose slot that is."""
    sandbox: Lease | None = None
    """The sandbox that what it creates is in."""
    sandbox_lost: bool = False
    """That has ended under it: it is started without."""

    claimed: list[tuple[Engine, str]] = field(default_factory=list)
    """Names of objects that it is about to start, at which Engine."""

    @classmethod
    def of(cls, spawn_id: str, phase: str | None) -> Spawn:
        """Return the spawn that a saved state tells of."""
        known = Phase.STARTING if phase == Phase.STARTING else Phase.RUNNING
        return cls(spawn_id, phase=known, create_lost=known is Phase.STARTING)

    def release_slot(self) -> None:
        """Release the start slot, if there is one."""
        if self.slot is not None:
            self.slot.release()

    def release_sandbox(self) -> None:
        """Leave its sandbox to what is in it."""
        if self.sandbox is not None:
            self.sandbox.release()
            self.sandbox = None

    def end(self) -> None:
        """End its start, however it went."""
        self.live = False
        self.launching = None
        self.release_slot()
        self.release_sandbox()


@dataclass(slots=True)
class StartCall:
    """A call of a subclass's own `start`, until that has ended."""

    future: asyncio.Future[Any] | None = None
    """What it gave; None before it has given anything."""
    steps: set[asyncio.Task[Any]] = field(default_factory=set)
    """Those of its tasks that are in a step of ours."""
    given_up: bool = False
    over: bool = False

    @property
    def is_ours(self) -> bool:
        """Whether what asks is part of it; each task of it knows that by its context."""
        return calling.get() is self

    def give_up(self) -> None:
        """Have it end: cancel it, or where that is no use the step that it is in."""
        self.given_up = True
        for task in (*self.steps, *([self.future] if isinstance(self.future, asyncio.Task) else ())):
            task.cancel()


calling: ContextVar[StartCall | None] = ContextVar("calling", default=None)
"""The call of a `start` that the running code belongs to."""


async def resolved(value: Any) -> Any:
    """Await whatever a seam gave, if it can be awaited."""
    return await value if inspect.isawaitable(value) else value
