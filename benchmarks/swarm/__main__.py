"""Measure what the watch of many services costs: over the fake Engine, which has them without containers."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import tempfile
import time
import tracemalloc
from dataclasses import asdict, dataclass
from pathlib import Path

from asyncdockerspawner.client.settings import EngineSettings
from asyncdockerspawner.engine.engine import Engine
from asyncdockerspawner.names import labels
from benchmarks.command_line import CUT_OFF, cancel_on_sigterm, up_to
from tests.fake_engine import FakeEngine

MOST_SERVICES = 20_000
LISTS = 5
"""How many lists are measured at each number."""
POLLS = 1000
PORTION = 500
HUB = "bench"


@dataclass(frozen=True, kw_only=True)
class Rest:
    """What so many services cost at rest."""

    services: int
    pause_seconds: float
    """Between two lists."""
    list_cpu_seconds: float
    """Of the Hub's process, for one list, with what it does to the table."""
    cpu_percent: float
    """Of one CPU, at that pause."""
    list_mib: float
    mib_per_minute: float
    longest_stall_ms: float
    """In which the loop did nothing else, while lists were read."""
    kib_a_server: float
    """Memory of the table."""
    poll_microseconds: float
    requests_per_minute: float


async def measured(fake: FakeEngine, count: int) -> Rest:
    """Make `count` services and watch them."""
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
    return Rest(
        services=count,
        pause_seconds=pause,
        list_cpu_seconds=cpu,
        cpu_percent=100 * cpu / (pause + cpu),
        list_mib=size / 2**20,
        mib_per_minute=size / 2**20 * 60 / pause,
        longest_stall_ms=1000 * await _result(stall),
        kib_a_server=memory / 1024 / count,
        poll_microseconds=1e6 * poll,
        requests_per_minute=2 * 60 / pause,
    )


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


def _table(found: list[Rest]) -> str:
    columns = list(asdict(found[0]))
    rows = [
        [f"{value:.3g}" if isinstance(value, float) else str(value) for value in asdict(one).values()]
        for one in found
    ]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


async def _run(counts: list[int]) -> list[Rest]:
    cancel_on_sigterm()
    with (
        tempfile.TemporaryDirectory(prefix="asyncdockerspawner-bench-") as folder,
        FakeEngine.start(Path(folder)) as fake,
    ):
        return [await measured(fake, count) for count in counts]


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.swarm", description=__doc__)
    parser.add_argument(
        "--services", type=up_to(MOST_SERVICES), nargs="+", default=[100, 1000, 10_000], help="how many"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="all figures, written to FILE")
    asked = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    try:
        found = asyncio.run(_run(asked.services))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return CUT_OFF
    print(_table(found))
    if asked.json:
        asked.json.write_text(json.dumps([asdict(each) for each in found], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
