"""Starts in their order: the queue as users and the Hub meet it, over the fake Engine."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asyncdockerspawner import DockerSpawner
from asyncdockerspawner.lifecycle import start_slot
from tests.fake_engine import FakeEngine
from tests.support.starts import last_line
from tests.support.waiting import until
from tests.support.world import MakeWorld

SLOW = "registry.test/slow:1"


def starts(fake: FakeEngine) -> list[Any]:
    return fake.requests("POST", "/containers/{ref}/start")


def at_once(fake: FakeEngine) -> int:
    """How many starts were under way together at most."""
    return max(int(entry["in_flight_route"]) for entry in starts(fake))


async def test_no_more_start_at_a_time_than_asked_for_and_in_their_order(
    make: MakeWorld, fake: FakeEngine
) -> None:
    world = make(concurrent_starts=2)
    fake.rule("POST", "/start$", delay_before=0.05)
    names = [f"s{number}" for number in range(8)]
    await asyncio.gather(*map(world.spawn, names))
    assert at_once(fake) == 2
    created = [
        entry["query"]["name"].rpartition("--")[2] for entry in fake.requests("POST", "/containers/create")
    ]
    assert sorted(created[:2]) + created[2:] == names
    await asyncio.gather(*map(world.user.stop, names))


async def test_the_place_that_the_hook_has_waited_for_is_the_starts_too(
    make: MakeWorld, fake: FakeEngine
) -> None:
    world = make(concurrent_starts=1)
    fake.rule("POST", "/start$", delay_before=0.05)
    names = [f"s{number}" for number in range(5)]
    spawners = await asyncio.gather(*map(world.spawn, names))
    turns = [
        sum("turn" in event["message"] for _, _, event in spawner._link.spawn_log._lines)
        for spawner in spawners
    ]
    assert turns == [0, 1, 1, 1, 1]
    await asyncio.gather(*map(world.user.stop, names))


async def test_zero_starts_all_at_once(make: MakeWorld, fake: FakeEngine) -> None:
    world = make(concurrent_starts=0)
    fake.rule("POST", "/start$", delay_before=2)
    names = [f"s{number}" for number in range(8)]
    await asyncio.gather(*map(world.spawn, names))
    assert at_once(fake) == 8
    await asyncio.gather(*map(world.user.stop, names))


async def test_who_waits_sees_the_place_in_the_queue_and_stops_never_wait(
    make: MakeWorld, fake: FakeEngine
) -> None:
    world = make(concurrent_starts=1)
    running = await world.spawn("running")
    fake.rule("POST", "/start$", hang=True, times=1)
    fake.clear_requests()
    first = asyncio.ensure_future(world.spawn("first"))
    await until(lambda: starts(fake))
    second = asyncio.ensure_future(world.spawn("second"))
    await until(lambda: "this one is next" in last_line(world, "second"))
    await running.user.stop("running")
    assert [one["Name"].rpartition("--")[2] for one in fake.containers()] == ["first"]
    first.cancel()
    await asyncio.wait([first])
    assert await (await second).poll() is None
    await world.user.stop("second")


async def test_a_turn_that_does_not_come_is_told(make: MakeWorld, fake: FakeEngine) -> None:
    world = make(concurrent_starts=1, queue_timeout=0.2)
    fake.rule("POST", "/start$", hang=True, times=1)
    first = asyncio.ensure_future(world.spawn("first"))
    await until(lambda: starts(fake))
    with pytest.raises(Exception, match="waited") as caught:
        await world.spawn("second")
    assert caught.value.status_code == 503  # type: ignore[attr-defined]
    assert world.spawner("second")._managed.spawn is None
    first.cancel()
    await asyncio.wait([first])


@pytest.mark.parametrize("kind", ["silent", "dies"])
async def test_a_place_is_held_no_longer_than_asked_for_or_lived(
    make: MakeWorld, fake: FakeEngine, kind: str
) -> None:
    world = make(kind, concurrent_starts=1, start_hold=0.3, start_timeout=20, http_timeout=1)
    first = asyncio.ensure_future(world.spawn("first"))
    await until(lambda: fake.requests("POST", "/containers/create"))
    async with asyncio.timeout(10):
        spawner = world.new_spawner("second")
        await spawner.run_pre_spawn_hook()
    spawner.clear_state()
    first.cancel()
    await asyncio.wait([first])


async def test_a_command_after_the_start_holds_a_place_no_longer_than_its_server(
    make: MakeWorld, fake: FakeEngine
) -> None:
    class Prepares(DockerSpawner):
        """Does more in a server that has been started."""

        async def post_start_exec(self) -> None:
            if self.name == "first":
                await asyncio.Event().wait()

    world = make(concurrent_starts=1, start_hold=0, post_start_cmd="prepare")
    world.settings["spawner_class"] = Prepares
    first = asyncio.ensure_future(world.spawn("first"))
    await until(lambda: starts(fake))
    async with asyncio.timeout(20):
        await world.spawn("second")
    await world.user.stop("second")
    first.cancel()
    await asyncio.wait([first])


async def test_a_place_that_no_start_takes_over_is_given_back(
    make: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start_slot, "TAKEN_OVER_SECONDS", 0.1)
    world = make(concurrent_starts=1)
    await asyncio.ensure_future(world.new_spawner("first").run_pre_spawn_hook())
    second = world.new_spawner("second")
    async with asyncio.timeout(5):
        await second.run_pre_spawn_hook()
        second.clear_state()
        third = world.new_spawner("third")
        await third.run_pre_spawn_hook()
    # A start that comes late gets a place of its own.
    third.clear_state()


async def test_who_waits_for_an_image_that_was_removed_keeps_nobody_from_starting(
    make: MakeWorld, fake: FakeEngine
) -> None:
    world = make(concurrent_starts=1, allowed_images="*")
    fake.add_pullable(SLOW, pause=0.1)
    await world.spawn("before", image=SLOW)
    await world.user.stop("before")
    fake.http.delete(f"/images/{SLOW}").raise_for_status()
    fake.add_pullable(SLOW, pause=1.0)
    fake.clear_requests()
    waiting = [asyncio.create_task(world.spawn(name, image=SLOW)) for name in ("one", "two")]
    await until(lambda: fake.requests("POST", "/images/create"))
    await world.spawn("other")
    assert not any(task.done() for task in waiting)
    await asyncio.gather(*waiting)
    assert at_once(fake) == 1
    assert len(fake.requests("POST", "/images/create")) == 1
    await asyncio.gather(*map(world.user.stop, ["one", "two", "other"]))


async def test_a_kept_container_passes_by_the_queue(make: MakeWorld, fake: FakeEngine) -> None:
    world = make(concurrent_starts=1, remove=False)
    await world.spawn("kept")
    await world.user.stop("kept")
    fake.rule("POST", "/containers/create", delay_before=2, times=1)
    fake.clear_requests()
    first = asyncio.ensure_future(world.spawn("first"))
    await until(lambda: fake.requests("POST", "/containers/create"))
    async with asyncio.timeout(5):
        await world.spawn("kept")
    await world.user.stop("kept")
    first.cancel()
    await asyncio.wait([first])


async def test_starts_without_the_hook_take_turns_too(make: MakeWorld, fake: FakeEngine) -> None:
    class Direct(DockerSpawner):
        """Prepares only in its start."""

        async def run_pre_spawn_hook(self) -> None:
            return None

    world = make(concurrent_starts=1)
    world.settings["spawner_class"] = Direct
    fake.rule("POST", "/start$", delay_before=0.05)
    names = [f"s{number}" for number in range(4)]
    results: list[Any] = await asyncio.gather(*map(world.spawn, names))
    assert at_once(fake) == 1
    assert len(results) == 4
    await asyncio.gather(*map(world.user.stop, names))


async def test_what_a_spawn_will_make_outlives_a_rollback_by_another_request(make: MakeWorld) -> None:
    world = make()
    on_disk: list[tuple[str, str]] = []

    class Looks(DockerSpawner):
        async def create_object(self) -> Any:
            world.db.rollback()
            state = self.orm_spawner.state
            on_disk.append((state["phase"], state["object_name"]))
            return await super().create_object()

    world.settings["spawner_class"] = Looks
    spawner = world.new_spawner()
    await spawner.run_pre_spawn_hook()
    world.db.rollback()
    await spawner.start()
    assert on_disk == [("starting", spawner.object_name)]
    await spawner.stop()
