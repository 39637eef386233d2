"""Services of a swarm. Source: Docker Engine API v1.41, "Services".

Only a manager answers; any other Engine raises NotSwarmManager.
"""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from asyncdockerspawner import errors
from asyncdockerspawner.client.connection import Connection, segment
from asyncdockerspawner.client.listing import one_by_one
from asyncdockerspawner.client.registry_auth import header
from asyncdockerspawner.jsontypes import JsonObject


class Services:
    """Verbs on services; `ref` is an id or a name."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def create(self, spec: JsonObject, *, registry_auth: str = "") -> str:
        """Create a service and return its id; its tasks come later. Raises NameConflict, InvalidConfig.

        `registry_auth` goes to the nodes with the service, as `registry_auth.encoded` writes it.
        """
        answer = await self._connection.request(
            "POST",
            "services/create",
            operation="create service",
            subject=str(spec.get("Name") or ""),
            headers=header(registry_auth),
            body=spec,
        )
        return str(answer.data["ID"])

    async def inspect(self, ref: str) -> JsonObject | None:
        """Return `GET /services/REF`, or None where there is no such service."""
        try:
            answer = await self._connection.request(
                "GET",
                f"services/{segment(ref)}",
                operation="inspect service",
                subject=ref,
            )
        except errors.ObjectNotFound:
            return None
        return dict(answer.data)

    async def list(self, filters: Mapping[str, Sequence[str]]) -> builtins.list[JsonObject]:
        """Return the services that a filter lets through: `id`, `label`, `mode`; a `name` is a prefix."""
        answer = await self._connection.request(
            "GET", "services", operation="list services", params={"filters": dict(filters)}
        )
        return builtins.list(answer.data or ())

    def one_by_one(
        self, filters: Mapping[str, Sequence[str]]
    ) -> AbstractAsyncContextManager[AsyncIterator[JsonObject]]:
        """Give the services of `list` as they come."""
        return one_by_one(self._connection, "services", filters)

    async def update(self, ref: str, version: int, spec: JsonObject, *, registry_auth: str = "") -> None:
        """Give a service another spec, the whole of it; without `registry_auth`, the nodes keep theirs.

        `version` is the `Version.Index` that it was read at. Raises EngineRefused ("update out of sequence")
        where it has another one by now, ObjectNotFound, InvalidConfig.
        """
        await self._connection.request(
            "POST",
            f"services/{segment(ref)}/update",
            operation="update service",
            subject=ref,
            params={"version": version},
            headers=header(registry_auth),
            body=spec,
        )

    async def remove(self, ref: str) -> bool:
        """Remove a service, whose tasks end afterwards; False where there is none, which is as good."""
        try:
            await self._connection.request(
                "DELETE",
                f"services/{segment(ref)}",
                operation="remove service",
                repeatable=True,
                subject=ref,
            )
        except errors.ObjectNotFound:
            return False
        return True
