"""The life of a server, from its preparation to its end: commands over a `Server`."""

from asyncdockerspawner.lifecycle.cleanup import sweep
from asyncdockerspawner.lifecycle.deletion import delete_forever
from asyncdockerspawner.lifecycle.leftovers import Leftovers
from asyncdockerspawner.lifecycle.monitor import locate, poll
from asyncdockerspawner.lifecycle.obtain import create
from asyncdockerspawner.lifecycle.placement import node_of, placed
from asyncdockerspawner.lifecycle.policy import OnDrift, OnNodeLoss, OrphanPolicy, Policy
from asyncdockerspawner.lifecycle.post_start import post_start
from asyncdockerspawner.lifecycle.prepare import prepare
from asyncdockerspawner.lifecycle.reconcile import Key, Reconciler, Row
from asyncdockerspawner.lifecycle.server import Server
from asyncdockerspawner.lifecycle.shared_network import shared_port
from asyncdockerspawner.lifecycle.spawn import Choice, Spawn, resolved
from asyncdockerspawner.lifecycle.start import start
from asyncdockerspawner.lifecycle.stop import leave, stop
from asyncdockerspawner.lifecycle.subclass_start import (
    as_step,
    attempt,
    claim,
    furnished,
    seen,
    step,
    within_a_start,
)
from asyncdockerspawner.lifecycle.volumes import ensure_volumes, volume_labels
from asyncdockerspawner.lifecycle.wanted import repeat_late

__all__ = [
    "Choice",
    "Key",
    "Leftovers",
    "OnDrift",
    "OnNodeLoss",
    "OrphanPolicy",
    "Policy",
    "Reconciler",
    "Row",
    "Server",
    "Spawn",
    "as_step",
    "attempt",
    "claim",
    "create",
    "delete_forever",
    "ensure_volumes",
    "furnished",
    "leave",
    "locate",
    "node_of",
    "placed",
    "poll",
    "post_start",
    "prepare",
    "repeat_late",
    "resolved",
    "seen",
    "shared_port",
    "start",
    "step",
    "stop",
    "sweep",
    "volume_labels",
    "within_a_start",
]
