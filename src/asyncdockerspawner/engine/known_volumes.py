"""What is known of volumes, so that it is not asked for again."""

from __future__ import annotations

from dataclasses import dataclass, field

from asyncdockerspawner.engine.recent import Recent

LIKE_KINDS = 20
"""More kinds of servers for which a volume is right are not remembered."""


@dataclass(slots=True)
class KnownVolume:
    """A volume that is there."""

    owner: tuple[str, str] | None
    """Hub and user, as its labels say; None for one that is nobody's, or that cannot be asked about."""
    settled: bool = False
    """Nothing is to be done to it any more, whoever has it."""
    right_for: Recent = field(default_factory=lambda: Recent(LIKE_KINDS))
    """What servers are made from that need nothing of it."""

    def is_right_for(self, made_from: str) -> bool:
        """Tell whether a server that is made from this needs nothing of it."""
        return self.settled or made_from in self.right_for


class KnownVolumes:
    """Volume name → what is known of it; those that were learned of first are forgotten first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[str, KnownVolume] = {}

    def learn(self, name: str, owner: tuple[str, str] | None) -> KnownVolume:
        """Remember whose a volume is."""
        self._known.pop(name, None)
        self._known[name] = known = KnownVolume(owner)
        if len(self._known) > self._most:
            del self._known[next(iter(self._known))]
        return known

    def get(self, name: str) -> KnownVolume | None:
        """Return what is known of a volume."""
        return self._known.get(name)

    def forget(self, name: str) -> None:
        """Forget one that was removed."""
        self._known.pop(name, None)
