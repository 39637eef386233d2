"""The cases of spawner objects, without a Hub: both packages and the bare Engine do the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from benchmarks.bench import Bench
from benchmarks.contenders import Contender
from benchmarks.frame.case import Case, Level, Measure, Sample, Who
from benchmarks.measures import bystander, far, fleet, pull_together, stops, storm
from benchmarks.measures.servers import Servers
from benchmarks.relay import relay
from benchmarks.spawners.process import SpawnerProcess, spawner_process, warm_up
from tests.testbed.counting_proxy import counting_proxy

COUNTED = 5
"""Starts whose requests are counted, apart from those that are timed."""
SANDBOXES = "asyncdockerspawner-sandbox-"
"""What names of sandboxes begin with, before that of their Hub."""
READY_WITHIN = 60.0
ASKED_EVERY = 0.2
Measures = AsyncIterator[Mapping[Who, Measure]]


@asynccontextmanager
async def _processes(
    bench: Bench, url: str = "", ours: Mapping[str, Any] | None = None
) -> AsyncIterator[dict[Who, SpawnerProcess]]:
    """A process with spawners for each contender, each warm.

    `url` is another Engine's; `ours` are options that DockerSpawner does not have.
    """
    async with AsyncExitStack() as stack:
        made = {}
        for contender in bench.contenders:
            way = {"client_kwargs": {"base_url": url or bench.engine_url}}
            more = ours or {} if contender.who is Who.OURS else {}
            process = spawner_process(contender, bench.folder, **way, **more)
            made[contender.who] = await stack.enter_async_context(process)
            await warm_up(made[contender.who])
        yield made


async def _requests(bench: Bench, contender: Contender) -> float:
    """How many requests a start is, of several at once; counting would disturb what is timed."""
    users = [f"counted{number}" for number in range(COUNTED)]
    async with counting_proxy(bench.engine_url) as proxy:
        way = {"client_kwargs": {"base_url": proxy.url}}
        async with spawner_process(contender, bench.folder, **way) as servers:
            await warm_up(servers)
            await servers.add(users)
            before = proxy.requests.total()
            await servers.start(users)
            counted = proxy.requests.total() - before
            await servers.forget(users)
    return counted / COUNTED


async def _with_requests(measure: Measure, requests: float, index: int) -> Sample:
    sample = await measure(index)
    return replace(sample, figures={**sample.figures, "requests": requests})


def _measures(servers: Mapping[Who, Any], measure: Callable[..., Any], **words: Any) -> dict[Who, Measure]:
    """Have each of those who are measured do the same."""
    return {who: partial(measure, each, **words) for who, each in servers.items()}


@asynccontextmanager
async def _with_floor(
    bench: Bench, ours: Mapping[str, Any] | None = None
) -> AsyncIterator[dict[Who, Servers]]:
    async with _processes(bench, ours=ours) as processes:
        yield {**processes, **await bench.floors()}


@asynccontextmanager
async def _storm(bench: Bench, n: int) -> Measures:
    counted = {each.who: await _requests(bench, each) for each in bench.contenders}
    async with _with_floor(bench) as servers:
        measures = _measures(servers, storm.storm, count=n)
        for who, requests in counted.items():
            measures[who] = partial(_with_requests, measures[who], requests)
        yield measures


@asynccontextmanager
async def _sandboxes(bench: Bench, n: int) -> Measures:
    hub = f"{bench.prefix}-ahead"
    ours = {"sandboxes": n, "hub_id": hub}
    try:
        async with _with_floor(bench, ours) as servers:
            yield {
                who: partial(_with_ready, measure, partial(_are_ready, bench, hub, n))
                for who, measure in _measures(servers, storm.storm, count=n).items()
            }
    finally:
        # They outlive the process that has made them.
        await bench.engine.remove_all(f"{SANDBOXES}{hub}")


async def _with_ready(measure: Measure, ready: Callable[[], Awaitable[None]], index: int) -> Sample:
    """Have nobody measured while sandboxes are made."""
    await ready()
    return await measure(index)


async def _are_ready(bench: Bench, hub: str, count: int) -> None:
    """Return when so many run, if our spawners are there to make them."""
    if Who.OURS not in bench.who:
        return
    async with asyncio.timeout(READY_WITHIN + count):
        # The process of the spawners does not tell; the Engine does.
        while len(await bench.engine.names_with(f"{SANDBOXES}{hub}", running=True)) != count:  # noqa: ASYNC110
            await asyncio.sleep(ASKED_EVERY)


@asynccontextmanager
async def _far_storm(bench: Bench, n: int) -> Measures:
    async with (
        relay(bench.engine_url, bench.folder, far.ROUND_TRIP) as there,
        _processes(bench) as near,
        _processes(bench, there.url) as away,
    ):
        yield {who: partial(far.far_storm, near[who], away[who], count=n) for who in near}


@asynccontextmanager
async def _bystander(bench: Bench, n: int) -> Measures:
    del n
    async with _with_floor(bench) as servers:
        yield _measures(servers, bystander.beside_a_stop, stubborn=bench.stubborn)


@asynccontextmanager
async def _bystander_pull(bench: Bench, n: int) -> Measures:
    async with _processes(bench) as servers, bench.slow_image() as image:
        yield _measures(servers, bystander.beside_a_pull, image=image, waiters=n)


@asynccontextmanager
async def _stops(bench: Bench, n: int) -> Measures:
    async with _with_floor(bench) as servers:
        yield _measures(servers, stops.stop_storm, count=n, stubborn=bench.stubborn)


@asynccontextmanager
async def _stops_during_starts(bench: Bench, n: int) -> Measures:
    async with _with_floor(bench) as servers:
        yield _measures(servers, stops.stops_during_starts, count=n)


@asynccontextmanager
async def _pull_together(bench: Bench, n: int) -> Measures:
    async with _processes(bench) as servers, bench.slow_image() as image:
        yield _measures(servers, pull_together.pull_together, image=image, count=n)


@asynccontextmanager
async def _polls(bench: Bench, n: int) -> Measures:
    async with AsyncExitStack() as stack:
        measures: dict[Who, Measure] = {}
        for contender in bench.contenders:
            it = stack.enter_context(fleet.fleet(contender, bench.folder, n))
            servers = await stack.enter_async_context(spawner_process(contender, bench.folder, **it.options))
            await servers.adopt(it.states)
            await servers.find_again(list(it.states))
            measures[contender.who] = partial(fleet.polls, servers, it)
        yield measures


@asynccontextmanager
async def _recovery(bench: Bench, n: int) -> Measures:
    with ExitStack() as stack:
        measures: dict[Who, Measure] = {}
        for contender in bench.contenders:
            it = stack.enter_context(fleet.fleet(contender, bench.folder, n))
            measures[contender.who] = partial(fleet.recovery, it, bench.folder)
        yield measures


STORM = Case(
    name="storm",
    level=Level.SPAWNER,
    title="A storm: all start, are polled and stop at once",
    n=50,
    most=200,
    figures=storm.FIGURES,
    open=_storm,
    usual=True,
)
SANDBOXED = Case(
    name="sandboxes",
    level=Level.SPAWNER,
    title="A storm of servers in networks that were made ahead",
    n=50,
    most=200,
    figures=storm.IN_SANDBOXES,
    open=_sandboxes,
    usual=True,
)
FAR = Case(
    name="storm-far",
    level=Level.SPAWNER,
    title="A storm at an Engine that is 50 ms away",
    n=50,
    most=200,
    figures=far.FIGURES,
    open=_far_storm,
    rounds=2,  # DockerSpawner takes a minute and a half in each
)
BYSTANDER = Case(
    name="bystander",
    level=Level.SPAWNER,
    title="A start while another's container takes 10 s to stop",
    n=1,
    most=1,
    figures=bystander.STOP_FIGURES,
    open=_bystander,
    small=1,
    usual=True,
)
BYSTANDER_PULL = Case(
    name="bystander-pull",
    level=Level.SPAWNER,
    title="A start while others wait for an image of 8 s",
    n=10,
    most=50,
    figures=bystander.PULL_FIGURES,
    open=_bystander_pull,
)
STOPS = Case(
    name="stops",
    level=Level.SPAWNER,
    title="Stops of containers that take their grace of 10 s",
    n=10,
    most=50,
    figures=stops.FIGURES,
    open=_stops,
    rounds=2,  # DockerSpawner takes 100 s in each
    usual=True,
)
STOPS_DURING_STARTS = Case(
    name="stops-during-starts",
    level=Level.SPAWNER,
    title="Stops while as many start",
    n=50,
    most=100,
    figures=stops.BESIDE_FIGURES,
    open=_stops_during_starts,
    rounds=2,  # each takes minutes
)
PULL = Case(
    name="pull",
    level=Level.SPAWNER,
    title="An image of 8 s that all wait for",
    n=20,
    most=50,
    figures=pull_together.FIGURES,
    open=_pull_together,
)
POLLS = Case(
    name="polls",
    level=Level.SPAWNER,
    title="Polls of servers that run, over the fake Engine",
    n=1000,
    most=10_000,
    figures=fleet.POLLS,
    open=_polls,
    small=20,
    usual=True,
)
RECOVERY = Case(
    name="recovery",
    level=Level.SPAWNER,
    title="Servers found again after the Hub's restart, over the fake Engine",
    n=5000,
    most=10_000,
    figures=fleet.RECOVERY,
    open=_recovery,
    rounds=2,  # each takes minutes
    small=20,
)
CASES = (STORM, SANDBOXED, FAR, BYSTANDER, BYSTANDER_PULL, STOPS, STOPS_DURING_STARTS, PULL, POLLS, RECOVERY)
