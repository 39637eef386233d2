"""How many start slots fit an Engine: what it says of itself, and how far away it is."""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import web

from asyncdockerspawner.client.client import Client
from asyncdockerspawner.client.settings import EngineSettings
from asyncdockerspawner.engine import start_slots as room
from asyncdockerspawner.engine.start_slots import StartSlots
from tests.support.servers import answering
from tests.support.start_slots import Starter, silent, starters, who
from tests.support.virtual_time import virtual_time
from tests.support.waiting import turns, until
from tests.testbed.socket_proxy import FORBIDDEN

pytestmark = pytest.mark.fake_engine


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
    others = asyncio.all_tasks()
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(answering(machine.answer))
        client = Client(EngineSettings(url=url, api_version="1.41"))
        stack.push_async_callback(client.close)
        yield StartSlots(client.system)
    # Those who ask still, and whoever is being answered.
    left = asyncio.all_tasks() - others - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


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
    await until(lambda: slots.waiting)
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


async def test_the_limit_that_fits_is_no_other_than_what_asked_for_it(
    slots: StartSlots, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        (await slots.acquire(None, timeout=1, on_position=silent)).release()
    assert caplog.records == []


async def _crowd(slots: StartSlots, count: int, seconds: Callable[[int], float], limit: int | None) -> float:
    """Have so many start at once, each taking what as many at a time take; returns how long all took."""
    at_once = 0

    async def one() -> None:
        nonlocal at_once
        slot = await slots.acquire(limit, timeout=9999, on_position=silent)
        at_once += 1
        await asyncio.sleep(seconds(at_once))
        at_once -= 1
        slot.answered()
        slot.release()

    # The Engine is asked before the clock is taken over.
    (await slots.acquire(limit, timeout=1, on_position=silent)).release()
    loop = asyncio.get_running_loop()
    with virtual_time(loop):
        begin = loop.time()
        await asyncio.gather(*[one() for _ in range(count)])
        return loop.time() - begin


@pytest.fixture
def nearby(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow this machine is, the Engine is no distance away."""
    monkeypatch.setattr(room, "CPU_SECONDS", math.inf)


@pytest.mark.usefixtures("nearby")
async def test_an_engine_to_which_more_at_once_are_no_burden_is_given_more(
    slots: StartSlots, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, room.__name__)
    took = await _crowd(slots, 200, lambda _at_once: 1.0, None)
    assert slots.limit == 24
    assert took < 0.6 * 200 / 6
    told = [record.getMessage() for record in caplog.records if record.name == room.__name__]
    assert told[1:] == [
        "At most 12 servers are started at a time now: 8 a second with 8 at a time, and more may be faster",
        "At most 24 servers are started at a time now: 17 a second with 17 at a time, and more may be faster",
    ]


@pytest.mark.usefixtures("nearby")
async def test_an_engine_that_does_one_after_the_other_is_given_no_more_for_long(slots: StartSlots) -> None:
    await _crowd(slots, 100, float, None)
    assert (slots.limit or 0) <= 6


@pytest.mark.usefixtures("nearby")
async def test_what_is_configured_stays_however_starts_go(slots: StartSlots) -> None:
    await _crowd(slots, 100, lambda _at_once: 1.0, 5)
    assert slots.limit == 5
    (await slots.acquire(5, timeout=1, on_position=silent)).answered()


@pytest.mark.usefixtures("nearby")
async def test_a_slot_that_was_given_back_without_an_answer_tells_nothing(slots: StartSlots) -> None:
    for _ in range(100):
        made = [await slots.acquire(None, timeout=1, on_position=silent) for _ in range(6)]
        for each in made:
            each.release()
            each.answered()
    assert slots.limit == 6


async def test_what_was_learnt_stays_while_the_machines_have_as_many_cpus(
    machine: MachineServer, slots: StartSlots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "CPU_SECONDS", math.inf)
    slots._measured_for = 0
    limits = list[int | None]()
    for info in ({"NCPU": 3}, {"NCPU": 3}, None, {"NCPU": 1}):
        machine.info = info
        monkeypatch.setattr(slots, "_measured_until", 0.0)
        await _crowd(slots, 60 if not limits else 1, lambda _at_once: 1.0, None)
        limits.append(slots.limit)
    assert limits == [12, 12, 12, 2]
