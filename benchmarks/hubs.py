"""The measured Hubs: one per spawner, alike in all but the spawner and the environment they run in."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bed import Bed, Images
from benchmarks.engine_floor import BareEngine
from benchmarks.hub_probe import WINDOW
from benchmarks.probe import HubFigures, cut, probe_config, read_windows
from tests.support.hub_api import HubAPI
from tests.testbed.hub import HubProcess

STUBBORN_PREFIX = "stubborn-"  # users whose container ignores SIGTERM
CROWD_PREFIX = "crowd-"  # users with a real notebook server
PULL_PREFIX = "pull-"  # users whose image has to be pulled
START_TIMEOUT = 240  # who is measured waits and does not fail
DEADLINE = 300.0
LOG_LINES = 60


@dataclass(frozen=True)
class Contender:
    """One spawner and the environment its Hub runs in."""

    name: str
    key: str
    spawner_class: str
    python: Path


@dataclass(frozen=True)
class MeasuredHub:
    """A running Hub with a probe on its loop."""

    contender: Contender
    api: HubAPI
    prefix: str  # of its containers' names
    figures_file: Path

    def figures(self, begun: float, ended: float) -> HubFigures:
        """What the time between two moments of CLOCK_MONOTONIC cost the Hub."""
        return cut(read_windows(self.figures_file), begun, ended)

    async def idle_threads(self) -> int:
        """How many threads the Hub's process has just now."""
        begun = time.monotonic()
        await asyncio.sleep(3 * WINDOW)
        return self.figures(begun, time.monotonic()).threads


@asynccontextmanager
async def measured_hub(
    contender: Contender, bed: Bed, engine: BareEngine, run: str, folder: Path
) -> AsyncIterator[MeasuredHub]:
    """A Hub for one contender; at the end it is stopped and its containers are removed."""
    prefix = f"bench-{run}-{contender.key}"
    home = folder / contender.key
    figures = home / "figures.jsonl"
    process = HubProcess(
        home,
        config=spawner_config(prefix, bed.images) + probe_config(figures),
        spawner_class=contender.spawner_class,
        cleanup_servers=False,  # we remove the containers ourselves, by id
        python=str(contender.python),
    )
    try:
        with process:
            process.start()
            async with HubAPI(process.url, process.token, deadline=DEADLINE) as api:
                with _log_of_a_failure(process):
                    yield MeasuredHub(contender, api, prefix, figures)
    finally:
        await engine.remove_all(f"{prefix}-")


@contextmanager
def _log_of_a_failure(process: HubProcess) -> Iterator[None]:
    """The Hub's folder goes with the run: where the run fails, its log is said."""
    try:
        yield
    except Exception:
        print("\n".join(process.log_text().splitlines()[-LOG_LINES:]), file=sys.stderr, flush=True)
        raise


def spawner_config(prefix: str, images: Images) -> str:
    """The configuration both contenders get.

    The Hub's database is in memory: it commits some 17 times for each server that comes and goes, and how
    long the machine's disk takes for that is nobody's merit.
    """
    by_prefix = {STUBBORN_PREFIX: images.stubborn}
    if images.singleuser:
        by_prefix[CROWD_PREFIX] = images.singleuser
    if images.pulled:
        by_prefix[PULL_PREFIX] = images.pulled
    return f"""
c.JupyterHub.db_url = 'sqlite:///:memory:'
c.JupyterHub.concurrent_spawn_limit = 0
c.JupyterHub.active_server_limit = 0
c.Spawner.poll_interval = 5
c.Spawner.start_timeout = {START_TIMEOUT}
c.Spawner.http_timeout = {START_TIMEOUT}
c.Spawner.consecutive_failure_limit = 0
c.DockerSpawner.image = {images.stub!r}
c.DockerSpawner.prefix = {prefix!r}
c.DockerSpawner.remove = True


def _choose_image(spawner):
    for prefix, image in {by_prefix!r}.items():
        if spawner.user.name.startswith(prefix):
            spawner.image = image


c.Spawner.pre_spawn_hook = _choose_image
"""
