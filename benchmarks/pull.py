"""One user's start while ten others wait for an image that comes slowly from its registry."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.bystander import quiet_starts, timed_start
from benchmarks.engine_floor import BareEngine
from benchmarks.hubs import PULL_PREFIX, MeasuredHub
from benchmarks.storm import Phase, together
from tests.support.hub_api import HubAPI
from tests.testbed.engine import ensure_engine
from tests.testbed.registry import layer, registry
from tests.testbed.throttle import Front, front

WAITERS = 10
SIZE = 60_000_000
SECONDS = 8.0  # that the image's bytes take
UNDER_WAY = 1_000_000  # bytes after which a pull is one
NAME = "bench/slow"


@dataclass(frozen=True)
class Pull:
    """One round on one Hub, in seconds; `waiting` is of those whose image is pulled."""

    alone: tuple[float, ...]
    beside: tuple[float, ...]
    waiting: Phase

    @property
    def ratio(self) -> float:
        """How many times longer a start takes beside the pull."""
        return median(self.beside) / median(self.alone)

    @property
    def valid(self) -> bool:
        """Whether the pull did take its time: else nothing was measured."""
        return self.waiting.last >= 0.8 * SECONDS

    def document(self) -> dict[str, Any]:
        """For the JSON report."""
        waiting = self.waiting.document()
        return {"alone": self.alone, "beside": self.beside, "waiting": waiting, "ratio": self.ratio}


class SlowImage:
    """An image, and the slow way to it."""

    def __init__(self, reference: str, way: Front) -> None:
        self.reference = reference
        self._way = way
        self._begun = 0

    def begin(self) -> None:
        """Count the image's bytes from here on."""
        self._begun = self._way.carried

    @property
    def come(self) -> int:
        """How many of its bytes have come."""
        return self._way.carried - self._begun

    async def is_coming(self, pulling: asyncio.Task[Any]) -> None:
        """Return when some of it has come, or there is nothing to wait for."""
        while self.come < UNDER_WAY and not pulling.done():  # noqa: ASYNC110 - bytes are no event
            await asyncio.sleep(0.02)


@asynccontextmanager
async def slow_image(stub: str, folder: Path) -> AsyncIterator[SlowImage]:
    """The stub image with more on top, in a registry of its own behind a slow line."""
    with registry(folder) as there:
        there.add(NAME, stub, ensure_engine(), layer(os.urandom(SIZE)), packed=0)
        async with front(there.address, rate=SIZE / SECONDS) as way:
            yield SlowImage(f"{way.address}/{NAME}:1", way)


async def pull(hub: MeasuredHub, engine: BareEngine, image: SlowImage, tag: str, starts: int = 4) -> Pull:
    """Start users one by one: `starts` in quiet, as many while others wait for it, as many in quiet."""
    api = hub.api
    waiting = [f"{PULL_PREFIX}{tag}-{index}" for index in range(WAITERS)]
    before, beside, after = (
        [f"{when}-pull-{tag}-{index}" for index in range(starts)] for when in ("before", "beside", "after")
    )
    users = [*waiting, *before, *beside, *after]
    await engine.remove_image(image.reference)
    await api.create_users(users)
    try:
        quiet = await quiet_starts(api, before)
        image.begin()
        pulling = asyncio.create_task(together(hub, waiting, api.start_server))
        try:
            await image.is_coming(pulling)
            disturbed = await _starts_during(api, beside, image)
            waited = await pulling
        finally:
            pulling.cancel()
        stopped = map(api.stop_server, [*waiting, *beside[: len(disturbed)]])
        await asyncio.gather(*stopped, return_exceptions=True)
        quiet += await quiet_starts(api, after)
    finally:
        await asyncio.gather(*map(api.delete_user, users), return_exceptions=True)
        await engine.remove_image(image.reference)
    return Pull(tuple(quiet), tuple(disturbed), waited)


async def _starts_during(api: HubAPI, users: Sequence[str], image: SlowImage) -> list[float]:
    """The times of the starts that began while the image was coming; at least one is made."""
    times = [await timed_start(api, users[0])]
    for user in users[1:]:
        if image.come >= SIZE:
            break
        times.append(await timed_start(api, user))
    return times
