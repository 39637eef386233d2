"""All cases, in the order in which they are measured and told."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.frame.case import Case
from benchmarks.growth.cases import CASES as GROWTH
from benchmarks.hubs.cases import CASES as HUB
from benchmarks.levers.cases import CASES as LEVERS
from benchmarks.spawners.cases import CASES as SPAWNERS

CASES: Sequence[Case] = (*SPAWNERS, *HUB, *GROWTH, *LEVERS)


def case(name: str) -> Case:
    """Find a case by its name."""
    return next(each for each in CASES if each.name == name)


def chosen(only: Sequence[str], *, everything: bool) -> list[Case]:
    """Give those that are to be measured: the named ones, all, or the usual ones."""
    if only:
        return [case(name) for name in only]
    return [each for each in CASES if everything or each.usual]
