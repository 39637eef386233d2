"""One user's start while something slow goes on for others: a stop that takes its grace, or a pull."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from statistics import median

from benchmarks.frame.case import Figure, Sample, Target
from benchmarks.measures.servers import Batch, Servers, names
from benchmarks.measures.slow_image import SlowImage

GRACE = 10.0
SETTLE = 0.3
"""Seconds between asking for the stop and the bystanders, so that it is under way."""
STARTS = 4
FIGURES = (
    Figure("alone", "a start alone (s)"),
    Figure("beside", "a start beside it (s)"),
    Figure("slower", "times slower than alone", (Target(most=1.1),)),
)
STOP_FIGURES = (*FIGURES, Figure("stop", "the slow stop (s)"))
PULL_FIGURES = (*FIGURES, Figure("waiting", "those who wait for the image, last (s)"))
Going = Callable[[], bool]


async def beside_a_stop(servers: Servers, index: int, stubborn: str) -> Sample:
    """Start users one by one while a server that ignores SIGTERM takes its whole grace to stop."""
    slow = names("stubborn", index, 1)
    await servers.add(slow)
    try:
        await servers.start(slow, stubborn)

        async def begin() -> tuple[asyncio.Task[Batch], Going]:
            stopping = asyncio.create_task(servers.stop(slow))
            await asyncio.sleep(SETTLE)
            return stopping, lambda: not stopping.done()

        sample, stop = await _bystander(servers, index, begin)
    finally:
        await servers.forget(slow)
    sample.figures["stop"] = stop.last
    if stop.last < 0.8 * GRACE:
        sample.faults.append(f"nothing was measured: the stop of {GRACE:g} s took {stop.last:.1f} s")
    return sample


async def beside_a_pull(servers: Servers, index: int, image: SlowImage, waiters: int) -> Sample:
    """Start users one by one while others wait for an image that comes slowly from its registry."""
    waiting = names("waiting", index, waiters)
    await image.forget()
    await servers.add(waiting)
    try:

        async def begin() -> tuple[asyncio.Task[Batch], Going]:
            image.begin()
            pulling = asyncio.create_task(servers.start(waiting, image.reference))
            await image.is_coming(pulling)
            return pulling, lambda: image.is_on_its_way

        sample, pull = await _bystander(servers, index, begin)
    finally:
        await servers.forget(waiting)
        await image.forget()
    sample.figures["waiting"] = pull.last
    if pull.last < 0.8 * image.seconds:
        sample.faults.append(f"nothing was measured: the pull of {image.seconds:g} s took {pull.last:.1f} s")
    return sample


async def _bystander(
    servers: Servers, index: int, begin: Callable[[], Awaitable[tuple[asyncio.Task[Batch], Going]]]
) -> tuple[Sample, Batch]:
    """Start `STARTS` users one by one in quiet, as many beside the slow thing, as many in quiet."""
    before, beside, after = (names(when, index, STARTS) for when in ("before", "beside", "after"))
    users = [*before, *beside, *after]
    await servers.add(users)
    try:
        alone, faults = await one_by_one(servers, before, lambda: True)
        slow, going = await begin()
        try:
            disturbed, more = await one_by_one(servers, beside, going)
            batch = await slow
        finally:
            slow.cancel()
        late, most = await one_by_one(servers, after, lambda: True)
    finally:
        await servers.forget(users)
    alone, faults = [*alone, *late], [*faults, *more, *most, *batch.faults]
    quiet, busy = _middle(alone), _middle(disturbed)
    figures = {"alone": quiet, "beside": busy, "slower": busy / quiet}
    return Sample(figures, {"alone": alone, "beside": disturbed}, faults), batch


async def one_by_one(servers: Servers, users: Sequence[str], going: Going) -> tuple[list[float], list[str]]:
    """Give the times of the starts that began while it went on, one at least, and what failed."""
    seconds, faults = list[float](), list[str]()
    started = list[str]()
    for user in users:
        if started and not going():
            break
        batch = await servers.start([user])
        started.append(user)
        seconds += batch.seconds
        faults += batch.faults
    stopped = await servers.stop(started)
    return seconds, [*faults, *stopped.faults]


def _middle(seconds: Sequence[float]) -> float:
    return median(seconds) if seconds else float("inf")
