"""A Hub on a swarm: what there is of it, and where."""

from __future__ import annotations

from tests.support.hub_api import Json
from tests.support.hub_site import GONE_WITHIN, HubSite, until
from tests.support.inside import said
from tests.support.workloads import Services
from tests.testbed.swarm import Swarm
from tests.testbed.swarm_node import SwarmNode


def left(hub: HubSite) -> dict[str, list[str]]:
    """What there is of the Hub's in the swarm: kind → ids."""
    swarm = Services(hub.engine)
    kinds = ("services", "tasks", "secrets", "configs")
    found = {kind: [str(each["ID"]) for each in swarm.labelled(kind, hub.hub_id)] for kind in kinds}
    return {kind: ids for kind, ids in found.items() if ids}


async def nothing_left(hub: HubSite) -> None:
    """Wait until nothing of the Hub's is left in the swarm."""

    async def found() -> dict[str, list[str]]:
        return left(hub)

    await until(found, is_={}, seconds=GONE_WITHIN)


def task_of(hub: HubSite, name: str) -> Json:
    """The newest task of a server's service."""
    service = hub.objects.inspect(f"{hub.prefix}-{name}")["ID"]
    tasks = [
        each for each in Services(hub.engine).labelled("tasks", hub.hub_id) if each["ServiceID"] == service
    ]
    return max(tasks, key=lambda task: str(task["CreatedAt"]))


def node_of(hub: HubSite, swarm: Swarm, name: str) -> SwarmNode:
    """The node that a server's task is on."""
    (found,) = [each for each in swarm.nodes if swarm.node_id(each) == task_of(hub, name)["NodeID"]]
    return found


def said_in(hub: HubSite, swarm: Swarm, name: str, *words: str) -> str:
    """What a command writes inside a server's container."""
    container = task_of(hub, name)["Status"]["ContainerStatus"]["ContainerID"]
    with node_of(hub, swarm, name).client() as http:
        return said(http, container, *words)
