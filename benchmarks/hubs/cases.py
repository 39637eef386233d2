"""The cases with a Hub and its proxy, over REST."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from benchmarks.bench import Bench
from benchmarks.frame.case import Case, Level, Measure, Who
from benchmarks.measures import bystander, notebooks, storm
from benchmarks.measures.servers import Servers


@asynccontextmanager
async def _storm(bench: Bench, n: int) -> AsyncIterator[Mapping[Who, Measure]]:
    servers: dict[Who, Servers] = {**await bench.hubs(), **await bench.floors()}
    yield {who: partial(storm.storm, each, count=n) for who, each in servers.items()}


@asynccontextmanager
async def _notebooks(bench: Bench, n: int) -> AsyncIterator[Mapping[Who, Measure]]:
    hubs = await bench.hubs()
    for hub in hubs.values():
        # The image's files are in memory before the first is measured.
        await notebooks.notebooks(hub, -1, 1, bench.notebook)
    yield {who: partial(notebooks.notebooks, hub, count=n, image=bench.notebook) for who, hub in hubs.items()}


@asynccontextmanager
async def _bystander(bench: Bench, n: int) -> AsyncIterator[Mapping[Who, Measure]]:
    del n
    hubs = await bench.hubs()
    yield {who: partial(bystander.beside_a_stop, hub, stubborn=bench.stubborn) for who, hub in hubs.items()}


@asynccontextmanager
async def _pull(bench: Bench, n: int) -> AsyncIterator[Mapping[Who, Measure]]:
    hubs = await bench.hubs()
    async with bench.slow_image() as image:
        yield {
            who: partial(bystander.beside_a_pull, hub, image=image, waiters=n) for who, hub in hubs.items()
        }


STORM = Case(
    name="hub-storm",
    level=Level.HUB,
    title="A storm through a Hub",
    n=100,
    most=200,
    figures=storm.IN_A_HUB,
    open=_storm,
    rounds=2,  # each takes minutes
)
NOTEBOOKS = Case(
    name="notebooks",
    level=Level.HUB,
    title="Real notebook servers through a Hub",
    n=20,
    most=100,  # they take about 100 MB each
    figures=notebooks.FIGURES,
    open=_notebooks,
    small=1,
    usual=True,
    notebook=True,
)
BYSTANDER = Case(
    name="hub-bystander",
    level=Level.HUB,
    title="A start through a Hub while another's container takes 10 s to stop",
    n=1,
    most=1,
    small=1,
    figures=bystander.STOP_FIGURES,
    open=_bystander,
)
PULL = replace(
    BYSTANDER,
    name="hub-bystander-pull",
    title="A start through a Hub while others wait for an image of 8 s",
    n=10,
    most=50,
    small=2,
    figures=bystander.PULL_FIGURES,
    open=_pull,
)
CASES = (STORM, NOTEBOOKS, BYSTANDER, PULL)
