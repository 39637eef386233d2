"""Worlds whose servers are services of the fake Engine's swarm."""

from __future__ import annotations

from typing import Any

from asyncdockerspawner import SwarmSpawner
from tests.fake_engine.swarm.client import FakeSwarm
from tests.support.world import MakeWorld, World


class Sites:
    """Makes worlds whose servers are services."""

    def __init__(self, make: MakeWorld) -> None:
        self._make = make

    def __call__(self, **options: Any) -> World:
        values: dict[str, Any] = {"pull_policy": "skip", "use_internal_ip": False, "resolve_image": False}
        world = self._make(**values, **options)
        world.settings["spawner_class"] = SwarmSpawner
        return world


async def doomed(make_services: Sites, swarm: FakeSwarm, **options: Any) -> tuple[World, str]:
    """Return a world with a user whose volume is on the worker, and that volume's name."""
    swarm.change_node("manager", availability="drain")
    world = make_services(
        volumes={"{prefix}-{username}": "/home"}, delete_volumes_on_user_delete=True, **options
    )
    await world.spawn()
    await world.user.stop("")
    swarm.change_node("manager", availability="active")
    (volume,) = swarm.state()["volumes"]["worker"]
    return world, volume


def host_of(swarm: FakeSwarm, spawner: Any) -> str:
    """Return the host name of the node that runs the spawner's newest task."""
    newest = max(swarm.tasks(spawner.object_name), key=lambda each: str(each["CreatedAt"]))
    nodes = swarm.state()["nodes"]
    return str(next(each["Description"]["Hostname"] for each in nodes if each["ID"] == newest["NodeID"]))
