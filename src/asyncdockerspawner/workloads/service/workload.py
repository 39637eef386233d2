"""A server as a service of one replica, behind the verbs of every workload."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from asyncdockerspawner import errors
from asyncdockerspawner.client.client import Client
from asyncdockerspawner.client.execs import Ended
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.furnishing import Furnished, Furnishing
from asyncdockerspawner.workloads.launch import LaunchInputs
from asyncdockerspawner.workloads.observed import Observed, Phase
from asyncdockerspawner.workloads.protocol import ContainerVerbs, Log, ServiceVerbs
from asyncdockerspawner.workloads.service import endpoint, files, read, versions, words
from asyncdockerspawner.workloads.service.body import ServiceBody, build_service
from asyncdockerspawner.workloads.service.swarm import Ending, Filters, Swarm, filters_of
from asyncdockerspawner.workloads.service.volumes import NodeVolumes, Removals, clear_removals

GONE_TIMEOUT = 60.0
"""As long, beyond its grace, may a removed service's processes take to end."""
SHORTEST_PAUSE, LONGEST_PAUSE = 0.1, 0.5
"""Seconds between two looks at what is ending."""
UPDATE_TRIES = 5
"""How often a change is tried again where somebody else has changed the service meanwhile."""
USUAL_GRACE = 10 * 10**9
"""Nanoseconds that a process has to end by itself, unless its service says otherwise."""
OUT_OF_SEQUENCE = "out of sequence"


class Heard(Protocol):
    """Who keeps track of services, and hears what is learnt of them beside its lists."""

    def asked(self, object_id: str) -> Callable[[Observed | None], None]:
        """Hear that a service is asked about now; gives what is to be called with the answer."""

    def removed(self, object_id: str) -> None:
        """Hear that a service is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Who is told what is done and learnt: the log, and who keeps track."""

    log: Log
    heard: Heard


class ServiceWorkload:
    """A server as a service. `registry_auth` goes to the nodes with it, so that they can pull its image."""

    def __init__(
        self,
        client: Client,
        swarm: Swarm,
        told: Told | None = None,
        *,
        registry_auth: str = "",
        removals: Removals | None = None,
    ) -> None:
        self._client = client
        self._swarm = swarm
        self._told = told
        self._registry_auth = registry_auth
        self._removals = removals or Removals(hub_id="")

    @property
    def container(self) -> ContainerVerbs:
        """What only a container can: a service cannot."""
        return NO_CONTAINER

    @property
    def service(self) -> ServiceVerbs:
        """What only a service can: this is one."""
        return self

    async def inspect(self, ref: str) -> JsonObject | None:
        """Return `GET /services/REF`, or None."""
        return await self._client.services.inspect(ref)

    async def observed(self, document: JsonObject) -> Observed:
        """Read the service's document, with its tasks."""
        heard = self._asked(str(document["ID"]))
        observed = await self._swarm.observed(document)
        heard(observed)
        return observed

    def body(self, inputs: LaunchInputs) -> ServiceBody:
        """Return what the service is made from."""
        return ServiceBody(build_service(inputs))

    async def find(self, ref: str) -> Observed | None:
        """Return what the swarm tells of the service and its tasks, or None."""
        heard = self._asked(ref)
        observed = await self._swarm.find(ref)
        if observed is None or observed.id == ref:
            heard(observed)
        return observed

    async def create(self, name: str, body: JsonObject) -> str:
        """Create the service, which starts it. Raises NameConflict, BadOption."""
        begin = time.monotonic()
        versions.check(body, await self._client.connection.version())
        spec = {**body, "Name": name}
        try:
            made = await self._client.services.create(spec, registry_auth=self._registry_auth)
        except errors.InvalidConfig as exc:
            told = words.refused(exc.message)
            raise errors.BadOption(
                f"The server cannot be started: {told.text}.", advice=f"{exc.message}. {told.cure}"
            ) from exc
        except errors.NotSwarmManager as exc:
            raise errors.BadOption(
                "The server cannot be started: the Docker Engine manages no swarm.",
                advice="SwarmSpawner needs a manager: `docker swarm init` makes it one, or "
                f"`client_kwargs` or DOCKER_HOST names another. It says: {exc.message}",
            ) from exc
        self._log("Created", {"ID": made, "Spec": spec}, begin)
        return made

    async def start(self, ref: str) -> None:
        """Do nothing: its creation has started it."""

    async def stop(self, ref: str, *, grace: int | None = None) -> None:
        """Have no process of the service run any more; the grace is what it was created with.

        One without our label stays as it is: it is removed, never changed.
        """
        begin = time.monotonic()

        def without_tasks(spec: JsonObject) -> JsonObject:
            return {**spec, "Mode": {"Replicated": {"Replicas": 0}}}

        service = await self._updated(ref, without_tasks)
        if service is not None:
            await self._until_gone(service, await self._filters_beyond(service))
            self._log("Stopped", service, begin)

    async def remove(self, ref: str, *, force: bool) -> None:
        """Remove the service with its secrets and configs, and return when its processes are gone.

        Raises EngineRefused for one that runs, without `force`; EngineTimeout.
        """
        begin = time.monotonic()
        await files.remove_left(self._client, self._swarm.files_left)
        service = await self._client.services.inspect(ref)
        if service is None:
            return await self._end_of_removed(ref)
        service_id, spawn_id = str(service["ID"]), _marks(service).get(labels.SPAWN)
        if not force and (await self._swarm.observed(service)).phase is Phase.RUNNING:
            raise errors.EngineRefused("remove service", ref, "it runs", status=409)
        filters = await self._filters_beyond(service)
        # Who tries this again finds no service, and waits for its processes all the same.
        self._swarm.ending[service_id] = Ending(service, filters)
        await self._remove_with_files(service_id, spawn_id)
        await self._end_of_removed(service_id)
        self._log("Removed", service, begin)
        return None

    async def _end_of_removed(self, service_id: str) -> None:
        """Wait for the last process of a service that this process has removed. Raises EngineTimeout."""
        ending = self._swarm.ending.get(service_id)
        if ending is None:
            return
        await self._until_gone(ending.service, ending.filters)
        self._swarm.forget(service_id)
        if self._told is not None:
            self._told.heard.removed(service_id)

    async def _remove_with_files(self, service_id: str, spawn_id: str | None) -> None:
        try:
            await self._remove_it(service_id)
            if spawn_id:
                # What runs still has its own copies.
                await files.remove_labelled(self._client, {labels.SPAWN: spawn_id})
        except BaseException:
            if spawn_id:
                # Once the service is gone, nothing else tells of them.
                self._swarm.files_left.add(spawn_id)
            raise

    async def _remove_it(self, service_id: str) -> None:
        """Remove the service alone. Raises EngineRefused where the manager does not find what it shows."""
        services = self._client.services
        if not await services.remove(service_id) and await services.inspect(service_id) is not None:
            # Else its processes would be waited for, which nobody ends.
            raise errors.EngineRefused("remove service", service_id, "it is there, and not found", status=503)

    async def last_lines(self, ref: str, count: int) -> str:
        """Return the last lines of stdout and stderr of its newest task, from whatever node that is on."""
        try:
            service = await self._client.services.inspect(ref)
            tasks = await self._swarm.tasks_of(service) if service is not None else ()
            task, nodes = read.newest(tasks), await self._swarm.nodes_of(tasks)
            if task is None or not read.is_reached(task, nodes):
                # The manager would wait for its node.
                return ""
            return await self._client.tasks.logs(str(task["ID"]), tail=count)
        except (errors.EngineError, TimeoutError):
            return ""

    def address(
        self, observed: Observed, *, port: int, network_name: str, use_internal_ip: bool
    ) -> tuple[str, int]:
        """Return the address at which the Hub reaches the server. Raises NoEndpoint, NoAddressYet."""
        return endpoint.resolve(
            observed,
            port=port,
            network_name=network_name,
            use_internal_ip=use_internal_ip,
            engine_host=self._client.settings.host,
        )

    async def move(self, ref: str) -> bool:
        """Have the service started anew, on whatever node takes it; False where it cannot be changed."""

        def anew(spec: JsonObject) -> JsonObject:
            # In the usual order the swarm waits a minute for the end of what it cannot reach any more:
            # DelayStart in swarmkit's manager/orchestrator/restart.
            order = {**(spec.get("UpdateConfig") or {}), "Order": "start-first"}
            template = spec["TaskTemplate"]
            again = {**template, "ForceUpdate": int(template.get("ForceUpdate") or 0) + 1}
            return {**spec, "UpdateConfig": order, "TaskTemplate": again}

        return await self._updated(ref, anew) is not None

    def volumes(self, nodes: Mapping[str, str]) -> NodeVolumes:
        """Return what reaches volumes on all nodes, as far as `volume_removal_image` goes."""
        return NodeVolumes(self._client, self._swarm, nodes, self._removals)

    async def clear_strays(self, hub_id: str, spawn_ids: Callable[[], Collection[str]]) -> None:
        """Remove this Hub's secrets and configs that are of none of these spawns, and unended removals."""
        await clear_removals(self._client, self._swarm, hub_id)
        await files.remove_labelled(self._client, {labels.HUB: hub_id}, but=spawn_ids)

    async def _updated(self, ref: str, change: Callable[[JsonObject], JsonObject]) -> JsonObject | None:
        """Change a service of ours; gives it as it was before, None where it is not ours or gone."""
        for left in reversed(range(UPDATE_TRIES)):
            service = await self._client.services.inspect(ref)
            if service is None or labels.HUB not in _marks(service):
                return None
            version = int(service["Version"]["Index"])
            try:
                await self._client.services.update(str(service["ID"]), version, change(service["Spec"]))
            except errors.EngineError as exc:
                if not left or OUT_OF_SEQUENCE not in exc.message:
                    raise
            else:
                return service
        raise AssertionError("the last try returns or raises")

    async def _filters_beyond(self, service: JsonObject) -> Filters:
        """Return what tells a service's tasks from others, also when the service is gone."""
        filters = filters_of(service)
        if "service" not in filters:
            return filters
        return {"id": [str(task["ID"]) for task in await self._swarm.tasks_of(service)]}

    async def _until_gone(self, service: JsonObject, filters: Filters) -> None:
        """Wait until no process of the service is left, but on nodes that are down. Raises EngineTimeout."""
        grace = int(_container(service).get("StopGracePeriod") or USUAL_GRACE) / 10**9
        pause = SHORTEST_PAUSE
        try:
            async with asyncio.timeout(GONE_TIMEOUT + grace):
                while await self._any_lives(filters):
                    await asyncio.sleep(pause)
                    pause = min(pause * 1.5, LONGEST_PAUSE)
        except TimeoutError as exc:
            raise errors.EngineTimeout("remove service", _name(service), "it still ends on its node") from exc

    async def _any_lives(self, filters: Filters) -> bool:
        if not any(filters.values()):
            return False
        tasks = await self._client.tasks.list(filters)
        nodes = await self._swarm.ask_nodes() if tasks else {}
        return any(read.lives(task, nodes) for task in tasks)

    def _asked(self, ref: str) -> Callable[[Observed | None], None]:
        return self._told.heard.asked(ref) if self._told is not None else lambda _: None

    def _log(self, done: str, service: JsonObject, begin: float) -> None:
        if self._told is not None:
            seconds = time.monotonic() - begin
            # By its digest, as the swarm has it, nobody knows an image.
            image = str(_container(service).get("Image") or "").partition("@")[0]
            what = (done, _name(service), str(service["ID"])[:12], image, seconds)
            self._told.log.info("%s service %s (id %s, image %s) in %.1f s", *what)


class _NoContainer:
    """What a service answers where only a container can: it is on whatever node the swarm has chosen."""

    async def user_files(self, observed: Observed) -> Sequence[str] | None:
        """None: a service keeps nothing outside of its volumes."""
        return ()

    async def rename(self, ref: str, name: str) -> None:
        """Raise: a service keeps its name."""
        raise errors.BadOption("A service of a swarm cannot have another name.")

    async def connect(self, ref: str, network: str) -> None:
        """Do nothing: it was created in all its networks."""

    async def furnish(
        self, ref: str, furnishing: Furnishing, volumes: Collection[str], remove: Callable[[str], object]
    ) -> Furnished:
        """Do nothing: its creation has started it, and what it needs comes with that."""
        return Furnished()

    async def run(self, ref: str, command: Sequence[str], timeout: float) -> Ended:
        """Raise BadOption: a manager has no way into containers of other nodes."""
        raise errors.BadOption(
            "The server cannot be started: nothing can be run inside of it.",
            advice="`post_start_cmd` does not work in a swarm: have the image, or `cmd`, do it.",
        )


NO_CONTAINER = _NoContainer()


def _marks(service: JsonObject) -> dict[str, str]:
    return (service.get("Spec") or {}).get("Labels") or {}


def _name(service: JsonObject) -> str:
    return str((service.get("Spec") or {}).get("Name") or "")


def _container(service: JsonObject) -> JsonObject:
    return ((service.get("Spec") or {}).get("TaskTemplate") or {}).get("ContainerSpec") or {}
