"""Who is measured against whom: ours and DockerSpawner 14, each in its environment, with the same options."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.frame.case import Who
from tests.testbed.dockerspawner import dockerspawner_python

CLASSES = {Who.PEER: "dockerspawner.DockerSpawner", Who.OURS: "asyncdockerspawner.DockerSpawner"}


@dataclass(frozen=True)
class Contender:
    """One spawner, the environment that it runs in, and its options."""

    who: Who
    python: Path
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def spawner_class(self) -> str:
        """Its class."""
        return CLASSES[self.who]


def contenders(who: Collection[Who], image: str, prefix: str) -> list[Contender]:
    """Give those who are to be measured; the names of all their containers begin with `prefix`."""
    return [
        Contender(each, _python(each), {"image": image, "prefix": f"{prefix}-{each}", "remove": True})
        for each in CLASSES
        if each in who
    ]


def _python(who: Who) -> Path:
    return dockerspawner_python() if who is Who.PEER else Path(sys.executable)
