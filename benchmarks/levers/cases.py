"""The cases of levers: each a ratio against the usual setting in the same round."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

from benchmarks.bench import Bench
from benchmarks.frame.case import Case, Figure, Level, Measure, Who
from benchmarks.levers import daemon
from benchmarks.levers.idle import idle
from benchmarks.levers.rounds import Batches, Lever, figures, one_round
from benchmarks.measures.servers import names, rest
from benchmarks.spawners.process import SpawnerProcess, spawner_process, warm_up
from tests.testbed import swarm

ON_THE_MACHINE = (
    "D=/www$JUPYTERHUB_SERVICE_PREFIX; /bin/busybox mkdir -p $D; echo >${D}index.html; "
    'P=${JUPYTERHUB_SERVICE_URL#*//*:}; PORT="127.0.0.1:${P%%/*}" exec /serve'
)
"""What a server does that shares its network: it listens where it is told, and answers at its own address."""
Measures = AsyncIterator[Mapping[Who, Measure]]


LEVERS = (
    Lever("own_address", "no published port (`use_internal_ip`)", {"use_internal_ip": True}),
    Lever(
        "host_network",
        "the host's network",
        {"network_name": "host", "cmd": ["/bin/busybox", "sh", "-c", ON_THE_MACHINE]},
    ),
    Lever("log_local", "log driver `local`", {"extra_host_config": {"log_config": {"Type": "local"}}}),
    Lever("log_none", "log driver `none`", {"extra_host_config": {"log_config": {"Type": "none"}}}),
)
IDLE_FIGURES = (
    Figure("nothing", "CPU of the machine without them (% of one)"),
    Figure("without", "CPU of the machine with them (% of one)"),
    Figure("checked", "CPU of the machine with them, and a HEALTHCHECK every 5 s (% of one)"),
    Figure("times", "times that without a HEALTHCHECK"),
)


@asynccontextmanager
async def _levers(bench: Bench, n: int) -> Measures:
    """Have our spawner do it: both spawners have these settings, and the Engine's work is the same."""
    ours = bench.contender(Who.OURS)
    if ours is None:
        yield {}
        return
    way = {"client_kwargs": {"base_url": bench.engine_url}}
    async with spawner_process(ours, bench.folder, **way) as servers:

        async def storm(lever: Lever, index: int) -> Batches:
            await servers.begin(ours, {**way, **lever.options})
            return await _storm(servers, names(lever.name.replace("_", "-"), index, n))

        yield {Who.OURS: partial(one_round, storm, LEVERS)}


async def _storm(servers: SpawnerProcess, users: list[str]) -> Batches:
    """Start and stop servers all at once."""
    await warm_up(servers)
    await servers.add(users)
    try:
        await rest(len(users))
        return await servers.start(users), await servers.stop(users)
    finally:
        await servers.forget(users)


@asynccontextmanager
async def _healthcheck(bench: Bench, n: int) -> Measures:
    yield {Who.FLOOR: partial(idle, bench, n)} if Who.FLOOR in bench.who else {}


CASES = (
    Case(
        name="levers",
        level=Level.LEVER,
        title="What settings bring in a storm",
        n=24,
        most=100,
        figures=figures(LEVERS),
        open=_levers,
    ),
    Case(
        name="healthcheck",
        level=Level.LEVER,
        title="Servers at rest, with and without a HEALTHCHECK",
        n=100,
        most=500,
        figures=IDLE_FIGURES,
        open=_healthcheck,
        rounds=2,
    ),
    Case(
        name="daemon",
        level=Level.LEVER,
        title="What settings of dockerd bring the bare Engine, and what a swarm costs",
        n=24,
        most=100,
        figures=daemon.FIGURES,
        open=daemon.levers,
        obstacle=swarm.obstacle,
    ),
    Case(
        name="daemon-newest",
        level=Level.LEVER,
        title="What settings of the newest dockerd bring the bare Engine",
        n=24,
        most=100,
        figures=daemon.FIGURES[:-1],
        open=partial(daemon.levers, newest=True),
        obstacle=swarm.obstacle,
    ),
)
