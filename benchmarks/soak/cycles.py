"""One cycle: a user's server is spawned, polled and stopped as the Hub does it, or comes to another end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from asyncdockerspawner import DockerSpawner
from benchmarks.engine import BareEngine
from tests.support.site import Site

USUAL, CANCELLED, DIES, KILLED = "usual", "cancelled", "died while starting", "died while running"
KINDS = (USUAL, CANCELLED, DIES, KILLED)
EVERY = {CANCELLED: 20, DIES: 25, KILLED: 30}
"""How often a cycle is another one than the usual."""
TOO_LATE = "cancelled after their start"
GONE_WITHIN = 10.0


class Wrong(Exception):
    """A cycle did not go as it should."""


def kind_of(number: int) -> str:
    """Say what happens in the cycle with this number: the same in every run."""
    return next((kind for kind, every in EVERY.items() if number % every == every - 1), USUAL)


def hook_for(site: Site) -> Callable[[DockerSpawner], None]:
    """Make a pre-spawn hook that has the server behave as this spawn's options say."""
    kinds = {kind: site.kind(kind) for kind in ("stub", "dies")}

    def hook(spawner: DockerSpawner) -> None:
        for option, value in kinds[spawner.user_options["kind"]].items():
            setattr(spawner, option, value)

    return hook


class Cycles:
    """The four cycles, over one Engine. Each raises if anything is not as it should be."""

    def __init__(self, url: str, patience: float, seed: int = 1) -> None:
        self._url = url
        self._patience = patience  # a start is cancelled within so many seconds
        self._chance = random.Random(seed)  # noqa: S311 - moments, not secrets
        self._walks: dict[str, Callable[[Any], Awaitable[str]]] = {
            USUAL: self._usual,
            CANCELLED: self._cancelled,
            DIES: self._dies,
            KILLED: self._killed,
        }

    async def run(self, kind: str, user: Any) -> str:
        """Do one cycle with a user who has no server; gives the kind that it turned out to be."""
        done = await self._walks[kind](user)
        if "" in user.spawners:
            raise Wrong("the Hub still has a spawner")
        return done

    async def _usual(self, user: Any) -> str:
        spawner = await _running(user)
        await user.stop("")
        if await spawner.poll() is None:
            raise Wrong("it runs after its stop")
        return USUAL

    async def _cancelled(self, user: Any) -> str:
        spawning = asyncio.ensure_future(user.spawn("", options={"kind": "stub"}))
        try:
            await asyncio.wait([spawning], timeout=self._chance.uniform(0.0, self._patience))
        finally:
            # As the Hub does where a start is interrupted, but without its pause of a second before the stop.
            spawning.cancel()
        await asyncio.wait([spawning])
        cancelled = spawning.cancelled()
        if not cancelled and (error := spawning.exception()):
            raise Wrong("a start that should have been cancelled failed") from error
        await user.stop("")
        return CANCELLED if cancelled else TOO_LATE

    async def _dies(self, user: Any) -> str:
        try:
            await user.spawn("", options={"kind": "dies"})
        except Exception as error:
            if "code 3" not in str(getattr(error, "jupyterhub_message", error)):
                raise Wrong("it did not fail for the reason that it should") from error
        else:
            raise Wrong("a server that dies was started")
        return DIES

    async def _killed(self, user: Any) -> str:
        spawner = await _running(user)
        # The Hub's own callback does the same, after it has told its proxy.
        spawner.add_poll_callback(user.stop, "")
        async with BareEngine(self._url) as engine:
            await engine.kill(spawner.object_id)
        async with asyncio.timeout(GONE_WITHIN):
            while "" in user.spawners:
                await spawner.poll_and_notify()
                await asyncio.sleep(0.02)
        return KILLED


async def _running(user: Any) -> DockerSpawner:
    await user.spawn("", options={"kind": "stub"})
    spawner: DockerSpawner = user.spawners[""]
    if (status := await spawner.poll()) is not None:
        raise Wrong(f"poll says {status} of a server that runs")
    return spawner
