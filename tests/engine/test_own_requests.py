"""What our own requests have done is known when they are answered, whatever events tell and when."""

from __future__ import annotations

import asyncio

import pytest

from asyncdockerspawner import DockerSpawner, errors
from tests.fake_engine import FakeEngine
from tests.support.engines import all_heard
from tests.support.site import Site, site_over
from tests.support.world import MakeWorld

TRIES, TRIES_OF_A_REAL_ONE = 25, 5
"""A real Engine takes half a second for each."""


async def test_a_kept_server_that_was_stopped_does_not_run_and_one_that_was_started_does(
    make_world: MakeWorld, site: Site
) -> None:
    world = make_world(remove=False)
    tries = TRIES if site.fake is not None else TRIES_OF_A_REAL_ONE
    polled: list[int | None] = []
    for _ in range(tries):
        spawner = await world.spawn()
        polled.append(await spawner.poll())
        await spawner.stop()
        polled.append(await spawner.poll())
    assert polled[::2] == [None] * tries
    assert None not in polled[1::2]
    await world.user.stop("")


async def test_what_a_hook_does_by_itself_is_known_too(make_world: MakeWorld) -> None:
    world = make_world(remove=False)
    spawner = await world.spawn()
    other = f"{spawner.object_name}-other"
    await spawner.docker("stop", spawner.object_id, 0)
    assert await spawner.poll() is not None
    await spawner.docker("start", spawner.object_id)
    assert await spawner.poll() is None
    await spawner.docker("kill", spawner.object_id)
    assert await spawner.poll() is not None
    await spawner.docker("restart", spawner.object_id, 0)
    assert await spawner.poll() is None
    await spawner.docker("rename", spawner.object_id, other)
    assert await spawner._managed.watch.find("", other) is not None
    await spawner.docker("remove_container", spawner.object_id, force=True)
    assert spawner._managed.watch.known(spawner.object_id) is None
    assert await spawner.poll() == 0
    await world.user.stop("")


async def test_a_signal_that_need_not_end_a_server_does_not_end_it(make_world: MakeWorld) -> None:
    spawner = await make_world().spawn()
    await spawner.docker("kill", spawner.object_id, "WINCH")
    assert await spawner.poll() is None
    await spawner.user.stop("")


def callback(spawner: DockerSpawner) -> asyncio.Event:
    told = asyncio.Event()
    spawner.add_poll_callback(told.set)
    return told


async def test_late_events_of_a_former_life_change_nothing(fake: FakeEngine, make: MakeWorld) -> None:
    world = make(remove=False)
    await world.spawn()
    with fake.holding_events():
        await world.user.stop("")
        spawner = await world.spawn()
        told = callback(spawner)
        assert await spawner.poll() is None
        fake.clear_requests()
    await all_heard(site_over(fake), spawner._managed.watch)
    assert await spawner.poll() is None
    assert not told.is_set()
    # Its new start may have moved it; of its former end there is nothing to ask.
    assert len(fake.requests("GET", "/containers/{ref}/json")) <= 1
    await world.user.stop("")


async def test_a_late_start_revives_nothing(fake: FakeEngine, make: MakeWorld) -> None:
    world = make(remove=False)
    await world.spawn()
    await world.user.stop("")
    with fake.holding_events():
        spawner = await world.spawn()
        await spawner.stop()
        assert await spawner.poll() is not None
        # The Engine cannot even be asked.
        fake.rule("GET", "/containers/[^/]+/json$", status=500, message="not now")
    await all_heard(site_over(fake), spawner._managed.watch)
    assert await spawner.poll() is not None
    fake.clear_rules()
    await world.user.stop("")


async def test_late_events_of_what_was_removed_bring_nothing_back(fake: FakeEngine, make: MakeWorld) -> None:
    world = make()
    with fake.holding_events():
        spawner = await world.spawn()
        watch = spawner._managed.watch
        await world.user.stop("")
        assert watch.all() == []
        fake.drop_events("destroy")
    await all_heard(site_over(fake), spawner._managed.watch)
    assert watch.all() == []


async def test_a_stop_whose_answer_is_lost_is_asked_about(fake: FakeEngine, make: MakeWorld) -> None:
    world = make(remove=False)
    spawner = await world.spawn()
    fake.drop_events()
    fake.rule("POST", "/stop$", reset_after=True)
    with pytest.raises(errors.EngineLost):
        await spawner.docker("stop", spawner.object_id, 0)
    await all_heard(site_over(fake), spawner._managed.watch)
    assert await spawner.poll() is not None
    fake.clear_rules()
    fake.deliver_events()
    await world.user.stop("")


async def test_who_follows_is_told_of_a_stop_of_our_own_that_no_event_tells(
    fake: FakeEngine, make: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make(remove=False)
    spawner = await world.spawn()
    told = callback(spawner)
    fake.drop_events()
    await spawner.docker("stop", spawner.object_id, 0)
    # The next list finds nothing new, and still there is somebody to be told.
    fake.cut_events()
    await asyncio.wait_for(told.wait(), 20)
    fake.deliver_events()
    await world.user.stop("")
