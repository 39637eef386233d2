"""What containers at rest cost the machine, with and without a HEALTHCHECK."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.bench import Bench
from benchmarks.engine import Floor
from benchmarks.frame.case import Sample
from benchmarks.measures.servers import names, rest

SECONDS = 15.0
"""Each container is checked three times."""
EVERY_5_S = {"Healthcheck": {"Test": ["CMD", "/bin/busybox", "true"], "Interval": 5_000_000_000}}
_AT_REST = slice(3, 5)
"""Of a line in /proc/stat: what was idle, and what waited for a disk."""


async def idle(bench: Bench, count: int, index: int) -> Sample:
    """Let none, so many, and so many with a HEALTHCHECK be, and look at what that costs."""
    seconds = 0.5 if bench.small else SECONDS
    await rest(count)
    nothing = await busy(seconds)
    without, faults = await _beside(bench, names("idle", index, count), {}, seconds)
    checked, more = await _beside(bench, names("checked", index, count), EVERY_5_S, seconds)
    figures = {"nothing": nothing, "without": without, "checked": checked}
    if without:
        figures["times"] = checked / without
    return Sample(figures, faults=[*faults, *more])


async def _beside(
    bench: Bench, users: list[str], more: Mapping[str, Any], seconds: float
) -> tuple[float, tuple[str, ...]]:
    floor = Floor(bench.engine, f"{bench.prefix}-idle", bench.stub, more=more)
    try:
        begun = await floor.start(users)
        await rest(len(users))
        return await busy(seconds), begun.faults
    finally:
        await floor.forget(users)


async def busy(seconds: float) -> float:
    """Return how much of one CPU the machine uses, in percent; whoever else works on it counts too."""
    begin, before = time.monotonic(), _busy_seconds()
    await asyncio.sleep(seconds)
    return 100 * (_busy_seconds() - before) / (time.monotonic() - begin)


def _busy_seconds() -> float:
    ticks = [int(each) for each in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(ticks) - sum(ticks[_AT_REST])) / os.sysconf("SC_CLK_TCK")
