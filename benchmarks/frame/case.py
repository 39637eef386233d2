"""The words of the suite: a case, who is measured in it, and the figures that one run of it gives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf, isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.bench import Bench


class Level(StrEnum):
    """What a case drives."""

    SPAWNER = "spawner"
    """Spawner objects of both packages, without a Hub."""
    HUB = "hub"
    """A Hub and its proxy, over REST."""
    GROWTH = "growth"
    """Spawner objects over an Engine that costs nothing, in any number."""
    LEVER = "lever"
    """What a setting of the Engine or the spawner brings."""


class Who(StrEnum):
    """Who is measured."""

    OURS = "ours"
    PEER = "peer"
    FLOOR = "floor"


NAMES = {Who.OURS: "asyncdockerspawner", Who.PEER: "DockerSpawner 14", Who.FLOOR: "the bare Engine"}


@dataclass(frozen=True)
class Sample:
    """One run of a case by one of those measured."""

    figures: dict[str, float]
    series: dict[str, list[float]] = field(default_factory=dict)
    """What plots are drawn from."""
    faults: list[str] = field(default_factory=list)
    """What went wrong, in its own words."""
    engine: str = ""
    """The version of the Engine, where it is not the one that the run is on."""

    def document(self) -> dict[str, Any]:
        """For the JSON, which has no word for what never came to an end but null."""
        finite = {key: value if isfinite(value) else None for key, value in self.figures.items()}
        other = {"engine": self.engine} if self.engine else {}
        return {"figures": finite, "series": self.series, "faults": self.faults, **other}


@dataclass(frozen=True, kw_only=True)
class Target:
    """A limit of our figure: of itself, or of its ratio to another's in the same round."""

    to: Who = Who.OURS
    most: float | None = None
    least: float | None = None
    since: int = 0
    """The first major version of the Engine that it is for."""
    before: float = inf
    """The first one that it is no more for."""

    def is_for(self, engine: str) -> bool:
        """Tell whether it is one where the Engine has this version."""
        return self.since <= int(engine.partition(".")[0] or 0) < self.before

    def met(self, value: float) -> bool:
        """Tell whether a value keeps it."""
        return (self.most is None or value <= self.most) and (self.least is None or value >= self.least)

    def __str__(self) -> str:
        limit = f"≤ {self.most:g}" if self.most is not None else f"≥ {self.least:g}"
        return limit if self.to is Who.OURS else f"{limit} of {NAMES[self.to]}"


@dataclass(frozen=True)
class Figure:
    """A figure of a case: its key in samples, what the table calls it, and what it should be."""

    key: str
    label: str
    targets: tuple[Target, ...] = ()


Measure = Callable[[int], Awaitable[Sample]]
"""Runs a case once, in the round with this number."""
Opened = AbstractAsyncContextManager[Mapping[Who, Measure]]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing that is measured."""

    name: str
    level: Level
    title: str
    n: int
    """How many servers, users or polls there are, unless one says otherwise."""
    most: int
    figures: tuple[Figure, ...]
    open: Callable[[Bench, int], Opened]
    """Bring up what it needs for so many, for as long as the block lasts."""
    obstacle: Callable[[], str] = lambda: ""
    """Tell why it can't be measured on this machine; "" where it can."""
    small: int = 2
    """How many there are where it is only seen to work."""
    rounds: int = 3
    usual: bool = False
    """Whether it is measured where no case is named."""
    notebook: bool = False
    """Whether it needs the single-user image, which takes minutes to make."""
