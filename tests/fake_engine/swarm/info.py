"""What an Engine tells of its place in a swarm."""

from __future__ import annotations

from tests.fake_engine.shapes import Json
from tests.fake_engine.swarm.state import Swarm

_LOCAL = {"manager": "active", "worker": "active", "leaderless": "active"}
"""`LocalNodeState` of each mode, where it is another word."""


def header(swarm: Swarm) -> str:
    """The header of `_ping`, since Engine 23."""
    state = _LOCAL.get(swarm.mode, swarm.mode)
    role = "worker" if swarm.mode == "worker" else "manager"
    return f"{state}/{role}" if state == "active" else state


def section(swarm: Swarm) -> Json:
    """`Swarm` of `GET /info`, as far as it differs from that of an Engine that is in none."""
    if swarm.mode == "inactive":
        return {}
    manages = swarm.mode in {"manager", "leaderless"}
    own = next(iter(swarm.nodes.values()), None)
    told: Json = {"LocalNodeState": _LOCAL.get(swarm.mode, swarm.mode), "ControlAvailable": manages}
    if own is not None:
        told |= {"NodeID": own.id, "NodeAddr": own.address, "Nodes": len(swarm.nodes), "Managers": 1}
    return told
