"""Many servers: what polls and a Hub's restart cost the Engine. Their times are in the benchmarks."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from tests.fake_engine import FakeEngine
from tests.support.fleet import a_fleet
from tests.support.site import site_over
from tests.support.world import World, new_world

THOUSAND = 1000
HUNDREDS = 500


@pytest.fixture
def world(fake: FakeEngine, tmp_path: Path) -> World:
    return new_world(site_over(fake, hub_id="fleet"), tmp_path)


async def test_polls_of_a_thousand_servers_ask_nothing(world: World, fake: FakeEngine) -> None:
    spawners = a_fleet(world, fake, THOUSAND)
    await spawners[0].poll()
    fake.clear_requests()
    assert await asyncio.gather(*(spawner.poll() for spawner in spawners)) == [None] * THOUSAND
    assert fake.requests() == []


@pytest.mark.parametrize("labelled", [True, False], ids=["ours", "DockerSpawner's"])
async def test_a_hub_that_starts_with_hundreds_of_servers_asks_twice(
    world: World, fake: FakeEngine, labelled: bool
) -> None:
    spawners = a_fleet(world, fake, HUNDREDS, labelled=labelled)
    assert await asyncio.gather(*(spawner.poll() for spawner in spawners)) == [None] * HUNDREDS
    urls = await asyncio.gather(*(spawner.get_url() for spawner in spawners))
    assert [entry["route"] for entry in fake.requests()] == ["GET /events", "GET /containers/json"]
    assert urls == [spawner.server.url for spawner in spawners]


async def test_those_that_ended_while_the_hub_was_away_are_told_from_the_others(
    world: World, fake: FakeEngine
) -> None:
    spawners = a_fleet(world, fake, 20)
    for spawner in spawners[:5]:
        fake.die(spawner.object_id, 3)
    found = await asyncio.gather(*(spawner.poll() for spawner in spawners))
    assert found == [3] * 5 + [None] * 15


async def test_a_restart_takes_up_servers_that_were_starting_by_name(world: World, fake: FakeEngine) -> None:
    spawners = a_fleet(world, fake, 50, known_by_id=False)
    assert await asyncio.gather(*(spawner.poll() for spawner in spawners)) == [None] * 50
    await asyncio.gather(*(spawner.get_url() for spawner in spawners))
    assert all(spawner.orm_spawner.state["object_id"] for spawner in spawners)
    assert len(fake.requests()) == 2


async def test_stops_that_come_one_after_another_ask_about_none_of_the_others(
    world: World, fake: FakeEngine
) -> None:
    spawners = a_fleet(world, fake, 40)
    await spawners[0].poll()
    fake.clear_requests()

    async def stop(number: int) -> None:
        # As requests come to a Hub, of which each is read in a turn of the loop.
        for _ in range(number):
            await asyncio.sleep(0)
        await spawners[number].stop()

    await asyncio.gather(*map(stop, range(40)))
    assert fake.containers() == []
    asked = Counter(entry["path"] for entry in fake.requests("GET", "/containers/{ref}/json"))
    # Once behind its end, and once more where something was told of it meanwhile.
    assert max(asked.values(), default=0) <= 2
