"""The Engine's event stream. Source: Docker Engine API v1.41, "Monitor events".

aiodocker's own event channel never reconnects and rewrites times; this room only reads and types.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

from asyncdockerspawner.client.connection import Connection, objects

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
        async with (
            self._connection.stream(
                "GET",
                "events",
                operation="watch events",
                params={"filters": filters},
                # The first thing that is asked of an Engine, mostly; it saves asking for the version.
                versioned=False,
            ) as chunks,
            aclosing(self._read(chunks)) as events,
        ):
            yield events

    async def _read(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[ContainerEvent]:
        async for event in objects(chunks, on_unreadable=self._count):
            found = _event(event)
            if found is None:
                self._count(b"")
            # Unknown filters are ignored by some Engines without a word, so filter here too.
            elif found.action in WATCHED:
                yield found

    def _count(self, _line: bytes) -> None:
        self.malformed += 1


def _event(event: Mapping[str, object]) -> ContainerEvent | None:
    actor = event.get("Actor")
    known = actor if isinstance(actor, dict) else {}
    container_id = known.get("ID") or event.get("id")
    action = event.get("Action") or event.get("status")
    attributes = known.get("Attributes") or {}
    if not (isinstance(container_id, str) and isinstance(action, str) and isinstance(attributes, dict)):
        return None
    time = event.get("timeNano")
    return ContainerEvent(container_id, action, attributes, time if isinstance(time, int) else 0)
