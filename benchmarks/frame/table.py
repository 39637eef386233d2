"""The table: medians with their spread, ratios within the same rounds, targets met or missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import median
from typing import Any

from benchmarks.frame.case import Case, Figure, Target, Who
from benchmarks.frame.store import Found

NOTHING = "–"
BLANK = "| | | | | | |"
HEAD = """\
| | DockerSpawner 14 | asyncdockerspawner | bare Engine | to DockerSpawner | to the Engine | target |
|---|--:|--:|--:|--:|--:|---|"""


@dataclass(frozen=True)
class Verdict:
    """One target and whether it was met."""

    case: str
    figure: str
    target: Target
    value: float
    engine: str = ""

    @property
    def met(self) -> bool:
        """Whether it was."""
        return self.target.met(self.value)

    def __str__(self) -> str:
        engine = f", Engine {self.engine}" if self.engine else ""
        return f"{self.case}{engine}: {self.figure} {show(self.value)}, target {self.target}"


def table(cases: Sequence[Case], found: Sequence[Found]) -> str:
    """Write all that was found in Markdown; each group of rows tells its case and where it was measured."""
    by_name = {case.name: case for case in cases}
    machines = list({machine_line(one.where): one.where for one in found}.values())
    lines = [HEAD]
    for one in found:
        about = _about(one)
        if one.engine != found[0].engine:
            about.append(f"Engine {one.engine}")
        if len(machines) > 1:
            about.append(f"note {machines.index(one.where) + 1}")
        lines.append(f"| **{one.title}** ({'; '.join(about)}) {BLANK}")
        lines += [_row(one, figure) for figure in by_name[one.case].figures]
        if faults := one.faults():
            lines.append(f"| faults of ours: {len(faults)}, as {_cell(faults[0])} {BLANK}")
    return "\n".join(
        [*lines, "", *_notes(machines), "Medians, with the least and the most of several rounds."]
    )


def _about(found: Found) -> list[str]:
    unfinished = "" if found.complete else f", cut off after {len({run['round'] for run in found.runs})}"
    return [f"`{found.case}`, {found.n}", f"rounds: {found.rounds}{unfinished}"]


def _notes(machines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Tell where all was measured in one line; of several places, what they share, and a line for each."""
    if len(machines) <= 1:
        return [machine_line(each) for each in machines]
    first = machines[0].items()
    shared = {name: value for name, value in first if all(each.get(name) == value for each in machines)}
    others = [{name: each[name] for name in each if name not in shared} for each in machines]
    notes = [f"{number}. {machine_line(each)}" for number, each in enumerate(others, start=1)]
    return [machine_line(shared) if shared else "", "Notes:", "", *notes, ""]


def machine_line(machine: Mapping[str, Any]) -> str:
    """Tell in one line where it was measured."""
    return ", ".join(f"{name} {value}" for name, value in machine.items()) + "."


def verdicts(cases: Sequence[Case], found: Sequence[Found]) -> list[Verdict]:
    """Judge the targets that were measured."""
    by_name = {case.name: case for case in cases}
    return [
        Verdict(one.case, figure.label, target, value, one.engine)
        for one in found
        for figure in by_name[one.case].figures
        for target in targets(one, figure)
        if (value := measured(one, figure, target)) is not None
    ]


def targets(found: Found, figure: Figure) -> list[Target]:
    """Give a figure's targets at the Engine that was measured."""
    return [each for each in figure.targets if each.is_for(found.engine)]


def measured(found: Found, figure: Figure, target: Target) -> float | None:
    """Give what a target is about: our median, or the median of its ratios; None where one is missing."""
    of_ours = list(found.values(figure.key, Who.OURS).values())
    values = of_ours if target.to is Who.OURS else found.ratios(figure.key, target.to)
    return median(values) if values else None


def _row(found: Found, figure: Figure) -> str:
    cells = [_spread(list(found.values(figure.key, who).values())) for who in (Who.PEER, Who.OURS, Who.FLOOR)]
    cells += [_spread(found.ratios(figure.key, to)) for to in (Who.PEER, Who.FLOOR)]
    return f"| {figure.label} | {' | '.join(cells)} | {_targets(found, figure)} |"


def _targets(found: Found, figure: Figure) -> str:
    told = []
    for target in targets(found, figure):
        value = measured(found, figure, target)
        judged = "" if value is None else " met" if target.met(value) else " **missed**"
        told.append(f"{target}{judged}")
    return "; ".join(told)


def _spread(values: Sequence[float]) -> str:
    """The median, and from where to where the values go."""
    if not values:
        return NOTHING
    if len(values) == 1 or not all(map(isfinite, values)):
        return show(median(values))
    return f"{show(median(values))} ({show(min(values))}…{show(max(values))})"


def show(value: float) -> str:
    """Three digits that matter."""
    whole = not isfinite(value) or abs(value) >= 100 or value == int(value)
    return f"{value:,.0f}" if whole else f"{value:.3g}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "/")[:100]
