"""What a lever is, and how levers are measured against what is usual."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.frame.case import Figure, Sample
from benchmarks.measures.servers import Batch


@dataclass(frozen=True)
class Lever:
    """A setting other than the usual one."""

    name: str
    label: str
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of our spawner, or words of daemon.json."""


USUAL = Lever("usual", "")
Batches = tuple[Batch, Batch]
"""Starts and stops."""
Storm = Callable[[Lever, int], Awaitable[Batches | None]]
"""Starts and stops servers with a lever, in the round with this number; None where nothing starts."""


def figures(levers: Sequence[Lever]) -> tuple[Figure, ...]:
    """Give the figures of a case of such levers."""
    return (
        Figure("starts", "starts per second, as usual"),
        Figure("stops", "stops per second, as usual"),
        *(Figure(f"{each.name}_starts", f"starts with {each.label}, times the usual") for each in levers),
        *(Figure(f"{each.name}_stops", f"stops with {each.label}, times the usual") for each in levers),
    )


async def one_round(storm: Storm, levers: Sequence[Lever], index: int) -> Sample:
    """Do the same with each setting; the usual one comes first and last in turns."""
    found = dict[str, Batches]()
    all_of_them = [USUAL, *levers]
    for lever in all_of_them if index % 2 == 0 else all_of_them[::-1]:
        batches = await storm(lever, index)
        if batches is not None:
            found[lever.name] = batches
    usual = found.pop(USUAL.name)
    figures = {"starts": usual[0].rate, "stops": usual[1].rate}
    for name, batches in found.items():
        for word, batch, other in zip(("starts", "stops"), batches, usual, strict=True):
            if other.rate:
                figures[f"{name}_{word}"] = batch.rate / other.rate
    faults = [fault for batches in (usual, *found.values()) for batch in batches for fault in batch.faults]
    return Sample(figures, faults=faults)
