"""Many users at once: all get their server, and the Engine is asked for many at a time."""

from __future__ import annotations

import asyncio

from tests.fake_engine import FakeEngine
from tests.support.hub_site import HubSite, MakeHub

USERS = [f"user{number:02}" for number in range(20)]
SLOW_CREATE = 2.5
"""Seconds, long beside those in which the Hub takes twenty requests."""


async def start_all(hub: HubSite) -> None:
    await hub.create_users(*USERS)
    await asyncio.gather(*map(hub.api.start_server, USERS))
    assert hub.names() == USERS
    assert all(await asyncio.gather(*map(hub.answers, USERS)))


async def stop_all(hub: HubSite) -> None:
    await asyncio.gather(*map(hub.api.stop_server, USERS))
    await hub.nothing_left()


async def test_twenty_users_at_once_get_their_servers(hub: HubSite) -> None:
    await start_all(hub)
    await stop_all(hub)


async def test_containers_are_created_started_and_stopped_together(
    make_hub: MakeHub, fake: FakeEngine
) -> None:
    hub = make_hub(fake=fake, concurrent_starts=0)
    for path in ("/containers/create", "/containers/[^/]+/start", "/containers/[^/]+/stop"):
        fake.rule("POST", path, delay_before=SLOW_CREATE)
    await start_all(hub)
    creates = fake.requests("POST", "/containers/create")
    assert len(creates) == len(USERS)
    assert max(entry["in_flight_route"] for entry in creates) >= len(USERS) // 2
    begun = [entry["start"] for entry in creates]
    # One after another they would take twenty times the Engine's time.
    assert max(begun) - min(begun) < len(USERS) * SLOW_CREATE / 4
    starts = fake.requests("POST", "/containers/{ref}/start")
    assert len(starts) == len(USERS)
    assert max(entry["in_flight_route"] for entry in starts) >= len(USERS) // 2
    await stop_all(hub)
    stops = fake.requests("POST", "/containers/{ref}/stop")
    assert max(entry["in_flight_route"] for entry in stops) >= len(USERS) // 2


async def test_a_slow_start_keeps_nobody_else_waiting(make_hub: MakeHub, fake: FakeEngine) -> None:
    hub = make_hub(fake=fake)
    # Longer than a start takes on a slow machine that is busy.
    fake.rule("POST", "/containers/create", nth=1, delay_before=15)
    await hub.create_users("slow", "quick")
    slow = asyncio.create_task(hub.api.start_server("slow"))
    while not fake.requests("POST", "/containers/create"):  # noqa: ASYNC110 - the fake is asked
        await asyncio.sleep(0.02)
    await hub.api.start_server("quick")
    assert not slow.done()
    assert await hub.answers("quick")
    await slow
    assert await hub.answers("slow")
