"""Time that goes by only while everybody waits for it: tests of long waits end at once, and always alike."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

Ready = list[tuple[selectors.SelectorKey, int]]


@contextmanager
def virtual_time(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Within it, the clock stands still, and goes on to the next timer once nothing is left to do."""
    selector: selectors.BaseSelector = loop._selector  # type: ignore[attr-defined]
    now, select = time.monotonic(), selector.select

    def skip(timeout: float | None = None) -> Ready:
        nonlocal now
        if timeout is None:
            return select(None)
        ready = select(0)
        if not ready:
            now += timeout
        return ready

    def clock() -> float:
        return now

    # It is what the loop's own clock is read from, too.
    with mock.patch.object(selector, "select", skip), mock.patch("time.monotonic", clock):
        yield
