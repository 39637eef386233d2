"""What an earlier process, or a long absence of the Engine, has left: owed stops, leftovers, orphans.

Runs when a process first uses an Engine, and after each long absence. Servers that the Hub takes for running
are none of its business: the Hub polls those. Nor is what this process is starting or follows, whatever the
database says.

A container belongs to the row that names its id or its creation, whatever its user is called by now; only
where there is none, to the row of the user and server on its label.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from asyncdockerspawner import errors
from asyncdockerspawner.engine.claims import Claims
from asyncdockerspawner.engine.janitor import Janitor
from asyncdockerspawner.engine.watch import Watch
from asyncdockerspawner.lifecycle import ownership
from asyncdockerspawner.lifecycle.leftovers import Leftovers
from asyncdockerspawner.lifecycle.policy import OrphanPolicy
from asyncdockerspawner.lifecycle.spawn import Phase
from asyncdockerspawner.lifecycle.wanted import End, Wanted, want
from asyncdockerspawner.workloads.observed import Observed
from asyncdockerspawner.workloads.protocol import Workload

USERS_AT_A_TIME = 100
"""Whose rows are read in one piece."""
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
    base_url: str = ""
    """The prefix at which it is served while it is active; a user's new name does not change it."""

    key: Key | None = field(default=None, compare=False)
    """Whose it is by now."""

    @property
    def object_id(self) -> str:
        """The id of its object; DockerSpawner of old has kept it elsewhere."""
        return str(self.state.get("object_id") or self.state.get("container_id") or "")


Rows = Callable[[Iterable[str]], Mapping[Key, Row]]
"""Looks up the servers of these users."""
Naming = Callable[[Iterable[str]], Iterable[Row]]
"""Looks up the servers whose saved state has one of these words."""


class Finding(Enum):
    """What a container is to the Hub's database."""

    KNOWN = "known"
    OWED = "its stop was asked for"
    LEFTOVER = "left by a start that was cut off"
    ORPHAN = "unknown"


def judge(observed: Observed, row: Row | None) -> Finding:
    """Tell what a container with an owner's labels is to the row that names it, or that of its label."""
    owner = observed.owner
    if row is None or owner is None:
        return Finding.ORPHAN
    named = row.object_id == observed.id
    created = row.state.get("spawn_id") == owner.spawn_id
    if row.active:
        strange = not (named or created) and _prefix(observed) not in {"", row.base_url}
        return Finding.ORPHAN if strange else Finding.KNOWN
    if row.state.get("owed") and (named or not row.object_id):
        return Finding.OWED
    if not observed.runs and (named or _also_kept(observed, row)):
        return Finding.KNOWN
    if created and row.state.get("phase") == Phase.STARTING:
        return Finding.LEFTOVER
    return Finding.ORPHAN


def _prefix(observed: Observed) -> str:
    return (observed.environment or {}).get(ownership.SERVICE_PREFIX, "")


def _also_kept(observed: Observed, row: Row) -> bool:
    return observed.id in {row.state.get("failed_id"), *(row.state.get("kept_ids") or ())}


def row_of(observed: Observed, naming: Iterable[Row], labelled: Row | None) -> Row | None:
    """Pick a container's row: one that names its id, else its creation, else that of its label."""
    owner = observed.owner
    rows = [labelled, *naming] if labelled is not None else [*naming]
    tests: Sequence[Callable[[Row], bool]] = (
        lambda row: _is_named(observed, row),
        lambda row: owner is not None and row.state.get("spawn_id") == owner.spawn_id,
        lambda row: _also_kept(observed, row),
    )
    return next((row for test in tests for row in rows if test(row)), labelled)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler:
    """Compares the Engine's containers with the Hub's database and does what is due."""

    hub_id: str
    watch: Watch
    workload: Workload
    janitor: Janitor
    claims: Claims
    rows: Rows
    naming: Naming
    orphan_policy: OrphanPolicy
    log: logging.Logger | logging.LoggerAdapter[Any]
    leftovers: Leftovers | None = None
    strike_off: Callable[[str, str], None] | None = None
    """Is told the user and server of an owed stop that is done."""

    def begin(self) -> None:
        """Do it in the background."""
        self.janitor.start(self.run, what="compare the Engine's containers with the Hub's database")

    async def run(self) -> None:
        """Pay what is owed; after a grace, clear leftovers and deal with orphans."""
        for observed in await self._found(Finding.OWED):
            self._settle(observed, Finding.OWED, remove=not observed.is_kept)
        await asyncio.sleep(GRACE_SECONDS)
        for observed in await self._found(Finding.LEFTOVER):
            self._settle(observed, Finding.LEFTOVER, remove=not observed.is_kept)
        await self._clear_strays()
        unknown = await self._found(Finding.ORPHAN)
        if self.leftovers is not None:
            kept = [each for each in unknown if not self._matters(each) and not self._has_row(each)]
            await self.leftovers.tell(each.name for each in kept)
        orphans = [each for each in unknown if self._matters(each)]
        if not orphans:
            return
        self.log.warning(
            "Not in the Hub's database, but with its label: %s (`orphan_policy` is %r)",
            ", ".join(sorted(each.name for each in orphans)),
            self.orphan_policy.value,
        )
        for observed in orphans if self.orphan_policy is not OrphanPolicy.KEEP else ():
            remove = self.orphan_policy is OrphanPolicy.REMOVE and not observed.is_kept
            self._settle(observed, Finding.ORPHAN, remove=remove)

    async def _clear_strays(self) -> None:
        """Remove what earlier processes have made for services that they never came to create."""
        service = self.workload.service
        if service is None:
            return

        def known() -> set[str]:
            created = {each.owner.spawn_id for each in self.watch.all() if each.owner is not None}
            return created | self.claims.spawn_ids()

        try:
            await service.clear_strays(self.hub_id, known)
        except errors.EngineError as exc:
            self.log.warning("Cannot tell whether something is left of earlier starts: %s", exc)

    async def _found(self, wanted: Finding) -> list[Observed]:
        free = self._free(self.watch.all())
        users, rows = sorted({_key(each)[0] for each in free}), dict[Key, Row]()
        for first in range(0, len(users), USERS_AT_A_TIME):
            rows.update(self.rows(users[first : first + USERS_AT_A_TIME]))
            # Thousands of rows keep nobody waiting.
            await asyncio.sleep(0)
        return [each for each, row in self._paired(free, rows) if judge(each, row) is wanted]

    def _with_rows(self, objects: Iterable[Observed]) -> list[tuple[Observed, Row | None]]:
        """Return the containers that carry our labels and are nobody's in this process, with their rows."""
        free = self._free(objects)
        return self._paired(free, self.rows({_key(each)[0] for each in free}))

    def _free(self, objects: Iterable[Observed]) -> list[Observed]:
        # Without our labels one was found through the database.
        found = {each.id: each for each in self.claims.unclaimed(objects) if each.owner is not None}
        return [each for ref, each in found.items() if not self.watch.follows(ref)]

    def _paired(
        self, free: Sequence[Observed], labelled: Mapping[Key, Row]
    ) -> list[tuple[Observed, Row | None]]:
        elsewhere = [each for each in free if not _is_named(each, labelled.get(_key(each)))]
        naming = list(self.naming({word for each in elsewhere for word in _words(each)}))
        return [(each, row_of(each, naming, labelled.get(_key(each)))) for each in free]

    @staticmethod
    def _matters(observed: Observed) -> bool:
        # One that is stopped and was made to be kept is a user's, or was put away for a user.
        return observed.runs or not observed.is_kept

    def _has_row(self, observed: Observed) -> bool:
        return any(row is not None for _, row in self._with_rows([observed]))

    def _settle(self, observed: Observed, finding: Finding, *, remove: bool) -> None:
        owner = observed.owner
        assert owner is not None  # noqa: S101 - only what carries our labels is judged

        def now() -> list[tuple[Observed, Row | None]]:
            # A service that was stopped may be in no list any more.
            return self._with_rows([self.watch.known(observed.id) or observed])

        begun = False

        def is_due() -> bool:
            # Before each step: meanwhile the user may have started the server again, and taken it over.
            nonlocal begun
            if begun:
                return any(row is None or not row.active for _, row in now())
            begun = any(judge(each, row) is finding for each, row in now())
            return begun

        owing = next((row for _, row in now() if row is not None), None) if finding is Finding.OWED else None
        end = End.STOPPED
        if remove:
            end = End.STOPPED_AND_REMOVED if owing is not None else End.STOPPED_AND_REMOVED_IF_ENDED
        wanted = Wanted(
            name=observed.name,
            owner=owner,
            object_id=observed.id,
            end=end,
            grace=0 if owing is not None and owing.state.get("owed_now") else None,
            why=f"({finding.value})",
            is_due=is_due,
        )
        task = want(self.janitor, self.workload, wanted)
        if owing is not None:
            key = owing.key or _key(observed)
            task.add_done_callback(lambda done: self._paid(key, done))

    def _paid(self, key: Key, done: asyncio.Task[bool]) -> None:
        if not done.cancelled() and done.result() and self.strike_off is not None:
            self.strike_off(*key)


def _key(observed: Observed) -> Key:
    owner = observed.owner
    return (owner.username, owner.servername) if owner else ("", "")


def _words(observed: Observed) -> set[str]:
    owner = observed.owner
    return {observed.id, *([owner.spawn_id] if owner else [])}


def _is_named(observed: Observed, row: Row | None) -> bool:
    return row is not None and row.object_id == observed.id
