"""The options that a server's life depends on."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from asyncdockerspawner.images.pulls import PullPolicy
from asyncdockerspawner.workloads.furnishing import Furnishing


class OnDrift(StrEnum):
    """What is done with a kept object that was made with other settings: `on_drift`."""

    WARN = "warn"
    REUSE = "reuse"
    RECREATE = "recreate"


class OrphanPolicy(StrEnum):
    """What is done with what carries the Hub's label and is not in its database: `orphan_policy`."""

    KEEP = "keep"
    STOP = "stop"
    REMOVE = "remove"


class OnNodeLoss(StrEnum):
    """What is done with a server that has ended with its node: `on_node_loss`."""

    REPORT = "report"
    MOVE = "move"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The options of a server that its life depends on, as they were when a command or a step began."""

    internal_ssl: bool
    tls: Callable[[], ssl.SSLContext | None] = field(repr=False)
    """Returns what the Hub asks servers with over TLS; None where it has no certificate. Raises BadOption."""
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
    on_drift: OnDrift
    is_of_an_account: bool = False
    """Servers run as users of the system, and a kept one that is somebody else's is never started again."""
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
    labels_volumes: Callable[[], bool] = field(repr=False)
    """Tells whether a user's own volumes are to say so."""
    placement_timeout: float = 0.0
    """Seconds that a swarm has to find a node."""
    on_node_loss: OnNodeLoss = OnNodeLoss.REPORT
    is_on_all_nodes: Callable[[str], bool] = field(default=lambda _: False, repr=False)
    """Tells whether a path is the same folder on every node of a swarm."""
    named_by_image: Callable[[], bool] = field(repr=False)
    """Tells whether names of objects may differ by their image alone."""
    decides_late: Callable[[], bool] = field(repr=False)
    """Tells whether a subclass may choose image, name and Engine in its `start`, or in what that calls."""
    own_start: Callable[[], bool] = field(repr=False)
    """Tells whether a subclass has a `start` of its own."""
    furnishing: Callable[[], Awaitable[Furnishing]] = field(repr=False)
    """Returns what the server is to find in its object."""
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
