"""Servers in sandboxes that were made ahead: both end together, and nobody is in one after another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from asyncdockerspawner import DockerSpawner
from asyncdockerspawner.errors import EngineError
from asyncdockerspawner.lifecycle import reconcile
from asyncdockerspawner.names import labels
from tests.support.engines import all_heard, end_engines, engines_of, settle
from tests.support.sandboxes import next_process, pool, sandbox_of, sandboxes, servers, settled, warmed
from tests.support.site import Site
from tests.support.starts import cancelled, direct
from tests.support.waiting import until
from tests.support.world import MakeWorld, new_world
from tests.testbed.plain_http import NO_TLS

MOMENTS = [0.010 + 0.010 * step for step in range(12)]


@pytest.fixture
async def make_world(site: Site, tmp_path: Path) -> AsyncIterator[MakeWorld]:
    """Give `new_world`; no more sandboxes are made when what there is at the Engine is cleared away."""
    yield partial(new_world, site, tmp_path)
    await end_engines()


def answers(spawner: DockerSpawner) -> int:
    return httpx.get(spawner.server.url, verify=NO_TLS).status_code


@pytest.mark.parametrize("own_address", [False, True], ids=["published", "own address"])
async def test_a_server_joins_a_sandbox_and_both_end_together(
    make_world: MakeWorld, site: Site, own_address: bool
) -> None:
    world = await warmed(make_world, site, use_internal_ip=own_address)
    (ready,) = sandboxes(site)
    spawner = await world.spawn()
    assert sandbox_of(site, spawner) == ready
    assert answers(spawner) < 500
    assert await spawner.poll() is None
    assert (spawner.server.ip == "127.0.0.1") is not own_address
    found = site.inspect(ready)
    assert labels.USER not in found["Config"]["Labels"]
    assert found["Config"]["Labels"][labels.HUB] == site.hub_id
    await world.user.stop("")
    await settled(site, 1)
    assert servers(site) == []
    assert ready not in sandboxes(site)


async def test_a_start_in_a_sandbox_is_two_requests(make: MakeWorld, fake_site: Site) -> None:
    world = await warmed(make, fake_site)
    assert fake_site.fake is not None
    fake_site.fake.clear_requests()
    # What is made in its place comes afterwards.
    pool(fake_site)._count = 0
    await world.spawn()
    asked = [each["route"] for each in fake_site.fake.requests()]
    assert asked == ["POST /containers/create", "POST /containers/{ref}/start"]
    await world.user.stop("")


@pytest.mark.parametrize("removed", [False, True], ids=["ends", "is removed"])
async def test_a_sandbox_that_ends_ends_its_server(make_world: MakeWorld, site: Site, removed: bool) -> None:
    world = await warmed(make_world, site)
    spawner = await world.spawn()
    made, sandbox = spawner.object_id, sandbox_of(site, spawner)
    told = asyncio.Event()
    spawner.add_poll_callback(told.set)
    if removed:
        site.remove(sandbox)
    else:
        site.kill(sandbox)
    await asyncio.wait_for(told.wait(), 30)
    assert not site.inspect(made)["State"]["Running"]
    assert "network had ended" in spawner._managed.record.last_end
    await world.user.stop("")
    await settled(site, 1)
    assert servers(site) == []


async def test_a_server_that_is_removed_by_somebody_else_ends_its_sandbox(
    make: MakeWorld, fake_site: Site
) -> None:
    world = await warmed(make, fake_site)
    spawner = await world.spawn()
    sandbox = sandbox_of(fake_site, spawner)
    fake_site.remove(spawner.object_id)
    await until(lambda: sandbox not in sandboxes(fake_site))
    await world.user.stop("")
    await settled(fake_site, 1)


async def test_a_server_that_ends_by_itself_ends_its_sandbox_once_it_is_cleared_away(
    make: MakeWorld, fake_site: Site
) -> None:
    world = await warmed(make, fake_site)
    spawner = await world.spawn()
    told = asyncio.Event()
    spawner.add_poll_callback(told.set)
    fake_site.kill(spawner.object_id)
    await asyncio.wait_for(told.wait(), 30)
    await world.user.stop("")
    await settled(fake_site, 1)
    assert servers(fake_site) == []


class Unlucky(DockerSpawner):
    """Has the sandbox ended just before its server is created."""

    site: Site

    def docker(self, method: str, *args: Any, **kwargs: Any) -> Any:
        sandbox = self._managed.record.sandbox
        if method == "create_container" and sandbox:
            self.site.kill(sandbox)
        return super().docker(method, *args, **kwargs)


async def test_a_sandbox_that_ends_under_a_start_is_done_without(
    make_world: MakeWorld, site: Site, log: pytest.LogCaptureFixture
) -> None:
    world = await warmed(make_world, site)
    Unlucky.site = site
    world.settings["spawner_class"] = Unlucky
    world.settings["config"].Unlucky.update(world.settings["config"].DockerSpawner)
    spawner = await world.spawn()
    assert sandbox_of(site, spawner) == ""
    assert spawner.get_state().get("sandbox") is None
    assert "its sandbox has ended; it is made again without one" in log.text
    await until(lambda: servers(site) == [spawner.object_id], 30)
    await world.user.stop("")
    await settled(site, 1)


async def test_cancelled_at_any_moment_a_start_leaves_nothing(make_world: MakeWorld, site: Site) -> None:
    # One task prepares them all, so no start slot would ever come free.
    world = await warmed(make_world, site, 3, concurrent_starts=0)
    world.settings["config"].DockerSpawner.update(site.kind("silent"))
    spawners = [await direct(world, f"s{number}") for number in range(len(MOMENTS))]
    for spawner, moment in zip(spawners, MOMENTS, strict=True):
        await cancelled(spawner, moment)
        spawner.clear_state()
    await until(lambda: servers(site) == [], 60)
    await settled(site, 3)


async def test_a_start_that_fails_leaves_nothing(make: MakeWorld, fake_site: Site) -> None:
    world = await warmed(make, fake_site)
    world.settings["config"].DockerSpawner.update(fake_site.kind("dies"))
    with pytest.raises(Exception, match="before it answered"):
        await world.spawn()
    await until(lambda: servers(fake_site) == [], 30)
    await settled(fake_site, 1)


async def test_a_restarted_hub_takes_over_what_is_ready_and_finds_its_servers(
    make_world: MakeWorld, site: Site
) -> None:
    world = await warmed(make_world, site, 2)
    used = sandbox_of(site, spawner := await world.spawn())
    await until(lambda: pool(site).ready == 2, 30)
    url, before = str(spawner.server.url), sandboxes(site)
    world = await next_process(world)
    spawner = world.spawner()
    assert await spawner.poll() is None
    assert await spawner.get_url() == url
    assert pool(site).ready == 2
    other = await world.spawn("other")
    assert sandbox_of(site, other) in set(before) - {used}
    for name in ("other", ""):
        await world.user.stop(name)
    await settled(site, 2)
    assert servers(site) == []
    assert used not in sandboxes(site)


async def test_nobody_gets_the_sandbox_of_a_server_that_was_lost_while_the_hub_was_away(
    make: MakeWorld, fake_site: Site
) -> None:
    world = await warmed(make, fake_site)
    spawner = await world.spawn()
    used = sandbox_of(fake_site, spawner)
    world.db.commit()
    await end_engines()
    fake_site.remove(spawner.object_id)
    world = await next_process(world)
    await settled(fake_site, 1)
    assert used not in sandboxes(fake_site)
    assert await world.spawner().poll() == 0
    await world.user.stop("")


async def test_a_server_whose_sandbox_has_ended_while_the_hub_was_away_is_stopped(
    make: MakeWorld, fake_site: Site
) -> None:
    world = await warmed(make, fake_site)
    spawner = await world.spawn()
    made, used = spawner.object_id, sandbox_of(fake_site, spawner)
    world.db.commit()
    await end_engines()
    fake_site.kill(used)
    world = await next_process(world)
    await until(lambda: not fake_site.inspect(made)["State"]["Running"], 30)
    async with asyncio.timeout(30):
        while await world.spawner().poll() is None:  # noqa: ASYNC110 - the answer to its stop is on its way
            await asyncio.sleep(0.05)
    await world.user.stop("")
    await settled(fake_site, 1)
    assert servers(fake_site) == []


async def test_with_a_lower_number_those_that_are_too_many_go(make: MakeWorld, fake_site: Site) -> None:
    world = await warmed(make, fake_site, 2)
    used = sandbox_of(fake_site, await world.spawn())
    world = await next_process(world, sandboxes=0)
    await until(lambda: sandboxes(fake_site) == [used], 30)
    assert await world.spawner().poll() is None
    assert sandbox_of(fake_site, await world.spawn("other")) == ""
    for name in ("other", ""):
        await world.user.stop(name)
    await settled(fake_site, 0)
    assert servers(fake_site) == []


async def test_where_servers_want_another_network_all_are_made_anew(make: MakeWorld, fake_site: Site) -> None:
    world = await warmed(make, fake_site)
    (before,) = sandboxes(fake_site)
    world = await next_process(world, use_internal_ip=True)
    assert sandbox_of(fake_site, await world.spawn("other")) == ""
    await world.user.stop("other")
    await settled(fake_site, 1)
    assert sandboxes(fake_site) != [before]


async def test_what_an_earlier_process_did_not_come_to_start_is_removed(
    make: MakeWorld, fake_site: Site
) -> None:
    world = await warmed(make, fake_site)
    (ready,) = sandboxes(fake_site)
    found = fake_site.inspect(ready)
    body = {"Image": found["Config"]["Image"], "Labels": found["Config"]["Labels"]}
    made = fake_site.http.post("/containers/create", json=body).raise_for_status().json()["Id"]
    await next_process(world)
    await until(lambda: made not in servers(fake_site), 30)
    await settled(fake_site, 1)
    assert sandboxes(fake_site) == [ready]


async def test_what_an_earlier_process_comes_to_create_late_is_alone_in_its_sandbox(
    make: MakeWorld, fake_site: Site
) -> None:
    world = await warmed(make, fake_site)
    (ready,) = sandboxes(fake_site)
    late = created_in(fake_site, ready)
    await until(lambda: pool(fake_site).ready == 1 and ready not in pool(fake_site)._ready, 30)
    spawner = await world.spawn()
    used = sandbox_of(fake_site, spawner)
    assert used != ready
    # As it does where nobody was told of it in time.
    later = created_in(fake_site, used)
    for made in (late, later):
        await spawner._managed.workload.remove(made, force=True)
    assert answers(spawner) < 500
    await world.user.stop("")
    await settled(fake_site, 1)
    assert servers(fake_site) == []


def created_in(site: Site, sandbox: str, hub_id: str = "") -> str:
    """Create a server in a sandbox, as another process does, or another Hub."""
    marks = {labels.HUB: hub_id or site.hub_id, labels.SANDBOX: sandbox}
    host = {"NetworkMode": f"container:{sandbox}"}
    image = site.inspect(sandbox)["Config"]["Image"]
    body = {"Image": image, "Labels": marks, "HostConfig": host}
    return str(site.http.post("/containers/create", json=body).raise_for_status().json()["Id"])


async def test_another_hubs_sandboxes_are_left_alone(make_world: MakeWorld, site: Site) -> None:
    await warmed(make_world, site)
    marks = {labels.HUB: "another", labels.SANDBOX_FOR: "x"}
    body = {"Image": site.kind("stub")["image"], "Labels": marks}
    sandbox = str(site.http.post("/containers/create", json=body).raise_for_status().json()["Id"])
    try:
        site.http.post(f"/containers/{sandbox}/start").raise_for_status()
        site.remove(created_in(site, sandbox, "another"))
        (engine,) = engines_of(site.url)
        await all_heard(site, engine.watch(site.hub_id))
        await settle(engine)
        assert site.inspect(sandbox)["State"]["Running"]
    finally:
        site.remove(sandbox)


class OldStyle(DockerSpawner):
    """Takes the steps of a start itself, and never comes to ours."""

    async def start(self) -> tuple[str, int]:
        made = await self.create_object()
        self.object_id = made["Id"]
        await self.start_object()
        return await self.get_ip_and_port()


async def test_a_subclass_that_takes_the_steps_in_its_own_start_has_its_sandbox(
    make: MakeWorld, fake_site: Site
) -> None:
    world = await warmed(make, fake_site)
    world.settings["spawner_class"] = OldStyle
    world.settings["config"].OldStyle.update(world.settings["config"].DockerSpawner)
    (ready,) = sandboxes(fake_site)
    spawner = await world.spawn()
    assert sandbox_of(fake_site, spawner) == ready
    assert answers(spawner) < 500
    assert await spawner.poll() is None
    await until(lambda: pool(fake_site).ready == 1, 30)
    assert ready in sandboxes(fake_site)
    await world.user.stop("")
    await settled(fake_site, 1)
    assert servers(fake_site) == []


async def test_a_server_that_ended_in_a_sandbox_is_made_anew_where_servers_are_kept_by_now(
    make: MakeWorld, fake_site: Site
) -> None:
    world = await warmed(make, fake_site)
    spawner = await world.spawn()
    made = spawner.object_id
    await until(lambda: pool(fake_site).ready == 1, 30)
    fake_site.kill(made)
    await until(lambda: not fake_site.inspect(made)["State"]["Running"])
    await next_process(world, remove=False)
    world = world.restarted()
    world.spawner().server = None
    spawner = await world.spawn()
    assert spawner.object_id != made
    assert sandbox_of(fake_site, spawner) == ""
    await settled(fake_site, 1)
    await world.user.stop("")


async def test_a_sandbox_goes_before_what_is_in_it(make: MakeWorld, fake_site: Site) -> None:
    # A Hub that is killed in between finds no sandbox that looks as if nobody had been in it.
    world = await warmed(make, fake_site)
    spawner = await world.spawn()
    made, sandbox = spawner.object_id, sandbox_of(fake_site, spawner)
    assert fake_site.fake is not None
    fake_site.fake.clear_requests()
    await world.user.stop("")
    removed = [each["path"] for each in fake_site.fake.requests("DELETE")]
    assert [path.rpartition("/")[2] for path in removed] == [sandbox, made]


@pytest.mark.parametrize("known", [True, False], ids=["cut off", "unknown"])
async def test_what_a_killed_hub_has_left_goes_with_its_sandbox(
    make: MakeWorld, fake_site: Site, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "GRACE_SECONDS", 0.1)
    world = await warmed(make, fake_site, orphan_policy="remove")
    spawner = await world.spawn()
    used = sandbox_of(fake_site, spawner)
    row = world.user.orm_user.orm_spawners[""]
    cut_off = {**spawner.get_state(), "phase": "starting"}
    row.state = {key: cut_off[key] for key in cut_off if key != "object_id"} if known else {}
    spawner.server = None
    await next_process(world)
    await until(lambda: servers(fake_site) == [], 30)
    await settled(fake_site, 1)
    assert used not in sandboxes(fake_site)


async def test_a_deleted_servers_sandbox_goes_too(make: MakeWorld, fake_site: Site) -> None:
    world = await warmed(make, fake_site)
    spawner = await world.spawn()
    await spawner.delete_forever()
    await settled(fake_site, 1)
    assert servers(fake_site) == []


async def test_a_running_server_keeps_its_sandbox_where_only_what_has_ended_is_to_go(
    make: MakeWorld, fake_site: Site
) -> None:
    world = await warmed(make, fake_site)
    spawner = await world.spawn()
    with pytest.raises(EngineError):
        await spawner._managed.workload.remove(spawner.object_id, force=False)
    assert answers(spawner) < 500
    await world.user.stop("")
    await settled(fake_site, 1)
