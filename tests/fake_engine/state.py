"""What the fake Engine keeps: containers, images, volumes and networks in dictionaries."""

from __future__ import annotations

import asyncio
import copy
import secrets
import socket
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.fake_engine.answers import Refused
from tests.fake_engine.dialects import ENGINES, NEWEST, Dialect
from tests.fake_engine.events import EventBus
from tests.fake_engine.filesystem import Tree, stub
from tests.fake_engine.shapes import STATE, Json

NEVER = "0001-01-01T00:00:00Z"


@dataclass(slots=True, eq=False)
class Image:
    """An image; `labels` with the prefix `fake.` say how its containers behave (see `behaviour`)."""

    id: str
    tags: list[str]
    config: Json
    created: str
    files: Tree = field(default_factory=stub)
    digests: list[str] = field(default_factory=list)
    listens: bool = True
    """Whether its program speaks HTTP, unless a trait says otherwise."""


@dataclass(slots=True, eq=False)
class Container:
    """A container: what was asked, how it is, who waits for it."""

    id: str
    name: str
    image: Image
    config: Json
    host_config: Json
    created: str
    networks: dict[str, Json]
    mounts: list[Json]
    anonymous: list[str]
    state: Json = field(default_factory=lambda: copy.deepcopy(STATE))
    ports: Json = field(default_factory=dict)
    log: list[tuple[int, str, bytes]] = field(default_factory=list)
    removing: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    exits: int = 0
    removed: bool = False
    tls: ssl.SSLContext | None = None
    """What it listens with, where it was told of certificates."""
    listeners: list[asyncio.Server] = field(default_factory=list)
    reserved: list[socket.socket] = field(default_factory=list)
    """Its published ports while nobody answers there: bound, so that they stay its own."""
    had_ports: set[int] = field(default_factory=set)
    """The Engine goes on counting: a container that starts again has other ports than before."""
    guests: list[Container] = field(default_factory=list)
    """Containers that are in its network."""
    answers: bool = False
    """Whether its process listens, where it is in the network of another one."""
    life: asyncio.Task[None] | None = None
    files: Tree = field(default_factory=dict)
    """Its own, without what is mounted."""
    changes: dict[str, int] = field(default_factory=dict)
    """What differs from its image, by path: 0 changed, 1 added, 2 deleted."""
    restarts: int = 0
    by_hand: bool = False
    """Somebody stopped it: `unless-stopped` then starts it no more."""
    restarting: bool = False
    """`docker restart` is under way: AutoRemove has to wait."""
    stopping: bool = False
    untold: dict[str, str] | None = None
    """What its `die` will say: new Engines tell that after `stop`, and after their answer."""

    @property
    def running(self) -> bool:
        """Also while it waits for its next start: so does the Engine call it."""
        return bool(self.state["Running"])

    @property
    def waiting(self) -> bool:
        """Whether it has ended, and its restart policy is about to start it again."""
        return bool(self.state["Restarting"])

    @property
    def labels(self) -> dict[str, str]:
        return self.config["Labels"] or {}

    def variable(self, name: str) -> str:
        """Give a variable of its environment; nothing where it has none."""
        found = (each.partition("=")[2] for each in self.config["Env"] or () if each.startswith(f"{name}="))
        return str(next(found, ""))

    @property
    def speaks(self) -> bool:
        """Whether its program speaks HTTP."""
        return self.trait("http") != "0" and self.image.listens

    def trait(self, word: str) -> str | None:
        """How it shall behave: the environment's FAKE_WORD, else the label fake.WORD."""
        prefix = f"FAKE_{word.upper()}="
        for setting in self.config["Env"] or ():
            if setting.startswith(prefix):
                return str(setting.removeprefix(prefix))
        return self.labels.get(f"fake.{word}")


@dataclass(slots=True, eq=False)
class EngineState:
    """The whole Engine."""

    containers: dict[str, Container] = field(default_factory=dict)
    images: dict[str, Image] = field(default_factory=dict)
    volumes: dict[str, Json] = field(default_factory=dict)
    volume_files: dict[str, Tree] = field(default_factory=dict)
    """Volume → what is in it."""
    host_files: dict[str, Tree] = field(default_factory=dict)
    """Path of the Engine's machine → what is there."""
    networks: dict[str, Json] = field(default_factory=dict)
    pullable: dict[str, Json] = field(default_factory=dict)
    dialect: Dialect = ENGINES[NEWEST]
    """Which Engine's way to speak this is."""
    events: EventBus = field(default_factory=EventBus)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    address: str = "127.0.0.1"
    """Where its published ports are."""
    id_mapping: str = ""
    """`userns`, with userns-remap, or `rootless`."""
    away: bool = False
    """While the Engine itself is down, nobody hears of what its containers do."""

    def find(self, ref: str) -> Container:
        """The container with this id, name or id prefix, as the Engine looks it up."""
        name = ref.removeprefix("/")
        found = self.containers.get(ref) or self.by_name(name)
        if found is None and name:
            found = _only(each for each in self.containers.values() if each.id.startswith(name))
        if found is None:
            raise Refused(404, f"No such container: {ref}")
        return found

    def by_name(self, name: str) -> Container | None:
        """The container of this name."""
        return _only(each for each in self.containers.values() if each.name == name)

    def image(self, ref: str) -> Image | None:
        """The image with this tag, digest or id."""
        full = with_tag(ref)
        bare = ref.removeprefix("sha256:")
        for image in self.images.values():
            if full in image.tags or ref in image.digests:
                return image
            if bare and image.id.removeprefix("sha256:").startswith(bare):
                return image
        return None

    def network(self, ref: str) -> Json:
        """The network with this name or id."""
        for network in self.networks.values():
            if ref and (network["Name"] == ref or network["Id"].startswith(ref)):
                return network
        raise Refused(404, f"network {ref} not found")

    def background(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        """Hold on to a task until it has ended."""
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def container_event(self, container: Container, action: str, **attributes: str) -> None:
        """Tell the subscribers what happened to a container."""
        image = container.config["Image"]
        told = {**container.labels, "image": image, "name": container.name, **attributes}
        self.events.emit(
            {
                "status": action,
                "id": container.id,
                "from": image,
                "Type": "container",
                "Action": action,
                "Actor": {"ID": container.id, "Attributes": told},
            }
        )

    def network_event(self, network: Json, action: str, **attributes: str) -> None:
        """Tell the subscribers what happened to a network."""
        told = {"name": network["Name"], "type": network["Driver"], **attributes}
        self.events.emit(
            {"Type": "network", "Action": action, "Actor": {"ID": network["Id"], "Attributes": told}}
        )


def _only(found: Iterable[Container]) -> Container | None:
    several = list(found)
    return several[0] if len(several) == 1 else None


def with_tag(ref: str) -> str:
    """The reference with `latest` where it names neither tag nor digest."""
    if "@" in ref or ":" in ref.rpartition("/")[2]:
        return ref
    return f"{ref}:latest"


def new_id() -> str:
    """Give sixty-four hexadecimal digits."""
    return secrets.token_hex(32)


def now() -> str:
    """The time as the Engine writes it."""
    nanoseconds = time.time_ns()
    seconds = datetime.fromtimestamp(nanoseconds // 10**9, UTC)
    return f"{seconds:%Y-%m-%dT%H:%M:%S}.{nanoseconds % 10**9:09d}Z"


def seconds_of(stamp: str) -> int:
    """The Unix time of a stamp made by `now`."""
    return int(datetime.fromisoformat(f"{stamp[:19]}+00:00").timestamp())


def nanoseconds_of(stamp: str) -> int:
    """The same, to the nanosecond."""
    return seconds_of(stamp) * 10**9 + int(stamp[20:29] or 0)
