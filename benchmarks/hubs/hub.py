"""The measured Hubs: one per spawner, alike in all but the spawner and the environment they run in."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benchmarks.contenders import Contender
from benchmarks.hubs.hub_probe import WINDOW
from benchmarks.hubs.probe import cut, probe_config, read_windows
from benchmarks.measures.servers import Batch, Cost, together
from tests.support.hub_api import HubAPI
from tests.testbed.hub import HubProcess

IMAGE = "bench_image"
"""The users' option that names another image than the usual one."""
START_TIMEOUT = 240
"""Seconds: who is measured waits and does not fail."""
DEADLINE = 300.0
LOG_LINES = 60


@dataclass(frozen=True)
class MeasuredHub:
    """A running Hub with a probe on its loop."""

    contender: Contender
    api: HubAPI
    figures_file: Path

    async def add(self, users: Sequence[str]) -> None:
        """Make users."""
        await self.api.create_users(users)

    async def start(self, users: Sequence[str], image: str = "") -> Batch:
        """Start their servers; each is timed from the request to the Hub's word that it is ready."""
        options = {IMAGE: image} if image else None
        return await self._together(users, partial(self.api.start_server, options=options))

    async def poll(self, users: Sequence[str]) -> Batch:
        """Have the Hub poll each."""
        return await self._together(users, self.api.poll_server)

    async def stop(self, users: Sequence[str]) -> Batch:
        """Stop their servers, until the Hub has none."""
        return await self._together(users, self.api.stop_server)

    async def forget(self, users: Sequence[str]) -> None:
        """Delete users; the Hub stops what they run."""
        await asyncio.gather(*map(self.api.delete_user, users), return_exceptions=True)

    def cost(self, begun: float, ended: float) -> Cost:
        """What the time between two moments of CLOCK_MONOTONIC cost the Hub."""
        return cut(read_windows(self.figures_file), begun, ended)

    async def _together(self, users: Sequence[str], action: Callable[[str], Awaitable[object]]) -> Batch:
        begun = time.monotonic()
        batch = await together(users, action)
        ended = time.monotonic()
        await asyncio.sleep(2 * WINDOW)  # the probe closes its window
        return replace(batch, cost=self.cost(begun, ended))


@asynccontextmanager
async def measured_hub(contender: Contender, folder: Path) -> AsyncIterator[MeasuredHub]:
    """A Hub for one contender, whose containers are left to their owner."""
    home = folder / f"hub-{contender.who}"
    figures = home / "figures.jsonl"
    process = HubProcess(
        home,
        config=spawner_config(contender) + probe_config(figures),
        spawner_class=contender.spawner_class,
        cleanup_servers=False,
        python=str(contender.python),
    )
    with process:
        process.start()
        async with HubAPI(process.url, process.token, deadline=DEADLINE) as api:
            with _log_of_a_failure(process):
                hub = MeasuredHub(contender, api, figures)
                await _warm_up(hub)
                yield hub


async def _warm_up(hub: MeasuredHub) -> None:
    """One start and stop, so that nobody's first use of a client or a template is measured."""
    await hub.api.create_user("warm")
    try:
        await hub.api.start_server("warm")
        await hub.api.stop_server("warm")
    finally:
        await hub.api.delete_user("warm")


@contextmanager
def _log_of_a_failure(process: HubProcess) -> Iterator[None]:
    """The Hub's folder goes with the run: where the run fails, its log is said."""
    try:
        yield
    except Exception:
        print("\n".join(process.log_text().splitlines()[-LOG_LINES:]), file=sys.stderr, flush=True)
        raise


def spawner_config(contender: Contender) -> str:
    """The configuration both contenders get.

    The Hub's database is in memory: it commits some 17 times for each server that comes and goes, and how
    long the machine's disk takes for that is nobody's merit.
    """
    options = "\n".join(f"c.DockerSpawner.{name} = {value!r}" for name, value in contender.options.items())
    return f"""
c.JupyterHub.db_url = 'sqlite:///:memory:'
c.JupyterHub.concurrent_spawn_limit = 0
c.JupyterHub.active_server_limit = 0
c.Spawner.poll_interval = 5
c.Spawner.start_timeout = {START_TIMEOUT}
c.Spawner.http_timeout = {START_TIMEOUT}
c.Spawner.consecutive_failure_limit = 0
{options}


def _choose_image(spawner):
    if {IMAGE!r} in spawner.user_options:
        spawner.image = spawner.user_options[{IMAGE!r}]


c.Spawner.pre_spawn_hook = _choose_image
"""
