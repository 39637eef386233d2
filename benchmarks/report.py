"""The table: both spawners side by side, their ratio, and whether the targets are met."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from statistics import median
from typing import Any, TypeVar

from benchmarks.bystander import Bystander
from benchmarks.crowd import Crowd
from benchmarks.pull import SECONDS, WAITERS, Pull
from benchmarks.storm import Storm

Round = TypeVar("Round")

THEIRS = "DockerSpawner 14"
OURS = "asyncdockerspawner"
LEAST_THROUGHPUT = 1.6  # times DockerSpawner's
MOST_MEAN = 0.4  # times DockerSpawner's
MOST_CROWD_MEDIAN = 0.62  # times DockerSpawner's
MOST_CROWD_LAST = 1.0  # times DockerSpawner's
MOST_BYSTANDER = 1.2  # times the start alone
MOST_BESIDE_PULL = 1.2  # times the start alone


@dataclass
class Results:
    """All rounds of a run; each mapping is by contender."""

    users: int
    crowd_users: int
    machine: Mapping[str, Any]
    floor: list[float] = field(default_factory=list)  # the bare Engine's containers per second
    idle_threads: dict[str, int] = field(default_factory=dict)  # before the first spawn
    storms: dict[str, list[Storm]] = field(default_factory=lambda: {THEIRS: [], OURS: []})
    crowds: dict[str, list[Crowd]] = field(default_factory=lambda: {THEIRS: [], OURS: []})
    bystanders: dict[str, list[Bystander]] = field(default_factory=lambda: {THEIRS: [], OURS: []})
    pulls: dict[str, list[Pull]] = field(default_factory=lambda: {THEIRS: [], OURS: []})

    def document(self) -> dict[str, Any]:
        """For the JSON report."""
        return {
            "users": self.users,
            "crowd_users": self.crowd_users,
            "machine": dict(self.machine),
            "engine_floor": self.floor,
            "idle_threads": self.idle_threads,
            "storm": {who: [one.document() for one in rounds] for who, rounds in self.storms.items()},
            "crowd": {who: [one.document() for one in rounds] for who, rounds in self.crowds.items()},
            "bystander": {who: [one.document() for one in rounds] for who, rounds in self.bystanders.items()},
            "pull": {who: [one.document() for one in rounds] for who, rounds in self.pulls.items()},
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

CROWD_ROWS: Sequence[tuple[str, Callable[[Crowd], float]]] = (
    ("crowd: ready, median (s)", lambda one: one.median),
    ("crowd: ready, last (s)", lambda one: one.last),
    ("crowd: Hub CPU (s)", lambda one: one.start.hub.cpu_seconds),
    ("crowd: longest loop stall (ms)", lambda one: one.start.hub.longest_stall_ms),
    ("crowd: faults", lambda one: float(len(one.faults))),
)

BYSTANDER_ROWS: Sequence[tuple[str, Callable[[Bystander], float]]] = (
    ("start alone (s)", lambda one: median(one.alone)),
    ("start while another stops for 10 s (s)", lambda one: median(one.beside)),
    ("bystander: times slower than alone", lambda one: one.ratio),
)

PULL_ROWS: Sequence[tuple[str, Callable[[Pull], float]]] = (
    ("pull: start alone (s)", lambda one: median(one.alone)),
    (f"pull: start while {WAITERS} others wait for theirs (s)", lambda one: median(one.beside)),
    ("pull: times slower than alone", lambda one: one.ratio),
    ("pull: who waits for it, last (s)", lambda one: one.waiting.last),
    ("pull: longest loop stall (ms)", lambda one: one.waiting.hub.longest_stall_ms),
    ("pull: faults", lambda one: float(len(one.waiting.faults))),
)


def rows(results: Results) -> list[Row]:
    """Each figure's median over the rounds."""
    return [
        *_rows(STORM_ROWS, results.storms),
        *_rows(CROWD_ROWS, results.crowds),
        *_rows(BYSTANDER_ROWS, results.bystanders),
        *_rows(PULL_ROWS, results.pulls),
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
    return [*_of_storms(results), *_of_crowds(results), *_of_bystanders(results), *_of_pulls(results)]


def _of_storms(results: Results) -> list[Verdict]:
    ours, theirs = results.storms[OURS], results.storms[THEIRS]
    if not (ours and theirs):
        return []
    rate = _against(lambda one: one.start.rate, theirs, ours)
    text = f"throughput {_show(rate)} times DockerSpawner's, target at least {LEAST_THROUGHPUT}"
    return [
        Verdict(text, rate is not None and rate >= LEAST_THROUGHPUT),
        _at_most("mean start", _against(lambda one: one.start.mean, theirs, ours), MOST_MEAN),
        _without_faults("", [fault for one in ours for fault in one.faults]),
    ]


def _of_crowds(results: Results) -> list[Verdict]:
    ours, theirs = results.crowds[OURS], results.crowds[THEIRS]
    if not (ours and theirs):
        return []
    middle = _against(lambda one: one.median, theirs, ours)
    last = _against(lambda one: one.last, theirs, ours)
    return [
        _at_most("crowd's median", middle, MOST_CROWD_MEDIAN),
        _at_most("crowd's last", last, MOST_CROWD_LAST),
        _without_faults(" in the crowd", [fault for one in ours for fault in one.faults]),
    ]


def _of_bystanders(results: Results) -> list[Verdict]:
    beside = results.bystanders[OURS]
    if not beside:
        return []
    slower = median(one.ratio for one in beside)
    text = f"bystander {_show(slower)} times slower than alone, target at most {MOST_BYSTANDER}"
    found = [Verdict(text, slower <= MOST_BYSTANDER)]
    short = [one.stop for one in beside if not one.valid]
    if short:
        found.append(Verdict(f"a stop that should take 10 s took {_show(short[0])} s", met=False))
    return found


def _of_pulls(results: Results) -> list[Verdict]:
    beside = results.pulls[OURS]
    if not beside:
        return []
    slower = median(one.ratio for one in beside)
    text = f"a start beside a pull {_show(slower)} times slower than alone, target at most {MOST_BESIDE_PULL}"
    faults = [fault for one in beside for fault in one.waiting.faults]
    found = [Verdict(text, slower <= MOST_BESIDE_PULL), _without_faults(" beside the pull", faults)]
    short = [one.waiting.last for one in beside if not one.valid]
    if short:
        found.append(Verdict(f"a pull that should take {SECONDS:.0f} s took {_show(short[0])} s", met=False))
    return found


def _at_most(what: str, ratio: float | None, target: float) -> Verdict:
    text = f"{what} {_show(ratio)} times DockerSpawner's, target at most {target}"
    return Verdict(text, ratio is not None and ratio <= target)


def _without_faults(where: str, faults: Sequence[str]) -> Verdict:
    return Verdict(f"{len(faults)} faults of ours{where}{': ' + faults[0] if faults else ''}", not faults)


def _against(
    figure: Callable[[Round], float], theirs: Sequence[Round], ours: Sequence[Round]
) -> float | None:
    """Our median over the rounds by theirs."""
    return _ratio(_median(figure, theirs), _median(figure, ours))


def table(results: Results) -> str:
    """The whole report in Markdown."""
    lines = [
        f"{_sizes(results)}; medians of the rounds; {_machine(results.machine)}.",
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


def _sizes(results: Results) -> str:
    """How many users were at once where that was measured."""
    sizes = (("storm", results.users, results.storms), ("crowd", results.crowd_users, results.crowds))
    told = [f"{name} of {count} users" for name, count, by in sizes if any(by.values())]
    return (", ".join(told) or "one user at a time").capitalize()


def _machine(machine: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in machine.items())


def _ratio(theirs: float | None, ours: float | None) -> float | None:
    """Ours by theirs, where both are there; where all of theirs failed, there is nothing to compare with."""
    return ours / theirs if ours is not None and theirs and isfinite(theirs) else None


def _show(value: float | None) -> str:
    """Three digits that matter."""
    if value is None:
        return "–"
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
