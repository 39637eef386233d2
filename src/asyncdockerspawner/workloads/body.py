"""What an object is made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.workloads.observed import Observed


class Body(Protocol):
    """What the Engine is sent to create an object, and what is read of that."""

    @property
    def document(self) -> JsonObject:
        """As the Engine takes it."""

    @property
    def network_mode(self) -> str:
        """`host`, `container:` and a name or id, or a network's name."""

    @property
    def environment(self) -> Mapping[str, str]:
        """The server's environment."""

    @property
    def volume_driver(self) -> str:
        """The driver of the volumes that it names; "" is the Engine's own."""

    @property
    def fingerprint(self) -> str:
        """A digest for each part that a kept object should be like; without what differs at every spawn."""

    def other_account(self, observed: Observed) -> str:
        """Return whom a kept object was made to run as, where this names somebody else; else nothing."""

    def mounted(self) -> Iterator[str]:
        """Return the sources of all binds and mounts: volumes, and paths of the Engine's machine."""

    def named_volumes(self) -> Iterator[str]:
        """Return the volumes that it names, but for those with options: the Engine creates these itself."""

    def labelled(self, more: Mapping[str, str]) -> Body:
        """Return one that has more labels."""


def differences(old: str, new: str) -> list[str]:
    """Name the parts in which two fingerprints differ; a part that only one of them has counts as equal."""
    before, now = _parts(old), _parts(new)
    return [part for part in now if before.get(part, now[part]) != now[part]]


def _parts(text: str) -> dict[str, str]:
    return {part: digest for part, colon, digest in (each.partition(":") for each in text.split()) if colon}
