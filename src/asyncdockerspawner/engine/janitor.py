"""Background work on objects: tracked, and one after another for each object name."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Hashable

from asyncdockerspawner import errors

RETRY_PAUSES = (0.1, 0.3, 1.0, 3.0)
"""Seconds between tries while the Engine cannot be reached; the last one repeats."""
TRIES_AT_A_FAULT = 5
"""Tries where the Engine answers, but with a fault of its own (5xx)."""

_TASK = "janitor: "
_log = logging.getLogger(__name__)

Work = Callable[[], Awaitable[None]]


class Janitor:
    """Does what must be done even when nobody waits for it any more: removals after a cancelled spawn.

    Promises: work on one name never overlaps and keeps its order; work on different names runs side by side;
    a task is referenced until it has ended; a failure is logged, and does not stop what comes after it.
    """

    def __init__(self) -> None:
        self._tails: dict[str, asyncio.Task[bool]] = {}
        self._begun: dict[str, float] = {}
        self._goals: dict[Hashable, asyncio.Task[bool]] = {}
        self._tasks: dict[asyncio.Task[bool], asyncio.Event] = {}
        # The event is set when the work has failed and is to be repeated.
        self._errands: set[asyncio.Task[bool]] = set()

    def submit(self, name: str, work: Work, *, what: str, goal: Hashable = None) -> asyncio.Task[bool]:
        """Queue `work` behind all work on `name`; `what` says it in the log ("remove container x").

        The work is repeated while the Engine cannot be reached, and a few times when it fails inside, so it
        has to be safe to repeat. The task's result says whether it was done. Where work on `name` for the
        same `goal` is queued or under way, its task is given: asking again and again queues nothing.
        """
        key = None if goal is None else (name, goal)
        known = self._goals.get(key)
        if known is not None and not known.done():
            return known
        before, put_off = self._tails.get(name), asyncio.Event()
        task = asyncio.create_task(self._run(before, work, what, put_off), name=f"{_TASK}{what}")
        self._tails[name] = task
        self._begun.setdefault(name, time.monotonic())
        if key is not None:
            self._goals[key] = task
        self._tasks[task] = put_off
        task.add_done_callback(lambda done: self._forget(name, key, done))
        return task

    async def attempt(
        self, name: str, work: Work, *, what: str, timeout: float, goal: Hashable = None
    ) -> bool:
        """Submit `work` and tell whether it was done; False once it was put off or takes over `timeout` s.

        Then it goes on without the caller, as does the work of a caller that is cancelled.
        """
        task = self.submit(name, work, what=what, goal=goal)
        waiting = asyncio.create_task(self._tasks[task].wait())
        try:
            await asyncio.wait({task, waiting}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        return task.done() and not task.cancelled() and task.result()

    def start(self, work: Work, *, what: str) -> None:
        """Do `work` once, beside everything else; a failure is logged. Closing does not wait for it."""

        async def run() -> bool:
            try:
                await work()
            except Exception as exc:  # noqa: BLE001 - nobody else would hear of it
                _log_failure(what, exc)
                return False
            return True

        task = asyncio.create_task(run(), name=f"{_TASK}{what}")
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    def busy(self, name: str) -> bool:
        """Tell whether work on `name` is queued or under way."""
        return name in self._tails

    def busy_for(self, name: str) -> float:
        """Return how many seconds there has been work on `name` without a pause; 0 where there is none."""
        return time.monotonic() - self._begun[name] if name in self._begun else 0.0

    async def settled(self, name: str) -> None:
        """Wait until no work on `name` is left; cancelling the wait leaves the work alone."""
        while (tail := self._tails.get(name)) is not None:
            await asyncio.wait([tail])

    async def aclose(self, *, timeout: float = 5.0) -> None:
        """Return queued work `timeout` seconds to end, then cancel it and wait for that."""
        for errand in self._errands:
            errand.cancel()
        await asyncio.gather(*self._errands, return_exceptions=True)
        if self._tasks:
            _, late = await asyncio.wait(set(self._tasks), timeout=timeout)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    @staticmethod
    async def _run(before: asyncio.Task[bool] | None, work: Work, what: str, put_off: asyncio.Event) -> bool:
        if before is not None:
            await asyncio.wait([before])
        for attempt in itertools.count():
            try:
                await work()
            except Exception as exc:  # noqa: BLE001 - whatever it is, what is queued behind must run
                if not _passing(exc, attempt):
                    _log_failure(what, exc)
                    return False
                level = logging.WARNING if attempt < len(RETRY_PAUSES) else logging.DEBUG
                _log.log(level, "Could not %s yet: %s", what, exc)
                put_off.set()
                await asyncio.sleep(RETRY_PAUSES[min(attempt, len(RETRY_PAUSES) - 1)])
            else:
                return True
        raise AssertionError("the count has no end")

    def _forget(self, name: str, key: Hashable, done: asyncio.Task[bool]) -> None:
        if done.cancelled():
            _log.warning("Not done when the Hub ended: %s", done.get_name().removeprefix(_TASK))
        self._tasks.pop(done, None)
        if self._goals.get(key) is done:
            del self._goals[key]
        if self._tails.get(name) is done:
            del self._tails[name], self._begun[name]


def _log_failure(what: str, exc: Exception) -> None:
    # The Engine's answer says all; anything else is a fault of ours, to be found by its traceback.
    _log.error("Could not %s: %s", what, exc, exc_info=not isinstance(exc, errors.EngineError))


def _passing(exc: Exception, attempt: int) -> bool:
    if isinstance(exc, errors.EngineUnavailable | errors.EngineLost | errors.EngineTimeout):
        return True
    fault = isinstance(exc, errors.EngineError) and (exc.status or 0) >= 500
    return fault and attempt + 1 < TRIES_AT_A_FAULT
