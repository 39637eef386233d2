"""Background work: its order, its isolation and its end."""

from __future__ import annotations

import asyncio
import logging

import pytest

from asyncdockerspawner import errors
from asyncdockerspawner.engine import janitor as room
from asyncdockerspawner.engine.janitor import Janitor


async def test_work_on_one_name_keeps_its_order_and_never_overlaps() -> None:
    janitor, seen = Janitor(), list[str]()

    def work(word: str) -> room.Work:
        async def run() -> None:
            seen.append(f"begin {word}")
            await asyncio.sleep(0)
            seen.append(f"end {word}")

        return run

    janitor.submit("x", work("a"), what="a")
    janitor.submit("x", work("b"), what="b")
    await janitor.settled("x")
    assert seen == ["begin a", "end a", "begin b", "end b"]
    assert not janitor.busy("x")


async def test_work_on_another_name_does_not_wait() -> None:
    janitor, gate, seen = Janitor(), asyncio.Event(), list[str]()

    async def slow() -> None:
        await gate.wait()
        seen.append("slow")

    async def quick() -> None:
        seen.append("quick")

    janitor.submit("x", slow, what="slow")
    janitor.submit("y", quick, what="quick")
    await janitor.settled("y")
    assert seen == ["quick"]
    assert janitor.busy("x")
    gate.set()
    await janitor.settled("x")
    assert seen == ["quick", "slow"]


async def test_a_failure_is_logged_and_the_next_work_still_runs(caplog: pytest.LogCaptureFixture) -> None:
    janitor, seen = Janitor(), list[str]()

    async def fails() -> None:
        raise errors.EngineRefused("remove container", "x", "no")

    async def works() -> None:
        seen.append("done")

    with caplog.at_level(logging.ERROR):
        janitor.submit("x", fails, what="remove container x")
        janitor.submit("x", works, what="more")
        await janitor.settled("x")
    assert seen == ["done"]
    assert "Could not remove container x: remove container 'x': no" in caplog.text


@pytest.mark.parametrize(
    ("failure", "traced"),
    [(errors.EngineRefused("remove container", "x", "no", status=409), False), (KeyError("Id"), True)],
    ids=["the Engine's answer", "a fault of ours"],
)
async def test_only_a_fault_of_ours_is_logged_with_its_traceback(
    caplog: pytest.LogCaptureFixture, failure: Exception, traced: bool
) -> None:
    janitor = Janitor()

    async def fails() -> None:
        raise failure

    janitor.submit("x", fails, what="remove x")
    janitor.start(fails, what="look at x")
    await janitor.settled("x")
    await asyncio.sleep(0)
    assert [bool(record.exc_info) for record in caplog.records] == [traced] * 2


async def test_work_is_repeated_until_the_engine_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "RETRY_PAUSES", (0.0,))
    janitor, tries = Janitor(), list[int]()

    async def works_the_third_time() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise errors.EngineUnavailable("remove container", "x", "away")

    janitor.submit("x", works_the_third_time, what="remove container x")
    await janitor.settled("x")
    assert len(tries) == 3


async def test_work_is_repeated_until_the_engine_is_back_however_long_that_takes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(room, "RETRY_PAUSES", (0.0,))
    janitor, tries = Janitor(), 0

    async def late() -> None:
        nonlocal tries
        tries += 1
        if tries <= 500:
            raise errors.EngineTimeout("remove container", "x", "slow")

    task = janitor.submit("x", late, what="remove container x")
    await janitor.settled("x")
    assert task.result()
    assert tries == 501
    assert len(caplog.records) < 10


async def test_who_waits_can_be_cancelled_without_harm_to_the_work() -> None:
    janitor, gate, seen = Janitor(), asyncio.Event(), list[str]()

    async def work() -> None:
        await gate.wait()
        seen.append("done")

    janitor.submit("x", work, what="work")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(janitor.settled("x"), 0.01)
    gate.set()
    await janitor.settled("x")
    assert seen == ["done"]


async def test_work_that_is_asked_for_again_is_not_queued_again() -> None:
    janitor, gate, seen = Janitor(), asyncio.Event(), list[str]()

    def work(word: str) -> room.Work:
        async def run() -> None:
            await gate.wait()
            seen.append(word)

        return run

    first = janitor.submit("x", work("a"), what="a", goal="stop")
    await asyncio.sleep(0)
    assert all(janitor.submit("x", work("b"), what="b", goal="stop") is first for _ in range(3))
    assert janitor.submit("x", work("c"), what="c", goal="remove") is not first
    assert janitor.submit("y", work("d"), what="d", goal="stop") is not first
    gate.set()
    await janitor.settled("x")
    await janitor.settled("y")
    assert sorted(seen) == ["a", "c", "d"]
    janitor.submit("x", work("e"), what="e", goal="stop")
    await janitor.settled("x")
    assert seen[-1] == "e"
    assert janitor._goals == {}


async def test_how_long_there_is_work_on_a_name_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("asyncdockerspawner.engine.janitor.time.monotonic", lambda: now)
    janitor, gate = Janitor(), asyncio.Event()
    assert janitor.busy_for("x") == 0
    for _ in range(2):
        janitor.submit("x", gate.wait, what="wait")  # type: ignore[arg-type]
        now += 20
    assert janitor.busy_for("x") == 40
    monkeypatch.undo()
    gate.set()
    await janitor.settled("x")
    assert janitor.busy_for("x") == 0


async def test_who_asks_for_work_hears_whether_it_is_done_or_put_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "RETRY_PAUSES", (0.01,))
    janitor, away = Janitor(), True

    async def work() -> None:
        if away:
            raise errors.EngineUnavailable("remove container", "x", "away")

    async def refused() -> None:
        raise errors.EngineRefused("remove container", "x", "no", status=409)

    for _ in range(2):
        assert not await janitor.attempt("x", work, what="work", timeout=60, goal="x")
    away = False
    await janitor.settled("x")
    assert await janitor.attempt("x", work, what="work", timeout=60)
    assert not await janitor.attempt("x", refused, what="work", timeout=60)
    assert not await janitor.attempt("x", asyncio.Event().wait, what="for ever", timeout=0)  # type: ignore[arg-type]
    await janitor.aclose(timeout=0)


async def test_what_is_not_done_when_the_hub_ends_is_told(caplog: pytest.LogCaptureFixture) -> None:
    janitor = Janitor()
    janitor.submit("x", asyncio.Event().wait, what="remove x")  # type: ignore[arg-type]
    await janitor.aclose(timeout=0)
    assert "Not done when the Hub ended: remove x" in caplog.text


async def test_closing_ends_what_does_not_end_by_itself() -> None:
    janitor = Janitor()
    task = janitor.submit("x", asyncio.Event().wait, what="wait for ever")  # type: ignore[arg-type]
    await janitor.aclose(timeout=0.01)
    assert task.cancelled()
    await Janitor().aclose()
    assert not janitor.busy("x")


async def test_closing_ends_what_is_under_way_as_well_as_what_is_queued_behind_it() -> None:
    janitor = Janitor()
    tasks = [janitor.submit("x", asyncio.Event().wait, what="wait for ever") for _ in range(3)]  # type: ignore[arg-type]
    await asyncio.sleep(0)
    await janitor.aclose(timeout=0.01)
    assert all(task.cancelled() for task in tasks)
    assert not janitor.busy("x")


async def test_who_waits_is_not_cancelled_with_the_work() -> None:
    janitor = Janitor()
    janitor.submit("x", asyncio.Event().wait, what="wait for ever")  # type: ignore[arg-type]
    waiter = asyncio.create_task(janitor.settled("x"))
    await asyncio.sleep(0)
    await janitor.aclose(timeout=0.01)
    await asyncio.wait_for(waiter, 1)
    assert not janitor.busy("x")
