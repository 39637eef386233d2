"""What becomes of servers when nodes of their swarm are lost, drained and restarted, or their Hub is."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial

import pytest

from tests.support.hub_api import ServerFailed
from tests.support.hub_site import AT_ONCE, SHELL, HubSite, MakeHub, until
from tests.support.swarm_hub import left, node_of, nothing_left, said_in, task_of
from tests.testbed.steps import wait_until
from tests.testbed.swarm import Swarm
from tests.testbed.swarm_node import SwarmNode

pytestmark = pytest.mark.timeout(400)

ON_WORKER = {"constraints": ["node.hostname==worker"]}
SPREAD = {"preferences": [("spread", "node.hostname")]}
LOST_SECONDS = 90.0
"""A swarm gives a node a quarter of a minute to be heard of again."""
SLOW = [*SHELL, "/bin/busybox sleep 6; exec /serve"]
FIVE = [f"user{number}" for number in range(5)]


async def gone(hub: HubSite, user: str, seconds: float = LOST_SECONDS) -> None:
    """Wait until the Hub knows that a server has ended."""

    async def server() -> bool:
        return await hub.api.server(user) is None

    await until(server, is_=True, seconds=seconds)


async def at_manager(hub: HubSite, swarm: Swarm, user: str) -> None:
    """Wait until a user's server runs on the manager, and is reached there."""

    async def reached() -> bool:
        # Who asks at the former address waits for a minute.
        return f"{user} is now reached at {swarm.manager.address}:" in hub.process.log_text()

    await until(reached, is_=True, seconds=2 * LOST_SECONDS)
    assert task_of(hub, user)["NodeID"] == swarm.node_id(swarm.manager)
    # The proxy may hear of it a moment later.
    await until(partial(hub.answers, user), is_=True)


def containers_at(node: SwarmNode) -> list[str]:
    """The ids of the containers that run on a node."""
    with node.client() as http:
        return [str(each["Id"]) for each in http.get("/containers/json").raise_for_status().json()]


async def test_a_server_on_a_lost_node_is_reported_and_those_of_others_stay(
    make_hub: MakeHub, lone_swarm: Swarm
) -> None:
    config = """
def pinned(spawner):
    node = {"alice": "worker"}.get(spawner.user.name, "manager")
    return {"constraints": [f"node.hostname=={node}"]}

c.SwarmSpawner.extra_placement_spec = pinned
c.Spawner.poll_interval = 5
"""
    hub = make_hub(swarm=lone_swarm, config=config)
    await hub.create_users("alice", "bob")
    await asyncio.gather(hub.api.start_server("alice"), hub.api.start_server("bob"))
    with lone_swarm.killed(lone_swarm.worker):
        await gone(hub, "alice")
        assert "node worker, is down" in hub.process.log_text()
        assert await hub.answers("bob")
        await hub.api.stop_server("bob")
    await nothing_left(hub)


async def test_a_server_on_a_lost_node_moves_where_that_is_asked_for_and_its_address_follows(
    make_hub: MakeHub, lone_swarm: Swarm
) -> None:
    hub = make_hub(
        swarm=lone_swarm,
        config="c.Spawner.poll_interval = 5\n",
        on_node_loss="move",
        extra_placement_spec=SPREAD,
    )
    with lone_swarm.drained(lone_swarm.manager):
        await hub.create_users("alice")
        await hub.api.start_server("alice")
    assert node_of(hub, lone_swarm, "alice").name == "worker"
    with lone_swarm.killed(lone_swarm.worker):
        await at_manager(hub, lone_swarm, "alice")
        await hub.api.stop_server("alice")
    await nothing_left(hub)


async def test_a_server_on_a_dead_node_can_be_stopped_and_started_elsewhere(
    make_hub: MakeHub, lone_swarm: Swarm
) -> None:
    hub = make_hub(swarm=lone_swarm)
    with lone_swarm.drained(lone_swarm.manager):
        await hub.create_users("alice")
        await hub.api.start_server("alice")
    with lone_swarm.killed(lone_swarm.worker):
        # Nobody knows yet that the node is dead.
        await hub.api.stop_server("alice")
        assert hub.names() == []
        await hub.api.start_server("alice")
        assert node_of(hub, lone_swarm, "alice").name == "manager"
        assert await hub.answers("alice")
    await hub.api.stop_server("alice")
    await nothing_left(hub)
    assert containers_at(lone_swarm.worker) == [], "what ran on while the node was dead"


async def test_a_server_on_a_node_that_was_cut_off_moves_and_does_not_run_twice_afterwards(
    make_hub: MakeHub, lone_swarm: Swarm
) -> None:
    hub = make_hub(swarm=lone_swarm, config="c.Spawner.poll_interval = 5\n", on_node_loss="move")
    with lone_swarm.drained(lone_swarm.manager):
        await hub.create_users("alice")
        await hub.api.start_server("alice")
    with lone_swarm.cut_off(lone_swarm.worker):
        await at_manager(hub, lone_swarm, "alice")
        assert len(containers_at(lone_swarm.worker)) == 1, "it goes on there, and nobody reaches it"

    async def there() -> list[str]:
        return containers_at(lone_swarm.worker)

    await until(there, is_=[], seconds=LOST_SECONDS)
    assert await hub.answers("alice")
    await hub.api.stop_server("alice")
    await nothing_left(hub)


async def test_a_node_that_was_lost_while_the_hub_was_away_is_found_out_at_its_start(
    make_hub: MakeHub, lone_swarm: Swarm
) -> None:
    hubs = [make_hub(swarm=lone_swarm, cleanup_servers=False, on_node_loss=way) for way in ("report", "move")]
    for hub in hubs:
        await hub.create_users("alice")
    with lone_swarm.drained(lone_swarm.manager):
        await asyncio.gather(*(hub.api.start_server("alice") for hub in hubs))
    for hub in hubs:
        assert hub.process.stop() == 0
    reporting, moving = hubs
    with lone_swarm.killed(lone_swarm.worker):

        async def state() -> str:
            return str(lone_swarm.document(lone_swarm.worker)["Status"]["State"])

        await until(state, is_="down", seconds=LOST_SECONDS)
        for hub in hubs:
            hub.process.start()
        assert await reporting.settled("alice") is None

        async def runs_at_manager() -> bool:
            moved = task_of(moving, "alice").get("NodeID") == lone_swarm.node_id(lone_swarm.manager)
            return moved and await moving.api.server("alice") is not None

        await until(runs_at_manager, is_=True, seconds=LOST_SECONDS)
        assert await moving.settled("alice")
        await until(partial(moving.answers, "alice"), is_=True, seconds=LOST_SECONDS)
        assert node_of(moving, lone_swarm, "alice").name == "manager"
        await moving.api.stop_server("alice")
    for hub in hubs:
        await nothing_left(hub)


async def test_a_server_with_files_of_its_node_does_not_move(make_hub: MakeHub, lone_swarm: Swarm) -> None:
    hub = make_hub(
        swarm=lone_swarm,
        config="c.Spawner.poll_interval = 5\n",
        on_node_loss="move",
        volumes={"{prefix}-{username}": "/data"},
        extra_placement_spec=SPREAD,
    )
    with lone_swarm.drained(lone_swarm.manager):
        await hub.create_users("alice")
        await hub.api.start_server("alice")
    with lone_swarm.drained(lone_swarm.worker):
        await gone(hub, "alice")
        assert "its files are on that node alone" in hub.process.log_text()
        with pytest.raises(ServerFailed, match="your files are on node worker, which is drained"):
            await hub.api.start_server("alice")
    await hub.api.start_server("alice")
    assert node_of(hub, lone_swarm, "alice").name == "worker"
    await hub.api.stop_server("alice")
    await nothing_left(hub)


async def test_a_volume_is_found_again_although_the_other_node_is_emptier(
    make_hub: MakeHub, lone_swarm: Swarm
) -> None:
    hub = make_hub(swarm=lone_swarm, volumes={"{prefix}-{username}": "/data"})
    users = ["alice", *FIVE]
    await hub.create_users(*users)
    await hub.api.start_server("alice")
    home = node_of(hub, lone_swarm, "alice").name
    said_in(hub, lone_swarm, "alice", *SHELL, "echo kept > /data/note")
    await hub.api.stop_server("alice")
    # All others are where alice's files are.
    other = next(node for node in lone_swarm.nodes if node.name != home)
    with lone_swarm.drained(other):
        await asyncio.gather(*map(hub.api.start_server, FIVE))
    await hub.api.start_server("alice")
    assert node_of(hub, lone_swarm, "alice").name == home
    assert said_in(hub, lone_swarm, "alice", "cat", "/data/note") == "kept"
    await asyncio.gather(*map(hub.api.stop_server, users))
    await nothing_left(hub)


async def test_a_drained_node_gives_up_its_servers_and_they_are_reported(
    make_hub: MakeHub, lone_swarm: Swarm
) -> None:
    hub = make_hub(swarm=lone_swarm, config="c.Spawner.poll_interval = 5\n", extra_placement_spec=ON_WORKER)
    await hub.create_users("alice")
    await hub.api.start_server("alice")
    with lone_swarm.drained(lone_swarm.worker):
        await gone(hub, "alice")
        assert "node worker was drained" in hub.process.log_text()
    await nothing_left(hub)
    await hub.api.start_server("alice")
    assert await hub.answers("alice")


async def test_a_restarted_manager_leaves_the_servers_of_workers_alone(
    make_hub: MakeHub, lone_swarm: Swarm
) -> None:
    hub = make_hub(swarm=lone_swarm, config="c.Spawner.poll_interval = 2\n", extra_placement_spec=ON_WORKER)
    await hub.create_users("alice", "bob")
    await hub.api.start_server("alice")
    before = task_of(hub, "alice")["ID"]
    with lone_swarm.shut_down(lone_swarm.manager):
        # The Hub calls it started where it is still cleaning up after ten seconds.
        with suppress(ServerFailed):
            await hub.api.start_server("bob")
        assert "The Docker Engine does not answer" in hub.process.log_text()
        assert await hub.answers("alice")
    await hub.api.poll_server("alice")
    assert await hub.settled("bob") is None
    assert task_of(hub, "alice")["ID"] == before
    await hub.api.start_server("bob")
    for user in ("alice", "bob"):
        assert await hub.answers(user)
        await hub.api.stop_server(user)
    await nothing_left(hub)


async def test_servers_whose_hub_is_killed_while_they_start_are_adopted_or_gone(
    make_hub: MakeHub, swarm: Swarm
) -> None:
    files = {"key": "of one spawn"}
    hub = make_hub(swarm=swarm, config=AT_ONCE, cmd=SLOW, cleanup_servers=False, secrets=files, configs=files)
    await hub.create_users(*FIVE)
    await asyncio.gather(*map(hub.api.request_start, FIVE))
    assert wait_until(lambda: len(left(hub).get("tasks", ())) >= 3, 30)
    hub.process.kill()
    hub.process.start()
    known = [user for user in FIVE if await hub.settled(user)]
    for user in known:
        assert await hub.answers(user)

    async def names() -> list[str]:
        return hub.names()

    await until(names, is_=sorted(known), seconds=LOST_SECONDS)

    async def secrets() -> int:
        return len(left(hub).get("secrets", ()))

    await until(secrets, is_=len(known), seconds=LOST_SECONDS)
    await asyncio.gather(*map(hub.api.stop_server, known))
    await nothing_left(hub)


async def test_running_servers_are_known_to_a_hub_that_comes_back(make_hub: MakeHub, swarm: Swarm) -> None:
    hub = make_hub(swarm=swarm, cleanup_servers=False)
    await hub.create_users("alice", "bob")
    await asyncio.gather(hub.api.start_server("alice"), hub.api.start_server("bob"))
    before = left(hub)
    assert hub.process.stop() == 0
    assert left(hub) == before
    hub.process.start()
    for user in ("alice", "bob"):
        assert await hub.settled(user)
        assert await hub.answers(user)
    assert left(hub) == before
    for user in ("alice", "bob"):
        await hub.api.stop_server(user)
    await nothing_left(hub)
