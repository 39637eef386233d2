"""What a run of the suite has found, as JSON: a file for each case, written after each round."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

from benchmarks.frame.case import Case, Sample, Who
from benchmarks.frame.machine import ENGINE

RESULTS = Path(__file__).resolve().parents[1] / "results"
NEWEST = "newest"
"""The folder, below the others, of what was measured on the newest Engine."""


@dataclass
class Found:
    """All rounds of one case."""

    case: str
    level: str
    title: str
    n: int
    rounds: int
    machine: Mapping[str, Any]
    runs: list[dict[str, Any]] = field(default_factory=list)
    complete: bool = False

    @property
    def engine(self) -> str:
        """The version of the Engine that was measured, which need not be the one that the run was on."""
        told = (str(run["engine"]) for run in self.runs if "engine" in run)
        return next(told, str(self.machine.get(ENGINE, "")))

    @property
    def where(self) -> Mapping[str, Any]:
        """The machine, with that Engine."""
        return {**self.machine, **({ENGINE: self.engine} if self.engine else {})}

    def add(self, index: int, who: Who, sample: Sample) -> None:
        """Keep one run."""
        self.runs.append({"round": index, "who": str(who), **sample.document()})

    def of(self, who: Who) -> list[dict[str, Any]]:
        """Give the runs of one of those measured."""
        return [run for run in self.runs if run["who"] == who]

    def values(self, key: str, who: Who) -> dict[int, float]:
        """Give a figure by round."""
        found = {run["round"]: run["figures"][key] for run in self.of(who) if key in run["figures"]}
        return {index: inf if value is None else value for index, value in found.items()}

    def ratios(self, key: str, to: Who) -> list[float]:
        """Divide our figure by another's, round by round; there is none where theirs failed."""
        ours, others = self.values(key, Who.OURS), self.values(key, to)
        return [ours[index] / others[index] for index in sorted(ours) if 0 < others.get(index, 0) < inf]

    def faults(self, who: Who = Who.OURS) -> list[str]:
        """Tell what went wrong."""
        return [fault for run in self.of(who) for fault in run["faults"]]


class Store:
    """A folder of results."""

    def __init__(self, folder: Path = RESULTS) -> None:
        self.folder = folder

    def save(self, found: Found) -> None:
        """Write a case's file, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self._file(found.case)
        part = file.with_suffix(".part")
        part.write_text(json.dumps(vars(found), indent=1, ensure_ascii=False) + "\n")
        os.replace(part, file)

    def load(self, name: str) -> Found | None:
        """Read a case's file; None where there is none."""
        file = self._file(name)
        return Found(**json.loads(file.read_text())) if file.exists() else None

    def all(self, cases: Sequence[Case]) -> list[Found]:
        """Read what there is of these cases, in their order."""
        return [found for case in cases if (found := self.load(case.name)) is not None]

    def is_done(self, case: Case, n: int, rounds: int, machine: Mapping[str, Any]) -> bool:
        """Tell whether so much was measured already, on this machine and of these versions."""
        found = self.load(case.name)
        return (
            found is not None
            and found.complete
            and bool(found.runs)
            and (found.n, found.rounds) == (n, rounds)
            and dict(found.machine) == dict(machine)
        )

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"
