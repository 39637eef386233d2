"""Crowds of starts at an Engine that is only reckoned, without any waiting."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import fmean

from asyncdockerspawner.engine.start_width import StartWidth, UnderWay

NEVER = 1e-9


@dataclass
class SimulatedEngine:
    """An Engine that works at `side_by_side` starts at a time; where there are more, they share that."""

    side_by_side: float
    work: float = 0.4
    """Seconds of a start alone."""
    distance: float = 0.0
    """Seconds of a start for which it only waits, whoever else starts."""
    spread: float = 0.0
    """How much starts differ: the deviation of the logarithm of their work."""
    seed: int = 0
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - the same each time

    def start(self) -> _Start:
        work = self.work * self._random.lognormvariate(-(self.spread**2) / 2, self.spread)
        return _Start(self.distance, work)


@dataclass(eq=False)
class _Start:
    distance: float
    work: float
    begun: float = 0.0
    total: float = 0.0


@dataclass
class Crowd:
    """What became of a crowd."""

    ready: list[float]
    """When each answered, from the crowd's beginning."""
    widths: list[int]
    """How many at a time there were to be, after each answer."""

    @property
    def last(self) -> float:
        return max(self.ready)

    @property
    def mean(self) -> float:
        return fmean(self.ready)


def crowd(engine: SimulatedEngine, count: int, width: StartWidth | int, begin: float = 0.0) -> Crowd:
    """Have so many start at once; a `StartWidth` is told of each answer."""
    limit: Callable[[], int] = (lambda: width.width) if isinstance(width, StartWidth) else (lambda: width)
    now, waiting, under_way, made = begin, count, UnderWay(), Crowd([], [])
    starting: list[_Start] = []
    while waiting or starting:
        while waiting and len(starting) < limit():
            waiting -= 1
            under_way.add(1, now)
            each = engine.start()
            each.begun, each.total = now, under_way.total(now)
            starting.append(each)
        now += _go_on(engine, starting)
        for each in [one for one in starting if one.work <= NEVER]:
            starting.remove(each)
            seconds = now - each.begun
            if isinstance(width, StartWidth):
                width.answered((under_way.total(now) - each.total) / seconds, seconds, now)
            under_way.add(-1, now)
            made.ready.append(now - begin)
            made.widths.append(limit())
    return made


def _go_on(engine: SimulatedEngine, starting: list[_Start]) -> float:
    """Let the time go by until something of a start is done; returns it."""
    near = [one for one in starting if one.distance <= NEVER]
    rate = min(1.0, engine.side_by_side / len(near)) if near else 1.0
    passed = min(one.work / rate if one.distance <= NEVER else one.distance for one in starting)
    for one in starting:
        if one.distance <= NEVER:
            one.work -= passed * rate
        else:
            one.distance -= passed
    return passed
