"""Where a spawner's server runs as a service of a swarm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncdockerspawner.images.allowed import as_mapping
from asyncdockerspawner.spawners.policy import compared
from asyncdockerspawner.workloads.service.volumes import Removals
from asyncdockerspawner.workloads.service.workload import ServiceWorkload, Told

if TYPE_CHECKING:
    from asyncdockerspawner.engine.engine import Engine
    from asyncdockerspawner.engine.start_slots import StartSlots
    from asyncdockerspawner.engine.watch import Watch
    from asyncdockerspawner.spawners.swarm import SwarmSpawner


class ServicePlace:
    """Where a spawner's server runs as a service: a `lifecycle.server.Place`."""

    def __init__(self, spawner: SwarmSpawner) -> None:
        self._spawner = spawner

    @property
    def engine(self) -> Engine:
        """The spawner's Engine, a manager of the swarm."""
        return self._spawner.engine

    def watch(self, engine: Engine) -> Watch:
        """Return the watch of this Hub's services; the first who asks has it compared with the database."""
        return compared(self._spawner, engine, engine.service_watch(self._spawner.hub_id), self.workload)

    def start_slots(self, engine: Engine) -> StartSlots:
        """Return the queue for the swarm's nodes."""
        return engine.swarm_slots

    def workload(self, engine: Engine, *, registry_auth: str = "") -> ServiceWorkload:
        """Return a service, whose nodes show this to the image's registry."""
        spawner = self._spawner
        told = Told(log=spawner.log, heard=engine.service_watch(spawner.hub_id))
        removals = Removals(
            hub_id=spawner.hub_id,
            image=spawner.volume_removal_image,
            users_images=lambda: {spawner.image, *as_mapping(spawner.allowed_images).values()},
        )
        return ServiceWorkload(
            engine.client, engine.swarm, told, registry_auth=registry_auth, removals=removals
        )
