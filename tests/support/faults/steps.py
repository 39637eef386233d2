"""The requests of an operation, as a fake Engine has recorded them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.fake_engine import FakeEngine

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One request of an operation, as it was recorded: the nth of its route."""

    number: int
    method: str
    route: str
    nth: int

    def __str__(self) -> str:
        return f"request {self.number} ({self.method} {self.route})"

    @property
    def path(self) -> str:
        """A regular expression for the paths of this route."""
        return "^" + re.sub(r"\\{.*?\\}", ".+", re.escape(self.route)) + "$"

    def made(self, fake: FakeEngine) -> bool:
        """Tell whether this Engine has been asked."""
        return len(fake.requests(self.method, self.route)) >= self.nth


def steps_of(log: Iterable[Json]) -> list[Step]:
    """Give the requests in a fake Engine's log, in their order."""
    seen: Counter[str] = Counter()
    steps = []
    for number, entry in enumerate(log, 1):
        method, _, route = str(entry["route"]).partition(" ")
        seen[entry["route"]] += 1
        steps.append(Step(number, method, route, seen[entry["route"]]))
    return steps
