"""One Docker Engine as this process sees it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from asyncdockerspawner import errors
from asyncdockerspawner.client.client import Client
from asyncdockerspawner.client.settings import EngineSettings
from asyncdockerspawner.client.system import IdMapping
from asyncdockerspawner.engine.claims import Claims
from asyncdockerspawner.engine.janitor import Janitor
from asyncdockerspawner.engine.known_volumes import KnownVolumes
from asyncdockerspawner.engine.recent import Recent
from asyncdockerspawner.engine.sandboxes import Sandboxes
from asyncdockerspawner.engine.start_slots import StartSlots
from asyncdockerspawner.engine.watch import Watch
from asyncdockerspawner.images.docker_config import DockerConfig
from asyncdockerspawner.images.pulls import Pulls
from asyncdockerspawner.workloads.container.source import ContainerSource
from asyncdockerspawner.workloads.service.source import ServiceSource
from asyncdockerspawner.workloads.service.swarm import Swarm

if TYPE_CHECKING:
    import aiodocker

NODES_SECONDS = 60.0
"""After so long, a swarm may have other nodes."""
_log = logging.getLogger(__name__)


class Engine:
    """The client of one Engine with what its spawners share; belongs to the event loop it was made in."""

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self.client = Client(settings)
        self.janitor = Janitor()
        self.told = Recent(1000)
        """What the log has been told once and need not be told again."""
        self.volumes = KnownVolumes(10_000)
        self.claims = Claims()
        self.claimed_ports: dict[str, str] = {}
        """Ports in shared networks that are about to be taken: `SharedPort` as text → object name."""
        self.docker_config = DockerConfig()
        self.pulls = Pulls(self.client.images)
        self.start_slots = StartSlots(self.client.system)
        self.swarm = Swarm(self.client)
        self.swarm_slots = StartSlots(self.swarm, measured_for=NODES_SECONDS)
        self._watches: dict[tuple[str, str], Watch] = {}
        """Kind of object and Hub → its watch."""
        self._id_mapping: IdMapping | None = None
        self._sandboxes: dict[str, Sandboxes] = {}

    @property
    def docker(self) -> aiodocker.Docker:
        """The `aiodocker.Docker` behind this Engine, for hooks that need more than the verbs here."""
        return self.client.connection.docker

    def watch(self, hub_id: str) -> Watch:
        """Return the watch of this Hub's containers."""
        key = ("container", hub_id)
        if key not in self._watches:
            self._watches[key] = watch = Watch(ContainerSource(self.client), hub_id)
            self.client.connection.listeners.append(watch.own_requests.asked)
            # Also where none are wanted any more: some may be left.
            self._sandboxes[hub_id] = Sandboxes(self.client, watch, self.janitor, self.start_slots, hub_id)
        return self._watches[key]

    def sandboxes(self, hub_id: str) -> Sandboxes:
        """Return what this Hub has made ahead for its servers."""
        self.watch(hub_id)
        return self._sandboxes[hub_id]

    def service_watch(self, hub_id: str) -> Watch:
        """Return the watch of this Hub's services in the swarm that the Engine manages."""
        key = ("service", hub_id)
        if key not in self._watches:
            self._watches[key] = Watch(ServiceSource(self.client, self.swarm), hub_id)
        return self._watches[key]

    async def id_mapping(self) -> IdMapping:
        """Tell how ids inside containers are others on its machine; where it does not say, not.

        It is asked once.
        """
        if self._id_mapping is None:
            try:
                self._id_mapping = await self.client.system.id_mapping()
            except errors.Forbidden:
                self._id_mapping = IdMapping.NONE
            except errors.EngineError:
                return IdMapping.NONE
        return self._id_mapping

    def forget_volume(self, name: str) -> None:
        """Forget a volume that was removed: whoever needs it next has to make it, and to see to its owner."""
        self.volumes.forget(name)

    @contextmanager
    def optional(self, cost: str) -> Iterator[None]:
        """Go on where a filter before the Engine does not let this through; say once what that costs."""
        try:
            yield
        except errors.Forbidden as exc:
            if cost not in self.told:
                self.told.add(cost)
                _log.warning("%s: %s", cost, exc.message)

    async def aclose(self) -> None:
        """End background work and close every connection."""
        # These first: they give the janitor work.
        for sandboxes in self._sandboxes.values():
            await sandboxes.aclose()
        for watch in self._watches.values():
            await watch.aclose()
        await self.pulls.aclose()
        await self.janitor.aclose()
        await self.client.close()
