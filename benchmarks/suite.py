"""All cases, in the order in which they are measured and told."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.frame.case import Case
from benchmarks.growth.cases import CASES as GROWTH
from benchmarks.hubs.cases import CASES as HUB
from benchmarks.levers.cases import CASES as LEVERS
from benchmarks.spawners.cases import CASES as SPAWNERS

ON_THE_NEWEST = {"storm", "sandboxes", "levers", "healthcheck"}
"""Cases that are measured on the newest Engine too: they are about the Engine more than about a spawner."""
CASES: Sequence[Case] = (*SPAWNERS, *HUB, *GROWTH, *LEVERS)


def case(name: str) -> Case:
    """Find a case by its name."""
    return next(each for each in CASES if each.name == name)


def chosen(only: Sequence[str], *, everything: bool, newest: bool = False) -> list[Case]:
    """Give those that are to be measured: the named ones, all, or the usual ones.

    On the newest Engine, those of them that are measured there too.
    """
    cases = [case(name) for name in only] or [each for each in CASES if everything or each.usual]
    return [each for each in cases if not newest or each.name in ON_THE_NEWEST]
