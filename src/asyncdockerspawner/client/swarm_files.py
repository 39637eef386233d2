"""Secrets and configs of a swarm: files that a service's containers get.

Source: Docker Engine API v1.41, "Secrets" and "Configs". Only a manager answers; any other Engine raises
NotSwarmManager.
"""

from __future__ import annotations

import base64
import builtins
from collections.abc import Mapping

from asyncdockerspawner import errors
from asyncdockerspawner.client.connection import Connection, segment
from asyncdockerspawner.jsontypes import JsonObject


class SwarmFiles:
    """Verbs on one kind of them, a "secret" or a "config"; `ref` is an id or a name.

    None is ever changed: another content is another one.
    """

    def __init__(self, connection: Connection, kind: str) -> None:
        self._connection = connection
        self._kind = kind

    async def create(self, name: str, data: bytes, labels: Mapping[str, str]) -> str:
        """Create one and return its id. Raises NameConflict, InvalidConfig."""
        answer = await self._connection.request(
            "POST",
            f"{self._kind}s/create",
            operation=f"create {self._kind}",
            subject=name,
            body={"Name": name, "Labels": dict(labels), "Data": base64.b64encode(data).decode()},
        )
        return str(answer.data["ID"])

    async def list(self, labels: Mapping[str, str]) -> builtins.list[JsonObject]:
        """Return all that carry every one of these labels; a secret's document is without its data."""
        answer = await self._connection.request(
            "GET",
            f"{self._kind}s",
            operation=f"list {self._kind}s",
            params={"filters": {"label": [f"{key}={value}" for key, value in labels.items()]}},
        )
        return builtins.list(answer.data or ())

    async def inspect(self, ref: str) -> JsonObject | None:
        """Return its document, or None where there is none."""
        try:
            answer = await self._connection.request(
                "GET",
                f"{self._kind}s/{segment(ref)}",
                operation=f"inspect {self._kind}",
                subject=ref,
            )
        except errors.ObjectNotFound:
            return None
        return dict(answer.data)

    async def remove(self, ref: str) -> None:
        """Remove it; one that is gone already is as good. In use by a service: InvalidConfig, status 400."""
        try:
            await self._connection.request(
                "DELETE",
                f"{self._kind}s/{segment(ref)}",
                operation=f"remove {self._kind}",
                repeatable=True,
                subject=ref,
            )
        except errors.ObjectNotFound:
            return
