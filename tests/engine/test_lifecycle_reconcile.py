"""What an earlier Hub process has left, seen by the next one; over the fake Engine."""

from __future__ import annotations

import asyncio

import pytest

from asyncdockerspawner.engine import registry
from asyncdockerspawner.lifecycle import reconcile
from tests.fake_engine import FakeEngine
from tests.support.engines import all_done, engines_of
from tests.support.site import Site, site_over
from tests.support.waiting import until
from tests.support.workloads import EACH_KIND, Containers, Services
from tests.support.world import MakeWorld, World, open_world


@pytest.fixture
def fake_site(fake: FakeEngine, workload: type[Containers]) -> Site:
    """Objects have names that log lines can be asked for."""
    return site_over(fake, hub_id="h", workload=workload)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare again without waiting long."""
    monkeypatch.setattr(reconcile, "GRACE_SECONDS", 0.2)


async def as_another_process(world: World) -> World:
    """The Hub killed and started again; somebody looks at the Engine."""
    await registry.close_engines()
    world = world.restarted()
    world.new_spawner("other")._managed.watch.begin()
    return world


async def compared(fake: FakeEngine) -> None:
    """Wait until the Engine's objects were compared with the database, and what that led to is done."""
    (engine,) = engines_of(fake.url)
    for watch in engine._watches.values():
        await watch.find("", "any")
    await all_done(engine)


async def states(site: Site, wanted: dict[str, str], seconds: float = 20.0) -> None:
    """Wait until exactly these objects are there, by the ends of their names, in these states."""
    found: dict[str, str] = {}
    objects = site.objects
    try:
        async with asyncio.timeout(seconds):
            while found != wanted:
                found = {
                    objects.name(each).rpartition("--")[2]: objects.state(each) for each in site.containers()
                }
                await asyncio.sleep(0.05)
    except TimeoutError:
        assert found == wanted


@pytest.mark.parametrize(
    ("workload", "remove", "left"),
    [(Containers, True, {}), (Containers, False, {"one": "exited"}), (Services, True, {})],
    indirect=["workload"],
)
async def test_a_stop_that_is_owed_is_done_by_the_next_process(
    make: MakeWorld, fake: FakeEngine, fake_site: Site, remove: bool, left: dict[str, str]
) -> None:
    world = make(remove=remove)
    await world.spawn("one")
    fake.rule(*fake_site.workload.ending, status=500, message="not now")
    await world.user.stop("one")
    assert world.user.orm_user.orm_spawners["one"].state["owed"] is True
    await states(fake_site, {"one": "running"})
    await registry.close_engines()
    fake.clear_rules()
    await as_another_process(world)
    await states(fake_site, left)


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_stop_that_is_owed_is_as_hasty_as_it_was_and_is_struck_off_when_it_is_done(
    make: MakeWorld, fake: FakeEngine, fake_site: Site, restarted: bool
) -> None:
    world = make()
    spawner = await world.spawn("one")
    fake.rule("POST", "/stop$", status=500, message="not now", times=None if restarted else 1)
    await spawner.stop(now=True)
    # As the Hub does after a stop.
    spawner.server, spawner.orm_spawner.state = None, spawner.get_state()
    world.db.commit()
    assert spawner.orm_spawner.state["owed"] is True
    if restarted:
        await registry.close_engines()
        fake.clear_rules()
        world = await as_another_process(world)
    await states(fake_site, {})
    row = world.user.orm_user.orm_spawners["one"]
    await until(lambda: "owed" not in row.state)
    world.db.rollback()
    world.db.refresh(row)
    assert "owed" not in row.state
    assert {entry["query"].get("t") for entry in fake.requests("POST", "/containers/{ref}/stop")} == {"0"}


@EACH_KIND
async def test_a_user_who_comes_back_before_an_owed_stop_is_done_has_a_server(
    make: MakeWorld, fake: FakeEngine, fake_site: Site
) -> None:
    world = make()
    await world.spawn("one")
    fake.rule(*fake_site.workload.ending, status=500, message="not now", times=1)
    await world.user.stop("one")
    spawner = await world.spawn("one")
    assert "owed" not in spawner.get_state()
    await all_done(spawner.engine)
    assert await spawner.poll() is None
    await world.user.stop("one")
    await states(fake_site, {})


@EACH_KIND
@pytest.mark.parametrize("policy", ["keep", "stop", "remove"])
async def test_what_the_database_does_not_know_is_kept_unless_the_site_says_otherwise(
    make: MakeWorld, fake: FakeEngine, fake_site: Site, log: pytest.LogCaptureFixture, policy: str
) -> None:
    world = make(orphan_policy=policy)
    await asyncio.gather(world.spawn("one"), world.spawn("two"))
    await registry.close_engines()
    for name in ("one", "two"):
        world.db.delete(world.user.orm_user.orm_spawners[name])
    world.db.commit()
    await as_another_process(world)
    await until(lambda: "th-alice--one, th-alice--two" in log.text)
    await compared(fake)
    gone = {"keep": "running", "stop": "exited"}
    await states(fake_site, {name: gone[policy] for name in ("one", "two") if policy in gone})


async def test_what_was_made_to_be_kept_is_stopped_at_most(
    make: MakeWorld, fake: FakeEngine, fake_site: Site
) -> None:
    world = make(orphan_policy="remove", remove=False)
    await asyncio.gather(world.spawn("one"), world.spawn("two"))
    await world.user.stop("two")
    await registry.close_engines()
    for name in ("one", "two"):
        world.db.delete(world.user.orm_user.orm_spawners[name])
    world.db.commit()
    await as_another_process(world)
    await compared(fake)
    await states(fake_site, {"one": "exited", "two": "exited"})


@EACH_KIND
async def test_servers_that_the_hub_takes_for_running_are_left_alone(
    make: MakeWorld, fake: FakeEngine, fake_site: Site, log: pytest.LogCaptureFixture
) -> None:
    world = make(orphan_policy="remove")
    await world.spawn("one")
    world = await as_another_process(world)
    await compared(fake)
    assert await world.spawner("one").poll() is None
    assert "database" not in log.text
    await world.user.stop("one")
    await states(fake_site, {})


@EACH_KIND
async def test_the_server_of_a_user_with_another_name_is_no_orphan(
    make: MakeWorld, fake: FakeEngine, fake_site: Site, log: pytest.LogCaptureFixture
) -> None:
    world = make(orphan_policy="remove")
    await world.spawn("one")
    await registry.close_engines()
    world.user.orm_user.name = "bob"
    world.db.commit()
    world.db.close()
    bob = open_world(world.site, world.folder, world.settings, "bob")
    watch = bob.new_spawner("other")._managed.watch
    assert await watch.find("", "the first list") is None
    await watch.on_synced.__self__.run()  # type: ignore[union-attr]
    assert "database" not in log.text
    await bob.user.stop("one")
    await states(fake_site, {})


async def test_what_this_process_is_starting_is_no_orphan_whatever_the_database_says(
    make: MakeWorld, fake: FakeEngine, fake_site: Site, log: pytest.LogCaptureFixture
) -> None:
    world = make(orphan_policy="remove")
    fake.rule("POST", "/start$", delay_during=1.5)
    # As a wrapper may start it: there is no row of a server that would say so.
    spawner = world.new_spawner("one")
    begin = asyncio.create_task(spawner.start())
    await states(fake_site, {"one": "created"})
    await (reconciler := spawner._managed.watch.on_synced.__self__).run()  # type: ignore[union-attr]
    assert not begin.done()
    await states(fake_site, {"one": "created"})
    await begin
    await reconciler.run()
    await states(fake_site, {"one": "running"})
    assert "database" not in log.text
    await spawner.stop()
    await states(fake_site, {})


@EACH_KIND
async def test_what_a_start_left_that_was_cut_off_is_removed_after_a_grace(
    make: MakeWorld, fake: FakeEngine, fake_site: Site
) -> None:
    world = make()
    spawner = await world.spawn("one")
    state = {**spawner.get_state(), "phase": "starting"}
    del state["object_id"]
    # As where the Hub died after it had given the start up, and before the clean-up.
    spawner.orm_spawner.state, spawner.server = state, None
    await as_another_process(world)
    await states(fake_site, {})


async def test_what_a_user_without_a_row_has_left_is_named_with_the_command_that_removes_it_and_stays(
    make: MakeWorld, fake: FakeEngine, fake_site: Site, log: pytest.LogCaptureFixture
) -> None:
    world = make(remove=False, volumes={"v-{username}": "/w"}, delete_volumes_on_user_delete=True)
    await world.spawn("one")
    await world.user.stop("one")
    world.db.delete(world.user.orm_user)
    world.db.commit()
    world = open_world(world.site, world.folder, world.settings, "bob")
    await world.spawn("two")
    await world.user.stop("two")
    await registry.close_engines()
    world.new_spawner("other")._managed.watch.begin()
    await until(lambda: "docker rm -v th-alice--one" in log.text)
    await until(lambda: "docker volume rm v-alice" in log.text)
    assert not any("bob" in each.getMessage() for each in log.records if each.levelname == "WARNING")
    await states(fake_site, {"one": "exited", "two": "exited"})
    assert [each["Name"] for each in fake.state()["volumes"]] == ["v-alice", "v-bob"]
    world.db.close()
