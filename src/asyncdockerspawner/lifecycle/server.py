"""A user's server as its life goes on: what is saved of it, what is configured, and who does and hears what.

The commands of this folder work on a `Server`. Four things stand behind it: its record, which the Hub's
database keeps; its policy, the options as they are now; its overrides, the steps that a site's own class may
do in another way; and its link to the Hub.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from asyncdockerspawner.engine.claims import Claim
from asyncdockerspawner.engine.engine import Engine
from asyncdockerspawner.engine.start_slots import StartSlots
from asyncdockerspawner.engine.watch import Watch
from asyncdockerspawner.lifecycle.policy import Policy
from asyncdockerspawner.lifecycle.protocols import Link, Log, Overrides, Rows
from asyncdockerspawner.lifecycle.record import Record
from asyncdockerspawner.lifecycle.spawn import Spawn, StartCall
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.ports import SharedPort
from asyncdockerspawner.workloads.protocol import Workload

T = TypeVar("T")


class Place(Protocol):
    """Where a server runs, and as what."""

    @property
    def engine(self) -> Engine:
        """The Engine that the options mean now."""

    def watch(self, engine: Engine) -> Watch:
        """Return what is known of this Hub's objects there."""

    def start_slots(self, engine: Engine) -> StartSlots:
        """Return the queue of those who start servers there."""

    def workload(self, engine: Engine) -> Workload:
        """Return what it runs as there."""


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
        place: Place,
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
        self.waits_since: float | None = None
        """When it was first seen to wait for a node again, having run; by the monotonic clock."""
        self.unmoved = ""
        """Id of an object that was lost with its node, and could not be moved."""
        self.stops_at_once = False
        """Whether the stop under way is to be without grace."""
        self._take_policy = policy
        self._place = place
        self._policy: Policy | None = None
        self._engine: Engine | None = None

    @property
    def policy(self) -> Policy:
        """The options, as they were when somebody called `renew` last."""
        if self._policy is None:
            self._policy = self._take_policy()
        return self._policy

    def renew(self) -> Server:
        """Take the options, and the Engine that they mean, anew when they are asked for next."""
        self._policy = self._engine = None
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
        """The Engine that it runs at, or is about to, as of when somebody called `renew` last."""
        if self._engine is None:
            self._engine = self._place.engine
        return self._engine

    @property
    def watch(self) -> Watch:
        """What is known of this Hub's objects there."""
        return self._place.watch(self.engine)

    @property
    def workload(self) -> Workload:
        """What it runs as."""
        return self._place.workload(self.engine)

    @property
    def start_slots(self) -> StartSlots:
        """The queue that its starts stand in."""
        return self._place.start_slots(self.engine)

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
        if image == self.policy.image or not self.policy.named_by_image():
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
        names = self.hub.names
        return labels.Owner(
            hub_id=names.hub_id,
            username=names.username,
            servername=names.servername,
            spawn_id=self.spawn.spawn_id if self.spawn else "",
        )

    @property
    def identity(self) -> Identity:
        """What tells whose an object is, as of now."""
        names = self.hub.names
        return Identity(
            object_id=self.record.object_id,
            object_name=self.object_name,
            owner=self.owner,
            environment={
                "JUPYTERHUB_USER": names.username,
                "JUPYTERHUB_SERVICE_PREFIX": names.prefix,
                "JUPYTERHUB_API_URL": names.api_url,
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
        """Where the server is asked for its first answer; None where only the Hub can ask."""
        if self.address is None or (self.policy.internal_ssl and self.tls is None):
            return None
        return self.url_at(*self.address, tls=self.policy.internal_ssl)

    @property
    def tls(self) -> ssl.SSLContext | None:
        """What it is asked with over TLS, as the Hub asks; None without `internal_ssl`. Raises BadOption."""
        return self.policy.tls() if self.policy.internal_ssl else None

    def url_at(self, ip: str, port: int, *, tls: bool) -> str:
        """Return the server's URL at an address."""
        host = f"[{ip}]" if ":" in ip else ip
        return f"{'https' if tls else 'http'}://{host}:{port}{self.hub.names.prefix}"

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


def volumes_of(username: str) -> str:
    """Name the janitor's work on a user's volumes; no object has such a name."""
    return f"volumes of {username}"
