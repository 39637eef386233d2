"""The soak itself: batches of cycles, several at once, and a look at the process after each batch."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyterhub import orm, roles
from jupyterhub.user import User
from sqlalchemy import text

from asyncdockerspawner.engine import registry
from benchmarks.soak.cycles import KINDS, Cycles, hook_for, kind_of
from benchmarks.soak.gauge import Sample, sample
from benchmarks.soak.verdict import Soaked, warm_up
from tests.support.engines import settle
from tests.support.site import Site
from tests.support.world import World, new_world

CYCLE_WITHIN = 120.0
"""Seconds after which a cycle hangs, which is a failure like any other."""
FEWEST_SAMPLES, MOST_SAMPLES = 10, 40
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """How many cycles, how many of them at once, by how many users."""

    cycles: int
    in_flight: int
    users: int
    patience: float  # seconds within which a start is cancelled

    @property
    def batches(self) -> list[range]:
        """The cycles' numbers, cut so that most of a batch runs with all that may be in flight."""
        count = max(FEWEST_SAMPLES, min(MOST_SAMPLES, self.cycles // (4 * self.in_flight)))
        return [range(self.cycles * i // count, self.cycles * (i + 1) // count) for i in range(count)]


REAL = Plan(cycles=1000, in_flight=8, users=24, patience=2.0)
FAKE = Plan(cycles=20_000, in_flight=32, users=48, patience=0.8)


async def soak(name: str, site: Site, folder: Path, plan: Plan, tell: Tell) -> Soaked:
    """Run the plan over one Engine; nothing of it is left at the end."""
    soaked, begun = Soaked(name, plan.in_flight), time.monotonic()
    with _quiet(soaked.failures):
        world = new_world(
            site,
            folder,
            username="soak0",
            pre_spawn_hook=hook_for(site),
            # Some wait for their turn; of those that are cancelled, most are under way.
            concurrent_starts=plan.in_flight // 2,
        )
        # The Hub commits a dozen times in a cycle: the disk's patience is not what is measured.
        world.db.execute(text("PRAGMA synchronous = OFF"))
        try:
            await _batches(site, world, plan, soaked, tell)
        finally:
            await registry.close_engines()
            soaked.seconds = time.monotonic() - begun
            soaked.left = _taken_away(site)
            world.db.close()
    return soaked


async def _batches(site: Site, world: World, plan: Plan, soaked: Soaked, tell: Tell) -> None:
    users = deque([world.user, *_more_users(world, plan.users - 1)])
    cycles, places = Cycles(site.url, plan.patience), asyncio.Semaphore(plan.in_flight)

    async def one(number: int, kind: str) -> None:
        async with places:
            user = users.popleft()
            await _counted(cycles, number, kind, user, soaked)
            users.append(user)

    async def look(done: int) -> Sample:
        return await sample(done, world.db, lambda: len(site.names()))

    # The Hub keeps something of every user who ever had a server, once.
    await asyncio.gather(*(one(-1, KINDS[number % len(KINDS)]) for number in range(plan.users)))
    closings = {warm_up(len(plan.batches)) - 1, len(plan.batches) - 1}
    for index, numbers in enumerate(plan.batches):
        await asyncio.gather(*(one(number, kind_of(number)) for number in numbers))
        _forget_what_the_test_bed_keeps(site)
        soaked.samples.append(await look(numbers.stop))
        tell(f"{soaked.engine}: {soaked.samples[-1]}")
        await _no_connection_is_in_use(world, soaked)
        if index in closings:
            await registry.close_engines()
            soaked.closed.append(await look(numbers.stop))


async def _no_connection_is_in_use(world: World, soaked: Soaked) -> None:
    """Nothing is in flight, so a connection that is not idle will never be given back."""
    try:
        await settle(world.new_spawner().engine)
    except (AssertionError, TimeoutError) as error:
        soaked.failures.append(f"work or a connection is left: {error!r}")


async def _counted(cycles: Cycles, number: int, kind: str, user: Any, soaked: Soaked) -> None:
    """Do one cycle; whatever goes wrong is counted, and the soak goes on."""
    try:
        async with asyncio.timeout(CYCLE_WITHIN):
            kind = await cycles.run(kind, user)
    except Exception as error:  # noqa: BLE001 - a failure of any kind is what is looked for
        soaked.failures.append(f"cycle {number} ({kind}): {error!r} from {error.__cause__!r}")
        with suppress(Exception):
            await user.stop("")
    soaked.done[kind] += 1


def _more_users(world: World, count: int) -> list[Any]:
    """Further users of the same Hub: one database session, as there."""
    found = []
    for number in range(1, count + 1):
        orm_user = orm.User(name=f"soak{number}")
        world.db.add(orm_user)
        roles.assign_default_roles(world.db, orm_user)
        found.append(User(orm_user, world.settings))
    world.db.commit()
    return found


def _taken_away(site: Site) -> list[str]:
    """Remove what is left at the Engine, which should be nothing; the names."""
    names = site.names()
    for container in site.containers():
        site.remove(container["Id"])
    return names


def _forget_what_the_test_bed_keeps(site: Site) -> None:
    if site.fake is not None:
        site.fake.clear_requests()


@contextmanager
def _quiet(failures: list[str]) -> Iterator[None]:
    """Silence the log and count what asyncio itself complains of.

    Every server that dies is logged with its traceback, and whoever keeps such records (pytest does) would
    keep the spawners in them.
    """
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: failures.append(f"asyncio: {context}"))
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
        loop.set_exception_handler(None)
