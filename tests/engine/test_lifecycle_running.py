"""What happens to running servers by themselves, and what the Hub hears of it; over both Engines."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asyncdockerspawner import DockerSpawner
from asyncdockerspawner.engine import watch as room
from tests.fake_engine import FakeEngine
from tests.support.engines import all_heard, settle
from tests.support.site import SHELL, Site
from tests.support.waiting import until
from tests.support.workloads import EACH_KIND
from tests.support.world import MakeWorld

LIVES_ON = {"cmd": [*SHELL, "/serve & while :; do /bin/busybox sleep 0.1; done"]}


async def heard(spawner: DockerSpawner, seconds: float = 10.0) -> asyncio.Event:
    """An event that is set when the Hub is told that the server has ended."""
    told = asyncio.Event()
    spawner.add_poll_callback(told.set)
    return told


def post(site: Site, ref: str, verb: str, **params: int | str) -> None:
    site.http.post(f"/containers/{ref}/{verb}", params=params).raise_for_status()


def kill(site: Site, ref: str) -> None:
    post(site, ref, "kill")


async def test_a_death_is_told_to_the_hub_with_its_reason(
    make_world: MakeWorld, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    spawner = await make_world().spawn()
    told = await heard(spawner)
    kill(site, spawner.object_id)
    await asyncio.wait_for(told.wait(), 10)
    assert await spawner.poll() == 137
    assert "killed by signal 9" in caplog.text
    await spawner.user.stop("")
    assert site.containers() == []
    # Kept for the user, who sees it at the next start.
    assert "killed by signal 9" in spawner.orm_spawner.state["last_end"]


async def test_the_next_start_shows_why_the_last_server_ended(make_world: MakeWorld, site: Site) -> None:
    world = make_world()
    spawner = await world.spawn()
    told = await heard(spawner)
    kill(site, spawner.object_id)
    await asyncio.wait_for(told.wait(), 10)
    await world.user.stop("")
    again = await world.restarted().spawn()
    lines = [event["message"] async for event in again.progress()]
    assert "killed by signal 9" in lines[0]
    assert "last_end" not in again.get_state()
    await again.user.stop("")


@EACH_KIND
async def test_a_removal_from_outside_is_told_too(make_world: MakeWorld, site: Site) -> None:
    spawner = await make_world().spawn()
    told = await heard(spawner)
    site.remove(spawner.object_id)
    await asyncio.wait_for(told.wait(), 10)
    assert await spawner.poll() == 0
    await spawner.user.stop("")


@EACH_KIND
async def test_a_stop_that_the_hub_asked_for_is_not_told_as_a_death(
    make_world: MakeWorld, site: Site
) -> None:
    spawner = await make_world().spawn()
    told = await heard(spawner)
    await spawner.user.stop("")
    await all_heard(site, spawner._managed.watch)
    assert not told.is_set()
    assert spawner._managed.record.last_end == ""


async def test_a_rename_from_outside_is_no_end(make_world: MakeWorld, site: Site) -> None:
    spawner = await make_world().spawn()
    other = f"{spawner.object_name}-other"
    post(site, spawner.object_id, "rename", name=other)
    await all_heard(site, spawner._managed.watch)
    assert await spawner.poll() is None
    await spawner.user.stop("")
    assert site.containers() == []


async def test_a_stop_from_outside_is_told_and_a_restart_is_not(make_world: MakeWorld, site: Site) -> None:
    spawner = await make_world().spawn()
    told = await heard(spawner)
    post(site, spawner.object_id, "stop", t=1)
    await all_heard(site, spawner._managed.watch)
    assert await spawner.poll() is None
    post(site, spawner.object_id, "start")
    # The watch waits as long, and began before.
    await asyncio.sleep(room.RESTART_SECONDS)
    await all_heard(site, spawner._managed.watch)
    assert not told.is_set()
    post(site, spawner.object_id, "stop", t=1)
    await asyncio.wait_for(told.wait(), 10)
    assert await spawner.poll() is not None
    await spawner.user.stop("")


class Proxy:
    """Remembers which routes it was given."""

    def __init__(self) -> None:
        self.routes: list[tuple[str, int]] = []

    async def add_user(self, user: Any, name: str) -> None:
        self.routes.append((name, user.spawners[name].server.port))


async def test_a_server_that_the_hub_is_giving_up_gets_no_route_any_more(
    make_world: MakeWorld, site: Site
) -> None:
    world = make_world(remove=False)
    proxy = world.settings["proxy"] = Proxy()
    spawner = await world.spawn()
    ended = asyncio.Event()

    async def give_up() -> None:
        post(site, spawner.object_id, "start")
        await all_heard(site, spawner._managed.watch)
        await world.user.stop("")
        ended.set()

    spawner.add_poll_callback(give_up)
    kill(site, spawner.object_id)
    await asyncio.wait_for(ended.wait(), 10)
    await all_heard(site, spawner._managed.watch)
    await settle(spawner.engine)
    assert proxy.routes == []


async def test_a_restart_with_another_port_moves_server_and_route(make_world: MakeWorld, site: Site) -> None:
    world = make_world()
    proxy = world.settings["proxy"] = Proxy()
    spawner = await world.spawn("lab")
    before = spawner.server.port
    if site.fake is not None:
        site.fake.restart(spawner.object_id)
    else:
        post(site, spawner.object_id, "restart", t=0)
    await until(lambda: proxy.routes)
    assert proxy.routes == [("lab", spawner.server.port)]
    assert spawner.server.port != before
    assert await spawner.poll() is None
    await world.user.stop("lab")


@EACH_KIND
async def test_polls_ask_nothing_while_the_watch_is_in_step(
    fake: FakeEngine, fake_site: Site, make: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The watch itself lists services every few seconds, whoever polls.
    monkeypatch.setattr("asyncdockerspawner.workloads.service.source.SHORTEST", 3600.0)
    monkeypatch.setattr("asyncdockerspawner.workloads.service.source.LONGEST", 3600.0)
    world = make()
    spawner = await world.spawn()
    assert await spawner.poll() is None
    await all_heard(fake_site, spawner._managed.watch)
    await settle(spawner.engine)
    fake.clear_requests()
    assert [await spawner.poll() for _ in range(50)] == [None] * 50
    assert fake.requests() == []
    await world.user.stop("")


@EACH_KIND
async def test_an_absence_of_the_engine_stops_nobody(
    fake: FakeEngine, fake_site: Site, make: MakeWorld
) -> None:
    world = make()
    spawner = await world.spawn()
    told = await heard(spawner)
    with fake.away():
        await until(lambda: not spawner._managed.watch.live)
        while spawner._managed.watch._failures < 3:
            assert await spawner.poll() is None
            await asyncio.sleep(0.02)
    await until(lambda: spawner._managed.watch.live)
    await all_heard(fake_site, spawner._managed.watch)
    assert await spawner.poll() is None
    assert not told.is_set()
    await world.user.stop("")
    assert fake.containers() == []


async def test_an_end_that_was_missed_is_noticed_after_the_absence(fake: FakeEngine, make: MakeWorld) -> None:
    world = make()
    spawner = await world.spawn()
    told = await heard(spawner)
    # The Engine comes back without its containers, and replays no event.
    fake.restart_engine(0.5, live_restore=False)
    await asyncio.wait_for(told.wait(), 10)
    assert await spawner.poll() is not None
    await world.user.stop("")


@EACH_KIND
async def test_poll_at_a_hub_start_without_an_engine_takes_servers_for_running(
    fake: FakeEngine, make: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncdockerspawner.engine.watch.FIRST_LIST_SECONDS", 0.3)
    world = make()
    await world.spawn()
    world = world.restarted()
    world.settings["config"].DockerSpawner.client_kwargs = {"base_url": f"{fake.url}.gone"}
    spawner = world.spawner()
    assert await spawner.poll() is None
    assert await spawner.get_url() == spawner.server.url
    world.settings["config"].DockerSpawner.client_kwargs = {"base_url": fake.url}
    await world.restarted().user.stop("")
