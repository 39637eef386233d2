"""Nodes of a swarm. Source: Docker Engine API v1.41, "Nodes".

Only a manager answers; any other Engine raises NotSwarmManager.
"""

from __future__ import annotations

import builtins

from asyncdockerspawner import errors
from asyncdockerspawner.client.connection import Connection, segment
from asyncdockerspawner.jsontypes import JsonObject


class Nodes:
    """Verbs on nodes; `ref` is an id or a host name."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def list(self) -> builtins.list[JsonObject]:
        """Return all nodes, those that are down too."""
        answer = await self._connection.request("GET", "nodes", operation="list nodes")
        return builtins.list(answer.data or ())

    async def inspect(self, ref: str) -> JsonObject | None:
        """Return `GET /nodes/REF`, or None where there is no such node."""
        try:
            answer = await self._connection.request(
                "GET",
                f"nodes/{segment(ref)}",
                operation="inspect node",
                subject=ref,
            )
        except errors.ObjectNotFound:
            return None
        return dict(answer.data)
