"""The life of a server, from its preparation to its end. It sees the spawner only as a `Host`."""

from asyncdockerspawner.lifecycle.cleanup import sweep
from asyncdockerspawner.lifecycle.host import RUNNING, STARTING, Host, Spawn, resolved
from asyncdockerspawner.lifecycle.walks import create, halt, launch, locate, poll, prepare

__all__ = [
    "RUNNING",
    "STARTING",
    "Host",
    "Spawn",
    "create",
    "halt",
    "launch",
    "locate",
    "poll",
    "prepare",
    "resolved",
    "sweep",
]
