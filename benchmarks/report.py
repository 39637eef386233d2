"""The table: both spawners side by side, their ratio, and whether the targets are met."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, TypeVar

from benchmarks.bystander import Bystander
from benchmarks.storm import Storm

Round = TypeVar("Round")

THEIRS = "DockerSpawner 14"
OURS = "asyncdockerspawner"
LEAST_THROUGHPUT = 1.6  # times DockerSpawner's
MOST_BYSTANDER = 1.2  # times the start alone


@dataclass
class Results:
    """All rounds of a run; each mapping is by contender."""

    users: int
    machine: Mapping[str, Any]
    floor: list[float] = field(default_factory=list)  # the bare Engine's containers per second
    idle_threads: dict[str, int] = field(default_factory=dict)  # before the first spawn
    storms: dict[str, list[Storm]] = field(default_factory=lambda: {THEIRS: [], OURS: []})
    bystanders: dict[str, list[Bystander]] = field(default_factory=lambda: {THEIRS: [], OURS: []})

    def document(self) -> dict[str, Any]:
        """For the JSON report."""
        return {
            "users": self.users,
            "machine": dict(self.machine),
            "engine_floor": self.floor,
            "idle_threads": self.idle_threads,
            "storm": {who: [one.document() for one in rounds] for who, rounds in self.storms.items()},
            "bystander": {who: [one.document() for one in rounds] for who, rounds in self.bystanders.items()},
            "verdicts": [{"target": one.text, "met": one.met} for one in verdicts(self)],
        }


@dataclass(frozen=True)
class Verdict:
    """One target and whether it was met."""

    text: str
    met: bool


Row = tuple[str, float | None, float | None]

STORM_ROWS: Sequence[tuple[str, Callable[[Storm], float]]] = (
    ("starts per second", lambda one: one.start.rate),
    ("start, mean (s)", lambda one: one.start.mean),
    ("start, last (s)", lambda one: one.start.last),
    ("Hub CPU for the starts (s)", lambda one: one.start.hub.cpu_seconds),
    ("longest loop stall, starts (ms)", lambda one: one.start.hub.longest_stall_ms),
    ("most threads in the Hub", lambda one: max(p.hub.threads for p in (one.start, one.poll, one.stop))),
    ("polls per second", lambda one: one.poll.rate),
    ("Hub CPU for the polls (s)", lambda one: one.poll.hub.cpu_seconds),
    ("longest loop stall, polls (ms)", lambda one: one.poll.hub.longest_stall_ms),
    ("stops per second", lambda one: one.stop.rate),
    ("stop, last (s)", lambda one: one.stop.last),
    ("Hub CPU for the stops (s)", lambda one: one.stop.hub.cpu_seconds),
    ("longest loop stall, stops (ms)", lambda one: one.stop.hub.longest_stall_ms),
    ("faults", lambda one: float(len(one.faults))),
)

BYSTANDER_ROWS: Sequence[tuple[str, Callable[[Bystander], float]]] = (
    ("start alone (s)", lambda one: median(one.alone)),
    ("start while another stops for 10 s (s)", lambda one: median(one.beside)),
    ("bystander: times slower than alone", lambda one: one.ratio),
)


def rows(results: Results) -> list[Row]:
    """Each figure's median over the rounds."""
    return [
        *_rows(STORM_ROWS, results.storms),
        *_rows(BYSTANDER_ROWS, results.bystanders),
        (
            "threads in the Hub before its first spawn",
            results.idle_threads.get(THEIRS),
            results.idle_threads.get(OURS),
        ),
    ]


def _rows(
    figures: Sequence[tuple[str, Callable[[Round], float]]], by: Mapping[str, Sequence[Round]]
) -> list[Row]:
    if not any(by.values()):
        return []
    return [(label, _median(figure, by[THEIRS]), _median(figure, by[OURS])) for label, figure in figures]


def _median(figure: Callable[[Round], float], rounds: Sequence[Round]) -> float | None:
    return median(map(figure, rounds)) if rounds else None


def verdicts(results: Results) -> list[Verdict]:
    """The targets that this run can judge."""
    found = []
    ours, theirs = results.storms[OURS], results.storms[THEIRS]
    if ours and theirs:
        ratio = _ratio(_median(lambda one: one.start.rate, theirs), _median(lambda one: one.start.rate, ours))
        met = ratio is not None and ratio >= LEAST_THROUGHPUT
        found.append(
            Verdict(
                f"throughput {_show(ratio)} times DockerSpawner's, target at least {LEAST_THROUGHPUT}", met
            )
        )
        faults = [fault for one in ours for fault in one.faults]
        found.append(Verdict(f"{len(faults)} faults of ours{': ' + faults[0] if faults else ''}", not faults))
    beside = results.bystanders[OURS]
    if beside:
        slower = median(one.ratio for one in beside)
        text = f"bystander {_show(slower)} times slower than alone, target at most {MOST_BYSTANDER}"
        found.append(Verdict(text, slower <= MOST_BYSTANDER))
        short = [one.stop for one in beside if not one.valid]
        if short:
            found.append(Verdict(f"a stop that should take 10 s took {_show(short[0])} s", met=False))
    return found


def table(results: Results) -> str:
    """The whole report in Markdown."""
    lines = [
        f"{results.users} users at once; medians of the rounds; {_machine(results.machine)}.",
        "",
        f"| | {THEIRS} | {OURS} | ratio |",
        "|---|--:|--:|--:|",
    ]
    lines += [
        f"| {label} | {_show(theirs)} | {_show(ours)} | {_show(_ratio(theirs, ours))} |"
        for label, theirs, ours in rows(results)
    ]
    if results.floor:
        lines += [
            "",
            f"The bare Engine, without a Hub: {_show(median(results.floor))} containers per second.",
        ]
    lines += ["", *(f"- {'met' if one.met else 'MISSED'}: {one.text}" for one in verdicts(results))]
    return "\n".join(lines)


def _machine(machine: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in machine.items())


def _ratio(theirs: float | None, ours: float | None) -> float | None:
    """Ours by theirs, where both are there."""
    return ours / theirs if ours is not None and theirs else None


def _show(value: float | None) -> str:
    """Three digits that matter."""
    if value is None:
        return "–"
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
