"""Servers that run already, over the fake Engine: what it costs to poll them, and to find them again."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asyncdockerspawner.names import labels
from benchmarks.contenders import Contender
from benchmarks.frame.case import Figure, Sample, Target, Who
from benchmarks.measures.servers import Batch
from benchmarks.spawners.process import SpawnerProcess, spawner_process
from tests.fake_engine import FakeEngine

FIRST_PORT = 20_000
PORTION = 500
"""Servers that the fake Engine is given at a time: it answers when it has them."""
POLLS = (
    Figure("last", "all polled (s)", (Target(most=0.005),)),
    Figure("nothing", "as many tasks that do nothing (s)"),
    Figure("asked", "requests at the Engine", (Target(most=0),)),
    Figure("poll_cpu_ms", "CPU of the process for a poll (ms)"),
    Figure("poll_stall_ms", "longest loop stall (ms)"),
    Figure("poll_collection_ms", "longest garbage collection (ms)"),
    Figure("threads", "threads, most"),
)
RECOVERY = (
    Figure("last", "all found again (s)", (Target(most=3),)),
    Figure("asked", "requests at the Engine", (Target(most=3),)),
    Figure("poll_cpu_ms", "CPU of the process for a server (ms)"),
    Figure("poll_stall_ms", "longest loop stall (ms)"),
    Figure("poll_collection_ms", "longest garbage collection (ms)"),
    Figure("threads", "threads, most"),
    Figure("memory_mib", "memory (MiB)"),
)


@dataclass(frozen=True)
class Fleet:
    """Servers that a fake Engine runs, and what a Hub's database has of them."""

    contender: Contender
    fake: FakeEngine
    options: dict[str, Any]
    """With which a spawner takes them for its own."""
    states: dict[str, dict[str, Any]]


@contextmanager
def fleet(contender: Contender, folder: Path, count: int) -> Iterator[Fleet]:
    """Have a fake Engine with so many servers that a contender's spawners have started."""
    home = folder / f"fleet-{contender.who}-{secrets.token_hex(2)}"
    home.mkdir()
    with FakeEngine.start(home) as fake:
        hub_id = "bench"
        options: dict[str, Any] = {"client_kwargs": {"base_url": fake.url}}
        if contender.who is Who.OURS:
            options["hub_id"] = hub_id
        yield Fleet(contender, fake, options, running_servers(fake, contender.who, hub_id, count))


def running_servers(fake: FakeEngine, who: Who, hub_id: str, count: int) -> dict[str, dict[str, Any]]:
    """Have the Engine run so many servers; gives by user what a Hub's database has of them."""
    states: dict[str, dict[str, Any]] = {}
    while len(states) < count:
        first = len(states)
        states |= _portion(fake, who, hub_id, range(first, min(first + PORTION, count)))
    fake.clear_requests()
    return states


def _portion(fake: FakeEngine, who: Who, hub_id: str, numbers: range) -> dict[str, dict[str, Any]]:
    users = [f"user{number}" for number in numbers]
    spawns = [secrets.token_hex(8) for _ in numbers]
    ids = fake.populate(
        len(numbers),
        name=lambda index: f"{hub_id}-{users[index]}",
        labels_of=lambda index: (
            labels.ownership_labels(
                hub_id=hub_id, username=users[index], servername="", spawn_id=spawns[index]
            )
            if who is Who.OURS
            else {}
        ),
        env_of=environment_of,
        port_of=lambda index: FIRST_PORT + index,
    )
    added = {"phase": "running"} if who is Who.OURS else {}
    return {
        user: {
            "object_id": container,
            "object_name": f"{hub_id}-{user}",
            **({"spawn_id": spawn, **added} if added else {}),
        }
        for user, container, spawn in zip(users, ids, spawns, strict=True)
    }


def environment_of(number: int) -> list[str]:
    """Give about as many variables as a single-user server has."""
    prefix = f"/user/user{number}/"
    more = [f"JUPYTERHUB_VARIABLE_{each}={'x' * 40}" for each in range(18)]
    return [f"JUPYTERHUB_USER=user{number}", f"JUPYTERHUB_SERVICE_PREFIX={prefix}", *more]


async def polls(servers: SpawnerProcess, fleet: Fleet, index: int) -> Sample:
    """Poll servers that are known to run, all at once; and see what the asking itself costs."""
    del index
    fleet.fake.clear_requests()
    sample = _sample(await servers.poll(list(fleet.states)), fleet.fake)
    sample.figures["nothing"] = (await servers.nothing(list(fleet.states))).last
    return sample


async def recovery(fleet: Fleet, folder: Path, index: int) -> Sample:
    """Find servers as a Hub does that has just started: nothing is known of them but what was saved."""
    del index
    async with spawner_process(fleet.contender, folder, **fleet.options) as servers:
        await servers.adopt(fleet.states)
        fleet.fake.clear_requests()
        return _sample(await servers.find_again(list(fleet.states)), fleet.fake)


def _sample(batch: Batch, fake: FakeEngine) -> Sample:
    figures = {"last": batch.last, "asked": float(len(fake.requests())), **batch.costs("poll")}
    return Sample(figures, {}, list(batch.faults))
