"""The Engine's event stream. Source: Docker Engine API v1.41, "Monitor events".

aiodocker's own event channel never reconnects and rewrites times; this room only reads and types.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from asyncdockerspawner.client.connection import Connection, objects
from asyncdockerspawner.jsontypes import JsonObject

Event = TypeVar("Event")

ENDINGS = frozenset({"die", "died"})
"""Actions after which a container's process has ended: Docker's word and Podman's."""
REMOVALS = frozenset({"destroy", "remove"})
"""Actions after which there is no container."""
SIGNALS = frozenset({"kill"})
"""A signal was sent from outside: Docker says so before the end of what is killed, stopped or restarted."""
STARTS = frozenset({"start", "restart", "unpause"})
CREATIONS = frozenset({"create"})
RENAMES = frozenset({"rename"})
WATCHED = ENDINGS | REMOVALS | SIGNALS | STARTS | CREATIONS | RENAMES


@dataclass(frozen=True, slots=True)
class ContainerEvent:
    """One thing that happened to a container; `action` is the Engine's word.

    `attributes` are the container's name, its labels, and what the action adds (`exitCode`, `oldName`);
    `time` is the Engine's, in nanoseconds since 1970, or 0 where it tells none.
    """

    container_id: str
    action: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    time: int = 0

    @property
    def exit_code(self) -> int | None:
        """The exit code that an ending has; Docker and Podman name it differently."""
        code = self.attributes.get("exitCode") or self.attributes.get("containerExitCode") or ""
        return int(code) if code.isdecimal() else None


class SwarmKind(StrEnum):
    """What an event of a swarm is about."""

    SERVICE = "service"
    NODE = "node"


@dataclass(frozen=True, slots=True)
class SwarmEvent:
    """One thing that happened to a service or a node; `action` is `create`, `update` or `remove`.

    `attributes` are its name and what an update has changed (`replicas.new`, `updatestate.new`, `state.new`,
    `availability.new`, each with its `.old`): never a label, and nothing of tasks. `time` as a container's.
    """

    kind: SwarmKind
    object_id: str
    action: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    time: int = 0


class Events:
    """Verbs on events; `malformed` counts lines that could not be read and were left out."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.malformed = 0

    @asynccontextmanager
    async def containers(self) -> AsyncIterator[AsyncIterator[ContainerEvent]]:
        """Subscribe to what happens to containers; once entered, nothing later is missed until it breaks.

        Raises EngineError when the stream cannot be opened or breaks off.
        """
        filters = {"type": ["container"], "event": sorted(WATCHED)}
        async with self._read(filters, _container_event) as events:
            yield events

    @asynccontextmanager
    async def services_and_nodes(self) -> AsyncIterator[AsyncIterator[SwarmEvent]]:
        """Subscribe to what happens to services and nodes, as a manager tells it; otherwise as `containers`.

        All of the swarm's: there are no labels to filter by. An Engine that is no manager tells nothing.
        """
        async with self._read({"type": [*SwarmKind]}, _swarm_event) as events:
            yield events

    @asynccontextmanager
    async def _read(
        self, filters: JsonObject, typed: Callable[[_Told], Event | None]
    ) -> AsyncIterator[AsyncGenerator[Event]]:
        async with (
            self._connection.stream(
                "GET",
                "events",
                operation="watch events",
                params={"filters": filters},
                # The first thing that is asked of an Engine, mostly; it saves asking for the version.
                versioned=False,
            ) as chunks,
            aclosing(self._typed(chunks, typed)) as events,
        ):
            yield events

    async def _typed(
        self, chunks: AsyncIterator[bytes], typed: Callable[[_Told], Event | None]
    ) -> AsyncGenerator[Event]:
        async for event in objects(chunks, on_unreadable=self._count):
            told = _told(event)
            if told is None:
                self._count(b"")
            elif (found := typed(told)) is not None:
                yield found

    def _count(self, _line: bytes) -> None:
        self.malformed += 1


@dataclass(frozen=True, slots=True)
class _Told:
    """What an event tells, whatever it is about."""

    kind: str
    object_id: str
    action: str
    attributes: Mapping[str, str]
    time: int


def _told(event: Mapping[str, object]) -> _Told | None:
    actor = event.get("Actor")
    known = actor if isinstance(actor, dict) else {}
    object_id = known.get("ID") or event.get("id")
    action = event.get("Action") or event.get("status")
    attributes = known.get("Attributes") or {}
    if not (isinstance(object_id, str) and isinstance(action, str) and isinstance(attributes, dict)):
        return None
    time = event.get("timeNano")
    return _Told(str(event.get("Type")), object_id, action, attributes, time if isinstance(time, int) else 0)


# Unknown filters are ignored by some Engines without a word, so both filter here too.


def _container_event(told: _Told) -> ContainerEvent | None:
    if told.action not in WATCHED:
        return None
    return ContainerEvent(told.object_id, told.action, told.attributes, told.time)


_SWARM_KINDS: Mapping[str, SwarmKind] = {each.value: each for each in SwarmKind}


def _swarm_event(told: _Told) -> SwarmEvent | None:
    kind = _SWARM_KINDS.get(told.kind)
    if kind is None:
        return None
    return SwarmEvent(kind, told.object_id, told.action, told.attributes, told.time)
