"""Runs a case: all that are measured in turns, round by round, kept after each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

from benchmarks.frame.case import NAMES, Case, Measure, Who
from benchmarks.frame.store import Found, Store

if TYPE_CHECKING:
    from benchmarks.bench import Bench


class Size(NamedTuple):
    """How much of a case is measured."""

    n: int
    rounds: int


class Teller(Protocol):
    """Shows how far a run is."""

    def begin(self, title: str, steps: int) -> None:
        """A case begins, of so many steps."""

    def step(self, text: str = "") -> None:
        """One of them is done."""

    def say(self, text: str) -> None:
        """Tell a line."""


async def run(case: Case, size: Size, bench: Bench, store: Store, teller: Teller) -> Found:
    """Measure a case and keep what was found; where nothing can be, that is said, and nothing is kept."""
    found = Found(case.name, case.level, case.title, *size, bench.machine)
    if why := case.obstacle():
        teller.say(f"{case.name}: not measured: {why}")
        return found
    title, rounds = f"{case.name} ({size.n})", size.rounds
    teller.begin(title, 1)
    async with case.open(bench, size.n) as measures:
        if not measures:
            teller.say(f"{case.name}: not measured: it has nothing for those who were asked for")
            return found
        teller.begin(title, rounds * len(measures))
        for index in range(rounds):
            for who in order(measures, index):
                sample = await measures[who](index)
                found.add(index, who, sample)
                teller.step(f"{case.name}, round {index + 1} of {rounds}, {NAMES[who]}")
                for fault in sample.faults[:3]:
                    teller.say(f"  fault: {fault}")
            found.complete = index == rounds - 1
            store.save(found)
    return found


def order(measures: Mapping[Who, Measure], index: int) -> list[Who]:
    """Who goes first: in turns, so that nobody is always measured on the warmer machine."""
    return list(measures) if index % 2 == 0 else list(measures)[::-1]
