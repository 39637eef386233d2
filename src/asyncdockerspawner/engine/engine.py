"""One Docker Engine as this process sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncdockerspawner.client.client import Client
from asyncdockerspawner.client.settings import EngineSettings
from asyncdockerspawner.engine.exits import ExitWatch
from asyncdockerspawner.engine.janitor import Janitor
from asyncdockerspawner.engine.pulls import Pulls

if TYPE_CHECKING:
    import aiodocker


class Engine:
    """The client of one Engine with what its spawners share; belongs to the event loop it was made in."""

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self.client = Client(settings)
        self.exits = ExitWatch(self.client.events)
        self.janitor = Janitor()
        self.told: set[str] = set()
        """What the log has been told once and need not be told again."""
        self.pulls = Pulls(self.client.images)

    @property
    def docker(self) -> aiodocker.Docker:
        """The `aiodocker.Docker` behind this Engine, for hooks that need more than the verbs here."""
        return self.client.connection.docker

    async def aclose(self) -> None:
        """End background work and close every connection."""
        await self.janitor.aclose()
        await self.exits.aclose()
        await self.client.close()
