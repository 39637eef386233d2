"""A real Engine that is killed, frozen or cut off under twenty running servers, seen through a real Hub."""

from __future__ import annotations

import asyncio
import time
from functools import partial

import pytest

from tests.support.hub_site import HubSite, MakeHub, until
from tests.testbed.own_engine import TEST_SECONDS, OwnEngine

pytestmark = pytest.mark.timeout(TEST_SECONDS)

USERS = [f"user{number:02}" for number in range(20)]
FAST_POLLS = "c.Spawner.poll_interval = 1"
"""So that the Hub's own polls have every chance to take a server for dead."""
FROZEN_SECONDS = 20
AWAY_SECONDS = 30


async def twenty_run(make_hub: MakeHub, engine: OwnEngine) -> HubSite:
    hub = make_hub(own=engine, config=FAST_POLLS)
    await hub.create_users(*USERS)
    await asyncio.gather(*map(hub.api.start_server, USERS))
    return hub


async def running(hub: HubSite) -> list[str]:
    """The users whose servers the Hub takes for running."""
    servers = await asyncio.gather(*map(hub.api.server, USERS))
    return [user for user, server in zip(USERS, servers, strict=True) if server and server["ready"]]


async def known(hub: HubSite) -> list[str]:
    """The users whose servers the Hub knows, those it is still giving up among them."""
    servers = await asyncio.gather(*map(hub.api.server, USERS))
    return [user for user, server in zip(USERS, servers, strict=True) if server]


async def stay(hub: HubSite, seconds: float, users: list[str] = USERS) -> None:
    """See that the Hub takes none of these servers for dead all that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert await running(hub) == users
        await asyncio.sleep(1)


async def test_servers_that_outlive_a_killed_engine_go_on(make_hub: MakeHub, live_engine: OwnEngine) -> None:
    hub = await twenty_run(make_hub, live_engine)
    before = {one["Id"] for one in hub.containers()}
    live_engine.kill()
    await stay(hub, 4)
    live_engine.start()
    await stay(hub, 6)
    assert {one["Id"] for one in hub.containers() if one["State"] == "running"} == before
    assert all(await asyncio.gather(*map(hub.answers, USERS)))
    await asyncio.gather(*map(hub.api.stop_server, USERS))
    await hub.nothing_left()


async def test_servers_that_a_restarted_engine_has_stopped_are_over(
    make_hub: MakeHub, stopping_engine: OwnEngine
) -> None:
    hub = await twenty_run(make_hub, stopping_engine)
    stopping_engine.kill()
    await stay(hub, 3)
    stopping_engine.start()
    await until(partial(known, hub), is_=[])
    await hub.nothing_left()
    await hub.api.start_server(USERS[0])
    assert await hub.answers(USERS[0])


async def test_a_frozen_engine_stops_nobody(make_hub: MakeHub, live_engine: OwnEngine) -> None:
    hub = await twenty_run(make_hub, live_engine)
    live_engine.pause()
    try:
        await hub.create_users("late")
        late = asyncio.create_task(hub.api.start_server("late"))
        await stay(hub, FROZEN_SECONDS)
    finally:
        live_engine.resume()
    # Who asked meanwhile has waited.
    await late
    await stay(hub, 3)
    await asyncio.gather(*map(hub.api.stop_server, [*USERS, "late"]))
    await hub.nothing_left()


async def test_a_stop_that_is_asked_for_while_the_engine_is_away_is_done_when_it_is_back(
    make_hub: MakeHub, live_engine: OwnEngine
) -> None:
    hub = await twenty_run(make_hub, live_engine)
    live_engine.kill()
    await hub.api.stop_server(USERS[-1])
    await stay(hub, AWAY_SECONDS, USERS[:-1])
    live_engine.start()
    await until(partial(names, hub), is_=USERS[:-1])
    await stay(hub, 3, USERS[:-1])
    await asyncio.gather(*map(hub.api.stop_server, USERS[:-1]))
    await hub.nothing_left()


async def names(hub: HubSite) -> list[str]:
    return hub.names()
