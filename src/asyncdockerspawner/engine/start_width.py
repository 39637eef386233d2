"""How many starts at a time fit an Engine, learnt from how long they take.

A start takes the longer, the more are under way beside it. As long as each is hardly slower, more of them
at a time are more per second; from some number on, which depends on CPUs, disk, distance and locks of the
Engine, they only wait for each other. Starts per second at a width are known by Little's law, from how many
were under way during each and how long each took. The search is a hill climb in steps of half an octave: a
crowd at the present width is followed by the next width up, which is kept if it brings clearly more per
second, and tried again after an hour if not. The end of a crowd tells how it goes with fewer, and leads
down where that is as good.

No clock is read here, and nothing waits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

STEPS_UP = 4
"""As far from the first width as this: four times as many."""
ENOUGH = 12
"""Single starts differ much: so many tell how it goes at a width, or as many as it is wide."""
GAIN = 1.1
"""What a step above the first width has to bring; with nothing in its way it brings 1.4."""
LOSS = 1.03
"""What a step below it may cost."""
CROWD_SECONDS = 60.0
"""Fewer than all slots are the end of a crowd for so long; later, the machine may be at rest."""
FORGET_SECONDS = 3600.0
"""After so long, a width that was too much is tried again."""


class UnderWay:
    """How many starts are under way, and have been over time."""

    def __init__(self) -> None:
        self.count = 0
        self._total = 0.0
        self._counted = 0.0

    def add(self, more: int, now: float) -> None:
        """Take in that so many more are under way from now on."""
        self._total = self.total(now)
        self._counted = now
        self.count += more

    def total(self, now: float) -> float:
        """Return the seconds of all starts until now; what it grows by in a second is their mean number."""
        return self._total + self.count * (now - self._counted)


@dataclass(slots=True)
class _Rate:
    """How starts went at one width."""

    enough: int
    under_way: float = 0.0
    seconds: float = 0.0
    count: int = 0
    measured: float = 0.0

    def add(self, under_way: float, seconds: float, now: float) -> None:
        self.count += 1
        share = 1 / min(self.count, 2 * self.enough)
        self.under_way += (under_way - self.under_way) * share
        self.seconds += (seconds - self.seconds) * share
        self.measured = now

    @property
    def is_known(self) -> bool:
        return self.count >= self.enough

    @property
    def a_second(self) -> float:
        """Starts a second, by Little's law."""
        return self.under_way / self.seconds


class StartWidth:
    """The width of one Engine's queue: `first` at first, `least` at least."""

    def __init__(self, first: int, least: int) -> None:
        self.first = first
        self._step = 0
        self._lowest = 0
        while least <= self._width(self._lowest - 1) < self._width(self._lowest):
            self._lowest -= 1
        self._unsettled = first
        """So many do not count: those that answer first are the quick ones."""
        self._full = -math.inf
        """When one answered that was among as many as there may be."""
        self._rates = dict[int, _Rate]()

    @property
    def width(self) -> int:
        """How many starts at a time there are to be."""
        return self._width(self._step)

    def answered(self, under_way: float, seconds: float, now: float) -> str:
        """Take in that a server has answered; returns why the width is another one now, "" if it is not.

        `seconds` are from its slot to its answer, during which `under_way` starts had one on average.
        """
        step = round(2 * math.log2(max(under_way, 0.5) / self.first))
        if not self._lowest <= step <= self._step:
            return ""
        if step == self._step:
            if now - self._full > CROWD_SECONDS:
                self._unsettled = self.width
            self._full = now
            if self._unsettled:
                self._unsettled -= 1
                return ""
        elif now - self._full > CROWD_SECONDS:
            return ""
        rate = self._rates.setdefault(step, _Rate(max(ENOUGH, self._width(step))))
        rate.add(under_way, max(seconds, 1e-3), now)
        return self._decide(now) if step == self._step and rate.is_known else ""

    def _decide(self, now: float) -> str:
        # What is below has led here. What is above is tried again some time.
        self._rates = {
            step: rate
            for step, rate in self._rates.items()
            if step <= self._step or now - rate.measured < FORGET_SECONDS
        }
        known = {step: rate.a_second for step, rate in self._rates.items() if rate.is_known}
        goal = max(known, key=lambda step: known[step] / (GAIN if step > 0 else LOSS) ** step)
        told = f"{known[self._step]:.2g} a second with {self.width} at a time, and"
        if goal != self._step:
            told = f"{told} {known[goal]:.2g} with {self._width(goal)}"
            return self._to(self._step + (1 if goal > self._step else -1), told)
        if goal == max(known) and goal < STEPS_UP:
            return self._to(goal + 1, f"{told} more may be faster")
        return ""

    def _to(self, step: int, why: str) -> str:
        self._step = step
        self._unsettled = self.width
        self._rates.pop(step, None)
        return why

    def _width(self, step: int) -> int:
        return round(self.first * 2 ** (step / 2))
