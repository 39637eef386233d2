"""What the swarm keeps: nodes, services, tasks, secrets and configs."""

from __future__ import annotations

import asyncio
import secrets
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from tests.fake_engine.answers import Refused
from tests.fake_engine.shapes import Json
from tests.fake_engine.state import Container, EngineState, now

STATES = (
    "new", "pending", "assigned", "accepted", "preparing", "ready", "starting", "running",
    "complete", "shutdown", "failed", "rejected", "remove", "orphaned",
)  # fmt: skip
"""In the order that swarmkit compares them in (api/types.proto)."""
NOT_A_MANAGER = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node '
    "to swarm and try again."
)
WORKER = (
    "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. Please "
    "run this command on a manager node or promote the current node to a manager."
)
LOCKED = (
    'Swarm is encrypted and needs to be unlocked before it can be used. Please use "docker swarm unlock" to '
    "unlock it."
)
NO_LEADER = (
    "rpc error: code = Unknown desc = The swarm does not have a leader. It's possible that too few managers "
    "are online. Make sure more than half of the managers are online."
)
REFUSALS = {"inactive": (503, NOT_A_MANAGER), "worker": (503, WORKER), "locked": (503, LOCKED),
            "leaderless": (500, NO_LEADER)}  # fmt: skip
"""What an Engine answers that is not the manager of a swarm that works."""
GIGABYTE = 2**30


def new_id() -> str:
    """Give 25 characters, as swarmkit does."""
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(25))


def rank(state: str) -> int:
    """How far along a state is."""
    return STATES.index(state)


@dataclass(slots=True, eq=False, kw_only=True)
class Stored:
    """What every object of the store has."""

    id: str = field(default_factory=new_id)
    version: int = 0
    created: str = field(default_factory=now)
    updated: str = field(default_factory=now)

    def meta(self) -> Json:
        """How each document begins."""
        return {
            "ID": self.id,
            "Version": {"Index": self.version},
            "CreatedAt": self.created,
            "UpdatedAt": self.updated,
        }


@dataclass(slots=True, eq=False, kw_only=True)
class Node(Stored):
    """A machine of the swarm; `engine` has its containers and volumes."""

    name: str
    engine: EngineState
    address: str
    role: str = "worker"
    state: str = "ready"
    availability: str = "active"
    labels: dict[str, str] = field(default_factory=dict)
    engine_labels: dict[str, str] = field(default_factory=dict)
    nano_cpus: int = 4 * 10**9
    memory: int = 8 * GIGABYTE
    generic: list[Json] = field(default_factory=list)
    volume_drivers: list[str] = field(default_factory=lambda: ["local"])


@dataclass(slots=True, eq=False, kw_only=True)
class Service(Stored):
    """A service."""

    spec: Json
    previous: Json | None = None
    endpoint: Json = field(default_factory=lambda: {"Spec": {}})
    update_status: Json | None = None
    auth: str = ""
    """The credentials that its nodes pull with."""
    attempts: dict[int, int] = field(default_factory=dict)
    """How often each slot's task was replaced."""

    @property
    def name(self) -> str:
        return str(self.spec["Name"])

    @property
    def labels(self) -> dict[str, str]:
        return dict(self.spec["Labels"])

    @property
    def replicas(self) -> int:
        return int(self.spec["Mode"]["Replicated"]["Replicas"])


@dataclass(slots=True, eq=False, kw_only=True)
class Task(Stored):
    """A task: one container of a service, from its wish to its end."""

    service: Service
    labels: dict[str, str]
    """Its service's, which outlive that."""
    slot: int
    spec: Json
    desired: str = "running"
    state: str = "new"
    since: str = field(default_factory=now)
    message: str = "created"
    error: str = ""
    node: Node | None = None
    attachments: list[Json] = field(default_factory=list)
    container: Container | None = None
    ports: list[Json] = field(default_factory=list)
    pause: float = 0
    """Seconds between `ready` and its start, where it replaces another."""
    life: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """As its container is called."""
        return f"{self.service.name}.{self.slot}.{self.id}"

    @property
    def ended(self) -> bool:
        return rank(self.state) > rank("running")


@dataclass(slots=True, eq=False, kw_only=True)
class SwarmFile(Stored):
    """A secret or a config."""

    spec: Json


Kept = TypeVar("Kept", bound=Stored)


class Swarm:
    """The whole swarm, as its manager sees it."""

    def __init__(self, engine: EngineState) -> None:
        self.engine = engine
        self.mode = "inactive"
        self.index = 9
        self.nodes: dict[str, Node] = {}
        self.services: dict[str, Service] = {}
        self.tasks: dict[str, Task] = {}
        self.files: dict[str, dict[str, SwarmFile]] = {"secret": {}, "config": {}}
        self.held: str = ""
        """The state that tasks do not leave before a test says so."""
        self._beat = asyncio.Event()

    def clear(self) -> None:
        """Leave the swarm."""
        self.mode, self.held = "inactive", ""
        for kept in (self.nodes, self.services, self.tasks, *self.files.values()):
            kept.clear()  # type: ignore[attr-defined]

    def check(self) -> None:
        """Refuse where this Engine manages no swarm."""
        if self.mode != "manager":
            raise Refused(*REFUSALS[self.mode])

    def refusal(self) -> str:
        """What is said where this Engine manages no swarm."""
        return REFUSALS[self.mode][1]

    def touch(self, changed: Stored | None = None) -> None:
        """Note a change, and wake whoever waits for one."""
        self.index += 1
        if changed is not None:
            changed.version, changed.updated = self.index, now()
        beat, self._beat = self._beat, asyncio.Event()
        beat.set()

    async def change(self) -> None:
        """Wait for the next change."""
        await self._beat.wait()

    def tasks_of(self, service: Service) -> list[Task]:
        return [each for each in self.tasks.values() if each.service is service]

    def on(self, node: Node) -> list[Task]:
        """The tasks of a node that have not ended."""
        return [each for each in self.tasks.values() if each.node is node and not each.ended]

    def find_service(self, ref: str) -> Service:
        return _only("service", ref, self.services, lambda each: each.name)

    def find_node(self, ref: str) -> Node:
        return _only("node", ref, self.nodes, lambda each: each.name)

    def find_task(self, ref: str) -> Task:
        return _only("task", ref, self.tasks, lambda each: each.name)

    def find_file(self, kind: str, ref: str) -> SwarmFile:
        return _only(kind, ref, self.files[kind], lambda each: str(each.spec["Name"]))

    def event(self, kind: str, about: Stored, name: str, action: str, **attributes: str) -> None:
        """Tell the subscribers what happened; labels are not told."""
        told = {"name": name, **attributes}
        self.engine.events.emit(
            {
                "Type": kind,
                "Action": action,
                "Actor": {"ID": about.id, "Attributes": told},
                "scope": "swarm",
            }
        )


def _only(kind: str, ref: str, kept: Mapping[str, Kept], name: Callable[[Kept], str]) -> Kept:
    """The one with this id, this name, or an id that begins so."""
    if ref in kept:
        return kept[ref]
    named = [each for each in kept.values() if name(each) == ref]
    found = named or [each for each in kept.values() if each.id.startswith(ref)]
    if not found:
        raise Refused(404, f"{kind} {ref} not found")
    if len(found) > 1:
        raise Refused(400, f"{kind} {ref} is ambiguous ({len(found)} matches found)")
    return found[0]
