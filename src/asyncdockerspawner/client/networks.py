"""Networks. Source: Docker Engine API v1.41, "Networks"."""

from __future__ import annotations

import ipaddress

from asyncdockerspawner import errors
from asyncdockerspawner.client.connection import Connection, segment
from asyncdockerspawner.jsontypes import JsonObject


class Networks:
    """Verbs on networks."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def inspect(self, name: str) -> JsonObject | None:
        """Return the network's document, or None where there is none."""
        try:
            answer = await self._connection.request(
                "GET",
                f"networks/{segment(name)}",
                operation="inspect network",
                subject=name,
            )
        except errors.ObjectNotFound:
            return None
        return dict(answer.data)

    async def host_address(self, name: str) -> str | None:
        """Return the Engine's machine's own address in the network; None if it has none."""
        return host_address(await self.inspect(name) or {})

    async def connect(self, name: str, container: str, endpoint: JsonObject | None = None) -> None:
        """Connect a container to a network; one that is in it already is as good.

        `endpoint` is the Engine's EndpointConfig.
        """
        try:
            await self._connection.request(
                "POST",
                f"networks/{segment(name)}/connect",
                operation="connect network",
                subject=name,
                body={"Container": container, **({"EndpointConfig": endpoint} if endpoint else {})},
            )
        except errors.EngineRefused as exc:
            if exc.status != 403 or "already exists" not in exc.message:
                raise

    async def disconnect(self, name: str, container: str, *, force: bool = False) -> None:
        """Disconnect a container from a network; with `force` also where the network was made anew since."""
        await self._connection.request(
            "POST",
            f"networks/{segment(name)}/disconnect",
            operation="disconnect network",
            subject=name,
            body={"Container": container, "Force": force},
        )

    async def names(self) -> list[str]:
        """Return the names of all networks, sorted."""
        answer = await self._connection.request("GET", "networks", operation="list networks")
        return sorted(str(network["Name"]) for network in answer.data)


def host_address(network: JsonObject) -> str | None:
    """Return the Engine's machine's own address in a network, from `GET /networks/NAME`; None if it has none.

    Some Engines name no gateway for the default bridge; it is the first address of the subnet then.
    """
    for entry in (network.get("IPAM") or {}).get("Config") or []:
        if entry.get("Gateway"):
            return str(entry["Gateway"]).partition("/")[0]
        if entry.get("Subnet"):
            return str(next(ipaddress.ip_network(entry["Subnet"], strict=False).hosts()))
    return None
