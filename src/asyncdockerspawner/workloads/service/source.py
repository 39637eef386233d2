"""What feeds a watch of services: the list of their tasks. No event tells what becomes of a task."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager

from asyncdockerspawner.client.client import Client
from asyncdockerspawner.client.events import SwarmEvent, SwarmKind
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.observed import Observed
from asyncdockerspawner.workloads.service import read
from asyncdockerspawner.workloads.service.swarm import Swarm
from asyncdockerspawner.workloads.source import Happened, Hint

AT_A_TIME = 100
"""Tasks that are read without a pause."""
SHORTEST, LONGEST = 5.0, 30.0
"""Seconds between two lists."""
SECONDS_A_TASK = 50e-6
"""Of a CPU, to decode and read a task on a slow machine: lists are to cost 1 % of one."""
_SHARE = 0.01
_HAPPENED = {"create": Happened.CREATED, "update": Happened.CHANGED, "remove": Happened.REMOVED}


class ServiceSource:
    """The services of one Hub in one swarm."""

    tells_ends = False

    def __init__(self, client: Client, swarm: Swarm) -> None:
        self._client = client
        self._swarm = swarm
        self._tasks = 0
        self._is_first = True
        self._ingress = dict[str, read.Ports]()
        """Service → where the routing mesh publishes it: its tasks do not tell."""

    @asynccontextmanager
    async def hints(self) -> AsyncIterator[AsyncIterator[Hint]]:
        """Subscribe to what happens to services and nodes."""
        self._is_first = True
        async with (
            self._client.events.services_and_nodes() as events,
            aclosing(hint(event) async for event in events) as hints,
        ):
            yield hints

    async def list(self, hub_id: str, also: Collection[str]) -> builtins.list[Observed]:
        """List this Hub's services by their tasks, and those of the ids in `also` one by one."""
        wanted = {"label": [f"{labels.HUB}={hub_id}"]}
        documents = dict[str, JsonObject]()
        if self._is_first:
            # Later ones without a task are just being created; who does that knows of them.
            documents = {str(each["ID"]): each for each in await self._client.services.list(wanted)}
        tasks: dict[str, builtins.list[JsonObject]] = {each: [] for each in documents}
        tasks.update(await self._tasks_by_service(wanted))
        nodes = await self._swarm.ask_nodes()
        found = []
        for number, (service_id, mine) in enumerate(tasks.items(), 1):
            found.append(self._read(service_id, documents.get(service_id), mine, nodes))
            if number % AT_A_TIME == 0:
                await asyncio.sleep(0)
        self._ingress = {each: ports for each, ports in self._ingress.items() if each in tasks}
        self._is_first = False
        return [*found, *[each for ref in sorted(also) if (each := await self._swarm.find(ref)) is not None]]

    async def find(self, object_id: str) -> Observed | None:
        """Ask for a service and its tasks."""
        service = await self._client.services.inspect(object_id)
        if service is None:
            self._ingress.pop(object_id, None)
            return None
        tasks = await self._swarm.tasks_of(service)
        return self._read(object_id, service, tasks, await self._swarm.nodes_of(tasks))

    def pause(self, *, waited_for: bool) -> float:
        """Return the pause that keeps lists at 1 % of a CPU. Who waits for a service asks about it alone."""
        return min(max(self._tasks * SECONDS_A_TASK / _SHARE, SHORTEST), LONGEST)

    async def _tasks_by_service(
        self, wanted: Mapping[str, Sequence[str]]
    ) -> dict[str, builtins.list[JsonObject]]:
        found: dict[str, builtins.list[JsonObject]] = {}
        number = 0
        async with self._client.tasks.one_by_one(wanted) as tasks:
            async for task in tasks:
                found.setdefault(str(task.get("ServiceID") or ""), []).append(task)
                number += 1
                if number % AT_A_TIME == 0:
                    # Thousands of them keep nobody waiting.
                    await asyncio.sleep(0)
        self._tasks = number
        return found

    def _read(
        self,
        service_id: str,
        service: JsonObject | None,
        tasks: Sequence[JsonObject],
        nodes: Mapping[str, read.Node],
    ) -> Observed:
        if service is not None and (ports := read.ingress_of(service)):
            self._ingress[service_id] = ports
        return read.observed(service_id, service, tasks, nodes, self._ingress.get(service_id))


def hint(event: SwarmEvent) -> Hint:
    """Read an event; one of a node is about all services that it may have."""
    if event.kind is SwarmKind.NODE:
        return Hint(kind=Happened.ELSEWHERE, observed=Observed(id=""))
    name = str(event.attributes.get("name") or "")
    kind = _HAPPENED.get(event.action, Happened.CHANGED)
    return Hint(kind=kind, observed=Observed(id=event.object_id, name=name), time=event.time)
