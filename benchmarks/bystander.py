"""One user's start while another user's container takes its whole grace of 10 s to stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from benchmarks.hubs import STUBBORN_PREFIX, MeasuredHub
from tests.support.hub_api import HubAPI

GRACE = 10.0
SETTLE = 0.3  # between asking for the stop and the bystanders, so that the stop is under way


@dataclass(frozen=True)
class Bystander:
    """One round on one Hub, in seconds."""

    alone: tuple[float, ...]
    beside: tuple[float, ...]
    stop: float

    @property
    def ratio(self) -> float:
        """How many times longer a start takes beside the stop."""
        return median(self.beside) / median(self.alone)

    @property
    def valid(self) -> bool:
        """Whether the stubborn container did take its grace: else nothing was measured."""
        return self.stop >= 0.8 * GRACE

    def document(self) -> dict[str, Any]:
        """For the JSON report."""
        return {**asdict(self), "ratio": self.ratio}


async def bystander(hub: MeasuredHub, tag: str, starts: int = 4) -> Bystander:
    """Start users one by one: `starts` in quiet, as many while a stubborn server stops, as many in quiet."""
    api = hub.api
    stubborn = f"{STUBBORN_PREFIX}{tag}"
    before, beside, after = (
        [f"{when}-{tag}-{index}" for index in range(starts)] for when in ("before", "beside", "after")
    )
    users = [stubborn, *before, *beside, *after]
    await api.create_users(users)
    try:
        quiet = await quiet_starts(api, before)
        await api.start_server(stubborn)
        stopping = asyncio.create_task(_timed_stop(api, stubborn))
        try:
            await asyncio.sleep(SETTLE)
            disturbed = await _starts_during(api, beside, stopping)
            stop = await stopping
        finally:
            stopping.cancel()
        await asyncio.gather(*map(api.stop_server, beside))
        quiet += await quiet_starts(api, after)
    finally:
        await asyncio.gather(*map(api.delete_user, users), return_exceptions=True)
    return Bystander(tuple(quiet), tuple(disturbed), stop)


async def quiet_starts(api: HubAPI, users: Sequence[str]) -> list[float]:
    """The times of the starts, one by one; then all are stopped."""
    times = [await timed_start(api, user) for user in users]
    await asyncio.gather(*map(api.stop_server, users))
    return times


async def _starts_during(api: HubAPI, users: Sequence[str], stopping: asyncio.Task[float]) -> list[float]:
    """The times of the starts that began while the stop was under way; at least one is made."""
    times = [await timed_start(api, users[0])]
    for user in users[1:]:
        if stopping.done():
            break
        times.append(await timed_start(api, user))
    return times


async def timed_start(api: HubAPI, user: str) -> float:
    begun = time.monotonic()
    await api.start_server(user)
    return time.monotonic() - begun


async def _timed_stop(api: HubAPI, user: str) -> float:
    begun = time.monotonic()
    await api.stop_server(user)
    return time.monotonic() - begun
