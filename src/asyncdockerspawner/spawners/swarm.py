"""SwarmSpawner: servers as services of a swarm."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from traitlets import Integer

from asyncdockerspawner import docker_py, lifecycle
from asyncdockerspawner.hub import errors as hub_errors
from asyncdockerspawner.hub.base import HubSpawner
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.spawners import service_steps
from asyncdockerspawner.spawners.docker import DockerSpawner
from asyncdockerspawner.spawners.options.swarm import SwarmTraits
from asyncdockerspawner.spawners.service_place import ServicePlace
from asyncdockerspawner.workloads.body import Body
from asyncdockerspawner.workloads.furnishing import Furnishing


class StartTimeout(Integer[int, int]):
    """The Hub's time limit for a start, which it asks for when that has begun.

    While a start is under way, what the swarm may take to find a node is added to what is configured.
    """

    def get(self, obj: Any, cls: type | None = None) -> int:
        """Return it in seconds."""
        spawn = obj._user_server.spawn
        under_way = spawn is not None and spawn.live
        return self.configured(obj) + (math.ceil(obj.placement_timeout) if under_way else 0)

    def configured(self, obj: Any) -> int:
        """Return what is configured."""
        return int(super().get(obj) or 0)


_OF_THE_HUB = HubSpawner.class_traits()["start_timeout"]


class SwarmSpawner(SwarmTraits, DockerSpawner):
    """Starts each server as a service of one replica, on any node of a swarm."""

    object_type = "service"
    object_id_key = "ID"

    start_timeout = StartTimeout(_OF_THE_HUB.default_value, help=_OF_THE_HUB.help).tag(config=True)

    @property
    def remove(self) -> bool:
        """A service is always removed when its server stops."""
        return True

    @remove.setter
    def remove(self, value: object) -> None:
        """Leave it so: configurations for one machine may say otherwise."""

    @property
    def service_id(self) -> str:
        """The object's id."""
        return self.object_id

    @property
    def service_name(self) -> str:
        """The object's name."""
        return self.object_name

    @property
    def mount_driver_config(self) -> JsonObject | None:
        """The driver of named volumes, as the Engine takes it; None where none is configured."""
        if not self.volume_driver:
            return None
        options = self.volume_driver_options
        return {"Name": self.volume_driver, **({"Options": options} if options else {})}

    def _policy(self) -> lifecycle.Policy:
        return replace(
            super()._policy(),
            start_timeout=self._configured_start_timeout,
            placement_timeout=self.placement_timeout,
            on_node_loss=lifecycle.OnNodeLoss(self.on_node_loss),
            labels_volumes=lambda: self.delete_volumes_on_user_delete,
        )

    @property
    def _configured_start_timeout(self) -> float:
        trait: Any = type(self).start_timeout
        # A subclass may have a plain number.
        return float(trait.configured(self)) if isinstance(trait, StartTimeout) else self.start_timeout

    def _place(self) -> ServicePlace:
        return ServicePlace(self)

    async def _furnishing(self) -> Furnishing:
        # The volumes are on whatever node the swarm has chosen.
        return replace(await super()._furnishing(), volume_owner=None)

    async def _body(self) -> Body:
        return await service_steps.object_body(self)

    @property
    def _is_reached_at_its_node(self) -> bool:
        return not (self.use_internal_ip or self.use_internal_hostname)

    def _hosts(self) -> Iterator[str]:
        yield from super()._hosts()
        if self._is_reached_at_its_node:
            yield from (node.address for node in self.engine.swarm.nodes.values() if node.address)

    async def create_certs(self) -> dict[str, str]:
        """Have the Hub make key and certificate, for whatever node the server may come to; its paths."""
        if self._is_reached_at_its_node:
            with hub_errors.for_the_hub(self.log, self._log_name):
                await self.engine.swarm.ask_nodes()
        return await super().create_certs()

    async def get_task(self) -> JsonObject | None:
        """Return the document of the service's newest task; None where there is none."""
        return await service_steps.task(self)

    @docker_py.raises_docker_pys
    async def create_object(self) -> JsonObject:
        """Create the service from the values that stand now, with its secrets and configs; gives its `ID`."""
        return await service_steps.create_object(self)

    @docker_py.raises_docker_pys
    async def start_object(self) -> None:
        """Wait until the swarm runs the service's task. Raises what keeps it from that."""
        await service_steps.start_object(self)

    async def stop_object(self) -> None:
        """Do nothing: a service ends by its removal."""
