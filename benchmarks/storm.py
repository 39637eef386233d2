"""Many users at once: N starts, N polls, N stops of the stub image through a real Hub."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from benchmarks.hub_probe import WINDOW
from benchmarks.hubs import MeasuredHub
from benchmarks.probe import HubFigures

REST = 3.0
"""Seconds before a storm: the Engine and the kernel still tidy up after the containers of the last one."""


@dataclass(frozen=True)
class Phase:
    """One thing done for all users at once."""

    seconds: tuple[float, ...]  # of each user's that succeeded, from the common beginning
    faults: tuple[str, ...]
    hub: HubFigures

    @property
    def rate(self) -> float:
        """How many were done per second, until the last one."""
        return len(self.seconds) / self.last if self.seconds else 0.0

    @property
    def mean(self) -> float:
        """The mean time of one."""
        return fmean(self.seconds) if self.seconds else float("inf")

    @property
    def last(self) -> float:
        """When the last one was done."""
        return max(self.seconds, default=float("inf"))

    def document(self) -> dict[str, Any]:
        """For the JSON report."""
        return {"seconds": self.seconds, "faults": self.faults, "hub": self.hub.document()}


@dataclass(frozen=True)
class Storm:
    """One round on one Hub."""

    start: Phase
    poll: Phase
    stop: Phase

    @property
    def faults(self) -> tuple[str, ...]:
        """What went wrong, in the Hub's words."""
        return (*self.start.faults, *self.poll.faults, *self.stop.faults)

    def document(self) -> dict[str, Any]:
        """For the JSON report."""
        return {name: getattr(self, name).document() for name in ("start", "poll", "stop")}


async def storm(hub: MeasuredHub, users: Sequence[str]) -> Storm:
    """Start, poll and stop the servers of fresh `users`, each time all at once; the users are deleted."""
    api = hub.api
    await api.create_users(users)
    try:
        await asyncio.sleep(REST)
        start = await together(hub, users, api.start_server)
        poll = await together(hub, users, api.poll_server)
        stop = await together(hub, users, api.stop_server)
    finally:
        await asyncio.gather(*map(api.delete_user, users), return_exceptions=True)
    return Storm(start, poll, stop)


async def together(
    hub: MeasuredHub, users: Sequence[str], action: Callable[[str], Awaitable[object]]
) -> Phase:
    """Do one thing for all users at once and see what it costs the Hub."""

    async def one(user: str) -> float:
        await action(user)
        return time.monotonic() - begun

    begun = time.monotonic()
    results = await asyncio.gather(*map(one, users), return_exceptions=True)
    ended = time.monotonic()
    await asyncio.sleep(2 * WINDOW)  # the probe closes its window
    return Phase(
        seconds=tuple(result for result in results if isinstance(result, float)),
        faults=tuple(str(result) for result in results if isinstance(result, BaseException)),
        hub=hub.figures(begun, ended),
    )
