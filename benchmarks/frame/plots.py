"""The plots that the README shows, from what was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.frame.case import NAMES, Level, Who
from benchmarks.frame.store import Found
from benchmarks.frame.svg import Axis, Line, chart

COLOURS = {Who.OURS: "#1a7f37", Who.PEER: "#cf5b00", Who.FLOOR: "#6e7fbf"}
PALE = {Who.OURS: "#6cc287", Who.PEER: "#f0a873", Who.FLOOR: "#b4bde3"}
IN_ORDER = (Who.PEER, Who.OURS, Who.FLOOR)
"""As in the table."""
Points = list[tuple[float, float]]


def draw(found: Sequence[Found], folder: Path) -> list[Path]:
    """Draw what there is to draw of each case; gives the files."""
    files = []
    for one in found:
        for name, text in plots_of(one):
            file = folder / f"{one.case}-{name}.svg"
            file.write_text(text)
            files.append(file)
    return files


def plots_of(found: Found) -> list[tuple[str, str]]:
    """Give the plots of a case, by what they show."""
    plots = []
    series = {key for run in found.runs for key in run["series"]}
    if "starts" in series:
        plots += [
            ("over-time", _chart(found, "seconds since all asked", "servers that are ready", _over_time)),
            (
                "by-place",
                _chart(found, "place in the queue", "seconds until ready", _by_place),
            ),
        ]
    if "beside" in series:
        plots.append(("latency", _latency(found)))
    if found.level == Level.GROWTH:
        plots += [(f"cost-{key}", _growth(found, key)) for key in sorted(series - {"n"})]
    return plots


def _chart(found: Found, x: str, y: str, points: Callable[[list[float]], Points]) -> str:
    lines = [
        Line(NAMES[who], COLOURS[who], points(sorted(run["series"]["starts"])))
        for who in IN_ORDER
        if (run := middle_run(found, who)) and run["series"].get("starts")
    ]
    return chart(f"{found.title}, {found.n}", Axis(x), Axis(y), lines)


def middle_run(found: Found, who: Who, by: str = "last") -> dict[str, Any] | None:
    """Give the run of one of those measured that has the median of a figure, the lower one of two."""
    runs = [run for run in found.of(who) if run["figures"].get(by) is not None]
    runs.sort(key=lambda run: run["figures"][by])
    return runs[(len(runs) - 1) // 2] if runs else None


def _over_time(seconds: list[float]) -> Points:
    """A stair: how many are ready at each moment."""
    stairs: Points = [(0.0, 0.0)]
    for count, moment in enumerate(seconds):
        stairs += [(moment, float(count)), (moment, float(count + 1))]
    return stairs


def _by_place(seconds: list[float]) -> Points:
    return [(float(place), moment) for place, moment in enumerate(seconds, start=1)]


def _latency(found: Found) -> str:
    """Each start of a bystander: first those while nothing else happens, then those beside it."""
    lines = []
    for who in IN_ORDER:
        for key, colours in (("alone", PALE), ("beside", COLOURS)):
            seconds = [each for run in found.of(who) for each in run["series"].get(key, [])]
            points = [(float(number), each) for number, each in enumerate(seconds, start=1)]
            if points:
                lines.append(Line(f"{NAMES[who]}, {key}", colours[who], points, joined=False))
    x, y = Axis("start by start, over all rounds"), Axis("seconds until ready", logarithmic=True)
    return chart(found.title, x, y, lines)


def _growth(found: Found, key: str) -> str:
    lines = []
    for who in IN_ORDER:
        runs = [run for run in found.of(who) if key in run["series"]]
        if runs:
            series = runs[-1]["series"]
            lines.append(Line(NAMES[who], COLOURS[who], list(zip(series["n"], series[key], strict=True))))
    y = Axis(key.replace("_", " "), logarithmic=True)
    return chart(f"{found.title}: {y.name}", Axis("servers", logarithmic=True), y, lines)
