"""A container that the Engine cannot end keeps only its own user, who is told; over the fake Engine."""

from __future__ import annotations

import asyncio

import pytest

from asyncdockerspawner.client import containers
from asyncdockerspawner.lifecycle import cleanup, start_slot
from tests.fake_engine import FakeEngine
from tests.support.starts import last_line
from tests.support.waiting import until
from tests.support.world import MakeWorld


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up a stop, and look again after it, within a second."""
    monkeypatch.setattr(containers, "STOP_TIMEOUT", 0.5)
    monkeypatch.setattr(cleanup, "SWEEP_SECONDS", 1)


@pytest.mark.parametrize("remove", [True, False])
async def test_a_server_that_cannot_be_stopped_holds_no_place_and_its_user_is_told(
    make: MakeWorld,
    fake: FakeEngine,
    monkeypatch: pytest.MonkeyPatch,
    log: pytest.LogCaptureFixture,
    remove: bool,
) -> None:
    monkeypatch.setattr(start_slot, "CLEANUP_SECONDS", 8)
    world = make(concurrent_starts=1, remove=remove)
    stuck = await world.spawn("stuck")
    fake.rule("POST", f"/{stuck.object_id}/stop", hang=True)
    await world.user.stop("stuck")
    trying = asyncio.ensure_future(world.spawn("stuck"))
    await until(lambda: "earlier server is still being stopped, for" in last_line(world, "stuck"))
    # There is one place, and it is free.
    other = await world.spawn("other")
    assert not trying.done()
    assert await other.poll() is None
    with pytest.raises(Exception, match="still being stopped, for") as caught:
        await trying
    assert caught.value.status_code == 503  # type: ignore[attr-defined]
    assert "file system" in log.text
    fake.clear_rules()
    assert await (await world.spawn("stuck")).poll() is None
    await asyncio.gather(world.user.stop("stuck"), world.user.stop("other"))
    assert [each["State"]["Running"] for each in fake.containers()] == [] if remove else [False, False]


async def test_trying_again_and_again_queues_no_more_work(
    make: MakeWorld, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start_slot, "CLEANUP_SECONDS", 0)
    world = make()
    stuck = await world.spawn()
    fake.rule("POST", f"/{stuck.object_id}/stop", hang=True)
    await world.user.stop("")
    for _ in range(5):
        with pytest.raises(Exception, match="still being stopped"):
            await world.spawn()
        await world.user.stop("")
        assert len(stuck.engine.janitor._tasks) == 1
    fake.clear_rules()
    await until(lambda: fake.containers() == [])


async def test_a_new_user_of_a_deleted_ones_name_gets_nothing_of_theirs(
    make: MakeWorld, fake: FakeEngine
) -> None:
    options = {"volumes": {"v-{username}": "/w"}, "delete_volumes_on_user_delete": True}
    world = make(**options)
    await world.spawn()
    await world.user.stop("")
    fake.rule("DELETE", "/volumes/", delay_before=2)
    world = world.restarted()
    fake.clear_requests()
    deleting = asyncio.ensure_future(world.new_spawner("").delete_forever())
    await until(lambda: fake.requests("DELETE", "/volumes/{name}"))
    spawner = await world.spawn()
    await deleting
    wanted = ("DELETE /volumes/{name}", "POST /volumes/create", "POST /containers/{ref}/start")
    assert tuple(each["route"] for each in fake.requests() if each["route"] in wanted) == wanted
    await spawner.user.stop("")
