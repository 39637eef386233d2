"""All verbs of one Engine, on one connection."""

from __future__ import annotations

from asyncdockerspawner.client.archives import Archives
from asyncdockerspawner.client.build import Builds
from asyncdockerspawner.client.changes import NotifyingConnection
from asyncdockerspawner.client.containers import Containers
from asyncdockerspawner.client.distribution import Distribution
from asyncdockerspawner.client.events import Events
from asyncdockerspawner.client.execs import Execs
from asyncdockerspawner.client.images import Images
from asyncdockerspawner.client.networks import Networks
from asyncdockerspawner.client.nodes import Nodes
from asyncdockerspawner.client.services import Services
from asyncdockerspawner.client.settings import EngineSettings
from asyncdockerspawner.client.swarm_files import SwarmFiles
from asyncdockerspawner.client.system import System
from asyncdockerspawner.client.tasks import Tasks
from asyncdockerspawner.client.volumes import Volumes


class Client:
    """One Engine, from one event loop. Make it inside a running loop; `close()` it there."""

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self.connection = NotifyingConnection(settings)
        self.archives = Archives(self.connection)
        self.builds = Builds(self.connection)
        self.containers = Containers(self.connection)
        self.configs = SwarmFiles(self.connection, "config")
        self.distribution = Distribution(self.connection)
        self.events = Events(self.connection)
        self.execs = Execs(self.connection)
        self.images = Images(self.connection)
        self.networks = Networks(self.connection)
        self.nodes = Nodes(self.connection)
        self.secrets = SwarmFiles(self.connection, "secret")
        self.services = Services(self.connection)
        self.system = System(self.connection)
        self.tasks = Tasks(self.connection)
        self.volumes = Volumes(self.connection)

    async def close(self) -> None:
        """Close every connection."""
        await self.connection.close()
