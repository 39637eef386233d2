"""What this process is starting: nobody else may touch that, whatever a database says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakSet

from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.names import labels


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

    def unclaimed(
        self, documents: Iterable[JsonObject], *, but_by: Claimant | None = None
    ) -> list[JsonObject]:
        """Leave out what is claimed now, by others than `but_by`."""
        others = [each for each in self._claimants if each is not but_by]
        claims = [claim for each in others if (claim := each.claim) is not None]
        ids = {claim.object_id for claim in claims} - {""}
        names = {claim.object_name for claim in claims} - {""}
        spawns = {claim.spawn_id for claim in claims} - {""}
        return [
            each
            for each in documents
            if each["Id"] not in ids
            and str(each.get("Name") or "").lstrip("/") not in names
            and (each["Config"].get("Labels") or {}).get(labels.SPAWN) not in spawns
        ]
