"""What an earlier process, or a long absence of the Engine, has left: owed stops, leftovers, orphans.

Runs when a process first uses an Engine, and after each long absence. Servers that the Hub takes for running
are none of its business: the Hub polls those.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from asyncdockerspawner import labels, status
from asyncdockerspawner.engine.janitor import Janitor
from asyncdockerspawner.engine.watch import Watch
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.lifecycle.host import STARTING
from asyncdockerspawner.lifecycle.leftovers import Leftovers
from asyncdockerspawner.workloads import Workload

GRACE_SECONDS = 30.0
"""The Hub's own checks at its start come first."""

Key = tuple[str, str]
"""User name, server name."""


@dataclass(frozen=True, slots=True)
class Row:
    """What the Hub's database says of a server."""

    active: bool
    """The Hub takes it for running, starting or stopping."""
    state: Mapping[str, Any]


Rows = Callable[[Iterable[str]], Mapping[Key, Row]]
"""Looks up the servers of these users."""


class Finding(Enum):
    """What a container is to the Hub's database."""

    KNOWN = "known"
    OWED = "its stop was asked for"
    LEFTOVER = "left by a start that was cut off"
    ORPHAN = "unknown"


def judge(document: JsonObject, row: Row | None) -> Finding:
    """Tell what a container with an owner's labels is."""
    owner = labels.owner_of(document["Config"].get("Labels"))
    if row is None or owner is None:
        return Finding.ORPHAN
    named = row.state.get("object_id") == document["Id"]
    if row.active:
        return Finding.KNOWN
    if row.state.get("owed") and (named or not row.state.get("object_id")):
        return Finding.OWED
    if named and not status.is_running(document):
        return Finding.KNOWN
    if row.state.get("spawn_id") == owner.spawn_id and row.state.get("phase") == STARTING:
        return Finding.LEFTOVER
    return Finding.ORPHAN


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler:
    """Compares the Engine's containers with the Hub's database and does what is due."""

    watch: Watch
    workload: Workload
    janitor: Janitor
    rows: Rows
    orphan_policy: str
    """keep, stop or remove."""
    log: logging.Logger | logging.LoggerAdapter[Any]
    leftovers: Leftovers | None = None
    strike_off: Callable[[str, str], None] | None = None
    """Is told the user and server of an owed stop that is done."""

    def begin(self) -> None:
        """Do it in the background."""
        self.janitor.start(self.run, what="compare the Engine's containers with the Hub's database")

    async def run(self) -> None:
        """Pay what is owed; after a grace, clear leftovers and deal with orphans."""
        for document in self._found(Finding.OWED):
            self._settle(document, Finding.OWED, remove=not _to_keep(document))
        await asyncio.sleep(GRACE_SECONDS)
        for document in self._found(Finding.LEFTOVER):
            self._settle(document, Finding.LEFTOVER, remove=not _to_keep(document))
        unknown = self._found(Finding.ORPHAN)
        if self.leftovers is not None:
            kept = [each for each in unknown if not self._matters(each) and self._row(each) is None]
            await self.leftovers.tell(map(_name, kept))
        orphans = [each for each in unknown if self._matters(each)]
        if not orphans:
            return
        self.log.warning(
            "Not in the Hub's database, but with its label: %s (`orphan_policy` is %r)",
            ", ".join(sorted(_name(each) for each in orphans)),
            self.orphan_policy,
        )
        for document in orphans if self.orphan_policy != "keep" else ():
            remove = self.orphan_policy == "remove" and not _to_keep(document)
            self._settle(document, Finding.ORPHAN, remove=remove)

    def _found(self, wanted: Finding) -> list[JsonObject]:
        documents = self.watch.all()
        owners = {str(each["Id"]): labels.owner_of(each["Config"].get("Labels")) for each in documents}
        rows = self.rows({owner.username for owner in owners.values() if owner})
        return [each for each in documents if self._judge(each, owners[str(each["Id"])], rows) is wanted]

    @staticmethod
    def _judge(document: JsonObject, owner: labels.Owner | None, rows: Mapping[Key, Row]) -> Finding:
        if owner is None:
            # Without our labels it was found through the database.
            return Finding.KNOWN
        return judge(document, rows.get((owner.username, owner.servername)))

    @staticmethod
    def _matters(document: JsonObject) -> bool:
        # One that is stopped and was made to be kept is a user's, or was put away for a user.
        return status.is_running(document) or not _to_keep(document)

    def _row(self, document: JsonObject) -> Row | None:
        owner = labels.owner_of(document["Config"].get("Labels"))
        return self.rows({owner.username}).get((owner.username, owner.servername)) if owner else None

    def _grace(self, document: JsonObject, finding: Finding) -> int | None:
        row = self._row(document) if finding is Finding.OWED else None
        return 0 if row is not None and row.state.get("owed_now") else None

    def _settle(self, document: JsonObject, finding: Finding, *, remove: bool) -> None:
        container_id = str(document["Id"])

        async def work() -> None:
            # Meanwhile the user may have started the server again, and taken it over.
            if any(each["Id"] == container_id for each in self._found(finding)):
                await self.workload.stop(container_id, grace=self._grace(document, finding))
                if remove:
                    await self.workload.remove(container_id, force=True)
                owner = labels.owner_of(document["Config"].get("Labels"))
                if finding is Finding.OWED and owner is not None and self.strike_off is not None:
                    self.strike_off(owner.username, owner.servername)

        name = _name(document)
        what = f"{'remove' if remove else 'stop'} {name} ({finding.value})"
        self.janitor.submit(name, work, what=what, goal=(finding, container_id))


def _name(document: JsonObject) -> str:
    return str(document["Name"]).lstrip("/")


def _to_keep(document: JsonObject) -> bool:
    return (document["Config"].get("Labels") or {}).get(labels.KEEP) == "true"
