"""What is measured has servers, which are started, polled and stopped many at once, and that has a cost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Protocol

REST = 3.0
FEW = 5


@dataclass(frozen=True)
class Cost:
    """What something cost the process of the Hub, or of the spawners."""

    cpu_seconds: float
    longest_stall_ms: float
    """In which its loop did nothing else."""
    threads: int
    memory_mib: float
    """Resident, at the end."""
    longest_collection_ms: float = 0.0
    """Of Python's garbage collector, while nothing else is done; 0 where that was not measured."""


@dataclass(frozen=True)
class Batch:
    """One thing done for all users at once."""

    seconds: tuple[float, ...]
    """Of each user's that succeeded, from the common beginning."""
    faults: tuple[str, ...] = ()
    cost: Cost | None = None
    """None of the bare Engine's."""

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

    def costs(self, word: str) -> dict[str, float]:
        """Give the figures of its cost, of which each is for one that was done where that has a meaning."""
        if self.cost is None:
            return {}
        return {
            f"{word}_cpu_ms": 1000 * self.cost.cpu_seconds / max(1, len(self.seconds)),
            f"{word}_stall_ms": self.cost.longest_stall_ms,
            f"{word}_collection_ms": self.cost.longest_collection_ms,
            "threads": float(self.cost.threads),
            "memory_mib": self.cost.memory_mib,
        }


class Servers(Protocol):
    """Spawner objects, a Hub, or the bare Engine."""

    async def add(self, users: Sequence[str]) -> None:
        """Make users who have no server."""

    async def start(self, users: Sequence[str], image: str = "") -> Batch:
        """Start their servers all at once, of another image than the usual one where that is said."""

    async def poll(self, users: Sequence[str]) -> Batch:
        """Ask of each whether it runs."""

    async def stop(self, users: Sequence[str]) -> Batch:
        """Stop them all at once."""

    async def forget(self, users: Sequence[str]) -> None:
        """Remove users, with servers that still run."""


async def together(users: Iterable[str], action: Callable[[str], Awaitable[object]]) -> Batch:
    """Do one thing for all users at once, and time each from the common beginning."""
    begun = time.monotonic()

    async def one(user: str) -> float:
        await action(user)
        return time.monotonic() - begun

    results = await asyncio.gather(*map(one, users), return_exceptions=True)
    return Batch(
        seconds=tuple(result for result in results if isinstance(result, float)),
        faults=tuple(str(result) or repr(result) for result in results if isinstance(result, BaseException)),
    )


async def rest(count: int) -> None:
    """Wait for Engine and kernel, which still tidy up after containers, unless those were few."""
    if count > FEW:
        await asyncio.sleep(REST)


def names(word: str, index: int, count: int) -> list[str]:
    """Make users' names that no other round has."""
    return [f"{word}{index}-{number}" for number in range(count)]
