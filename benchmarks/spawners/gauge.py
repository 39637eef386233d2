"""What a piece of work costs this process. The standard library only: either environment runs it."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import time
from types import TracebackType
from typing import Any, Self

from benchmarks.hubs.hub_probe import memory

TICK = 0.005
THREADS_EVERY = 40
"""Ticks between two counts of threads."""


class Gauge:
    """Measures the block that it is entered for."""

    def __init__(self) -> None:
        self._cpu = 0.0
        self._stall = 0.0
        self._collecting_since = 0.0
        self._collection = 0.0
        self._threads = 0
        self._ticking: asyncio.Task[None] | None = None

    def document(self) -> dict[str, Any]:
        """Give what it has measured, in the words of `Cost`."""
        return {
            "cpu_seconds": self._cpu,
            "longest_stall_ms": 1000 * self._stall,
            "longest_collection_ms": 1000 * self._collection,
            "threads": self._threads,
            "memory_mib": memory() / 2**20,
        }

    async def __aenter__(self) -> Self:
        self._ticking = asyncio.create_task(self._tick())
        await asyncio.sleep(0)
        gc.callbacks.append(self._collected)
        self._cpu = time.process_time()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cpu = time.process_time() - self._cpu
        gc.callbacks.remove(self._collected)
        await asyncio.sleep(0)
        if self._ticking is not None:
            self._ticking.cancel()
        self._threads = max(self._threads, _threads())

    def _collected(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._collecting_since = time.monotonic()
        else:
            self._collection = max(self._collection, time.monotonic() - self._collecting_since)

    async def _tick(self) -> None:
        for tick in itertools.count():
            before = time.monotonic()
            await asyncio.sleep(TICK)
            self._stall = max(self._stall, time.monotonic() - before - TICK)
            if tick % THREADS_EVERY == 0:
                self._threads = max(self._threads, _threads())


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))
