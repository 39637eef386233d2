"""An image that takes some seconds to come from its registry."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.engine import BareEngine
from tests.testbed.engine import ensure_engine
from tests.testbed.registry import layer, registry
from tests.testbed.throttle import Front, front

SIZE = 60_000_000
SECONDS = 8.0
"""That the image's bytes take, unless one says otherwise."""
UNDER_WAY = 1_000_000
"""Bytes after which a pull is one."""
NAME = "bench/slow"


class SlowImage:
    """An image, and the slow way to it."""

    def __init__(self, reference: str, way: Front, engine: BareEngine, seconds: float) -> None:
        self.reference = reference
        self.seconds = seconds
        self._way = way
        self._engine = engine
        self._begun = 0

    async def forget(self) -> None:
        """Have the Engine not have it."""
        await self._engine.remove_image(self.reference)

    def begin(self) -> None:
        """Count the image's bytes from here on."""
        self._begun = self._way.carried

    @property
    def come(self) -> int:
        """How many of its bytes have come."""
        return self._way.carried - self._begun

    @property
    def is_on_its_way(self) -> bool:
        """Whether some of it has still to come."""
        return self.come < SIZE

    async def is_coming(self, pulling: asyncio.Task[Any]) -> None:
        """Return when some of it has come, or there is nothing to wait for."""
        while self.come < UNDER_WAY and not pulling.done():  # noqa: ASYNC110 - bytes are no event
            await asyncio.sleep(0.02)


@asynccontextmanager
async def slow_image(
    stub: str, folder: Path, engine: BareEngine, seconds: float = SECONDS
) -> AsyncIterator[SlowImage]:
    """The stub image with more on top, in a registry of its own behind a slow line."""
    with registry(folder) as there:
        there.add(NAME, stub, ensure_engine(), layer(os.urandom(SIZE)), packed=0)
        async with front(there.address, rate=SIZE / seconds) as way:
            yield SlowImage(f"{way.address}/{NAME}:1", way, engine, seconds)
