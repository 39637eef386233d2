"""What is told of a load: a summary, and a plot of when each came and when each was ready."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median, quantiles

from benchmarks.frame.svg import Axis, Line, chart
from benchmarks.frame.table import show
from benchmarks.load.run import Loaded

COMING, READY = "#cf5b00", "#1a7f37"
FAULTS = 5


def summary(loaded: Loaded) -> str:
    """Write it in a few lines."""
    plan, took = loaded.plan, [seconds for _, seconds in loaded.started]
    how = f"{plan.per_second:g} a second" if plan.per_second else "all at once"
    lines = [
        f"JupyterHub {loaded.hub}: {plan.users} users, {how}, {plan.at_once} starts at a time at most",
        f"servers that were ready: {len(took)}, of which answered: {loaded.answered}",
    ]
    if took:
        ends = max(asked + seconds for asked, seconds in loaded.started)
        lines += [
            f"seconds until ready: median {show(median(took))}, 95 of 100 within {show(_most(took))},"
            f" last {show(max(took))}",
            f"starts per second: {show(len(took) / ends)}",
        ]
    if loaded.stopped:
        lines.append(
            f"seconds until stopped: median {show(median(loaded.stopped))}, last {show(max(loaded.stopped))}"
        )
    lines.append(f"told to come later (429): {loaded.throttled}")
    lines.append(f"faults: {len(loaded.faults)}")
    lines += [f"  {count} × {text}" for text, count in Counter(loaded.faults).most_common(FAULTS)]
    return "\n".join(lines)


def remains(left: Sequence[str], url: str) -> str:
    """Tell who is left on the Hub, and what to do."""
    page = f"{url.rstrip('/')}/hub/admin"
    return (
        f"users NOT seen to be removed, with their servers: {len(left)}: {', '.join(left)}\n"
        f"Stop the servers and delete the users of these names that are on {page}."
    )


def plot(loaded: Loaded) -> str:
    """Draw how many had asked and how many were ready, over time."""
    asked = sorted(begin for begin, _ in loaded.started)
    ready = sorted(begin + seconds for begin, seconds in loaded.started)
    lines = [
        Line("asked for", COMING, [(moment, count) for count, moment in enumerate(asked, start=1)]),
        Line("ready", READY, [(moment, count) for count, moment in enumerate(ready, start=1)]),
    ]
    return chart(f"{loaded.plan.users} users", Axis("seconds"), Axis("servers"), lines)


def _most(seconds: list[float]) -> float:
    return quantiles(seconds, n=20, method="inclusive")[-1] if len(seconds) > 1 else seconds[0]
