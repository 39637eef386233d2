"""The start gate: its order, its width, and who gives a place back."""

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
from asyncdockerspawner.engine.start_slots import Gate, Lease
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
async def gate(machine: MachineServer) -> AsyncIterator[Gate]:
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(answering(machine.answer))
        client = Client(EngineSettings(url=url, api_version="1.41"))
        stack.push_async_callback(client.close)
        yield Gate(client.system)


class Starter:
    """One who wants to pass; `lease` is there once it has."""

    def __init__(self, gate: Gate, width: int | None = 1, patience: float = 60) -> None:
        self.told: list[int] = []
        self.task = asyncio.create_task(gate.enter(width, patience=patience, told=self.told.append))

    @property
    def inside(self) -> bool:
        return self.task.done() and not self.task.cancelled() and self.task.exception() is None

    @property
    def lease(self) -> Lease:
        return self.task.result()


def silent(_ahead: int) -> None:
    """Hear one's place, and do nothing about it."""


async def turns(count: int = 10) -> None:
    """Let everybody do what can be done without waiting."""
    for _ in range(count):
        await asyncio.sleep(0)


async def starters(gate: Gate, count: int, width: int | None = 1) -> list[Starter]:
    made = [Starter(gate, width) for _ in range(count)]
    await turns()
    return made


def who(made: list[Starter]) -> list[int]:
    return [number for number, each in enumerate(made) if each.inside]


async def test_one_after_another_passes_in_the_order_of_coming(gate: Gate) -> None:
    made = await starters(gate, 5)
    for number, each in enumerate(made):
        assert (who(made), gate.waiting) == (list(range(number + 1)), 4 - number)
        each.lease.release()
        await turns()


async def test_as_many_are_inside_as_the_gate_is_wide(gate: Gate) -> None:
    made = await starters(gate, 8, width=3)
    assert (gate.width, who(made)) == (3, [0, 1, 2])
    made[1].lease.release()
    await turns()
    assert who(made) == [0, 1, 2, 3]
    for each in made:
        each.lease.release()
        await turns()
    # Every place has been given back, and not one more.
    assert who(await starters(gate, 8, width=3)) == [0, 1, 2]


async def test_who_comes_just_when_a_place_is_given_on_does_not_get_it(gate: Gate) -> None:
    first, second = await starters(gate, 2)
    first.lease.release()
    third = Starter(gate)
    await turns()
    assert who([first, second, third]) == [0, 1]


async def test_a_gate_of_width_zero_lets_everybody_pass(gate: Gate) -> None:
    made = await starters(gate, 100, width=0)
    assert len(who(made)) == 100
    made[0].lease.release()
    assert gate.waiting == 0


@pytest.mark.parametrize(("info", "width"), [({"NCPU": 2}, 4), ({"NCPU": 3}, 6), ({"NCPU": 0}, 2), ({}, 2)])
async def test_the_width_that_fits_is_two_for_each_cpu(
    gate: Gate, machine: MachineServer, monkeypatch: pytest.MonkeyPatch, info: dict[str, int], width: int
) -> None:
    # However slow this machine is, the Engine is no distance away.
    monkeypatch.setattr(room, "CPU_SECONDS", math.inf)
    machine.info = info
    made = [Starter(gate, None) for _ in range(10)]
    await asyncio.wait([each.task for each in made], return_when=asyncio.FIRST_COMPLETED)
    await turns()
    assert (gate.width, who(made)) == (width, list(range(width)))
    assert machine.asked == {"/v1.41/info": 1, "/_ping": 1}


async def test_over_a_slow_line_the_gate_is_wider(
    gate: Gate, machine: MachineServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "CPU_SECONDS", 0.01)
    machine.pauses = {"/v1.41/info": 0.2, "/_ping": 0.2}
    await gate.enter(None, patience=1, told=silent)
    # Nearly: a pause may end a little early.
    assert (gate.width or 0) > room.STARTS_PER_CPU * 3 * (1 + 0.19 / 0.01)


async def test_an_engine_that_thinks_long_about_itself_is_not_far_away(
    gate: Gate, machine: MachineServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "CPU_SECONDS", 0.01)
    machine.pauses = {"/v1.41/info": 1}
    await gate.enter(None, patience=1, told=silent)
    assert (gate.width or 0) < room.STARTS_PER_CPU * 3 * (1 + 0.99 / 0.01)


@pytest.mark.parametrize(("cpus", "width"), [(8, 16), (1, room.SMALLEST), (None, room.SMALLEST)])
async def test_an_engine_that_does_not_tell_its_cpus_is_taken_to_have_this_machine_s(
    gate: Gate, machine: MachineServer, monkeypatch: pytest.MonkeyPatch, cpus: int | None, width: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cpus)
    machine.info = None
    for _ in range(3):
        (await gate.enter(None, patience=1, told=silent)).release()
    assert gate.width == width
    assert machine.asked["/v1.41/info"] == 1


async def test_an_engine_that_was_away_is_asked_for_its_cpus_again(
    gate: Gate, machine: MachineServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    monkeypatch.setattr(room, "CPU_SECONDS", math.inf)
    monkeypatch.setattr(room, "AGAIN_SECONDS", 0)
    machine.info = None
    made = [Starter(gate, None) for _ in range(3)]
    while gate.waiting < 1:  # noqa: ASYNC110 - the gate tells nobody of those who wait
        await asyncio.sleep(0.01)
    assert (gate.width, who(made)) == (room.SMALLEST, [0, 1])
    machine.info = {"NCPU": 3}
    made.append(Starter(gate, None))
    # Those who wait already get the new places first.
    await asyncio.wait([each.task for each in made], timeout=30)
    assert (gate.width, who(made)) == (6, [0, 1, 2, 3])
    asked = machine.asked["/v1.41/info"]
    made.append(Starter(gate, None))
    await made[-1].task
    assert machine.asked["/v1.41/info"] == asked
    assert ["not now" in record.getMessage() for record in caplog.records] == [True]
    # Every place that is given back is one again, and not one more.
    for each in made:
        each.lease.release()
    assert len(who(await starters(gate, 8, width=None))) == 6


async def test_an_engine_that_hangs_holds_up_a_start_only_shortly(
    gate: Gate, machine: MachineServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(room, "MEASURE_SECONDS", 0.1)
    machine.pauses = {"/v1.41/info": 600}
    async with asyncio.timeout(60):
        await gate.enter(None, patience=1, told=silent)
    assert "no answer in time" in caplog.text


async def test_how_far_a_filtered_engine_is_away_is_told_by_what_it_answers(
    gate: Gate, machine: MachineServer
) -> None:
    machine.forbidden = {"/_ping"}
    await gate.enter(None, patience=1, told=silent)
    assert (gate.width or 0) >= 6


async def test_a_first_start_that_is_cancelled_leaves_the_measuring_to_the_next(
    gate: Gate, machine: MachineServer
) -> None:
    machine.pauses = {"/v1.41/info": 60}
    first = Starter(gate, None)
    await machine.reached.wait()
    second = Starter(gate, 2)
    await turns()
    first.task.cancel()
    await second.task
    assert gate.width == 2


async def test_a_width_that_differs_from_the_first_is_told_once(
    gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for asked in (2, 2, 5, 5, None, None, 2, 5):
        (await gate.enter(asked, patience=1, told=silent)).release()
    assert gate.width == 2
    told = [record.getMessage() for record in caplog.records]
    assert [message.partition(", but")[0] for message in told] == [
        "`concurrent_starts` is 5 here",
        "`concurrent_starts` is None here",
    ]
    assert all("has set it to 2" in message for message in told)


async def test_the_width_that_fits_is_no_other_than_what_asked_for_it(
    gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        (await gate.enter(None, patience=1, told=silent)).release()
    assert caplog.records == []


async def test_a_waiter_is_told_how_many_are_ahead_whenever_that_has_changed(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "TELL_SECONDS", 0.01)
    made = await starters(gate, 4)
    for each in made[:3]:
        await asyncio.sleep(0.05)
        each.lease.release()
        await turns()
    # Who passes at once is told nothing.
    assert [each.told for each in made] == [[], [0], [1, 0], [2, 1, 0]]


@pytest.mark.parametrize("patience", [0, 0.05])
async def test_who_has_waited_long_enough_is_refused_and_holds_up_nobody(gate: Gate, patience: float) -> None:
    [first] = await starters(gate, 1)
    late = Starter(gate, patience=patience)
    with pytest.raises(errors.QueueTimeout, match="has waited 0 s") as caught:
        await late.task
    assert (caught.value.status, late.told, gate.waiting) == (503, [0], 0)
    first.lease.release()
    assert who(await starters(gate, 2)) == [0]


async def test_a_waiter_that_is_cancelled_leaves_the_line(gate: Gate) -> None:
    made = await starters(gate, 3)
    made[1].task.cancel()
    await turns()
    assert gate.waiting == 1
    made[0].lease.release()
    await turns()
    assert who(made) == [0, 2]


async def test_a_waiter_that_is_cancelled_just_when_its_turn_comes_gives_the_place_on(gate: Gate) -> None:
    made = await starters(gate, 3)
    made[0].lease.release()
    made[1].task.cancel()
    await turns()
    assert made[1].task.cancelled()
    assert who(made) == [0, 2]
    made[2].lease.release()
    assert who(await starters(gate, 2)) == [0]


async def test_a_waiter_that_cannot_be_told_its_place_leaves_the_line(gate: Gate) -> None:
    def told(_ahead: int) -> None:
        raise ValueError("no such page")

    [first] = await starters(gate, 1)
    with pytest.raises(ValueError, match="no such page"):
        await gate.enter(1, patience=60, told=told)
    assert gate.waiting == 0
    first.lease.release()
    assert who(await starters(gate, 2)) == [0]


async def test_a_place_is_given_back_once_however_often_that_is_said(gate: Gate) -> None:
    made = await starters(gate, 3)
    seen = [made[0].lease.held]
    made[0].lease.release()
    made[0].lease.release()
    await turns()
    assert [*seen, made[0].lease.held] == [True, False]
    assert who(made) == [0, 1]


async def test_a_place_is_given_back_when_its_time_is_over(gate: Gate) -> None:
    first, second = await starters(gate, 2)
    first.lease.release_in(0.02)
    await turns()
    assert not second.inside
    await asyncio.wait_for(second.task, 10)
    assert not first.lease.held


@pytest.mark.parametrize("before", [True, False])
async def test_a_place_given_back_early_is_not_given_back_again_when_its_time_is_over(
    gate: Gate, before: bool
) -> None:
    made = await starters(gate, 3)
    if before:
        made[0].lease.release_in(0.01)
    made[0].lease.release()
    made[0].lease.release_in(0.01)
    await asyncio.sleep(0.05)
    assert who(made) == [0, 1]
