"""Settings of dockerd itself, and a swarm, on a machine of the test bed's swarm, whose dockerd may restart.

Only the Engine's own work is measured: what is published there is not reached from outside.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.bench import Bench
from benchmarks.engine import BareEngine, Floor
from benchmarks.frame.case import Figure, Measure, Sample, Who
from benchmarks.measures.servers import Batch, names, rest, together
from tests.testbed import apt, swarm
from tests.testbed.swarm_node import SwarmNode

CRUN = {"default-runtime": "crun", "runtimes": {"crun": {"path": "crun"}}}
FEW = 3
"""Containers that a dockerd has made before it is measured."""


@dataclass(frozen=True)
class Setting:
    """Words of daemon.json."""

    name: str
    label: str
    words: Mapping[str, Any]


SETTINGS = (
    Setting("no_proxy", "`userland-proxy: false`", {"userland-proxy": False}),
    Setting("crun", "the runtime `crun`", CRUN),
)
FIGURES = (
    Figure("starts", "starts per second, as usual"),
    Figure("stops", "stops per second, as usual"),
    *(Figure(f"{each.name}_starts", f"starts with {each.label}, times the usual") for each in SETTINGS),
    *(Figure(f"{each.name}_stops", f"stops with {each.label}, times the usual") for each in SETTINGS),
    Figure("services_starts", "services of a swarm that run, per second, times the usual starts"),
)


@asynccontextmanager
async def levers(bench: Bench, n: int, *, newest: bool = False) -> AsyncIterator[Mapping[Who, Measure]]:
    """Have the manager of the swarm, or the worker, whose Engine is the newest."""
    if Who.FLOOR not in bench.who or swarm.obstacle():
        yield {}
        return
    _ensure_crun()
    with swarm.in_use(alone=True) as machines:
        node = machines.worker if newest else machines.manager
        try:
            yield {Who.FLOOR: partial(_one_round, bench, machines, node, n)}
        finally:
            _restart(machines, node, {})


def _ensure_crun() -> None:
    if shutil.which("crun") is None:
        apt.install("crun", purpose="the lever `crun`")


def _restart(machines: swarm.Swarm, node: SwarmNode, words: Mapping[str, Any]) -> None:
    node.shut_down()
    machines.start(node, words)


async def _one_round(bench: Bench, machines: swarm.Swarm, node: SwarmNode, count: int, index: int) -> Sample:
    """Do the same with each setting; the usual one comes first and last in turns."""
    usual = Setting("usual", "", {})
    found = dict[str, tuple[Batch, Batch]]()
    for setting in [usual, *SETTINGS] if index % 2 == 0 else [*SETTINGS[::-1], usual]:
        _restart(machines, node, setting.words)
        async with BareEngine(node.url) as engine:
            floor = Floor(engine, f"{bench.prefix}-daemon", bench.stub)
            users = names(setting.name, index, count)
            if await _works(floor, [f"{user}-before" for user in users[:FEW]]) or setting is usual:
                found[setting.name] = await _storm(floor, users)
            if setting is usual and node is machines.manager:
                services = await _services(engine, f"{bench.prefix}-service", bench.stub, count)
                found["services"] = services, Batch(())
    starts, stops = found.pop("usual")
    figures = {"starts": starts.rate, "stops": stops.rate}
    for name, batches in found.items():
        figures[f"{name}_starts"] = batches[0].rate / starts.rate
        if batches[1].seconds:
            figures[f"{name}_stops"] = batches[1].rate / stops.rate
    all_batches = [starts, stops, *(batch for both in found.values() for batch in both)]
    return Sample(figures, faults=[fault for batch in all_batches for fault in batch.faults])


async def _works(floor: Floor, users: list[str]) -> bool:
    """Start the first few; crun, as an example, starts nothing where cgroups are hybrid."""
    try:
        return not (await floor.start(users)).faults
    finally:
        await floor.forget(users)


async def _storm(floor: Floor, users: list[str]) -> tuple[Batch, Batch]:
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
