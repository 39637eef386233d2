"""The clock of tests that prove what happens, and what does not, in the course of time."""

from __future__ import annotations

import asyncio
import time

import pytest

DAY = 24 * 60 * 60.0


@pytest.mark.usefixtures("virtual")
async def test_a_day_goes_by_at_once_and_in_its_order() -> None:
    begin, really = time.monotonic(), time.perf_counter()
    seen: list[str] = []

    async def at(seconds: float, word: str) -> None:
        await asyncio.sleep(seconds)
        seen.append(f"{word} after {time.monotonic() - begin:.0f} s")

    await asyncio.gather(at(DAY, "last"), at(0, "first"), at(60, "then"))
    assert seen == ["first after 0 s", "then after 60 s", f"last after {DAY:.0f} s"]
    assert time.perf_counter() - really < DAY / 100


@pytest.mark.usefixtures("virtual")
async def test_the_clock_stands_still_while_there_is_something_to_do() -> None:
    begin = time.monotonic()
    for _ in range(1000):
        await asyncio.sleep(0)
    assert time.monotonic() == begin
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), 5)
    assert time.monotonic() - begin == pytest.approx(5)


async def test_afterwards_it_is_the_machines_own_again() -> None:
    begin = time.perf_counter() - time.monotonic()
    await asyncio.sleep(0.001)
    assert time.perf_counter() - time.monotonic() == pytest.approx(begin, abs=1)
