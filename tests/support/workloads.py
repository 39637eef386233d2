"""What a test asks an Engine about the objects of its servers: one class for each kind of workload."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import httpx
import pytest

from asyncdockerspawner import DockerSpawner, SwarmSpawner
from asyncdockerspawner.names.labels import SANDBOX, SANDBOX_FOR, SPAWN
from tests.fake_engine import FakeEngine
from tests.testbed.images import STUB


@dataclass(frozen=True)
class Containers:
    """Servers that are containers."""

    http: httpx.Client
    spawner: ClassVar[type[DockerSpawner]] = DockerSpawner
    options: ClassVar[Mapping[str, Any]] = {}
    """What has to be configured here."""
    ending: ClassVar[tuple[str, str]] = ("POST", "^/containers/.*/stop$")
    """The request that ends a server, as a rule of the fake Engine has it."""
    creating: ClassVar[tuple[str, str]] = ("POST", "^/containers/create$")
    end_event: ClassVar[tuple[str, str]] = ("container", "die")
    """Type and action of an event after which an object may have ended."""
    impatient: ClassVar[Mapping[str, Any]] = {"start_timeout": 1}
    """What ends a start after a second."""

    @classmethod
    def prepare(cls, fake: FakeEngine) -> None:
        """Have the fake Engine take such servers."""

    def left(self, hub_id: str) -> list[dict[str, Any]]:
        """Return everything of this Hub's that a stop should have taken away."""
        return self.all(hub_id)

    def make_mark(self) -> str:
        """Make something whose removal is told as an object's end; gives its id."""
        return str(self.http.post("/containers/create", json={"Image": STUB}).json()["Id"])

    @staticmethod
    def die(ref: str, fake: FakeEngine, exit_code: int) -> None:
        """End the process of a server at the fake Engine by itself."""
        fake.die(ref, exit_code)

    @staticmethod
    def state_of_all(fake: FakeEngine) -> dict[str, bool]:
        """Return all objects at the fake Engine: id → whether its process runs.

        Not so a sandbox that something is in, nor the one that may be ready: they come and go by themselves.
        """
        found = fake.containers()
        used = {each["Config"]["Labels"].get(SANDBOX) for each in found}
        running = {each["Id"]: each["State"]["Running"] for each in found if each["Id"] not in used}
        made = [each["Id"] for each in found if SANDBOX_FOR in each["Config"]["Labels"]]
        for sandbox in [each for each in made if running.get(each)][:1]:
            del running[sandbox]
        return running

    def kill(self, ref: str, fake: FakeEngine | None) -> None:
        """End the server's process by a signal."""
        self.http.post(f"/containers/{ref}/kill").raise_for_status()

    def state(self, listed: dict[str, Any]) -> str:
        """Return the state of one that is listed, in Docker's words for containers."""
        return str(listed["State"])

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

    spawner: ClassVar[type[DockerSpawner]] = SwarmSpawner
    options: ClassVar[Mapping[str, Any]] = {
        "pull_policy": "skip",
        "resolve_image": False,
        "use_internal_ip": False,
        # It adds to the time of a start that the swarm does not answer about.
        "placement_timeout": 3.0,
    }
    ending: ClassVar[tuple[str, str]] = ("DELETE", "^/services/")
    creating: ClassVar[tuple[str, str]] = ("POST", "^/services/create$")
    end_event: ClassVar[tuple[str, str]] = ("service", "remove")
    impatient: ClassVar[Mapping[str, Any]] = {"start_timeout": 1, "placement_timeout": 0}

    @classmethod
    def prepare(cls, fake: FakeEngine) -> None:
        """Have the fake Engine manage a swarm."""
        fake.swarm.become("manager")

    def left(self, hub_id: str) -> list[dict[str, Any]]:
        """Return everything of this Hub's that a stop should have taken away."""
        kinds = ("services", "tasks", "secrets", "configs")
        return [each for kind in kinds for each in self.labelled(kind, hub_id)]

    def make_mark(self) -> str:
        """Make something whose removal is told as an object's end; gives its id."""
        template, mode = {"ContainerSpec": {"Image": STUB}}, {"Replicated": {"Replicas": 0}}
        body = {"TaskTemplate": template, "Mode": mode}
        return str(self.http.post("/services/create", json=body).raise_for_status().json()["ID"])

    @staticmethod
    def die(ref: str, fake: FakeEngine, exit_code: int) -> None:
        """End the process of a server at the fake Engine by itself."""
        fake.swarm.die(ref, exit_code)

    @staticmethod
    def state_of_all(fake: FakeEngine) -> dict[str, bool]:
        """Return all services of the fake's swarm, and what is left of those that are gone."""
        state = fake.swarm.state()
        tasks = state["tasks"]
        running = {each["ServiceID"] for each in tasks if each["Status"]["State"] == "running"}
        services = {each["ID"]: each["ID"] in running for each in state["services"]}
        spawns = {each["Spec"]["Labels"].get(SPAWN) for each in state["services"]}
        files = [each for kind in ("secrets", "configs") for each in state[kind]]
        left = {each["ServiceID"]: True for each in tasks if each["ServiceID"] not in services}
        left |= {each["Name"]: False for each in files if each["Labels"].get(SPAWN) not in spawns}
        return services | left

    def kill(self, ref: str, fake: FakeEngine | None) -> None:
        """End the process of the service's task by a signal."""
        assert fake is not None, "a manager has no way to processes of other nodes"
        fake.swarm.die(ref, 137)

    def state(self, listed: dict[str, Any]) -> str:
        """Return the state of one that is listed, in Docker's words for containers."""
        filters = json.dumps({"service": [listed["ID"]], "desired-state": ["running"]})
        answer = self.http.get("/tasks", params={"filters": filters})
        tasks = answer.json() if answer.is_success else []
        return "running" if any(each["Status"]["State"] == "running" for each in tasks) else "exited"

    def all(self, hub_id: str) -> list[dict[str, Any]]:
        """Return every service with the label of this Hub, as a manager lists it, with its `Id`."""
        return [{**each, "Id": each["ID"]} for each in self.labelled("services", hub_id)]

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


EACH_KIND = pytest.mark.parametrize(
    "workload", [Containers, Services], indirect=True, ids=["container", "service"]
)
"""The test is made for servers of each kind, as `site` and `fake_site` have them then."""
