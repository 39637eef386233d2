"""The start gate: starts of one Engine pass it in the order of their coming, a few at a time.

A machine that boots all notebook servers of a class at once boots each of them slowly. A place is a lease: it
is given back when the server answers, ends, or has had its time.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from asyncdockerspawner import errors
from asyncdockerspawner.client.system import System

STARTS_PER_CPU = 2
"""Measured on two CPUs: fewer or more make no crowd faster, and fewer leave the Engine idle now and then."""
SMALLEST = 2
"""One that boots slowly must not hold everybody up."""
CPU_SECONDS = 0.1
"""What a start costs the Engine; over a slow line, more of them have to be under way to keep it busy."""
MEASURE_SECONDS = 5.0
"""How long those who start wait for what the Engine says of itself."""
AGAIN_SECONDS = 60.0
"""After so long, an Engine that has said nothing is asked again."""
TELL_SECONDS = 1.0
"""Between two words to a waiter about its place."""

_log = logging.getLogger(__name__)


class Lease:
    """A place in the gate; given back once, however often that is said."""

    def __init__(self, gate: Gate | None) -> None:
        self._gate = gate
        self._timer: asyncio.TimerHandle | None = None
        self.held = True

    def release_in(self, seconds: float) -> None:
        """Give the place back after so many seconds, unless that happens before."""
        if self.held:
            self._timer = asyncio.get_running_loop().call_later(seconds, self.release)

    def release(self) -> None:
        """Give the place back to the next in line."""
        if self._timer is not None:
            self._timer.cancel()
        if self.held:
            self.held = False
            if self._gate is not None:
                self._gate._leave()


class Gate:
    """First in, first out. `width` starts are under way at a time: None before the first, 0 is all."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._asked: int | None = None
        self._measuring = asyncio.Lock()
        self._holds_until = -math.inf
        self._waiting: deque[asyncio.Future[Lease]] = deque()
        self._inside = 0
        self._told: set[int | None] = set()
        self.width: int | None = None

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return len(self._waiting)

    async def enter(self, asked: int | None, *, patience: float, told: Callable[[int], None]) -> Lease:
        """Wait for a place, for at most `patience` seconds; None asks for the width that fits the Engine.

        `told` hears how many are ahead, whenever that has changed. Raises QueueTimeout.
        """
        width = await self._settled_width(asked)
        if not width:
            return Lease(None)
        if self._inside < width and not self._waiting:
            self._inside += 1
            return Lease(self)
        place: asyncio.Future[Lease] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            return await self._turn(place, patience, told)
        except BaseException:
            self._withdraw(place)
            raise

    async def _turn(
        self, place: asyncio.Future[Lease], patience: float, told: Callable[[int], None]
    ) -> Lease:
        end = time.monotonic() + patience
        last = -1
        while not place.done():
            ahead = self._waiting.index(place)
            if ahead != last:
                told(ahead)
                last = ahead
            left = end - time.monotonic()
            if left <= 0:
                raise errors.QueueTimeout(
                    f"So many servers are being started that this one has waited {patience:.0f} s for its "
                    "turn. Try again later.",
                    advice="`queue_timeout` says how long a start waits for its turn, `concurrent_starts` "
                    "how many have theirs at a time.",
                )
            await asyncio.wait([place], timeout=min(left, TELL_SECONDS))
        return place.result()

    def _withdraw(self, place: asyncio.Future[Lease]) -> None:
        if place.done() and not place.cancelled():
            place.result().release()
        elif place in self._waiting:
            self._waiting.remove(place)

    def _leave(self) -> None:
        self._inside -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._inside < (self.width or math.inf):
            self._inside += 1
            self._waiting.popleft().set_result(Lease(self))

    async def _settled_width(self, asked: int | None) -> int:
        async with self._measuring:
            if self.width is None:
                self._asked = asked
            if self._asked is None and time.monotonic() >= self._holds_until:
                self.width = await self._fitting()
                self._admit()
            elif self.width is None:
                self.width = asked or 0
            if asked != self._asked and asked not in self._told:
                self._told.add(asked)
                _log.warning(
                    "`concurrent_starts` is %s here, but the first start on this Engine has set it to %s, "
                    "which stays until the Hub restarts",
                    asked,
                    self._asked,
                )
            return self.width

    async def _fitting(self) -> int:
        try:
            async with asyncio.timeout(MEASURE_SECONDS):
                cpus, away = await self._measured()
        except (errors.EngineError, TimeoutError) as exc:
            # Mostly it runs on this machine.
            width = max(SMALLEST, (os.cpu_count() or 1) * STARTS_PER_CPU)
            level = logging.WARNING if self.width is None else logging.DEBUG
            told = "The Engine does not tell its CPUs, so at most %d servers are started at a time: %s"
            _log.log(level, told, width, str(exc) or "no answer in time")
            self._holds_until = time.monotonic() + AGAIN_SECONDS
            return width
        self._holds_until = math.inf
        width = max(SMALLEST, round(cpus * STARTS_PER_CPU * (1 + away / CPU_SECONDS)))
        _log.info("At most %d servers are started at a time (%d CPUs, %.0f ms away)", width, cpus, away * 1e3)
        return width

    async def _measured(self) -> tuple[int, float]:
        """Ask the Engine for its CPUs; gives them, and how many seconds away it is."""
        begin = time.monotonic()
        info = await self._system.info()
        begin, away = time.monotonic(), time.monotonic() - begin
        # A filter before the Engine, which may not let it through, is as far away.
        with suppress(errors.Forbidden):
            await self._system.ping()
        return int(info.get("NCPU") or 1), min(away, time.monotonic() - begin)
