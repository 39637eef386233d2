"""The probe inside a measured Hub: loaded by its configuration, in whatever environment that Hub runs.

Imports the standard library only. A task ticks every 10 ms on the Hub's event loop and appends a line of JSON
per quarter of a second; times are CLOCK_MONOTONIC, which all processes of one machine share, so that the
measuring process can cut out the phase it means.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

TICK = 0.01
WINDOW = 0.25
THREADS_EVERY = 5  # ticks between two counts of threads

_running: list[asyncio.Task[None]] = []  # the loop itself holds tasks weakly


def start(path: str) -> None:
    """Begin to measure the running event loop into the file at `path`."""
    _running.append(asyncio.get_running_loop().create_task(_measure(Path(path)), name="hub probe"))


async def _measure(path: Path) -> None:
    with path.open("a", buffering=1) as lines:
        while True:
            lines.write(json.dumps(await _window()) + "\n")


async def _window() -> dict[str, float]:
    """One window's longest stall and most threads, the process's CPU seconds so far, and its memory."""
    begun = now = time.monotonic()
    stall, threads, ticks = 0.0, 0, 0
    while now - begun < WINDOW:
        if ticks % THREADS_EVERY == 0:
            threads = max(threads, _threads())
        await asyncio.sleep(TICK)
        before, now = now, time.monotonic()
        stall = max(stall, now - before - TICK)
        ticks += 1
    cpu = time.process_time()
    return {"from": begun, "to": now, "stall": stall, "threads": threads, "cpu": cpu, "memory": memory()}


def memory() -> int:
    """Give the resident bytes of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))
