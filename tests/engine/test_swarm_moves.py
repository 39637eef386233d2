"""A server of a swarm that cannot go on elsewhere is told as ended; one that can is moved once."""

from __future__ import annotations

import asyncio

import pytest
from tornado import web

from asyncdockerspawner.lifecycle import placement
from asyncdockerspawner.workloads.service import source
from tests.fake_engine import FakeEngine
from tests.fake_engine.swarm.client import FakeSwarm
from tests.support.service_worlds import Sites, host_of
from tests.support.waiting import until

pytestmark = pytest.mark.fake_engine


async def test_a_server_whose_move_is_refused_is_reported(
    make_services: Sites, fake_swarm: FakeSwarm, fake: FakeEngine
) -> None:
    world = make_services(on_node_loss="move")
    spawner = await world.spawn()
    told = asyncio.Event()
    spawner.add_poll_callback(told.set)
    fake.rule("POST", "/update$", status=400, message="invalid")
    fake_swarm.change_node(host_of(fake_swarm, spawner), state="down")
    await asyncio.wait_for(told.wait(), 10)
    assert await spawner.poll() == 125
    await world.user.stop("")
    assert fake_swarm.state()["services"] == []


async def test_a_moved_server_for_which_there_is_no_node_is_given_up_after_a_while(
    make_services: Sites, fake_swarm: FakeSwarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_services(on_node_loss="move", placement_timeout=0.5)
    spawner = await world.spawn()
    host = host_of(fake_swarm, spawner)
    fake_swarm.change_node("worker" if host == "manager" else "manager", availability="drain")
    fake_swarm.change_node(host, state="down")
    await until(lambda: len(fake_swarm.tasks(spawner.object_name)) == 2)
    status = None
    async with asyncio.timeout(10):
        while (status := await spawner.poll()) is None:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.05)
    assert status == 125
    told = spawner._user_server.record.last_end
    assert "has found no place" in told
    assert "nodes not available" in told
    await world.user.stop("")
    assert fake_swarm.state()["services"] == []


async def test_a_server_is_moved_once_though_the_answer_was_lost(
    make_services: Sites, fake_swarm: FakeSwarm, fake: FakeEngine
) -> None:
    world = make_services(on_node_loss="move")
    spawner = await world.spawn()
    before = spawner.server.url
    fake.rule("POST", "/update$", reset_after=True, times=1)
    fake_swarm.change_node(host_of(fake_swarm, spawner), state="down")
    await until(lambda: spawner.server.url != before)
    await spawner.engine.janitor.settled(spawner.object_name)
    assert len(fake.requests("POST", "/services/{ref}/update")) == 1
    await world.user.stop("")


async def test_a_start_outlasts_faults_of_a_manager_and_one_that_starts_again(
    make_services: Sites, fake_swarm: FakeSwarm, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placement, "LOOK_SECONDS", 0.01)
    world = make_services()
    told = "This node is not a swarm manager. Manager is being prepared or has trouble connecting."
    with fake_swarm.holding("preparing"):
        spawning = asyncio.create_task(world.spawn())
        await until(lambda: fake_swarm.tasks() and fake.requests("GET", "/tasks"))
        fake.rule("GET", "^/services/", status=503, message=told, times=3)
        fake.rule("GET", "^/services/", status=500, message="context deadline exceeded", times=3)
        await until(lambda: len(fake.requests("GET", "/services/{ref}")) > 6)
    spawner = await spawning
    assert await spawner.poll() is None
    await world.user.stop("")


async def test_a_start_ends_where_a_filter_lets_nobody_ask(
    make_services: Sites, fake_swarm: FakeSwarm, fake: FakeEngine
) -> None:
    fake.rule("GET", "^/tasks", status=403, message="Forbidden by administrative rules")
    spawning = asyncio.create_task(make_services().spawn())
    await until(lambda: fake.requests("POST", "/services/create"))
    with pytest.raises(web.HTTPError):
        await spawning
    fake.clear_rules()


async def test_a_swarm_that_is_given_no_time_still_has_a_moment(
    make_services: Sites, fake_swarm: FakeSwarm, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placement, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(placement, "LEAST_SECONDS", 30)
    world = make_services(placement_timeout=0)
    with fake_swarm.holding("new"):
        spawning = asyncio.create_task(world.spawn())
        await until(lambda: len(fake.requests("GET", "/tasks")) > 2)
    spawner = await spawning
    assert await spawner.poll() is None
    await world.user.stop("")


async def test_a_server_has_ended_also_where_the_swarm_keeps_no_task_that_has(
    make_services: Sites, fake_swarm: FakeSwarm
) -> None:
    world = make_services()
    spawner = await world.spawn()
    told = asyncio.Event()
    spawner.add_poll_callback(told.set)
    fake_swarm.die(spawner.object_name, 0)
    fake_swarm.forget_tasks(spawner.object_name)
    await asyncio.wait_for(told.wait(), 10)
    assert await spawner.poll() == 0
    await world.user.stop("")
    assert fake_swarm.state()["services"] == []


async def test_a_server_that_its_sites_restart_policy_starts_again_goes_on_where_it_is_then(
    make_services: Sites, fake_swarm: FakeSwarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No event tells of a task.
    monkeypatch.setattr(source, "SHORTEST", 0.05)
    policy = {"Condition": "on-failure", "Delay": 0, "MaxAttempts": 2}
    world = make_services(extra_task_spec={"restart_policy": policy})
    spawner = await world.spawn()
    (service,) = fake_swarm.state()["services"]
    assert service["Spec"]["TaskTemplate"]["RestartPolicy"] == policy
    before, told = spawner.server.url, asyncio.Event()
    spawner.add_poll_callback(told.set)
    fake_swarm.die(spawner.object_name, 1)
    await until(lambda: spawner.server.url != before)
    assert await spawner.poll() is None
    assert not told.is_set()
    await world.user.stop("")
    assert fake_swarm.state()["services"] == []
