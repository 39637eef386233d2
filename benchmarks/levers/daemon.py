"""Settings of dockerd itself, and a swarm, on a machine of the test bed's swarm, whose dockerd may restart.

Only the Engine's own work is measured: what is published there is not reached from outside.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from benchmarks.bench import Bench
from benchmarks.engine import BareEngine, Floor
from benchmarks.frame.case import Figure, Measure, Sample, Who
from benchmarks.levers.rounds import USUAL, Batches, Lever, figures, one_round
from benchmarks.measures.servers import Batch, names, rest, together
from tests.testbed import apt, swarm
from tests.testbed.swarm_node import SwarmNode

CRUN = {"default-runtime": "crun", "runtimes": {"crun": {"path": "crun"}}}
FEW = 3
"""Containers that a dockerd has made before it is measured."""


SETTINGS = (
    Lever("no_proxy", "`userland-proxy: false`", {"userland-proxy": False}),
    Lever("crun", "the runtime `crun`", CRUN),
)
SERVICES = "services_starts"
FIGURES = (
    *figures(SETTINGS),
    Figure(SERVICES, "services of a swarm that run, per second, times the usual starts"),
)


@asynccontextmanager
async def levers(bench: Bench, n: int, *, newest: bool = False) -> AsyncIterator[Mapping[Who, Measure]]:
    """Have the manager of the swarm, or the worker, whose Engine is the newest."""
    if Who.FLOOR not in bench.who:
        yield {}
        return
    _ensure_crun()
    with swarm.in_use(alone=True) as machines:
        node = machines.worker if newest else machines.manager
        try:
            yield {Who.FLOOR: partial(_one_round, bench, machines, node, n)}
        finally:
            machines.restart(node)


def _ensure_crun() -> None:
    if shutil.which("crun") is None:
        apt.install("crun", purpose="the lever `crun`")


async def _one_round(bench: Bench, machines: swarm.Swarm, node: SwarmNode, count: int, index: int) -> Sample:
    services, version = Batch(()), ""

    async def storm(lever: Lever, index: int) -> Batches | None:
        nonlocal services, version
        machines.restart(node, lever.options)
        async with BareEngine(node.url) as engine:
            version = str((await engine.version())["Version"])
            floor = Floor(engine, f"{bench.prefix}-daemon", bench.stub)
            users = names(lever.name, index, count)
            if not await _works(floor, [f"{user}-before" for user in users[:FEW]]) and lever is not USUAL:
                return None
            batches = await _storm(floor, users)
            if lever is USUAL and node is machines.manager:
                services = await _services(engine, f"{bench.prefix}-service", bench.stub, count)
            return batches

    sample = await one_round(storm, SETTINGS, index)
    if services.seconds and sample.figures["starts"]:
        sample.figures[SERVICES] = services.rate / sample.figures["starts"]
    sample.faults.extend(services.faults)
    return replace(sample, engine=version)


async def _works(floor: Floor, users: list[str]) -> bool:
    """Start the first few; crun, as an example, starts nothing where cgroups are hybrid."""
    try:
        return not (await floor.start(users)).faults
    finally:
        await floor.forget(users)


async def _storm(floor: Floor, users: list[str]) -> Batches:
    try:
        await rest(len(users))
        return await floor.start(users), await floor.stop(users)
    finally:
        await floor.forget(users)


async def _services(engine: BareEngine, prefix: str, image: str, count: int) -> Batch:
    made: list[str] = []

    async def one(number: str) -> None:
        made.append(await engine.serve(f"{prefix}-{number}", image))

    await rest(count)
    try:
        return await together(map(str, range(count)), one)
    finally:
        for service in made:
            await engine.remove_service(service)
