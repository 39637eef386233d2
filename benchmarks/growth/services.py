"""What the watch of many services costs at rest, over the fake Engine, which has them without containers."""

from __future__ import annotations

import asyncio
import json
import time
import tracemalloc

from asyncdockerspawner.client.settings import EngineSettings
from asyncdockerspawner.engine.engine import Engine
from asyncdockerspawner.names import labels
from benchmarks.frame.case import Figure
from tests.fake_engine import FakeEngine

LISTS = 5
"""How many lists are measured at each number."""
POLLS = 1000
PORTION = 500
HUB = "bench"


FIGURES = (
    Figure("pause_seconds", "seconds between two lists"),
    Figure("list_cpu_ms", "CPU of the process for a list (ms)"),
    Figure("cpu_percent", "of one CPU, at that pause"),
    Figure("list_mib", "a list (MiB)"),
    Figure("mib_per_minute", "from the manager in a minute (MiB)"),
    Figure("stall_ms", "longest loop stall, while lists are read (ms)"),
    Figure("memory_kib", "memory for a server, in the table (KiB)"),
    Figure("poll_us", "a poll (µs)"),
    Figure("requests_per_minute", "requests at the manager in a minute"),
)


async def watched(fake: FakeEngine, count: int) -> dict[str, float]:
    """Make `count` services and watch them; gives the figures."""
    fake.reset()
    fake.swarm.become("manager")
    ids = await _populated(fake, count)
    engine = Engine(EngineSettings(url=fake.url, api_version="1.41"))
    watch = engine.service_watch(HUB)
    source = watch._source
    try:
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        watch.begin()
        await watch._listed.wait()
        memory = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        stall = asyncio.create_task(_longest_stall())
        begin = time.process_time()
        for _ in range(LISTS):
            await watch._list()
        cpu = (time.process_time() - begin) / LISTS
        stall.cancel()
        begin = time.perf_counter()
        for each in ids[:POLLS]:
            assert watch.known(each) is not None
        poll = (time.perf_counter() - begin) / len(ids[:POLLS])
        size = await _size(engine)
    finally:
        await engine.aclose()
    pause = source.pause(waited_for=False)
    return {
        "pause_seconds": pause,
        "list_cpu_ms": 1000 * cpu,
        "cpu_percent": 100 * cpu / (pause + cpu),
        "list_mib": size / 2**20,
        "mib_per_minute": size / 2**20 * 60 / pause,
        "stall_ms": 1000 * await _result(stall),
        "memory_kib": memory / 1024 / count,
        "poll_us": 1e6 * poll,
        "requests_per_minute": 2 * 60 / pause,
    }


async def _populated(fake: FakeEngine, count: int) -> list[str]:
    """Make the services in portions: the fake answers each only when it is done."""
    made: list[str] = []
    while len(made) < count:
        made += _portion(fake, len(made), min(PORTION, count - len(made)))
    return made


def _portion(fake: FakeEngine, first: int, count: int) -> list[str]:
    return fake.swarm.populate(
        count,
        name=lambda number: f"jupyter-user{first + number}",
        labels_of=lambda number: _labels_of(first + number),
        env_of=lambda number: _env_of(first + number),
        port_of=lambda number: 30000 + number,
    )


def _labels_of(number: int) -> dict[str, str]:
    owner = labels.Owner(hub_id=HUB, username=f"user{number}", servername="", spawn_id=f"{number:016x}")
    return {**labels.ownership_labels_of(owner), labels.NAME: f"jupyter-user{number}"}


def _env_of(number: int) -> list[str]:
    """About as many variables as a single-user server has."""
    prefix = f"/user/user{number}/"
    return [f"JUPYTERHUB_USER=user{number}", f"JUPYTERHUB_SERVICE_PREFIX={prefix}", *_SOME]


_SOME = [f"JUPYTERHUB_VARIABLE_{number}={'x' * 40}" for number in range(18)]


async def _longest_stall() -> float:
    """Return, once cancelled, the longest time in which the loop was busy with one thing."""
    longest = 0.0
    try:
        while True:
            begin = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - begin - 0.001)
    except asyncio.CancelledError:
        return longest


async def _result(task: asyncio.Task[float]) -> float:
    return await task


async def _size(engine: Engine) -> float:
    filters = {"label": [f"{labels.HUB}={HUB}"]}
    return float(len(json.dumps(await engine.client.tasks.list(filters), separators=(",", ":"))))
