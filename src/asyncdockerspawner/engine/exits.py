"""Who waits for the end of a container learns of it at once: one event stream for the whole Engine."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from asyncdockerspawner import errors
from asyncdockerspawner.client.events import Events

SUBSCRIBE_SECONDS = 2.0
"""How long a start waits for the stream before it goes on without."""
REOPEN_PAUSES = (0.0, 0.5, 1.0, 3.0)
"""Seconds before the stream is opened again, by how often it has failed in a row."""
STEADY_SECONDS = 5.0
"""A stream that lived so long has not failed when it ends."""

_log = logging.getLogger(__name__)


class ExitWatch:
    """Wakes waiters when their container may have ended; what really happened, they ask the Engine.

    A stream that breaks wakes every waiter too, since an end may have been missed. It is opened again when
    somebody asks for it, but not in a hurry where it keeps failing.
    """

    def __init__(self, events: Events) -> None:
        self._events = events
        self._waiters: dict[str, set[asyncio.Event]] = {}
        self._task: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self._failures = 0
        self._not_before = 0.0
        self.live = False
        """Whether the stream is open, so that no end is missed."""

    def reopen(self) -> None:
        """Begin to open the stream, unless it is open or has just failed."""
        if (self._task is None or self._task.done()) and time.monotonic() >= self._not_before:
            self._tried = asyncio.Event()
            self._task = asyncio.create_task(self._read(), name="watch ends of containers")

    async def ready(self) -> bool:
        """Open the stream unless it is open; False if that does not work now.

        Called before a container is started, so that no end comes before the subscription.
        """
        self.reopen()
        with suppress(TimeoutError):
            async with asyncio.timeout(SUBSCRIBE_SECONDS):
                await self._tried.wait()
        return self.live

    @contextmanager
    def waiting(self, container_id: str) -> Iterator[asyncio.Event]:
        """Give an event that is set whenever this container may have ended; clear it to wait again."""
        waiter = asyncio.Event()
        waiters = self._waiters.setdefault(container_id, set())
        waiters.add(waiter)
        try:
            yield waiter
        finally:
            waiters.discard(waiter)
            if not waiters:
                self._waiters.pop(container_id, None)

    async def aclose(self) -> None:
        """End the stream."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _read(self) -> None:
        begin = time.monotonic()
        try:
            async with self._events.endings() as endings:
                self.live = True
                self._tried.set()
                async for event in endings:
                    self._wake(event.container_id)
        except errors.EngineError as exc:
            level = logging.DEBUG if self._failures else logging.WARNING
            _log.log(level, "The Engine's event stream broke: %s", exc)
        finally:
            was_live, self.live = self.live, False
            self._tried.set()
            steady = was_live and time.monotonic() - begin > STEADY_SECONDS
            self._failures = 0 if steady else self._failures + 1
            pause = REOPEN_PAUSES[min(max(self._failures - 1, 0), len(REOPEN_PAUSES) - 1)]
            self._not_before = time.monotonic() + pause
            for container_id in list(self._waiters) if was_live else ():
                self._wake(container_id)

    def _wake(self, container_id: str) -> None:
        for waiter in self._waiters.get(container_id, ()):
            waiter.set()
