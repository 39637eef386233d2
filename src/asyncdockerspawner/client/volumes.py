"""Volumes. Source: Docker Engine API v1.41, "Volumes"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from asyncdockerspawner import errors
from asyncdockerspawner.client.connection import Connection, segment
from asyncdockerspawner.jsontypes import JsonObject


@dataclass(frozen=True, slots=True)
class Volume:
    """A named volume."""

    name: str
    labels: Mapping[str, str]


def _read(document: JsonObject) -> Volume:
    return Volume(str(document["Name"]), document.get("Labels") or {})


class Volumes:
    """Verbs on named volumes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def create(self, name: str, *, labels: Mapping[str, str], driver: str = "") -> Volume:
        """Create a volume, or give the one that has this name already, with its own labels."""
        answer = await self._connection.request(
            "POST",
            "volumes/create",
            operation="create volume",
            repeatable=True,
            subject=name,
            body={"Name": name, "Labels": dict(labels), **({"Driver": driver} if driver else {})},
        )
        return _read(answer.data)

    async def list(self, labels: Mapping[str, str]) -> list[Volume]:
        """Return all volumes that carry every one of these labels."""
        answer = await self._connection.request(
            "GET",
            "volumes",
            operation="list volumes",
            params={"filters": {"label": [f"{key}={value}" for key, value in labels.items()]}},
        )
        return [_read(each) for each in answer.data.get("Volumes") or ()]

    async def inspect(self, name: str) -> Volume | None:
        """Return the volume, or None where there is none."""
        try:
            answer = await self._connection.request(
                "GET",
                f"volumes/{segment(name)}",
                operation="inspect volume",
                subject=name,
            )
        except errors.ObjectNotFound:
            return None
        return _read(answer.data)

    async def remove(self, name: str) -> None:
        """Remove a volume; one that is gone already is as good. In use: EngineRefused, status 409."""
        try:
            await self._connection.request(
                "DELETE",
                f"volumes/{segment(name)}",
                operation="remove volume",
                repeatable=True,
                subject=name,
            )
        except errors.ObjectNotFound:
            return
