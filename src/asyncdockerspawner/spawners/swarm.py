"""SwarmSpawner: servers as services of a swarm."""

from __future__ import annotations

from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.spawners.docker import DockerSpawner
from asyncdockerspawner.spawners.options.swarm import SwarmTraits


class SwarmSpawner(SwarmTraits, DockerSpawner):
    """Starts each server as a service of one replica, on any node of a swarm."""

    object_type = "service"
    object_id_key = "ID"

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
