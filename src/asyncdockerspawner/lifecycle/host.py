"""The spawner as far as the walks see it, and the record of one spawn."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

from asyncdockerspawner.engine.claims import Claim
from asyncdockerspawner.engine.engine import Engine
from asyncdockerspawner.engine.start_slots import Slot, StartSlots
from asyncdockerspawner.engine.watch import Watch
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.container.ports import SharedPort
from asyncdockerspawner.workloads.protocol import Workload

STARTING = "starting"
RUNNING = "running"


@dataclass(frozen=True, slots=True)
class Choice:
    """A user's choice of an image, and what came of it."""

    wanted: Any
    image: str
    """The spawner's image afterwards."""
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class ImageWanted:
    """What decides whether an image is there: another one of these has to be ensured anew."""

    engine: Engine
    image: str
    pull_policy: str
    # It may hold passwords.
    registry_auth: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class ImageEnsured:
    """An image that was ensured for a spawn, or could not be."""

    wanted: ImageWanted
    image: str
    """The spawner's image afterwards: a `pull_image` of a site's own may set it."""
    error: Exception | None = None


@dataclass(slots=True)
class Spawn:
    """One spawn: `spawn_id` names the creation and is a label of what it creates."""

    spawn_id: str
    phase: str = STARTING
    live: bool = False
    """Prepared or launching in this process; not so for a spawn that was read from the database."""
    resumed: bool = False
    made: str = ""
    """Id of what this spawn created; never that of something it found."""
    creating: asyncio.Task[str] | None = None
    create_lost: bool = False
    """A create's answer was lost, maybe with the Hub: the Engine may have made something, or be about to."""
    starting: bool = False
    """The Engine was asked to start the object and has not answered."""
    begun: bool = False
    """`start` was called."""
    launching: asyncio.Task[Any] | None = None
    choice: Choice | None = None
    """What `check_allowed` has said last."""
    ensured: ImageEnsured | None = None
    lost_ports: set[int] = field(default_factory=set)
    """Ports in a shared network that were chosen for it and turned out to be somebody else's."""
    lease: Slot | None = None
    """Its place in the start gate."""
    gate: StartSlots | None = None
    """The gate in which that place is."""

    claimed: list[tuple[Engine, str]] = field(default_factory=list)
    """Names of objects that it is about to start, at which Engine."""

    def leave_gate(self) -> None:
        """Give the place in the start gate back, if there is one."""
        if self.lease is not None:
            self.lease.release()

    def end(self) -> None:
        """Say that its start is over, however it went."""
        self.live = False
        self.launching = None
        self.leave_gate()
        for engine, name in self.claimed:
            engine.launching.discard(name)


@dataclass(slots=True)
class StartCall:
    """A call of a subclass's own `start`, until that has ended."""

    future: asyncio.Future[Any] | None = None
    """What it gave; None before it has given anything."""
    steps: set[asyncio.Task[Any]] = field(default_factory=set)
    """Those of its tasks that are in a step of ours."""
    given_up: bool = False
    over: bool = False

    @property
    def is_ours(self) -> bool:
        """Whether what asks is part of it; each task of it knows that by its context."""
        return calling.get() is self

    def give_up(self) -> None:
        """Have it end: cancel it, or where that is no use the step that it is in."""
        self.given_up = True
        for task in (*self.steps, *([self.future] if isinstance(self.future, asyncio.Task) else ())):
            task.cancel()


calling: ContextVar[StartCall | None] = ContextVar("calling", default=None)
"""The call of a `start` that the running code belongs to."""


class Whose(Protocol):
    """What tells whose an object is."""

    @property
    def object_id(self) -> str: ...
    @property
    def object_name(self) -> str: ...
    @property
    def owner(self) -> labels.Owner: ...
    @property
    def identity(self) -> Mapping[str, str]: ...
    @property
    def object_claims(self) -> Callable[[str], Sequence[str]]: ...

    def get_object(self) -> Any: ...


class HubSide(Protocol):
    """The spawner that the Hub has for a server: the same one, or one that wraps it."""

    api_token: str

    @property
    def ready(self) -> bool: ...
    async def poll_and_notify(self) -> Any: ...


class Host(Protocol):
    """The spawner, as far as the walks see it. The seams may be plain functions or give any awaitable."""

    log: logging.Logger | logging.LoggerAdapter[Any]
    api_token: str
    image: str
    pull_policy: str
    registry_auth: Any
    remove: bool
    start_timeout: float
    concurrent_starts: int | None
    http_timeout: float
    start_hold: float
    queue_timeout: float
    on_drift: str
    keep_failed: bool
    failure_log_lines: int
    post_start_cmd: Any
    post_start_required: bool
    ip: str
    port: int
    port_to_choose: bool
    any_port: bool
    shared_port: SharedPort | None
    network_name: str
    extra_host_config: Any
    extra_networks: Sequence[str]
    delete_volumes_on_user_delete: bool
    object_id_key: str
    object_id: str
    object_name: str
    failed_id: str
    own_volumes: dict[str, str]
    mounted: Sequence[str]
    owed: bool
    owed_now: bool
    stop_timeout: int | None
    kept_ids: Sequence[str]
    spawn: Spawn | None
    start_call: StartCall | None
    removal: bool | None

    @property
    def removes(self) -> bool: ...
    @property
    def engine(self) -> Engine: ...
    @property
    def watch(self) -> Watch: ...
    @property
    def workload(self) -> Workload: ...
    @property
    def owner(self) -> labels.Owner: ...
    @property
    def identity(self) -> Mapping[str, str]: ...
    @property
    def probe_url(self) -> str | None: ...
    @property
    def hub_side(self) -> HubSide: ...
    @property
    def is_wrapped(self) -> bool: ...
    @property
    def claim(self) -> Claim | None: ...
    @property
    def decides_late(self) -> bool: ...
    @property
    def stop_grace(self) -> int | None: ...
    @property
    def sister_states(self) -> Mapping[str, Mapping[str, Any]]: ...
    @property
    def user_exists(self) -> Callable[[], bool]: ...
    @property
    def object_claims(self) -> Callable[[str], Sequence[str]]: ...
    @property
    def volume_claims(self) -> Callable[[str, str | None], Sequence[str]]: ...

    def personal_volumes(self) -> dict[str, str]: ...
    def name_object(self) -> None: ...
    def means(self, name: str, image: str) -> bool: ...
    def overrides(self, *names: str) -> bool: ...
    def keep_state(self, *, commit: bool = False) -> None: ...
    def settle_debt(self) -> None: ...
    async def apply_choice(self, *, final: bool) -> None: ...
    async def object_body(self) -> JsonObject: ...
    def note_address(self, ip: str, port: int) -> None: ...
    def note_end(self, text: str) -> None: ...
    async def move_to(self, ip: str, port: int, *, route: bool = True) -> None: ...
    def report(self, message: str, *, progress: int | None = None, topic: str = "") -> None: ...

    def pull_image(self, image: str) -> Any: ...
    def get_object(self) -> Any: ...
    def create_object(self) -> Any: ...
    def start_object(self) -> Any: ...
    def post_start_exec(self) -> Any: ...
    def stop_object(self) -> Any: ...
    def remove_object(self) -> Any: ...
    def get_ip_and_port(self) -> Any: ...


def volumes_of(owner: labels.Owner) -> str:
    """Name the janitor's work on a user's volumes; no object has such a name."""
    return f"volumes of {owner.username}"


async def resolved(value: Any) -> Any:
    """Await whatever a seam gave, if it can be awaited."""
    return await value if inspect.isawaitable(value) else value
