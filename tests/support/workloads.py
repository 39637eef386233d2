"""What a test asks an Engine about the objects of its servers: one class for each kind of workload."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Containers:
    """Servers that are containers."""

    http: httpx.Client

    def all(self, hub_id: str) -> list[dict[str, Any]]:
        """Return every container with the label of this Hub, running or not, as the Engine lists it."""
        filters = json.dumps({"label": [f"asyncdockerspawner.hub={hub_id}"]})
        answer = self.http.get("/containers/json", params={"all": 1, "filters": filters})
        return list(answer.raise_for_status().json())

    def name(self, listed: dict[str, Any]) -> str:
        """Return the name of one that is listed."""
        return str(listed["Names"][0]).lstrip("/")

    def inspect(self, ref: str) -> dict[str, Any]:
        """Return the container's document."""
        return dict(self.http.get(f"/containers/{ref}/json").raise_for_status().json())

    def remove(self, ref: str) -> None:
        """Remove the container, by force and with its own volumes, if it is there."""
        self.http.delete(f"/containers/{ref}", params={"force": 1, "v": 1})


@dataclass(frozen=True)
class Services(Containers):
    """Servers that are services of a swarm, asked for at a manager."""

    def all(self, hub_id: str) -> list[dict[str, Any]]:
        """Return every service with the label of this Hub, as a manager lists it."""
        return self.labelled("services", hub_id)

    def labelled(self, kind: str, hub_id: str) -> list[dict[str, Any]]:
        """Return all `services`, `tasks`, `secrets` or `configs` of this Hub; tasks outlive their service."""
        filters = json.dumps({"label": [f"asyncdockerspawner.hub={hub_id}"]})
        answer = self.http.get(f"/{kind}", params={"filters": filters})
        return list(answer.raise_for_status().json())

    def name(self, listed: dict[str, Any]) -> str:
        """Return the name of one that is listed."""
        return str(listed["Spec"]["Name"])

    def inspect(self, ref: str) -> dict[str, Any]:
        """Return the service's document."""
        return dict(self.http.get(f"/services/{ref}").raise_for_status().json())

    def remove(self, ref: str) -> None:
        """Remove the service, if it is there; its tasks end afterwards."""
        self.http.delete(f"/services/{ref}")
