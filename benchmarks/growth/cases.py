"""The cases of growth: spawns, and servers at rest, from one to ten thousand."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.contenders import Contender
from benchmarks.engine import BareEngine, Floor
from benchmarks.frame.case import Case, Figure, Level, Measure, Sample, Target, Who
from benchmarks.growth import services
from benchmarks.measures import fleet
from benchmarks.measures.servers import names
from benchmarks.spawners.process import SpawnerProcess, spawner_process
from tests.fake_engine import FakeEngine

REPEATED = 100
"""Starts that few at a time are repeated for, until there are so many."""
TEN = 10
"""What a start costs is compared with this number: of one alone, the measuring itself is a large part."""
REST_SECONDS = 65.0
"""A whole minute: the watch makes a list in each."""
OWN_SECONDS = 10.0
"""In which it is seen what the measuring itself costs."""
Measures = AsyncIterator[Mapping[Who, Measure]]
SPAWN_FIGURES = (
    Figure("cpu_ms", "CPU of the process for a start, without the Hub's own commit (ms)", (Target(most=3),)),
    Figure("slower", "times that of ten", (Target(most=1.3),)),
    Figure("stall_ms", "longest loop stall, starts (ms)", (Target(most=10),)),
    Figure("collection_ms", "longest garbage collection, starts (ms)"),
    Figure("requests", "requests at the Engine for a start"),
    Figure("stop_cpu_ms", "CPU of the process for a stop (ms)"),
    Figure("memory_mib", "memory, all running (MiB)"),
    Figure("threads", "threads, most"),
)
REST_FIGURES = (
    Figure("cpu_percent", "of one CPU", (Target(most=1),)),
    Figure("stall_ms", "longest loop stall (ms)", (Target(most=30),)),
    Figure("collection_ms", "longest garbage collection (ms)"),
    Figure("memory_kib", "memory for a server, beside the Hub's objects (KiB)", (Target(most=6),)),
    Figure("requests_per_minute", "requests at the Engine in a minute"),
)


def steps(most: int) -> list[int]:
    """Give the numbers that are measured on the way up: one, powers of ten, and the last one."""
    powers = [10**power for power in range(6) if 10**power < most]
    return [*powers, most]


@asynccontextmanager
async def _growth(bench: Bench, n: int) -> Measures:
    measures: dict[Who, Measure] = {
        each.who: partial(spawns, each, bench.folder, n) for each in bench.contenders
    }
    if Who.FLOOR in bench.who:
        measures[Who.FLOOR] = partial(requests_alone, bench.folder, n)
    yield measures


@asynccontextmanager
async def _rest(bench: Bench, n: int) -> Measures:
    ours = bench.contender(Who.OURS)
    seconds = 1.0 if bench.small else REST_SECONDS
    # DockerSpawner does nothing at rest, but for the Hub's polls, which `polls` measures.
    yield {Who.OURS: partial(rest, ours, bench.folder, n, seconds)} if ours else {}


async def spawns(contender: Contender, folder: Path, most: int, index: int) -> Sample:
    """Start and stop more and more servers, all of a number at once."""
    home = folder / f"growth-{contender.who}-{index}-{secrets.token_hex(2)}"
    home.mkdir()
    rows = []
    faults: list[str] = []
    counts = steps(most)
    for count in counts:
        with FakeEngine.start(home) as fake:
            way = {"client_kwargs": {"base_url": fake.url}, "image": "stub:1"}
            async with spawner_process(contender, folder, **way) as servers:
                rows.append(await _starts(servers, fake, count, faults))
    return Sample(figures_of(counts, rows), _columns(counts, rows), faults)


async def requests_alone(folder: Path, most: int, index: int) -> Sample:
    """Ask the Engine for as many starts and stops from this process, which has no spawner."""
    home = folder / f"requests-{index}-{secrets.token_hex(2)}"
    home.mkdir()
    faults = list[str]()
    counts = steps(most)
    with FakeEngine.start(home) as fake:
        async with BareEngine(fake.url) as engine:
            floor = Floor(engine, "bare", "stub:1")
            rows = [await _requests(floor, count, faults) for count in counts]
    return Sample(figures_of(counts, rows), _columns(counts, rows), faults)


async def _requests(floor: Floor, count: int, faults: list[str]) -> dict[str, float]:
    cost = {"cpu_ms": 0.0, "stop_cpu_ms": 0.0}
    times = max(1, REPEATED // count)
    for turn in range(times):
        users = names("bare", turn, count)
        for key, act in (("cpu_ms", floor.start), ("stop_cpu_ms", floor.stop)):
            before = time.process_time()
            faults += (await act(users)).faults
            cost[key] += 1000 * (time.process_time() - before) / (times * count)
    return cost


def figures_of(counts: list[int], rows: list[dict[str, float]]) -> dict[str, float]:
    """Give those of the largest number, compared with ten where ten were measured."""
    figures = dict(rows[-1])
    if TEN in counts:
        figures["slower"] = figures["cpu_ms"] / rows[counts.index(TEN)]["cpu_ms"]
    return figures


async def _starts(
    servers: SpawnerProcess, fake: FakeEngine, count: int, faults: list[str]
) -> dict[str, float]:
    """Measure one number; few at a time are started several times."""
    times = max(1, REPEATED // count)
    cpu, stop_cpu, stall, collection, threads, memory = 0.0, 0.0, 0.0, 0.0, 0, 0.0
    await servers.add(["warm"])
    await servers.start(["warm"], answered=False)
    await servers.stop(["warm"])
    fake.clear_requests()
    for turn in range(times):
        users = names("grown", turn, count)
        await servers.add(users)
        start = await servers.start(users, answered=False)
        asked = sum(entry["route"] != "GET /events" for entry in fake.requests())
        fake.clear_requests()
        stop = await servers.stop(users)
        fake.clear_requests()
        await servers.forget(users)
        faults += [*start.faults, *stop.faults]
        assert start.cost is not None
        assert stop.cost is not None
        cpu, stop_cpu = cpu + start.cost.cpu_seconds, stop_cpu + stop.cost.cpu_seconds
        stall, memory = max(stall, start.cost.longest_stall_ms), start.cost.memory_mib
        threads = max(threads, start.cost.threads)
        collection = max(collection, start.cost.longest_collection_ms)
    return {
        "cpu_ms": 1000 * cpu / (times * count),
        "stop_cpu_ms": 1000 * stop_cpu / (times * count),
        "stall_ms": stall,
        "collection_ms": collection,
        "requests": asked / count,
        "memory_mib": memory,
        "threads": float(threads),
    }


async def rest(contender: Contender, folder: Path, most: int, seconds: float, index: int) -> Sample:
    """Let more and more running servers be, and look at what that costs."""
    del index
    rows, faults = [], list[str]()
    for count in steps(most):
        with fleet.fleet(contender, folder, count) as it:
            async with spawner_process(contender, folder, **it.options) as servers:
                # What measures has a cost of its own, in a process that has nothing to do.
                short = min(seconds, OWN_SECONDS)
                own = (await servers.rest(short)).cpu_seconds / short
                await servers.adopt(it.states)
                before = await servers.collect()
                faults += (await servers.find_again(list(it.states))).faults
                after = await servers.collect()
                it.fake.clear_requests()
                cost = await servers.rest(seconds)
                rows.append(
                    {
                        "cpu_percent": 100 * max(0.0, cost.cpu_seconds / seconds - own),
                        "stall_ms": cost.longest_stall_ms,
                        "collection_ms": cost.longest_collection_ms,
                        "memory_kib": max(0.0, after.memory_mib - before.memory_mib) * 1024 / count,
                        "requests_per_minute": len(it.fake.requests()) * 60 / seconds,
                    }
                )
    return Sample(dict(rows[-1]), _columns(steps(most), rows), faults)


@asynccontextmanager
async def _services(bench: Bench, n: int) -> Measures:
    # DockerSpawner's SwarmSpawner watches nothing.
    yield {Who.OURS: partial(services_at_rest, bench.folder, n)} if Who.OURS in bench.who else {}


async def services_at_rest(folder: Path, most: int, index: int) -> Sample:
    """Watch more and more services of a swarm, in this process."""
    home = folder / f"services-{index}-{secrets.token_hex(2)}"
    home.mkdir()
    with FakeEngine.start(home) as fake:
        rows = [await services.watched(fake, count) for count in steps(most)]
    return Sample(dict(rows[-1]), _columns(steps(most), rows))


def _columns(counts: list[int], rows: list[dict[str, float]]) -> dict[str, list[float]]:
    return {"n": list(map(float, counts)), **{key: [row[key] for row in rows] for key in rows[0]}}


CASES = (
    Case(
        name="growth",
        level=Level.GROWTH,
        title="More and more starts at once, over the fake Engine",
        n=1000,
        most=10_000,
        figures=SPAWN_FIGURES,
        open=_growth,
        small=5,
        rounds=2,  # each takes minutes
    ),
    Case(
        name="rest",
        level=Level.GROWTH,
        title="More and more servers at rest, over the fake Engine",
        n=10_000,
        most=20_000,
        figures=REST_FIGURES,
        open=_rest,
        small=5,
        rounds=1,
    ),
    Case(
        name="services",
        level=Level.GROWTH,
        title="More and more services of a swarm at rest, over the fake Engine",
        n=10_000,
        most=20_000,
        figures=services.FIGURES,
        open=_services,
        small=5,
        rounds=1,
    ),
)
