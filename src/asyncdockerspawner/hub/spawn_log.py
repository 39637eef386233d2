"""What a user sees of a spawn: its events, for any number of viewers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

MOST_LINES = 200
"""Older lines are dropped first."""

Event = dict[str, Any]


class SpawnLog:
    """Lines as JupyterHub's `progress()` gives them: `message`, maybe `html_message`, `progress` of 100."""

    def __init__(self) -> None:
        self._lines: deque[tuple[int, str, Event]] = deque(maxlen=MOST_LINES)
        self._count = 0
        self._news: asyncio.Event | None = None
        """What viewers wait for; mostly there are none."""
        self._ended = False

    def say(
        self, message: str, *, html: str | None = None, progress: int | None = None, topic: str = ""
    ) -> None:
        """Add a line; one of the same `topic` as the last takes its place, so that it moves."""
        event: Event = {"message": message}
        if html is not None:
            event["html_message"] = html
        if progress is not None:
            event["progress"] = progress
        if topic and self._lines and self._lines[-1][1] == topic:
            self._lines.pop()
        self._count += 1
        self._lines.append((self._count, topic, event))
        self._wake()

    def end(self) -> None:
        """Take no more lines."""
        self._ended = True
        self._wake()

    async def follow(self) -> AsyncIterator[Event]:
        """Return every line from the first that is kept, then each new one until the end."""
        seen = 0
        while True:
            news, ended = self._news or asyncio.Event(), self._ended
            self._news = news
            for number, _, event in [line for line in self._lines if line[0] > seen]:
                seen = number
                yield dict(event)
            if ended:
                return
            await news.wait()

    def _wake(self) -> None:
        if self._news is not None:
            self._news.set()
            self._news = None
