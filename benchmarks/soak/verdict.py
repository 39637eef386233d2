"""Whether what was measured is flat, and the table of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from statistics import fmean

from benchmarks.soak.gauge import Sample

MIB = 2**20


@dataclass(frozen=True)
class Verdict:
    """One thing that should hold and whether it did."""

    text: str
    met: bool


@dataclass(frozen=True)
class Gauge:
    """One thing that must not grow: by so much of itself, so much more, so much for each cycle in flight."""

    name: str
    field: str
    share: float = 0.0
    more: float = 0.0
    pooled: int = 0
    unit: int = 1

    def mean(self, samples: Sequence[Sample]) -> float:
        """The mean of these samples, in the unit that is shown."""
        return fmean(getattr(one, self.field) for one in samples) / self.unit

    def flat(self, first: float, last: float, in_flight: int) -> bool:
        """Whether the second mean is no growth over the first."""
        return last <= first + first * self.share + self.more + self.pooled * in_flight


GAUGES = (
    Gauge("memory (MiB)", "memory", share=0.05, more=2.0, unit=MIB),
    # Caches of the libraries move some hundred, or more in a process that has done much else; one spawner
    # that is kept is about thirty.
    Gauge("Python objects", "objects", share=0.005, more=600),
    Gauge("spawners alive", "spawners"),
    # A client keeps as many idle connections as it once used at the same time: for each cycle in flight at
    # most one for its own request and one for the watch's question. Which batch needs the last one is chance.
    # What the pool cannot explain, `_closed` judges.
    Gauge("open descriptors", "descriptors", pooled=2),
    Gauge("sockets", "sockets", pooled=2),
    Gauge("asyncio tasks", "tasks"),
)
ROWS = Gauge("the Hub's rows", "rows")
"""Told, not judged: the Hub writes a token and a server for each spawn and deletes them at its stop. Should
it ever keep some, this row says whose growth the memory's is."""


@dataclass
class Soaked:
    """All figures of one soak over one Engine."""

    engine: str
    in_flight: int
    done: Counter[str] = field(default_factory=Counter)  # cycles by kind
    failures: list[str] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    closed: list[Sample] = field(default_factory=list)  # with our client closed: early, and at the end
    left: list[str] = field(default_factory=list)  # containers
    seconds: float = 0.0


def warm_up(samples: int) -> int:
    """How many of so many samples are not compared: a twentieth, in which caches fill."""
    return ceil(samples / 20)


def compared(samples: Sequence[Sample]) -> tuple[Sequence[Sample], Sequence[Sample]]:
    """The first tenth after the warm-up, and the last tenth."""
    warm, tenth = warm_up(len(samples)), max(1, len(samples) // 10)
    return samples[warm : warm + tenth], samples[-tenth:]


def verdicts(soaked: Soaked) -> list[Verdict]:
    """Nothing failed, nothing is left, nothing grows."""
    failures, left = soaked.failures, soaked.left
    first, last = compared(soaked.samples)
    return [
        Verdict(f"{len(failures)} failures{': ' + failures[0] if failures else ''}", not failures),
        Verdict(f"{len(left)} containers left{': ' + left[0] if left else ''}", not left),
        *(_flat(gauge, first, last, soaked.in_flight) for gauge in GAUGES),
        *_closed(soaked.closed),
    ]


def _flat(gauge: Gauge, first: Sequence[Sample], last: Sequence[Sample], in_flight: int) -> Verdict:
    before, after = gauge.mean(first), gauge.mean(last)
    return Verdict(f"{gauge.name} {_show(before)} → {_show(after)}", gauge.flat(before, after, in_flight))


def _closed(closed: Sequence[Sample]) -> list[Verdict]:
    """With the Engine's client closed there is no pool of idle connections to hide in."""
    early, late = closed[0], closed[-1]
    exact = ("descriptors", "sockets", "tasks")
    grown = [name for name in exact if getattr(late, name) > getattr(early, name)]
    text = ", ".join(f"{name} {getattr(early, name)} → {getattr(late, name)}" for name in exact)
    return [Verdict(f"with the Engine closed: {text}", not grown)]


def table(soaked: Soaked) -> str:
    """The report in Markdown."""
    first, last = compared(soaked.samples)
    kinds = ", ".join(f"{count} {kind}" for kind, count in soaked.done.items())
    rate = sum(soaked.done.values()) / soaked.seconds
    lines = [
        f"{soaked.engine}: {kinds}; {rate:.1f} cycles per second.",
        "",
        f"| cycles | {first[0].cycles} to {first[-1].cycles} | {last[0].cycles} to {last[-1].cycles} |",
        "|---|--:|--:|",
        *(f"| {one.name} | {_show(one.mean(first))} | {_show(one.mean(last))} |" for one in (*GAUGES, ROWS)),
        "",
        *(f"- {'met' if one.met else 'MISSED'}: {one.text}" for one in verdicts(soaked)),
    ]
    return "\n".join(lines)


def _show(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:.1f}"
