"""A swarm as a manager tells of it: services by their documents and tasks, and the nodes of those."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from asyncdockerspawner import errors
from asyncdockerspawner.client.client import Client
from asyncdockerspawner.errors import PullReason
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.observed import Observed, Phase
from asyncdockerspawner.workloads.service import read, words

Filters = Mapping[str, Sequence[str]]
UNRESOLVED_SECONDS = 60.0
"""As long is a registry not asked again that could not be asked about an image: many start from one."""
_ANSWERED = {PullReason.DENIED, PullReason.UNKNOWN, PullReason.PLATFORM}
"""What a registry itself says, at once, and maybe of one user's credentials alone."""

_log = logging.getLogger(__name__)


class Resolved(NamedTuple):
    """What a registry has under an image's name."""

    digest: str
    platforms: Sequence[JsonObject]
    """What it is made for, as the Engine's `Platform`; empty where nothing is told."""


class Ending(NamedTuple):
    """A service that is removed, and whose last processes may still be at it."""

    service: JsonObject
    filters: Filters
    """What tells its tasks from others."""


class Swarm:
    """The swarm that an Engine manages; shared by all who ask, as the nodes that it remembers are."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._unresolved = dict[str, float]()
        """Image → when its registry could not be asked."""
        self.nodes: Mapping[str, read.Node] = {}
        """Id → node, as of the last time that somebody asked."""
        self._with_tasks = set[str]()
        """Services that were seen with a task."""
        self.files_left = set[str]()
        """Spawns of which secrets or configs may be left, as the removal of their service was cut off."""
        self.ending = dict[str, Ending]()
        """Id → service that was removed, until its last process was seen to be gone."""
        self.removals = set[str]()
        """Names of the services by which this process removes volumes now."""

    async def ask_nodes(self) -> Mapping[str, read.Node]:
        """Ask for the nodes anew."""
        found = [read.node(document) for document in await self._client.nodes.list()]
        self.nodes = {each.id: each for each in found}
        return self.nodes

    async def cpus(self) -> int:
        """Return the CPUs of all nodes that take servers; at least 1."""
        return max(sum(each.cpus for each in (await self.ask_nodes()).values() if each.takes_tasks), 1)

    async def ping(self) -> None:
        """Ask the manager the cheapest question."""
        await self._client.system.ping()

    async def find(self, ref: str) -> Observed | None:
        """Return what a service is like now, by id or name, or None where there is no such service."""
        service = await self._client.services.inspect(ref)
        return None if service is None else await self.observed(service)

    async def observed(self, service: JsonObject) -> Observed:
        """Read the body of `GET /services/ID`, with the service's tasks, which tell how it is."""
        tasks = await self.tasks_of(service)
        return self.read_service(str(service["ID"]), service, tasks, await self.nodes_of(tasks))

    def read_service(
        self,
        service_id: str,
        service: JsonObject | None,
        tasks: Sequence[JsonObject],
        nodes: Mapping[str, read.Node],
        ingress: read.Ports | None = None,
    ) -> Observed:
        """Read a service as `read.observed` does; one that had a task, and has none now, has ended."""
        found = read.observed(service_id, service, tasks, nodes, ingress)
        if tasks:
            self._with_tasks.add(service_id)
        # Some swarms keep no task that has ended: `--task-history-limit 0`.
        elif found.runs and service_id in self._with_tasks:
            return replace(found, phase=Phase.ENDED, last_exit=words.FORGOTTEN)
        return found

    def forget(self, service_id: str) -> None:
        """Hear that a service is gone."""
        self._with_tasks.discard(service_id)
        self.ending.pop(service_id, None)

    async def nodes_of(self, tasks: Sequence[JsonObject]) -> Mapping[str, read.Node]:
        """Return the nodes, with all that these tasks are on as far as the swarm has them."""
        wanted = {str(task["NodeID"]) for task in tasks if task.get("NodeID")}
        return self.nodes if wanted <= self.nodes.keys() else await self.ask_nodes()

    async def tasks_of(self, service: JsonObject) -> Sequence[JsonObject]:
        """Return the tasks of a service, former ones too; none where it is gone."""
        try:
            return await self._client.tasks.list(filters_of(service))
        except errors.ObjectNotFound:
            return ()

    async def resolve(self, image: str, registry_auth: str, timeout: float) -> Resolved | None:
        """Ask its registry, for `timeout` seconds, what an image is; None where it does not say."""
        now = time.monotonic()
        if now - self._unresolved.get(image, -UNRESOLVED_SECONDS) < UNRESOLVED_SECONDS:
            return None
        try:
            found = await self._client.distribution.inspect(
                image, registry_auth=registry_auth, timeout=timeout
            )
        except errors.EngineError as exc:
            if not isinstance(exc, errors.PullError) or exc.reason not in _ANSWERED:
                self._remember_unresolved(image, now)
            _log.warning(
                "Cannot ask the registry for the digest of %s: each node asks it for itself (%s)",
                image,
                exc.message,
            )
            return None
        return resolved(found)

    def _remember_unresolved(self, image: str, now: float) -> None:
        recent = {each: at for each, at in self._unresolved.items() if now - at < UNRESOLVED_SECONDS}
        self._unresolved = {**recent, image: now}


def resolved(answer: JsonObject) -> Resolved | None:
    """Read the body of `GET /distribution/NAME/json`."""
    digest = str((answer.get("Descriptor") or {}).get("digest") or "")
    platforms = list[JsonObject]()
    for each in answer.get("Platforms") or ():
        os, architecture = str(each.get("os") or ""), str(each.get("architecture") or "")
        # Attestations are listed as such. Nodes with ARM do not name it alike: https://github.com/moby/swarmkit/issues/2294
        platform = {"OS": os, "Architecture": "" if architecture == "arm" else architecture}
        if "unknown" not in {os, architecture} and platform not in platforms:
            platforms.append(platform)
    return Resolved(digest, platforms) if digest else None


def filters_of(service: JsonObject) -> Filters:
    """Return what tells the tasks of a service from others.

    Our label does, also when the service is gone: a filter by service is an error then.
    """
    marks = (service.get("Spec") or {}).get("Labels") or {}
    spawn_id = marks.get(labels.SPAWN)
    return {"label": [f"{labels.SPAWN}={spawn_id}"]} if spawn_id else {"service": [str(service["ID"])]}
