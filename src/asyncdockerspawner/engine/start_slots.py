"""Start slots of one Engine: at most so many starts are under way, and the others queue in their order.

A machine that boots all notebook servers of a class at once boots each of them slowly. A start has its slot
until the server answers or ends, or has had its time. How many there are is asked of the Engine at first, and
then learnt from how starts go (`start_width`).
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
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from asyncdockerspawner import errors
from asyncdockerspawner.engine.start_width import StartWidth, UnderWay

STARTS_PER_CPU = 2
"""At first. Fewer leave the Engine idle now and then."""
SMALLEST_LIMIT = 2
"""One that boots slowly must not hold everybody up."""
CPU_SECONDS = 0.1
"""What a start costs the Engine; over a slow line, more of them have to be under way to keep it busy."""
MEASURE_TIMEOUT = 5.0
"""How long those who start wait for what the Engine says of itself."""
REMEASURE_SECONDS = 60.0
"""After so long, an Engine that has said nothing is asked again."""
REPORT_SECONDS = 1.0
"""Between two reports of their positions to those who wait."""
REPORTS_AT_A_TIME = 100
"""Of a long queue, so many are told without a pause."""

_log = logging.getLogger(__name__)


class Machines(Protocol):
    """Where servers are started: an Engine's machine, or the nodes of a swarm."""

    async def cpus(self) -> int:
        """Return how many CPUs there are. Raises EngineError."""

    async def ping(self) -> None:
        """Ask the Engine the cheapest question. Raises EngineError where there is no answer."""


class Slot:
    """A slot that was acquired; `release` may be called more than once."""

    def __init__(self, slots: StartSlots) -> None:
        self._slots = slots
        self._timer: asyncio.TimerHandle | None = None
        self._given_up = False
        self._begin = time.monotonic()
        self._total = slots._under_way.total(self._begin)
        self.released = False

    def release_in(self, delay: float) -> None:
        """Release the slot after `delay` seconds, unless that happens before."""
        if not self.released:
            self._timer = asyncio.get_running_loop().call_later(delay, self._release)

    def answered(self) -> None:
        """Tell that the server answers: how long that took counts, unless the slot was released before."""
        if not self._given_up:
            self._given_up = True
            self._slots._answered(self._begin, self._total)

    def release(self) -> None:
        """Release the slot to the next in the queue."""
        self._given_up = True
        self._release()

    def _release(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self.released:
            self.released = True
            self._slots._release()


@dataclass(slots=True, eq=False)
class _Waiting:
    """One in the queue."""

    slot: asyncio.Future[Slot]
    on_position: Callable[[int], None]
    told: int = -1

    def tell(self, ahead: int) -> None:
        """Tell it how many are ahead, if that has changed; where that fails, it waits no longer."""
        if ahead == self.told or self.slot.done():
            return
        self.told = ahead
        try:
            self.on_position(ahead)
        except Exception as exc:  # noqa: BLE001 - it is whoever's who waits, and raised there
            self.slot.set_exception(exc)


class StartSlots:
    """Slots in the order of asking; `limit` says how many: None before the first start, 0 without a limit."""

    def __init__(self, machines: Machines, *, measured_for: float = math.inf) -> None:
        self._machines = machines
        self._measured_for = measured_for
        self._configured: int | None = None
        self._measuring = asyncio.Lock()
        self._measured_until = -math.inf
        self._queue: deque[_Waiting] = deque()
        self._reports: asyncio.Handle | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._under_way = UnderWay()
        self._width: StartWidth | None = None
        self._cpus: int | None = None
        self._told = 0
        """The width that the log has at its usual level."""
        self._warned_of: set[int | None] = set()
        self.limit: int | None = None

    @property
    def waiting(self) -> int:
        """How many wait for a slot."""
        return len(self._queue)

    async def idle(self, *, timeout: float) -> None:
        """Wait until nobody starts or waits, for at most `timeout` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._idle.wait()

    @property
    def _in_use(self) -> int:
        return self._under_way.count

    async def acquire(self, limit: int | None, *, timeout: float, on_position: Callable[[int], None]) -> Slot:
        """Wait for a slot, for at most `timeout` seconds.

        `limit` is what `concurrent_starts` says; None asks for as many as fit the Engine. `on_position` is
        called with the number of those ahead in the queue, whenever that has changed. Raises QueueTimeout.
        """
        allowed = await self._settled_limit(limit) or math.inf
        if self._in_use < allowed and not self._queue:
            self._under_way.add(1, time.monotonic())
            self._idle.clear()
            return Slot(self)
        waiting = _Waiting(asyncio.get_running_loop().create_future(), on_position)
        self._queue.append(waiting)
        try:
            waiting.tell(len(self._queue) - 1)
            self._report_later()
            return await _slot(waiting, timeout)
        except BaseException:
            self._withdraw(waiting)
            raise

    def _report_later(self) -> None:
        """Tell those who wait, in a while, how many are ahead of them by then."""
        if self._reports is None:
            # One timer for all: of a thousand who wait, each with its own, the Hub would do little else.
            self._reports = asyncio.get_running_loop().call_later(REPORT_SECONDS, self._report, 0)

    def _report(self, first: int) -> None:
        """Tell some of those who wait, from the `first` on, and come back for the others."""
        last = first + REPORTS_AT_A_TIME
        for ahead, waiting in enumerate(islice(self._queue, first, last), first):
            waiting.tell(ahead)
        self._reports = None
        if last < len(self._queue):
            self._reports = asyncio.get_running_loop().call_soon(self._report, last)
        elif self._queue:
            self._report_later()

    def _withdraw(self, waiting: _Waiting) -> None:
        """Leave the queue; a slot that was assigned just now goes to the next."""
        if waiting in self._queue:
            self._queue.remove(waiting)
        elif not waiting.slot.cancelled() and waiting.slot.exception() is None:
            waiting.slot.result().release()

    def _release(self) -> None:
        self._under_way.add(-1, time.monotonic())
        self._assign()
        if not self._in_use:
            self._idle.set()

    def _answered(self, begin: float, total: float) -> None:
        """Learn from a start how many at a time fit the Engine, where that is not configured."""
        now = time.monotonic()
        if self._width is None or now <= begin:
            return
        under_way = (self._under_way.total(now) - total) / (now - begin)
        if why := self._width.answered(under_way, now - begin, now):
            self.limit = self._width.width
            much = not self._told / 2 < self.limit < self._told * 2
            if much:
                self._told = self.limit
            level = logging.INFO if much else logging.DEBUG
            _log.log(level, "At most %d servers are started at a time now: %s", self.limit, why)
            self._assign()

    def _assign(self) -> None:
        """Assign free slots to the first in the queue."""
        while self._queue and self._in_use < (self.limit or math.inf):
            waiting = self._queue.popleft()
            if not waiting.slot.done():
                self._under_way.add(1, time.monotonic())
                waiting.slot.set_result(Slot(self))

    async def _settled_limit(self, configured: int | None) -> int:
        """Return the limit that holds: the first start's, measured where that leaves it to the Engine."""
        async with self._measuring:
            if self.limit is None:
                self._configured = configured
            if self._configured is None and time.monotonic() >= self._measured_until:
                self._width = await self._fitting_width()
                self.limit = self._width.width
                self._assign()
            elif self.limit is None:
                self.limit = configured or 0
            if configured != self._configured and configured not in self._warned_of:
                self._warned_of.add(configured)
                _log.warning(
                    "`concurrent_starts` is %s here, but the first start on this Engine has set it to %s, "
                    "which stays until the Hub restarts",
                    configured,
                    self._configured,
                )
            return self.limit

    async def _fitting_width(self) -> StartWidth:
        """Ask the Engine what it is; what was learnt stays while it has as many CPUs."""
        try:
            async with asyncio.timeout(MEASURE_TIMEOUT):
                cpus, distance = await self._measured()
        except (errors.EngineError, TimeoutError) as exc:
            self._measured_until = time.monotonic() + REMEASURE_SECONDS
            told = str(exc) or "no answer in time"
            if self._width is not None:
                _log.debug("The Engine does not tell its CPUs: %s", told)
                return self._width
            # Mostly it runs on this machine.
            width = StartWidth(max(SMALLEST_LIMIT, (os.cpu_count() or 1) * STARTS_PER_CPU), SMALLEST_LIMIT)
            message = "The Engine does not tell its CPUs, so at most %d servers are started at a time: %s"
            _log.warning(message, width.width, told)
            return width
        self._measured_until = time.monotonic() + self._measured_for
        if self._width is not None and cpus == self._cpus:
            return self._width
        self._cpus = cpus
        first = max(SMALLEST_LIMIT, round(cpus * STARTS_PER_CPU * (1 + distance / CPU_SECONDS)))
        self._told = first
        message = "At most %d servers are started at a time, at first (%d CPUs, %.0f ms away)"
        _log.info(message, first, cpus, distance * 1e3)
        return StartWidth(first, SMALLEST_LIMIT)

    async def _measured(self) -> tuple[int, float]:
        """Ask the Engine for its CPUs; returns them, and its distance in seconds."""
        begin = time.monotonic()
        cpus = await self._machines.cpus()
        begin, distance = time.monotonic(), time.monotonic() - begin
        # A filter before the Engine, which may not let it through, is as far away.
        with suppress(errors.Forbidden):
            await self._machines.ping()
        return cpus, min(distance, time.monotonic() - begin)


async def _slot(waiting: _Waiting, timeout: float) -> Slot:
    """Wait for the slot that is assigned. Raises QueueTimeout."""
    await asyncio.wait([waiting.slot], timeout=timeout)
    if not waiting.slot.done():
        raise errors.QueueTimeout(
            f"So many servers are being started that this one has waited {timeout:.0f} s for its turn. Try "
            "again later.",
            advice="`queue_timeout` says how long a start waits for its turn, `concurrent_starts` how many "
            "have theirs at a time.",
        )
    return waiting.slot.result()
