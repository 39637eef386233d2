"""On which node files are is known also where no start of ours has noted it, or their server is gone."""

from __future__ import annotations

from typing import Any

import pytest

from asyncdockerspawner import SwarmSpawner
from tests.fake_engine.swarm.client import FakeSwarm
from tests.support.service_worlds import Sites
from tests.support.waiting import until
from tests.support.world import World

pytestmark = pytest.mark.fake_engine


def volume_nodes(world: World, service_name: str = "") -> dict[str, str]:
    world.db.expire_all()
    state = world.user.orm_user.orm_spawners[service_name].state or {}
    return dict(state.get("volume_nodes") or {})


@pytest.mark.parametrize("in_memory", [True, False])
async def test_a_named_server_that_is_deleted_leaves_word_of_where_the_users_files_are(
    make_services: Sites, fake_swarm: FakeSwarm, in_memory: bool
) -> None:
    world = make_services(volumes={"home-{username}": "/home", "own-{servername}": "/own"})
    if in_memory:
        world.spawner()
    await world.spawn("lab")
    nodes = volume_nodes(world, "lab")
    await world.user.stop("lab")
    # As the Hub does it.
    spawner = world.spawner("lab")
    await spawner.delete_forever()
    world.db.delete(spawner.orm_spawner)
    del world.user.spawners["lab"]
    world.db.commit()
    assert volume_nodes(world)["home-alice"] == nodes["home-alice"]
    other = next(each for each in fake_swarm.state()["nodes"] if each["ID"] != nodes["home-alice"])
    fake_swarm.populate(4, name=lambda number: f"crowd-{number}")
    await world.spawn("other")
    (task,) = fake_swarm.tasks(world.spawner("other").object_name)
    assert task["NodeID"] != other["ID"]
    await world.user.stop("other")
    await world.spawn()
    assert volume_nodes(world)["home-alice"] == nodes["home-alice"]
    await world.user.stop("")


async def test_a_server_that_another_spawner_has_started_stays_where_its_files_are(
    make_services: Sites, fake_swarm: FakeSwarm
) -> None:
    world = make_services(volumes={"home-{username}": "/home"})
    await world.spawn()
    nodes = volume_nodes(world)
    row = world.user.orm_user.orm_spawners[""]
    row.state = {key: value for key, value in row.state.items() if key != "volume_nodes"}
    world = world.restarted()
    spawner = world.new_spawner()
    world.user.spawners[""] = spawner
    assert (await spawner.get_url()).startswith("http://")
    assert spawner.get_state()["volume_nodes"] == nodes
    await world.user.stop("")
    assert volume_nodes(world) == nodes


async def test_a_subclass_that_waits_in_its_own_way_has_its_files_where_they_are(
    make_services: Sites, fake_swarm: FakeSwarm
) -> None:
    class WaitsItself(SwarmSpawner):
        async def start_object(self) -> None:
            task: Any = None
            while task is None or task["Status"]["State"] != "running":
                task = await self.get_task()

    world = make_services(volumes={"home-{username}": "/home"})
    world.settings["spawner_class"] = WaitsItself
    spawner = await world.spawn()
    known = spawner._managed.watch.known
    await until(lambda: (found := known(spawner.object_id)) is not None and found.runs)
    await world.user.stop("")
    assert list(volume_nodes(world)) == ["home-alice"]
