"""Puts a run's table and plots into the README, between the two marks that it has for them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"
BEGIN, END = "<!-- benchmark -->\n", "<!-- /benchmark -->"
SHOWN = {
    "storm-over-time": "Servers that are ready, over time, in a storm of starts",
    "notebooks-by-place": "Time until a notebook is ready, by the place in the queue",
    "bystander-latency": "Starts alone, and while another's container takes 10 s to stop",
    "growth-cost-cpu_ms": "CPU time of a start, by how many start at once",
}
"""The plots that are shown there, where there are such, and what they show."""


def put(text: str, plots: Sequence[Path], readme: Path = README) -> None:
    """Replace what stands between the marks."""
    before, _, rest = readme.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{readme} has no place for a table: {BEGIN.strip()} and {END}")
    by_name = {plot.stem: os.path.relpath(plot, readme.parent) for plot in plots}
    shown = [f"![{words}]({by_name[name]})" for name, words in SHOWN.items() if name in by_name]
    readme.write_text("\n".join([f"{before}{BEGIN}", text, "", *shown, "", f"{END}{after}"]))
