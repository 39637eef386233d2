"""Volumes of deleted users, on nodes that the Hub's Engine is not."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.hub_site import HubSite, MakeHub, until
from tests.support.swarm_hub import node_of, nothing_left
from tests.testbed.engine import ensure_engine, environment
from tests.testbed.hub_image import build, docker
from tests.testbed.images import ensure_base_image
from tests.testbed.swarm import Swarm
from tests.testbed.swarm_node import SwarmNode

pytestmark = pytest.mark.timeout(300)

PINNED = """
c.SwarmSpawner.extra_placement_spec = lambda spawner: {
    "constraints": [f"node.hostname=={'worker' if spawner.user.name == 'alice' else 'manager'}"]
}
"""
VOLUMES = {"{prefix}-{username}": "/data"}


@pytest.fixture
def image_with_docker(swarm: Swarm, tmp_path: Path) -> Iterator[str]:
    """An image with the docker command, at both nodes."""
    name = f"t{uuid.uuid4().hex[:8]}"
    program = shutil.which("docker", path=environment()["PATH"])
    assert program is not None
    shutil.copy(program, tmp_path / "docker")
    build(tmp_path, f"FROM {ensure_base_image()}\nCOPY docker /usr/local/bin/docker\n", name)
    try:
        for node in swarm.nodes:
            node.load(name, ensure_engine())
        yield name
    finally:
        for node in swarm.nodes:
            with node.client() as http:
                http.delete(f"/images/{name}", params={"force": 1})
        docker(["image", "rm", name])


def volumes_at(hub: HubSite, node: SwarmNode) -> list[str]:
    """The Hub's volumes at a node, without what all of their names begin with."""
    with node.client() as http:
        found = http.get("/volumes").raise_for_status().json()["Volumes"] or []
    names = [str(each["Name"]) for each in found]
    return [name.removeprefix(f"{hub.prefix}-") for name in names if name.startswith(hub.prefix)]


async def two_users_with_volumes(hub: HubSite, swarm: Swarm) -> None:
    """Let alice and bob have been here, each with a volume at another node."""
    await hub.create_users("alice", "bob")
    for user in ("alice", "bob"):
        await hub.api.start_server(user)
    assert [node_of(hub, swarm, user).name for user in ("alice", "bob")] == ["worker", "manager"]
    for user in ("alice", "bob"):
        await hub.api.stop_server(user)
    await nothing_left(hub)
    assert (volumes_at(hub, swarm.worker), volumes_at(hub, swarm.manager)) == (["alice"], ["bob"])


async def test_they_are_removed_at_their_nodes_where_an_image_for_that_is_given(
    make_hub: MakeHub, swarm: Swarm, image_with_docker: str
) -> None:
    hub = make_hub(
        swarm=swarm,
        config=PINNED,
        volumes=VOLUMES,
        delete_volumes_on_user_delete=True,
        volume_removal_image=image_with_docker,
    )
    await two_users_with_volumes(hub, swarm)
    for user in ("alice", "bob"):
        await hub.api.delete_user(user)

    async def left() -> list[str]:
        return volumes_at(hub, swarm.worker) + volumes_at(hub, swarm.manager)

    await until(left, is_=[])

    async def removing() -> list[str]:
        services = swarm.http.get("/services").raise_for_status().json()
        return [each["ID"] for each in services if "volume-removal" in each["Spec"]["Name"]]

    await until(removing, is_=[])


async def test_without_one_they_stay_and_the_log_has_the_command(make_hub: MakeHub, swarm: Swarm) -> None:
    hub = make_hub(swarm=swarm, config=PINNED, volumes=VOLUMES, delete_volumes_on_user_delete=True)
    await two_users_with_volumes(hub, swarm)
    for user in ("alice", "bob"):
        await hub.api.delete_user(user)

    async def left() -> list[str]:
        return volumes_at(hub, swarm.manager)

    await until(left, is_=[])
    assert volumes_at(hub, swarm.worker) == ["alice"]
    assert f"on node worker, where `docker volume rm {hub.prefix}-alice` removes it" in hub.process.log_text()
