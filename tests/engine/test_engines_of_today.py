"""One life over the fake Engine as each Engine that sites run answers; 29 is in no archive of Debian yet."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from tests.fake_engine import FakeEngine
from tests.fake_engine.dialects import ENGINES
from tests.support.site import Site
from tests.support.world import MakeWorld, new_world

pytestmark = pytest.mark.parametrize("like", ENGINES)


@pytest.fixture
def make_world(fake: FakeEngine, fake_site: Site, tmp_path: Path, like: str) -> MakeWorld:
    """Give `new_world` over a fake Engine like this one."""
    fake.reset(like=like)
    return partial(new_world, fake_site, tmp_path)


async def test_a_server_starts_stops_goes_on_and_dies(make_world: MakeWorld, fake: FakeEngine) -> None:
    world = make_world(remove=False)
    spawner = await world.spawn()
    made = spawner.object_id
    assert await spawner.poll() is None
    await world.user.stop("")
    assert await spawner.poll() == 0
    spawner = await world.spawn()
    assert spawner.object_id == made
    told = asyncio.Event()
    spawner.add_poll_callback(told.set)
    fake.die(made, exit_code=3)
    await asyncio.wait_for(told.wait(), 30)
    assert await spawner.poll() == 3


async def test_a_server_is_reached_at_its_own_address(make_world: MakeWorld, fake: FakeEngine) -> None:
    world = make_world(use_internal_ip=True)
    spawner = await world.spawn()
    (endpoint,) = fake.containers()[0]["NetworkSettings"]["Networks"].values()
    assert spawner.server.ip == endpoint["IPAddress"]
    await world.user.stop("")
    assert fake.containers() == []


async def test_a_server_that_dies_fails_its_spawn_with_what_it_said(
    make_world: MakeWorld, fake: FakeEngine
) -> None:
    with pytest.raises(Exception, match="exited with code 3") as caught:
        await make_world("dies").spawn()
    assert "boom" in caught.value.jupyterhub_message  # type: ignore[attr-defined]
    assert fake.containers() == []


async def test_an_api_that_the_engine_does_not_speak_is_named(make_world: MakeWorld, like: str) -> None:
    asked = {"20.10": "1.99", "28.5": "1.99", "29": "1.41"}[like]
    address = make_world().settings["config"].DockerSpawner.client_kwargs["base_url"]
    world = make_world(client_kwargs={"base_url": address, "version": asked})
    with pytest.raises(Exception, match=f"client version {asked} is too (new|old)"):
        await world.spawn()
