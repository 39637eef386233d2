"""The measuring side of `hub_probe`: cuts a phase out of what the probe wrote."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measures.servers import Cost

HUB_PROBE = Path(__file__).with_name("hub_probe.py")


def probe_config(figures: Path) -> str:
    """The lines of jupyterhub_config.py that put the probe on the Hub's loop, writing to `figures`."""
    return f"""
import importlib.util
import sys

_spec = importlib.util.spec_from_file_location("hub_probe", {str(HUB_PROBE)!r})
sys.modules["hub_probe"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sys.modules["hub_probe"])
sys.modules["hub_probe"].start({str(figures)!r})
"""


def read_windows(figures: Path) -> list[dict[str, float]]:
    """All windows written so far; a last line still being written is left out."""
    text = figures.read_text() if figures.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def cut(windows: Sequence[dict[str, float]], begun: float, ended: float) -> Cost:
    """The cost between two moments of CLOCK_MONOTONIC, to the nearest window."""
    inside = [window for window in windows if window["to"] > begun and window["from"] < ended]
    if not inside:
        raise ValueError("the probe wrote nothing in this phase: did its Hub run?")
    before = [window["cpu"] for window in windows if window["to"] <= begun]
    return Cost(
        cpu_seconds=inside[-1]["cpu"] - (before[-1] if before else 0.0),
        longest_stall_ms=1000 * max(window["stall"] for window in inside),
        threads=int(max(window["threads"] for window in inside)),
        memory_mib=inside[-1]["memory"] / 2**20,
    )
