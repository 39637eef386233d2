"""Start slots: their order, their limit, and who releases them."""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import web

from asyncdockerspawner import errors
from asyncdockerspawner.client.client import Client
from asyncdockerspawner.client.settings import EngineSettings
from asyncdockerspawner.engine import start_slots as room
from asyncdockerspawner.engine.start_slots import Slot, StartSlots
from tests.support.servers import answering
from tests.testbed.socket_proxy import FORBIDDEN


class MachineServer:
    """Answers `GET /info` and `GET /_ping`, after a while if so asked, and counts them."""

    def __init__(self) -> None:
        self.info: dict[str, Any] | None = {"NCPU": 3}
        self.pauses: dict[str, float] = {}
        self.forbidden: set[str] = set()
        self.asked: Counter[str] = Counter()
        self.reached = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked[request.path] += 1
        self.reached.set()
        await asyncio.sleep(self.pauses.get(request.path, 0))
        if request.path in self.forbidden:
            return web.Response(status=403, text=FORBIDDEN, content_type="text/html")
        if self.info is None:
            return web.json_response({"message": "not now"}, status=500)
        return web.json_response(self.info) if request.path == "/v1.41/info" else web.Response(text="OK")


@pytest.fixture
def machine() -> MachineServer:
    return MachineServer()


@pytest.fixture
async def slots(machine: MachineServer) -> AsyncIterator[StartSlots]:
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(answering(machine.answer))
        client = Client(EngineSettings(url=url, api_version="1.41"))
        stack.push_async_callback(client.close)
        yield StartSlots(client.system)


class Starter:
    """One who asks for a slot; `slot` is there once it was acquired."""

    def __init__(self, slots: StartSlots, limit: int | None = 1, timeout: float = 60) -> None:
        self.told: list[int] = []
        self.task = asyncio.create_task(slots.acquire(limit, timeout=timeout, on_position=self.told.append))

    @property
    def has_slot(self) -> bool:
        return self.task.done() and not self.task.cancelled() and self.task.exception() is None

    @property
    def slot(self) -> Slot:
        return self.task.result()


def silent(_ahead: int) -> None:
    """Hear one's position, and do nothing about it."""


async def turns(count: int = 10) -> None:
    """Let everybody do what can be done without waiting."""
    for _ in range(count):
        await asyncio.sleep(0)


async def starters(slots: StartSlots, count: int, limit: int | None = 1) -> list[Starter]:
    made = [Starter(slots, limit) for _ in range(count)]
    await turns()
    return made


def who(made: list[Starter]) -> list[int]:
    return [number for number, each in enumerate(made) if each.has_slot]


async def test_slots_are_acquired_in_the_order_of_asking(slots: StartSlots) -> None:
    made = await starters(slots, 5)
    for number, each in enumerate(made):
        assert (who(made), slots.waiting) == (list(range(number + 1)), 4 - number)
        each.slot.release()
        await turns()


async def test_as_many_have_a_slot_as_the_limit_says(slots: StartSlots) -> None:
    made = await starters(slots, 8, limit=3)
    assert (slots.limit, who(made)) == (3, [0, 1, 2])
    made[1].slot.release()
    await turns()
    assert who(made) == [0, 1, 2, 3]
    for each in made:
        each.slot.release()
        await turns()
    # Every slot has been released, and none twice.
    assert who(await starters(slots, 8, limit=3)) == [0, 1, 2]


async def test_who_asks_just_when_a_slot_is_released_does_not_jump_the_queue(slots: StartSlots) -> None:
    first, second = await starters(slots, 2)
    first.slot.release()
    third = Starter(slots)
    await turns()
    assert who([first, second, third]) == [0, 1]


async def test_a_limit_of_zero_is_none(slots: StartSlots) -> None:
    made = await starters(slots, 100, limit=0)
    assert len(who(made)) == 100
    made[0].slot.release()
    assert slots.waiting == 0


@pytest.mark.parametrize(("info", "limit"), [({"NCPU": 2}, 4), ({"NCPU": 3}, 6), ({"NCPU": 0}, 2), ({}, 2)])
async def test_the_limit_that_fits_is_two_for_each_cpu(
    slots: StartSlots,
    machine: MachineServer,
    monkeypatch: pytest.MonkeyPatch,
    info: dict[str, int],
    limit: int,
) -> None:
    # However slow this machine is, the Engine is no distance away.
    monkeypatch.setattr(room, "CPU_SECONDS", math.inf)
    machine.info = info
    made = [Starter(slots, None) for _ in range(10)]
    await asyncio.wait([each.task for each in made], return_when=asyncio.FIRST_COMPLETED)
    await turns()
    assert (slots.limit, who(made)) == (limit, list(range(limit)))
    assert machine.asked == {"/v1.41/info": 1, "/_ping": 1}


async def test_over_a_slow_line_the_limit_is_higher(
    slots: StartSlots, machine: MachineServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "CPU_SECONDS", 0.01)
    machine.pauses = {"/v1.41/info": 0.2, "/_ping": 0.2}
    await slots.acquire(None, timeout=1, on_position=silent)
    # Nearly: a pause may end a little early.
    assert (slots.limit or 0) > room.STARTS_PER_CPU * 3 * (1 + 0.19 / 0.01)


async def test_an_engine_that_thinks_long_about_itself_is_not_far_away(
    slots: StartSlots, machine: MachineServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "CPU_SECONDS", 0.01)
    machine.pauses = {"/v1.41/info": 1}
    await slots.acquire(None, timeout=1, on_position=silent)
    assert (slots.limit or 0) < room.STARTS_PER_CPU * 3 * (1 + 0.99 / 0.01)


@pytest.mark.parametrize(("cpus", "limit"), [(8, 16), (1, room.SMALLEST_LIMIT), (None, room.SMALLEST_LIMIT)])
async def test_an_engine_that_does_not_tell_its_cpus_is_taken_to_have_this_machine_s(
    slots: StartSlots,
    machine: MachineServer,
    monkeypatch: pytest.MonkeyPatch,
    cpus: int | None,
    limit: int,
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cpus)
    machine.info = None
    for _ in range(3):
        (await slots.acquire(None, timeout=1, on_position=silent)).release()
    assert slots.limit == limit
    assert machine.asked["/v1.41/info"] == 1


async def test_an_engine_that_was_away_is_asked_for_its_cpus_again(
    slots: StartSlots,
    machine: MachineServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    monkeypatch.setattr(room, "CPU_SECONDS", math.inf)
    monkeypatch.setattr(room, "REMEASURE_SECONDS", 0)
    machine.info = None
    made = [Starter(slots, None) for _ in range(3)]
    while slots.waiting < 1:  # noqa: ASYNC110 - nobody is told of those who wait
        await asyncio.sleep(0.01)
    assert (slots.limit, who(made)) == (room.SMALLEST_LIMIT, [0, 1])
    machine.info = {"NCPU": 3}
    made.append(Starter(slots, None))
    # Those who wait already get the new slots first.
    await asyncio.wait([each.task for each in made], timeout=30)
    assert (slots.limit, who(made)) == (6, [0, 1, 2, 3])
    asked = machine.asked["/v1.41/info"]
    made.append(Starter(slots, None))
    await made[-1].task
    assert machine.asked["/v1.41/info"] == asked
    assert ["not now" in record.getMessage() for record in caplog.records] == [True]
    # Every slot that is released is free again, and none twice.
    for each in made:
        each.slot.release()
    assert len(who(await starters(slots, 8, limit=None))) == 6


async def test_an_engine_that_hangs_holds_up_a_start_only_shortly(
    slots: StartSlots,
    machine: MachineServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(room, "MEASURE_TIMEOUT", 0.1)
    machine.pauses = {"/v1.41/info": 600}
    async with asyncio.timeout(60):
        await slots.acquire(None, timeout=1, on_position=silent)
    assert "no answer in time" in caplog.text


async def test_how_far_a_filtered_engine_is_away_is_told_by_what_it_answers(
    slots: StartSlots, machine: MachineServer
) -> None:
    machine.forbidden = {"/_ping"}
    await slots.acquire(None, timeout=1, on_position=silent)
    assert (slots.limit or 0) >= 6


async def test_a_first_start_that_is_cancelled_leaves_the_measuring_to_the_next(
    slots: StartSlots, machine: MachineServer
) -> None:
    machine.pauses = {"/v1.41/info": 60}
    first = Starter(slots, None)
    await machine.reached.wait()
    second = Starter(slots, 2)
    await turns()
    first.task.cancel()
    await second.task
    assert slots.limit == 2


async def test_a_limit_that_differs_from_the_first_is_told_once(
    slots: StartSlots, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for asked in (2, 2, 5, 5, None, None, 2, 5):
        (await slots.acquire(asked, timeout=1, on_position=silent)).release()
    assert slots.limit == 2
    told = [record.getMessage() for record in caplog.records]
    assert [message.partition(", but")[0] for message in told] == [
        "`concurrent_starts` is 5 here",
        "`concurrent_starts` is None here",
    ]
    assert all("has set it to 2" in message for message in told)


async def test_the_limit_that_fits_is_no_other_than_what_asked_for_it(
    slots: StartSlots, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        (await slots.acquire(None, timeout=1, on_position=silent)).release()
    assert caplog.records == []


async def test_a_waiter_is_told_how_many_are_ahead_whenever_that_has_changed(
    slots: StartSlots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "REPORT_SECONDS", 0.01)
    made = await starters(slots, 4)
    for each in made[:3]:
        await asyncio.sleep(0.05)
        each.slot.release()
        await turns()
    # Who has a slot at once is told nothing.
    assert [each.told for each in made] == [[], [0], [1, 0], [2, 1, 0]]


@pytest.mark.parametrize("timeout", [0, 0.05])
async def test_who_has_waited_long_enough_is_refused_and_holds_up_nobody(
    slots: StartSlots, timeout: float
) -> None:
    [first] = await starters(slots, 1)
    late = Starter(slots, timeout=timeout)
    with pytest.raises(errors.QueueTimeout, match="has waited 0 s") as caught:
        await late.task
    assert (caught.value.status, late.told, slots.waiting) == (503, [0], 0)
    first.slot.release()
    assert who(await starters(slots, 2)) == [0]


async def test_a_waiter_that_is_cancelled_leaves_the_queue(slots: StartSlots) -> None:
    made = await starters(slots, 3)
    made[1].task.cancel()
    await turns()
    assert slots.waiting == 1
    made[0].slot.release()
    await turns()
    assert who(made) == [0, 2]


async def test_a_waiter_that_is_cancelled_just_when_it_gets_its_slot_passes_it_on(slots: StartSlots) -> None:
    made = await starters(slots, 3)
    made[0].slot.release()
    made[1].task.cancel()
    await turns()
    assert made[1].task.cancelled()
    assert who(made) == [0, 2]
    made[2].slot.release()
    assert who(await starters(slots, 2)) == [0]


async def test_a_waiter_that_cannot_be_told_its_position_leaves_the_queue(slots: StartSlots) -> None:
    def told(_ahead: int) -> None:
        raise ValueError("no such page")

    [first] = await starters(slots, 1)
    with pytest.raises(ValueError, match="no such page"):
        await slots.acquire(1, timeout=60, on_position=told)
    assert slots.waiting == 0
    first.slot.release()
    assert who(await starters(slots, 2)) == [0]


async def test_a_slot_is_released_once_however_often_that_is_asked(slots: StartSlots) -> None:
    made = await starters(slots, 3)
    seen = [made[0].slot.released]
    made[0].slot.release()
    made[0].slot.release()
    await turns()
    assert [*seen, made[0].slot.released] == [False, True]
    assert who(made) == [0, 1]


async def test_a_slot_is_released_when_its_time_is_over(slots: StartSlots) -> None:
    first, second = await starters(slots, 2)
    first.slot.release_in(0.02)
    await turns()
    assert not second.has_slot
    await asyncio.wait_for(second.task, 10)
    assert first.slot.released


@pytest.mark.parametrize("before", [True, False])
async def test_a_slot_released_early_is_not_released_again_when_its_time_is_over(
    slots: StartSlots, before: bool
) -> None:
    made = await starters(slots, 3)
    if before:
        made[0].slot.release_in(0.01)
    made[0].slot.release()
    made[0].slot.release_in(0.01)
    await asyncio.sleep(0.05)
    assert who(made) == [0, 1]
