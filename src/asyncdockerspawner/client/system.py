"""The Engine itself. Source: Docker Engine API v1.41, "System"."""

from __future__ import annotations

from enum import StrEnum

from asyncdockerspawner.client.connection import Connection
from asyncdockerspawner.jsontypes import JsonObject


class IdMapping(StrEnum):
    """How ids inside containers are others on the Engine's machine: the names of its security options."""

    NONE = ""
    REMAPPED = "userns"
    """`userns-remap` in its daemon.json."""
    ROOTLESS = "rootless"
    """It does not run as root."""


class System:
    """Questions about the Engine."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def version(self) -> JsonObject:
        """Return `GET /version`: versions, platform and component names."""
        answer = await self._connection.request("GET", "version", operation="ask version", versioned=False)
        return dict(answer.data)

    async def architecture(self) -> str:
        """The machine's, from `version`, in Go's words (`amd64`, `arm64`); empty where it tells none."""
        return str((await self.version()).get("Arch") or "")

    async def info(self) -> JsonObject:
        """Return `GET /info`: CPUs, memory, drivers. Slow on Podman (0.3 s): never once per spawn."""
        answer = await self._connection.request("GET", "info", operation="ask info")
        return dict(answer.data)

    async def cpus(self) -> int:
        """The CPUs of the Engine's machine, from `info`; 1 where it tells none."""
        return int((await self.info()).get("NCPU") or 1)

    async def id_mapping(self) -> IdMapping:
        """Tell how ids are mapped, from `info`."""
        options = (await self.info()).get("SecurityOptions") or ()
        names = {str(each).partition(",")[0].removeprefix("name=") for each in options}
        return next(
            (each for each in (IdMapping.ROOTLESS, IdMapping.REMAPPED) if each in names), IdMapping.NONE
        )

    async def ping(self) -> None:
        """Ask `GET /_ping`, the cheapest request there is. Raises EngineError where there is no answer."""
        await self._connection.request("GET", "_ping", operation="ping", versioned=False, decoded=False)
