"""Start slots: their order, their limit, and who releases them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from asyncdockerspawner import errors
from asyncdockerspawner.client.client import Client
from asyncdockerspawner.client.settings import EngineSettings
from asyncdockerspawner.engine import start_slots as room
from asyncdockerspawner.engine.start_slots import StartSlots
from tests.support.start_slots import Starter, silent, starters, who
from tests.support.waiting import turns


@pytest.fixture
async def slots() -> AsyncIterator[StartSlots]:
    """Slots whose number is given: the Engine is not asked."""
    client = Client(EngineSettings(url="unix:///nowhere"))
    yield StartSlots(client.system)
    await client.close()


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


@pytest.mark.usefixtures("virtual")
async def test_a_waiter_is_told_how_many_are_ahead_whenever_that_has_changed(slots: StartSlots) -> None:
    made = await starters(slots, 4)
    for each in made[:3]:
        await asyncio.sleep(2 * room.REPORT_SECONDS)
        each.slot.release()
        await turns()
    # Who has a slot at once is told nothing.
    assert [each.told for each in made] == [[], [0], [1, 0], [2, 1, 0]]


@pytest.mark.usefixtures("virtual")
async def test_all_of_a_long_queue_are_told_and_nobody_twice_the_same(
    slots: StartSlots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "REPORTS_AT_A_TIME", 2)
    made = await starters(slots, 7)
    await asyncio.sleep(3 * room.REPORT_SECONDS)
    made[0].slot.release()
    await asyncio.sleep(2 * room.REPORT_SECONDS)
    assert [each.told for each in made] == [[], [0], [1, 0], [2, 1], [3, 2], [4, 3], [5, 4]]


@pytest.mark.usefixtures("virtual")
async def test_a_waiter_that_cannot_be_told_later_either_leaves_the_queue(slots: StartSlots) -> None:
    def told(ahead: int) -> None:
        if not ahead:
            raise ValueError("no such page")

    first, second = await starters(slots, 2)
    third = asyncio.create_task(slots.acquire(1, timeout=60, on_position=told))
    await turns()
    first.slot.release()
    with pytest.raises(ValueError, match="no such page"):
        await third
    second.slot.release()
    assert (slots.waiting, who(await starters(slots, 2))) == (0, [0])


@pytest.mark.usefixtures("virtual")
async def test_a_slot_is_not_assigned_to_who_could_not_be_told_just_now(slots: StartSlots) -> None:
    holder: list[Starter] = []

    def told(ahead: int) -> None:
        if not ahead:
            asyncio.get_running_loop().call_soon(holder[1].slot.release)
            raise ValueError("no such page")

    holder += await starters(slots, 2)
    third = asyncio.create_task(slots.acquire(1, timeout=60, on_position=told))
    fourth = Starter(slots)
    await turns()
    holder[0].slot.release()
    with pytest.raises(ValueError, match="no such page"):
        await third
    await turns()
    assert fourth.has_slot


@pytest.mark.usefixtures("virtual")
@pytest.mark.parametrize("timeout", [0, 90])
async def test_who_has_waited_long_enough_is_refused_and_holds_up_nobody(
    slots: StartSlots, timeout: float
) -> None:
    [first] = await starters(slots, 1)
    late = Starter(slots, timeout=timeout)
    with pytest.raises(errors.QueueTimeout, match=f"has waited {timeout} s") as caught:
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


@pytest.mark.usefixtures("virtual")
async def test_a_slot_is_released_when_its_time_is_over(slots: StartSlots) -> None:
    made = await starters(slots, 2)
    made[0].slot.release_in(20)
    await asyncio.sleep(19)
    assert who(made) == [0]
    await asyncio.sleep(2)
    assert who(made) == [0, 1]
    assert made[0].slot.released


@pytest.mark.usefixtures("virtual")
@pytest.mark.parametrize("before", [True, False])
async def test_a_slot_released_early_is_not_released_again_when_its_time_is_over(
    slots: StartSlots, before: bool
) -> None:
    made = await starters(slots, 3)
    if before:
        made[0].slot.release_in(20)
    made[0].slot.release()
    made[0].slot.release_in(20)
    await asyncio.sleep(60)
    assert who(made) == [0, 1]


@pytest.mark.parametrize("limit", [0, 1])
async def test_slots_are_idle_where_nobody_starts_or_waits(slots: StartSlots, limit: int) -> None:
    await slots.idle(timeout=30)
    made = await starters(slots, 2, limit=limit)
    waiting = asyncio.create_task(slots.idle(timeout=30))
    for each in made:
        await turns()
        assert not waiting.done()
        each.slot.release()
    await waiting


async def test_who_waits_for_idle_slots_does_so_for_a_time(slots: StartSlots) -> None:
    (made,) = await starters(slots, 1)
    await slots.idle(timeout=0.01)
    made.slot.release()
