"""A user's server as its life goes on: what is saved of it, what is configured, and who does and hears what.

The commands of this folder work on a `Server`. Four things stand behind it: its record, which the Hub's
database keeps; its policy, the options as they are now; its overrides, the steps that a site's own class may
do in another way; and its link to the Hub.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

from asyncdockerspawner.engine.claims import Claim
from asyncdockerspawner.engine.engine import Engine
from asyncdockerspawner.engine.watch import Watch
from asyncdockerspawner.images.pulls import PullPolicy
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.lifecycle.record import Record
from asyncdockerspawner.lifecycle.spawn import Spawn, StartCall
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.observed import Observed
from asyncdockerspawner.workloads.ports import SharedPort
from asyncdockerspawner.workloads.protocol import Workload

Log = logging.Logger | logging.LoggerAdapter[Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The options of a server that its life depends on, as they were when a command or a step began."""

    username: str
    servername: str
    prefix: str
    """Path below which the Hub serves it, such as `/user/alice/`."""
    hub_api_url: str
    internal_ssl: bool
    image: str
    pull_policy: PullPolicy
    # It may hold passwords.
    registry_auth: Any = field(repr=False)
    remove: bool
    start_timeout: float
    http_timeout: float
    queue_timeout: float
    stop_timeout: int | None
    concurrent_starts: int | None
    start_hold: float
    on_drift: str
    keep_failed: bool
    failure_log_lines: int
    post_start_cmd: Any
    post_start_required: bool
    ip: str
    port: int
    port_to_choose: bool
    """Neither site nor hook nor subclass has set `port`."""
    any_port: bool
    """`port` was set to 0, the Hub's word for any."""
    extra_host_config: Any
    delete_volumes_on_user_delete: bool
    named_by_image: bool
    """Names of objects may differ by their image alone."""
    decides_late: bool
    """A subclass may choose image, name and Engine in its `start`, or in what that calls."""
    own_start: bool
    """A subclass has a `start` of its own."""
    per_spawn: Callable[[str], Any] = field(repr=False)
    """Reads an option that may be a function of the spawner: only a start needs what such a one gives."""

    @property
    def network_name(self) -> str:
        """The network in which the Hub reaches the server."""
        return str(self.per_spawn("network_name"))

    @property
    def extra_networks(self) -> Sequence[str]:
        """Networks that it is in besides."""
        return tuple(self.per_spawn("extra_networks"))


class Overrides(Protocol):
    """The steps that sites and subclasses may do in their own way, already awaited."""

    async def choose(self, *, final: bool) -> None:
        """Have this spawn's values and take the user's image. Raises what refuses it."""

    async def pull(self, image: str) -> None:
        """Bring the image to the Engine's machine."""

    def use_image(self, image: str) -> None:
        """Go on with this image."""

    def usual_name(self) -> str:
        """Return the name of a new object. Raises BadTemplate, or what a site's own code raises."""

    async def body(self) -> JsonObject:
        """Return what the object would be made from now."""

    async def find(self) -> Observed | None:
        """Return the object of the recorded id, else of the name; None where there is none."""

    async def create(self) -> str:
        """Create the object and return its id."""

    async def start(self) -> None:
        """Start the object."""

    async def after_start(self) -> None:
        """Run `post_start_cmd`."""

    async def address(self) -> tuple[str, int]:
        """Return address and port at which the Hub reaches the server. Raises NoEndpoint."""

    async def stop(self) -> None:
        """Stop the object."""

    async def remove(self) -> None:
        """Remove the object."""


class Rows(Protocol):
    """What the Hub's database says of other servers, also when this one's own row is gone."""

    def naming(self, object_id: str) -> Sequence[str]:
        """Return the other servers whose state names an object, as `user/server`."""

    def with_volume(self, name: str, servername: str | None) -> Sequence[str]:
        """Return the others that have a volume: of other users, or with `servername` all but that one."""

    def user_exists(self) -> bool:
        """Tell whether the database has a user of this name."""

    def sister_states(self) -> Mapping[str, Mapping[str, Any]]:
        """Return name → saved state of the user's other servers."""


class Link(Protocol):
    """The Hub, as far as a server tells it something or asks it."""

    @property
    def log(self) -> Log:
        """The Hub's log."""

    @property
    def hub_id(self) -> str:
        """What tells this Hub from others at the same Engine."""

    @property
    def api_token(self) -> str:
        """The server's own token: a secret."""

    @property
    def is_ready(self) -> bool:
        """Whether the Hub takes the server for running."""

    @property
    def is_wrapped(self) -> bool:
        """Whether the Hub has another spawner for this server, such as wrapspawner's."""

    def report(self, message: str, *, progress: int | None = None, topic: str = "") -> None:
        """Show a line to the user who waits; one of the same `topic` as the last takes its place."""

    def save(self, *, commit: bool = False) -> None:
        """Put the record where the Hub's next commit writes it, or commit it now."""

    def strike_off(self) -> None:
        """Take an owed stop out of the database."""

    def use_token(self, token: str) -> None:
        """Know the server by the token that it was created with."""

    async def ended(self) -> None:
        """Have the Hub take the server for stopped."""

    async def moved(self, ip: str, port: int, *, route: bool = True) -> None:
        """Have the Hub reach the server elsewhere, and its proxy where it has a `route` already."""

    def rows(self) -> Rows:
        """Return what can be asked of the database, now and later."""


class Place(NamedTuple):
    """Where a server runs, and as what."""

    engine: Engine
    watch: Watch
    workload: Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What tells whose an object is."""

    object_id: str
    object_name: str
    owner: labels.Owner
    environment: Mapping[str, str]
    """What the environment of this server says, also in a container that carries no label."""
    rows: Rows


class Server:
    """One server of one user, for as long as the Hub has a spawner for it."""

    def __init__(
        self,
        *,
        overrides: Overrides,
        hub: Link,
        policy: Callable[[], Policy],
        place: Callable[[], Place],
    ) -> None:
        self.overrides = overrides
        self.hub = hub
        self.record = Record()
        self.name_is_given = False
        """Somebody else than this package has set the object's name."""
        self.spawn: Spawn | None = None
        self.start_call: StartCall | None = None
        self.shared_port: SharedPort | None = None
        """Where this spawn's server listens, if it has no network of its own."""
        self.address: tuple[str, int] | None = None
        """Where it is asked for its first answer."""
        self.stops_at_once = False
        """Whether the stop under way is to be without grace."""
        self._take_policy = policy
        self._take_place = place
        self._policy: Policy | None = None

    @property
    def policy(self) -> Policy:
        """The options, as they were when somebody called `renew` last."""
        if self._policy is None:
            self._policy = self._take_policy()
        return self._policy

    def renew(self) -> Server:
        """Take the options anew when they are asked for next."""
        self._policy = None
        return self

    async def after(self, step: Awaitable[T]) -> T:
        """Await a step that a site's own code may do: whatever options that changes count from then on."""
        try:
            return await step
        finally:
            self.renew()

    @property
    def log(self) -> Log:
        """The Hub's log."""
        return self.hub.log

    @property
    def engine(self) -> Engine:
        """The Engine that it runs at, or is about to."""
        return self._take_place().engine

    @property
    def watch(self) -> Watch:
        """What is known of this Hub's objects there."""
        return self._take_place().watch

    @property
    def workload(self) -> Workload:
        """What it runs as."""
        return self._take_place().workload

    @property
    def object_name(self) -> str:
        """The name of its object, or of the one that would be made now; empty where that cannot be told."""
        if not self.record.object_name:
            try:
                self.record.object_name = self.overrides.usual_name()
            except Exception:  # noqa: BLE001 - a template's, or a site's own code's
                # Pages and polls read the name too; the spawn itself is where it is reported.
                return ""
        return self.record.object_name

    def take_name(self, name: str) -> None:
        """Call its object so, by nobody's wish."""
        self.record.object_name = name
        self.name_is_given = False

    def name_object(self) -> None:
        """Name a new object: as a hook or a subclass has said, else as usual. Raises BadTemplate."""
        if not self.name_is_given:
            self.take_name(self.overrides.usual_name())

    def means(self, name: str, image: str) -> bool:
        """Tell whether a kept object of this name, made from this image, is the one to start.

        Its id is, unless names part several objects of one server, by hook, subclass or `{imagename}`.
        """
        if self.name_is_given:
            return name == self.record.object_name
        if image == self.policy.image or not self.policy.named_by_image:
            return True
        return name == self.overrides.usual_name()

    @property
    def port(self) -> int:
        """The port that it listens on inside its container."""
        return self.policy.port if self.shared_port is None else self.shared_port.port

    @property
    def removes(self) -> bool:
        """Whether the object goes with its server: what `remove` was when it was made."""
        removal = self.record.removal
        return self.policy.remove if removal is None else removal

    @property
    def stop_timeout(self) -> int | None:
        """Seconds that the stop under way leaves the server to end by itself; None is its own."""
        return 0 if self.stops_at_once else self.policy.stop_timeout

    @property
    def owner(self) -> labels.Owner:
        """Who its objects belong to: Hub, user, server, creation."""
        return labels.Owner(
            hub_id=self.hub.hub_id,
            username=self.policy.username,
            servername=self.policy.servername,
            spawn_id=self.spawn.spawn_id if self.spawn else "",
        )

    @property
    def identity(self) -> Identity:
        """What tells whose an object is, as of now."""
        policy = self.policy
        return Identity(
            object_id=self.record.object_id,
            object_name=self.object_name,
            owner=self.owner,
            environment={
                "JUPYTERHUB_USER": policy.username,
                "JUPYTERHUB_SERVICE_PREFIX": policy.prefix,
                "JUPYTERHUB_API_URL": policy.hub_api_url,
            },
            rows=self.hub.rows(),
        )

    @property
    def claim(self) -> Claim | None:
        """What is being started for it, whatever the Hub's database says."""
        if self.spawn is None or not self.spawn.live:
            return None
        return Claim(self.record.object_id, self.object_name, self.spawn.spawn_id)

    @property
    def url(self) -> str | None:
        """Where the server is asked for its first answer; None where only the Hub can ask (TLS)."""
        if self.policy.internal_ssl or self.address is None:
            return None
        return self.url_at(*self.address)

    def url_at(self, ip: str, port: int) -> str:
        """Return the server's URL at an address."""
        host = f"[{ip}]" if ":" in ip else ip
        scheme = "https" if self.policy.internal_ssl else "http"
        return f"{scheme}://{host}:{port}{self.policy.prefix}"

    def state(self) -> dict[str, Any]:
        """Return what is to be saved of it."""
        state = self.record.state(self.spawn)
        if state.get("object_name") == "":
            state["object_name"] = self.object_name
        return state

    def load(self, state: Mapping[str, Any]) -> None:
        """Take up what was saved."""
        name = self.record.object_name
        self.record = Record.of(state)
        if self.record.object_name:
            self.name_is_given = False
        else:
            self.record.object_name = name
        if state.get("spawn_id"):
            self.spawn = Spawn.of(state["spawn_id"], state.get("phase"))

    def forget_spawn(self) -> None:
        """Forget the spawn; a kept object is remembered by its id and name."""
        if self.spawn is not None:
            self.spawn.release_slot()
        self.spawn = self.shared_port = self.address = None

    def settle_debt(self) -> None:
        """Take down, in the database too, that an owed stop is done."""
        self.record.owed = self.record.owed_now = False
        # Only that: the row may have a later spawner's state by now.
        self.hub.strike_off()


def volumes_of(owner: labels.Owner) -> str:
    """Name the janitor's work on a user's volumes; no object has such a name."""
    return f"volumes of {owner.username}"
