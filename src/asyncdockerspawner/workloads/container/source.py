"""What feeds a watch of containers: the Engine's list, its inspections, and its event stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import aclosing, asynccontextmanager

from asyncdockerspawner.client.client import Client
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.container import read
from asyncdockerspawner.workloads.observed import Observed
from asyncdockerspawner.workloads.source import Hint

RESYNC_SECONDS = 60.0
"""Between lists: events tell all; a list is also how a connection that is dead without a word is noticed."""


class ContainerSource:
    """The containers of one Engine."""

    tells_ends = True

    def __init__(self, client: Client) -> None:
        self._client = client

    @asynccontextmanager
    async def hints(self) -> AsyncIterator[AsyncIterator[Hint]]:
        """Subscribe to the event stream."""
        async with (
            self._client.events.containers() as events,
            aclosing(read.hint(event) async for event in events) as hints,
        ):
            yield hints

    async def list(self, hub_id: str, also: Collection[str]) -> list[Observed]:
        """List the containers of this Hub, and those of the ids that `also` has at the end."""
        # What DockerSpawner has made carries no label, so a filter would hide it.
        wanted = {} if also else {labels.HUB: hub_id}
        async with self._client.containers.one_by_one(wanted) as entries:
            return [
                read.listed(entry)
                async for entry in entries
                if (entry.get("Labels") or {}).get(labels.HUB) == hub_id or entry["Id"] in also
            ]

    async def find(self, object_id: str) -> Observed | None:
        """Inspect a container."""
        document = await self._client.containers.inspect(object_id)
        return None if document is None else read.observed(document)

    def pause(self, *, waited_for: bool) -> float:
        """Return the pause between two lists, which is the same while events tell of starts and ends."""
        return RESYNC_SECONDS
