"""Servers outlive their Hub, and a Hub that comes back knows them."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from tests.fake_engine import FakeEngine
from tests.support.hub_site import AT_ONCE, LONG, SHELL, HubSite, MakeHub, killed_while_it_asks, until

LOOPBACK = """
c.JupyterHub.hub_bind_url = "http://127.0.0.1:" + given["hub_bind_url"].rpartition(":")[2]
c.JupyterHub.hub_connect_ip = ""
"""
SLOW = [*SHELL, "/bin/busybox sleep 6; exec /serve"]
"""A server that takes so long to answer that all five are still starting when the Hub is killed."""
FIVE = [f"user{number}" for number in range(5)]


@pytest.mark.hub_5
async def test_running_servers_are_found_after_the_hubs_restart(
    make_hub: MakeHub, singleuser_image: str
) -> None:
    hub = make_hub(image=singleuser_image, cleanup_servers=False)
    await hub.create_users("alice", "bob")
    await asyncio.gather(hub.api.start_server("alice", "lab"), hub.api.start_server("bob"))
    before = {one["Id"] for one in hub.containers()}
    assert hub.process.stop() == 0
    assert hub.names() == ["alice--lab", "bob"]
    hub.process.start()
    for user, name in (("alice", "lab"), ("bob", "")):
        server = await hub.settled(user, name)
        assert server is not None
        assert server["ready"]
        assert "started" in await hub.status(user, name)
    assert {one["Id"] for one in hub.containers()} == before
    await hub.api.stop_server("alice", "lab")
    await hub.api.stop_server("bob")
    await hub.nothing_left()


async def test_a_server_that_ended_while_the_hub_was_away_is_gone_and_starts_anew(make_hub: MakeHub) -> None:
    hub = make_hub(cleanup_servers=False)
    await hub.create_users("alice", "bob")
    await asyncio.gather(hub.api.start_server("alice"), hub.api.start_server("bob"))
    hub.process.stop()
    ids = {one["Names"][0].rpartition("-")[2]: one["Id"] for one in hub.containers()}
    hub.engine.post(f"/containers/{ids['alice']}/kill").raise_for_status()
    hub.engine.delete(f"/containers/{ids['bob']}", params={"force": 1}).raise_for_status()
    hub.process.start()
    for user in ("alice", "bob"):
        assert await hub.settled(user) is None
    await hub.nothing_left()
    await hub.api.start_server("alice")
    assert await hub.answers("alice")


@pytest.mark.parametrize(
    ("created", "running"), [(0, 0), (1, 0), (3, 0), (5, 0), (5, 1), (5, 3), (5, 5)], ids=str
)
async def test_servers_that_were_starting_when_the_hub_was_killed_are_adopted_or_gone(
    make_hub: MakeHub, created: int, running: int
) -> None:
    hub = make_hub(config=AT_ONCE, cleanup_servers=False, concurrent_starts=0, cmd=SLOW)
    await killed_while_five_start(hub, created, running)
    alive = [user for user in FIVE if await hub.settled(user)]
    assert len(alive) >= running
    assert set(alive) <= set(hub.names())
    await asyncio.gather(*(until(partial(hub.answers, user), is_=True) for user in alive))
    await asyncio.gather(*map(hub.api.stop_server, alive))
    await hub.nothing_left()
    # Whoever was not lucky starts again.
    await asyncio.gather(*map(hub.api.start_server, FIVE))
    assert hub.names() == FIVE


@pytest.mark.hub_5
async def test_real_servers_that_were_starting_when_the_hub_was_killed_keep_their_tokens(
    make_hub: MakeHub, singleuser_image: str
) -> None:
    # The Hub gives up servers that do not answer within `http_timeout` after its start.
    patience = f"{AT_ONCE}\nc.Spawner.http_timeout = 180"
    hub = make_hub(config=patience, cleanup_servers=False, concurrent_starts=0, image=singleuser_image)
    await killed_while_five_start(hub, 5, 5)
    for user in FIVE:
        assert await hub.settled(user), user
        await until(partial(hub.answers, user), is_=True)
        assert "started" in await hub.status(user)
    await asyncio.gather(*map(hub.api.stop_server, FIVE))
    await hub.nothing_left()


async def test_containers_that_were_created_and_never_started_are_gone_after_a_kill(
    make_hub: MakeHub, fake: FakeEngine
) -> None:
    hub = make_hub(fake=fake, config=AT_ONCE, cleanup_servers=False, concurrent_starts=0)
    fake.rule("POST", "/start$", times=len(FIVE), hang=True)
    await killed_while_five_start(hub, 5, 0)
    for user in FIVE:
        assert await hub.settled(user) is None
    await hub.nothing_left()
    # The Hub may have been killed before all five were asked to start.
    fake.clear_rules()
    await asyncio.gather(*map(hub.api.start_server, FIVE))
    assert all(await asyncio.gather(*map(hub.answers, FIVE)))


async def test_a_start_that_the_engine_ends_after_the_hub_was_killed_is_adopted(
    make_hub: MakeHub, fake: FakeEngine
) -> None:
    hub = make_hub(fake=fake, config=AT_ONCE, cleanup_servers=False)
    fake.rule("POST", "/start$", times=1, delay_during=LONG)
    await killed_while_it_asks(hub, fake, "/containers/{ref}/start")
    assert await hub.settled("alice")
    assert await hub.answers("alice")
    await hub.api.stop_server("alice")
    await hub.nothing_left()


async def test_a_container_that_the_engine_makes_after_the_hub_was_killed_is_removed(
    make_hub: MakeHub, fake: FakeEngine
) -> None:
    hub = make_hub(fake=fake, config=AT_ONCE, cleanup_servers=False)
    fake.rule("POST", "/containers/create", times=1, delay_before=LONG)
    await killed_while_it_asks(hub, fake, "/containers/create")
    assert await hub.settled("alice") is None
    assert hub.names() == []
    await until(partial(made, fake), is_=True, every=0.01)
    await hub.nothing_left()
    await hub.api.start_server("alice")
    assert await hub.answers("alice")


async def made(fake: FakeEngine) -> bool:
    return len(fake.containers()) > 0


async def killed_while_five_start(hub: HubSite, created: int, running: int) -> None:
    """Ask for five servers, kill the Hub as soon as there are so many, and start it again."""
    await hub.create_users(*FIVE)
    asked = [asyncio.create_task(hub.api.request_start(user)) for user in FIVE]
    await until(partial(reached, hub, created, running), is_=True, seconds=20, every=0.01)
    for user in FIVE if running else ():
        server = await hub.api.server(user)
        assert server is not None
        assert server["pending"] == "spawn"
    hub.process.kill()
    await asyncio.gather(*asked, return_exceptions=True)
    hub.process.start()


async def reached(hub: HubSite, created: int, running: int) -> bool:
    states = [one["State"] for one in hub.containers()]
    return len(states) >= created and states.count("running") >= running


async def test_a_resumed_server_survives_the_hubs_restart(make_hub: MakeHub, singleuser_image: str) -> None:
    hub = make_hub(image=singleuser_image, cleanup_servers=False, remove=False)
    await hub.create_users("alice")
    await hub.api.start_server("alice")
    made = [one["Id"] for one in hub.containers()]
    await hub.api.stop_server("alice")
    assert [one["Id"] for one in hub.containers()] == made
    await hub.api.start_server("alice")
    assert "started" in await hub.status("alice")
    hub.process.stop()
    hub.process.start()
    server = await hub.settled("alice")
    assert server is not None
    assert "started" in await hub.status("alice")
    await hub.api.stop_server("alice")
    kept = hub.containers()
    assert [(one["Id"], one["State"]) for one in kept] == [(made[0], "exited")]


async def test_a_hub_out_of_the_containers_reach_says_what_to_set(make_hub: MakeHub) -> None:
    hub = make_hub(config=LOOPBACK)
    assert "hub_connect_ip" not in hub.process.log_text()
    await hub.create_users("alice", "bob")
    await hub.api.start_server("alice")
    await hub.api.start_server("bob")
    said = [line for line in hub.process.log_text().splitlines() if "hub_connect_ip" in line]
    assert len(said) == 1
    assert "cannot reach the Hub at 127.0.0.1" in said[0]
    assert "c.JupyterHub.hub_ip" in said[0]
    assert f"c.JupyterHub.hub_connect_ip = '{hub.process.host_address}'" in said[0]


async def test_a_hub_in_reach_says_nothing_of_it(hub: HubSite) -> None:
    await hub.create_users("alice")
    await hub.api.start_server("alice")
    assert "hub_connect_ip" not in hub.process.log_text()
