"""What feeds a watch of services: the list of their tasks. No event tells what becomes of a task."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace

from asyncdockerspawner.client.client import Client
from asyncdockerspawner.client.events import SwarmEvent, SwarmKind
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.observed import Observed
from asyncdockerspawner.workloads.service import read
from asyncdockerspawner.workloads.service.swarm import Filters, Swarm
from asyncdockerspawner.workloads.source import Happened, Hint

SHORTEST, LONGEST = 5.0, 30.0
"""Seconds between two lists."""
SECONDS_A_TASK = 50e-6
"""Of a CPU, to decode and read a task on a slow machine: lists are to cost 1 % of one."""
SECONDS_A_QUESTION = 2e-3
"""Of a CPU, to ask about a service alone, as about each that another spawner has made."""
_SHARE = 0.01
_HAPPENED = {"create": Happened.CREATED, "update": Happened.CHANGED, "remove": Happened.REMOVED}


@dataclass(slots=True)
class _Newest:
    """The newest task of a service among those that have come."""

    observed: Observed | None = None
    read_from: tuple[object, ...] = ()
    """What decides `observed`: where that is as it was, the task is not read anew."""
    created: int = -1
    has_failed: bool = False
    failures: int = 0

    def takes(self, task: JsonObject) -> bool:
        """Take a task in; tell whether it is the newest by now."""
        has_failed, created = read.has_failed(task), read.created(task)
        self.failures += has_failed
        if created < self.created:
            return False
        self.created, self.has_failed = created, has_failed
        return True

    @property
    def result(self) -> Observed:
        """The service, with what the tasks before have told."""
        assert self.observed is not None  # noqa: S101 - only what was read is asked for
        before = self.failures - self.has_failed
        return replace(self.observed, restarts=before) if before else self.observed


class ServiceSource:
    """The services of one Hub in one swarm."""

    tells_ends = False

    def __init__(self, client: Client, swarm: Swarm) -> None:
        self._client = client
        self._swarm = swarm
        self._tasks = self._asked_for = 0
        self._is_first = True
        self._former = dict[str, _Newest]()
        """Service → what the last list has had of it: most stay as they are."""
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
        await self._swarm.ask_nodes()
        # Later ones without a task are just being created; who does that knows of them.
        found = await self._without_tasks(wanted) if self._is_first else {}
        found.update(await self._by_tasks(wanted))
        self._ingress = {each: ports for each, ports in self._ingress.items() if each in found}
        self._is_first = False
        self._asked_for = len(also)
        others = [each for ref in sorted(also) if (each := await self._swarm.find(ref)) is not None]
        return [*found.values(), *others]

    async def find(self, object_id: str) -> Observed | None:
        """Ask for a service and its tasks."""
        service = await self._client.services.inspect(object_id)
        if service is None:
            self._ingress.pop(object_id, None)
            self._swarm.forget(object_id)
            return None
        tasks = await self._swarm.tasks_of(service)
        return self._read(object_id, service, tasks, await self._swarm.nodes_of(tasks))

    def pause(self, *, waited_for: bool) -> float:
        """Return the pause that keeps lists at 1 % of a CPU. Who waits for a service asks about it alone."""
        cost = self._tasks * SECONDS_A_TASK + self._asked_for * SECONDS_A_QUESTION
        return min(max(cost / _SHARE, SHORTEST), LONGEST)

    async def _without_tasks(self, wanted: Filters) -> dict[str, Observed]:
        """Read the services alone, as those are that have no task yet."""
        found = dict[str, Observed]()
        async with self._client.services.one_by_one(wanted) as services:
            async for service in services:
                service_id = str(service["ID"])
                found[service_id] = self._read(service_id, service, (), {})
        return found

    async def _by_tasks(self, wanted: Filters) -> dict[str, Observed]:
        """Read the services by their tasks, each as it comes: thousands of documents are much memory."""
        found, number = dict[str, _Newest](), 0
        async with self._client.tasks.one_by_one(wanted) as tasks:
            async for task in tasks:
                number += 1
                if read.is_removed(task):
                    continue
                service_id = str(task.get("ServiceID") or "")
                if service_id not in found:
                    found[service_id] = _Newest()
                newest = found[service_id]
                if newest.takes(task):
                    self._read_newest(service_id, task, newest)
        self._tasks, self._former = number, found
        return {each: newest.result for each, newest in found.items() if newest.observed is not None}

    def _read_newest(self, service_id: str, task: JsonObject, newest: _Newest) -> None:
        nodes, former = self._swarm.nodes, self._former.get(service_id)
        version = (task.get("Version") or {}).get("Index")
        at, ingress = nodes.get(str(task.get("NodeID") or "")), self._ingress.get(service_id)
        newest.read_from = (task.get("ID"), version, at, ingress)
        if former is not None and former.read_from == newest.read_from:
            newest.observed = former.observed
        else:
            newest.observed = self._read(service_id, None, [task], nodes)

    def _read(
        self,
        service_id: str,
        service: JsonObject | None,
        tasks: Sequence[JsonObject],
        nodes: Mapping[str, read.Node],
    ) -> Observed:
        if service is not None and (ports := read.ingress_of(service)):
            self._ingress[service_id] = ports
        return self._swarm.read_service(service_id, service, tasks, nodes, self._ingress.get(service_id))


def hint(event: SwarmEvent) -> Hint:
    """Read an event; one of a node is about all services that it may have."""
    if event.kind is SwarmKind.NODE:
        return Hint(kind=Happened.ELSEWHERE, observed=Observed(id=""))
    name = str(event.attributes.get("name") or "")
    kind = _HAPPENED.get(event.action, Happened.CHANGED)
    return Hint(kind=kind, observed=Observed(id=event.object_id, name=name), time=event.time)
