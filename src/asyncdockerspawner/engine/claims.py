"""What this process is starting: nobody else may touch that, whatever a database says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakSet

from asyncdockerspawner.workloads.observed import Observed


class Claimant(Protocol):
    """A spawner, as far as it says what it is starting."""

    @property
    def claim(self) -> Claim | None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Claim:
    """A spawn that is prepared or under way: the object of its id or its name, and what it creates."""

    object_id: str
    object_name: str
    spawn_id: str


class Claims:
    """The spawners that have used an Engine, for as long as they live."""

    def __init__(self) -> None:
        self._claimants: WeakSet[Claimant] = WeakSet()

    def hear(self, claimant: Claimant) -> None:
        """Ask this spawner too, from now on."""
        self._claimants.add(claimant)

    def names(self) -> set[str]:
        """Return the names of objects that are claimed now."""
        return {claim.object_name for each in self._claimants if (claim := each.claim) is not None}

    def spawn_ids(self) -> set[str]:
        """Return the creations that are claimed now."""
        return {claim.spawn_id for each in self._claimants if (claim := each.claim) is not None}

    def unclaimed(self, objects: Iterable[Observed], *, but_by: Claimant | None = None) -> list[Observed]:
        """Leave out what is claimed now, by others than `but_by`."""
        others = [each for each in self._claimants if each is not but_by]
        claims = [claim for each in others if (claim := each.claim) is not None]
        ids = {claim.object_id for claim in claims} - {""}
        names = {claim.object_name for claim in claims} - {""}
        spawns = {claim.spawn_id for claim in claims} - {""}
        return [
            each
            for each in objects
            if each.id not in ids
            and each.name not in names
            and (each.owner is None or each.owner.spawn_id not in spawns)
        ]
