"""What is known of the object that a server runs as, whatever its kind. Pure.

The Engine's documents are read once, where they come in (`container/read`); everything else decides on this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads import ports
from asyncdockerspawner.workloads.exit_status import ExitCode, ExitStatus


class Phase(Enum):
    """Where an object is in its life."""

    UNKNOWN = "it is there, and nothing has been told of its life yet"
    CREATED = "no process has run in it, or its start has failed"
    PENDING = "a swarm is about to run it: it looks for a node, or the node prepares it"
    RUNNING = "its process lives, be it paused"
    RESTARTING = "its process has ended, and is about to be started again by its restart policy"
    ENDED = "its process has ended"
    REMOVING = "it is on its way out"


class Binding(NamedTuple):
    """Where a port of a server is published on the Engine's machine."""

    host: str
    """An address of the machine; "" is every one."""
    port: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where an object is reached."""

    networks: Mapping[str, str] = field(default_factory=dict)
    """Network → the object's address there; "" where it has none."""
    published: Mapping[str, Sequence[Binding]] = field(default_factory=dict)
    """Port and protocol inside (`8888/tcp`) → where it is published, in the Engine's order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where in a swarm an object is, or is to be."""

    node: str = ""
    """Id of the node that was chosen for it; empty while there is none."""
    node_name: str = ""
    tied_to: Sequence[str] = ()
    """What it has on its node alone: volumes that are nowhere else, and paths of that machine."""
    waits_for: str = ""
    """What it waits for while it is pending, for its user to read."""
    cure: str = ""
    """What an administrator can do about that, should it last."""
    node_is_lost: bool = False
    """It has not ended by itself: its node is down, or was told to run nothing any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """An object as it was when the Engine last told of it; what nobody has told has its default here."""

    id: str
    name: str = ""
    hub_id: str = ""
    """The Hub on its label."""
    owner: labels.Owner | None = None
    """What its labels say of whom it was created for; None unless they say all of it."""
    phase: Phase = Phase.UNKNOWN
    last_exit: ExitStatus | None = None
    """How its last process ended, or why none was started; of one that runs, what is told of the former."""
    restarts: int = 0
    """How often its restart policy has started it again since somebody started it."""
    last_change: int = 0
    """When it was last started or ended, in nanoseconds since 1970; 0 where that is not told."""
    image: str = ""
    environment: Mapping[str, str] | None = field(default=None, repr=False)
    """None where it is not told. It holds tokens."""
    network_mode: str = ""
    """`host`, `container:` and a name or id, or a network of its own."""
    sandbox: str = ""
    """Id of the sandbox that it has its network in, to itself; empty where it has none."""
    sandbox_for: str = ""
    """Of a sandbox: what servers it is for; empty on everything else."""
    shared_port: ports.SharedPort | None = None
    """Where it listens in a network that it shares; None if it has its own, or if nothing tells it."""
    addresses: Addresses | None = None
    """None where they may have changed since they were told."""
    removal: bool | None = None
    """What `remove` was when it was made; None where that is not told."""
    auto_remove: bool = False
    """The Engine removes it by itself once it has ended."""
    config_hash: str | None = None
    """The fingerprint of what it was made from; None where its maker has left none."""
    user: str = ""
    """Whom it was made to run as, in the words of its maker or its image; empty where that is not told."""
    groups: Sequence[str] = ()
    """Other groups that it was made to be in."""
    working_dir: str = ""
    mount_points: Sequence[str] = ()
    placement: Placement | None = None
    """Of a service; a container is where its Engine is."""

    @property
    def runs(self) -> bool:
        """Whether its process lives, be it paused or between two automatic restarts, or is about to."""
        return self.phase in _LIVING

    @property
    def starts_itself(self) -> bool:
        """Whether its creation has started it, and nobody starts it again."""
        return self.placement is not None

    @property
    def node_is_lost(self) -> bool:
        """Whether it has ended with its node, and may go on at another."""
        return self.placement is not None and self.placement.node_is_lost

    @property
    def never_started(self) -> bool:
        """Whether no process ever ran in it: just created, or its start failed."""
        return self.phase in _FRESH or (self.phase is Phase.REMOVING and self.last_exit is None)

    @property
    def is_being_removed(self) -> bool:
        """Whether it is on its way out: it cannot be started, and its name will be free."""
        # The Engine removes one by itself when it has ended, and says so only a moment later.
        return self.phase is Phase.REMOVING or (self.auto_remove and self.phase is Phase.ENDED)

    @property
    def exit_status(self) -> ExitStatus | None:
        """How it ended; None while it runs, and before its first start."""
        if self.runs:
            return None
        if self.phase is Phase.ENDED:
            # Where our own stop was answered, that is all that is known.
            return self.last_exit or ExitStatus(code=0)
        return self.last_exit

    @property
    def exit_is_unknown(self) -> bool:
        """Whether it has ended, or may have, and nobody has told how."""
        return self.phase is Phase.UNKNOWN or (self.phase is Phase.ENDED and self.last_exit is None)

    def exit_before_restart(self, code: int | None) -> ExitStatus:
        """Tell how the former process of one ended that its restart policy starts again.

        `code` is what an event has told of it: once the next process runs, the Engine tells none any more.
        """
        known = self.last_exit or ExitStatus(code=0)
        return ExitStatus(
            code=known.code if code is None else code,
            oom_killed=known.oom_killed,
            memory_limit=known.memory_limit,
        )

    @property
    def has_own_network(self) -> bool:
        """Whether it shares its network with nobody."""
        return bool(self.sandbox) or not ports.is_shared(self.network_mode)

    @property
    def address_is_known(self) -> bool:
        """Whether all is told that its address is found by."""
        if self.addresses is None or self.phase in {Phase.RESTARTING, Phase.PENDING}:
            return False
        # In a shared network, the port stands in the environment.
        return self.has_own_network or self.environment is not None

    @property
    def is_kept(self) -> bool:
        """Whether it was made to be kept, or was put aside for its files: it may be all that its user has."""
        return self.removal is False or self.name.endswith(labels.name_aside("", self.id))


_LIVING = frozenset({Phase.PENDING, Phase.RUNNING, Phase.RESTARTING})
_FRESH = frozenset({Phase.UNKNOWN, Phase.CREATED})


def poll_status(observed: Observed | None) -> int | None:
    """Return what the Hub's `poll()` wants: None while it runs, else an exit code; 0 where nothing is."""
    if observed is None:
        return 0
    status = observed.exit_status
    if status is not None:
        return ExitCode(status)
    return None if observed.runs else 0


def differ(one: Observed, other: Observed) -> bool:
    """Tell whether two differ in what matters to the Hub: whether a server runs, and where it is reached."""
    if one.phase is not other.phase and one.runs != other.runs:
        return True
    # Mostly nothing is new, and of thousands each is compared in every minute: sorting can wait.
    return one.addresses != other.addresses and _reached(one) != _reached(other)


def _reached(observed: Observed) -> tuple[Mapping[str, str], Mapping[str, Sequence[Binding]]]:
    known = observed.addresses or Addresses()
    # The Engine's list and its documents do not tell them in the same order.
    return known.networks, {port: sorted(bindings) for port, bindings in known.published.items()}
