"""The life of a server, from its preparation to its end. It sees the spawner only as a `Host`."""

from asyncdockerspawner.lifecycle.cleanup import sweep
from asyncdockerspawner.lifecycle.deletion import delete_forever
from asyncdockerspawner.lifecycle.extras import ensure_volumes, post_start
from asyncdockerspawner.lifecycle.host import RUNNING, STARTING, Choice, Host, Spawn, StartCall, resolved
from asyncdockerspawner.lifecycle.leftovers import Leftovers
from asyncdockerspawner.lifecycle.obtain import create
from asyncdockerspawner.lifecycle.own_start import as_step, attempt, claim, seen, step, within_a_start
from asyncdockerspawner.lifecycle.preparation import prepare
from asyncdockerspawner.lifecycle.reconcile import Key, Reconciler, Row
from asyncdockerspawner.lifecycle.shared import shared_port
from asyncdockerspawner.lifecycle.walks import halt, launch, leave, locate, poll

__all__ = [
    "RUNNING",
    "STARTING",
    "Choice",
    "Host",
    "Key",
    "Leftovers",
    "Reconciler",
    "Row",
    "Spawn",
    "StartCall",
    "as_step",
    "attempt",
    "claim",
    "create",
    "delete_forever",
    "ensure_volumes",
    "halt",
    "launch",
    "leave",
    "locate",
    "poll",
    "post_start",
    "prepare",
    "resolved",
    "seen",
    "shared_port",
    "step",
    "sweep",
    "within_a_start",
]
