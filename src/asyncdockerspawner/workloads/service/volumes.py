"""Volumes of a swarm's nodes: a manager asks no other node about them, but may have a service remove them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from asyncdockerspawner import errors
from asyncdockerspawner.client.client import Client
from asyncdockerspawner.client.volumes import Volume
from asyncdockerspawner.images import references
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.observed import Observed, Phase
from asyncdockerspawner.workloads.service.swarm import Swarm

REMOVAL = f"{labels.PREFIX}volume-removal"
"""Label of the services that remove volumes, with the Hub that they do it for."""
SOCKET = "/var/run/docker.sock"
LOOK_SECONDS = 0.5
RELEASE_TRIES = 6
"""So often is a volume that is in use tried again."""
IN_USE = 409
TIMEOUT = 120.0
"""Seconds that a removal may take, with its image's pull."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removals:
    """How volumes of other nodes are removed."""

    hub_id: str
    image: str = ""
    """One with the docker command; without one, they stay."""
    users_images: Callable[[], Collection[str]] = tuple
    """Returns what users' servers may run, which never gets an Engine's socket."""

    @property
    def is_a_users(self) -> bool:
        """Whether `image` means one of theirs, however each is written."""
        return _meant(self.image) in set(map(_meant, self.users_images()))


@dataclass(frozen=True, slots=True)
class NodeVolumes:
    """The volumes of a user's servers, each on its node; of which none is known, those are the manager's."""

    client: Client
    swarm: Swarm
    nodes: Mapping[str, str]
    """Volume → id of its node."""
    removals: Removals

    async def list(self, labels: Mapping[str, str]) -> list[Volume]:
        """Return those of the manager: no other node can be asked."""
        return await self.client.volumes.list(labels)

    async def inspect(self, name: str) -> Volume | None:
        """Return the volume; of one that is on another node, nobody knows the labels."""
        if await self._is_elsewhere(name):
            return Volume(name, {})
        return await self.client.volumes.inspect(name)

    async def remove(self, name: str) -> None:
        """Remove the volume where it is. Raises EngineRefused where that cannot be done from here."""
        if not await self._is_elsewhere(name):
            return await self._remove_here(name)
        known = (await self.swarm.ask_nodes()).get(self.nodes[name])
        node = known.name if known is not None else self.nodes[name]
        if not self.removals.image:
            raise _stays(
                name,
                f"it is on node {node}, where {_by_hand(name)}; `volume_removal_image` has the Hub do that",
            )
        if known is None or not known.takes_tasks:
            raise _stays(name, f"it is on node {node}, which takes no services now; there, {_by_hand(name)}")
        if self.removals.is_a_users:
            raise _stays(
                name, "`volume_removal_image` is an image that users run, and gets the Engine's socket"
            )
        return await self._remove_at(name, self.nodes[name], node)

    async def _remove_here(self, name: str) -> None:
        for _ in range(RELEASE_TRIES):
            try:
                return await self.client.volumes.remove(name)
            except errors.EngineRefused as exc:
                if exc.status != IN_USE:
                    raise
            # The node removes what a service leaves of its container a moment after that has ended.
            await asyncio.sleep(LOOK_SECONDS)
        return await self.client.volumes.remove(name)

    async def _is_elsewhere(self, name: str) -> bool:
        node = self.nodes.get(name)
        if not node:
            return False
        mine = ((await self.client.system.info()).get("Swarm") or {}).get("NodeID")
        return node != mine

    async def _remove_at(self, name: str, node_id: str, node: str) -> None:
        spec = _service(name, node_id, self.removals)
        self.swarm.removals.add(spec["Name"])
        try:
            service_id = await self.client.services.create(spec)
            await self._watched(service_id, name, node)
        finally:
            self.swarm.removals.discard(spec["Name"])

    async def _watched(self, service_id: str, name: str, node: str) -> None:
        """Wait for what comes of a removal. Raises EngineRefused where the volume stays."""
        try:
            async with asyncio.timeout(TIMEOUT):
                seen = await self._ended(service_id)
        except TimeoutError as exc:
            # Not again and again: until that ends, nobody of this name gets a server.
            raise _stays(name, f"node {node} has not come to it, where {_by_hand(name)}") from exc
        finally:
            await asyncio.shield(self.client.services.remove(service_id))
        ended = seen.exit_status if seen is not None else None
        if ended is None or ended.code:
            why = ended.summary() if ended is not None else "was removed by somebody"
            raise _stays(name, f"the service that was to remove it on node {node} {why}")

    async def _ended(self, service_id: str) -> Observed | None:
        while True:
            seen = await self.swarm.find(service_id)
            if seen is None or seen.phase is Phase.ENDED:
                return seen
            await asyncio.sleep(LOOK_SECONDS)


async def clear_removals(client: Client, swarm: Swarm, hub_id: str) -> None:
    """Remove the services that a former Hub process has left while they removed volumes."""
    for service in await client.services.list({"label": [f"{REMOVAL}={hub_id}"]}):
        if service["Spec"]["Name"] not in swarm.removals:
            await client.services.remove(str(service["ID"]))


def _meant(image: str) -> str:
    try:
        return references.parse(image).canonical
    except errors.AsyncDockerSpawnerError:
        return image


def _by_hand(name: str) -> str:
    return f"`docker volume rm {name}` removes it"


def _stays(name: str, why: str) -> errors.EngineRefused:
    return errors.EngineRefused("remove volume", name, why, status=409)


def _service(volume: str, node_id: str, removals: Removals) -> JsonObject:
    container: JsonObject = {
        "Image": removals.image,
        "Command": ["docker", "volume", "rm", "--force", volume],
        "User": "0",
        "Healthcheck": {"Test": ["NONE"]},
        "Mounts": [{"Type": "bind", "Source": SOCKET, "Target": SOCKET}],
    }
    return {
        "Name": f"asyncdockerspawner-volume-removal-{uuid.uuid4().hex[:12]}",
        "Labels": {REMOVAL: removals.hub_id},
        "TaskTemplate": {
            "ContainerSpec": container,
            "RestartPolicy": {"Condition": "none"},
            "Placement": {"Constraints": [f"node.id=={node_id}"]},
        },
        "Mode": {"Replicated": {"Replicas": 1}},
        "EndpointSpec": {"Mode": "dnsrr"},
    }
