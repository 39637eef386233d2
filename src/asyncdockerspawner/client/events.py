"""The Engine's event stream. Source: Docker Engine API v1.41, "Monitor events".

aiodocker's own event channel never reconnects and rewrites times; this room only reads and types.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from asyncdockerspawner.client.connection import Connection, objects

ENDINGS = frozenset({"die", "died", "destroy", "remove"})
"""Actions after which a container may not be running: Docker's words and Podman's."""


@dataclass(frozen=True, slots=True)
class ContainerEvent:
    """One thing that happened to a container; `action` is the Engine's word."""

    container_id: str
    action: str


class Events:
    """Verbs on events."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @asynccontextmanager
    async def endings(self) -> AsyncIterator[AsyncIterator[ContainerEvent]]:
        """Subscribe to the ends of containers; once entered, no later end is missed until it breaks.

        Raises EngineError when the stream cannot be opened or breaks off.
        """
        filters = {"type": ["container"], "event": sorted(ENDINGS)}
        async with (
            self._connection.stream(
                "GET", "events", operation="watch events", params={"filters": filters}
            ) as chunks,
            aclosing(_endings(chunks)) as endings,
        ):
            yield endings


async def _endings(chunks: AsyncIterator[bytes]) -> AsyncGenerator[ContainerEvent]:
    async for event in objects(chunks):
        action = str(event.get("Action") or event.get("status") or "")
        container_id = str((event.get("Actor") or {}).get("ID") or event.get("id") or "")
        # Unknown filters are ignored by some Engines without a word, so filter here too.
        if action in ENDINGS and container_id:
            yield ContainerEvent(container_id, action)
