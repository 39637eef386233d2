"""What an earlier process, or a long absence of the Engine, has left: owed stops, leftovers, orphans.

Runs when a process first uses an Engine, and after each long absence. Servers that the Hub takes for running
are none of its business: the Hub polls those. Nor is what this process is starting or follows, whatever the
database says.

A container belongs to the row that names its id or its creation, whatever its user is called by now; only
where there is none, to the row of the user and server on its label.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar

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

AT_A_TIME = 100
"""Users or rows that are read, and containers that are judged, in one piece."""
GRACE_SECONDS = 30.0
"""The Hub's own checks at its start come first."""

T = TypeVar("T")
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

    @property
    def spawn_id(self) -> str:
        """Of its creation."""
        return str(self.state.get("spawn_id") or "")

    @property
    def kept_ids(self) -> list[str]:
        """The ids of what was kept beside its object: of a failed start, of other images."""
        failed, kept = self.state.get("failed_id"), self.state.get("kept_ids")
        return [*(kept or ()), *([failed] if failed else ())]


Rows = Callable[[Iterable[str]], Mapping[Key, Row]]
"""Looks up the servers of these users."""
RowsNaming = Callable[[Iterable[str]], Iterable[Row]]
"""Looks up the servers whose saved state has one of these words, and possibly others, as they are wanted."""


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
    named, created = _is_named(row, observed), _is_created(row, observed)
    if row.active:
        strange = not (named or created) and _prefix(observed) not in {"", row.base_url}
        return Finding.ORPHAN if strange else Finding.KNOWN
    if row.state.get("owed") and (named or not row.object_id):
        return Finding.OWED
    if not observed.runs and (named or _is_kept(row, observed)):
        return Finding.KNOWN
    if created and row.state.get("phase") == Phase.STARTING:
        return Finding.LEFTOVER
    return Finding.ORPHAN


def _prefix(observed: Observed) -> str:
    return (observed.environment or {}).get(ownership.SERVICE_PREFIX, "")


def _is_named(row: Row, observed: Observed) -> bool:
    return row.object_id == observed.id


def _is_created(row: Row, observed: Observed) -> bool:
    return observed.owner is not None and row.spawn_id == observed.owner.spawn_id != ""


def _is_kept(row: Row, observed: Observed) -> bool:
    return observed.id in row.kept_ids


class Naming:
    """Rows by what their saved state names: a container, a creation, one that was kept beside."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self._objects: dict[str, Row] = {}
        self._creations: dict[str, Row] = {}
        self._kept: dict[str, Row] = {}
        self.add(rows)

    def add(self, rows: Iterable[Row]) -> None:
        """Take these in; of several that name the same, the first counts."""
        for row in rows:
            self._objects.setdefault(row.object_id, row)
            self._creations.setdefault(row.spawn_id, row)
            for object_id in row.kept_ids:
                self._kept.setdefault(object_id, row)

    def row_of(self, observed: Observed, labelled: Row | None) -> Row | None:
        """Pick a container's row: one that names its id, else its creation, else that of its label."""
        creation = observed.owner.spawn_id if observed.owner is not None else ""
        for names, found in (
            (_is_named, self._objects.get(observed.id)),
            (_is_created, self._creations.get(creation) if creation else None),
            (_is_kept, self._kept.get(observed.id)),
        ):
            if labelled is not None and names(labelled, observed):
                return labelled
            if found is not None:
                return found
        return labelled


Pair = tuple[Observed, Row | None]
"""A container, and the row that it belongs to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler:
    """Compares the Engine's containers with the Hub's database and does what is due."""

    hub_id: str
    watch: Watch
    workload: Workload
    janitor: Janitor
    claims: Claims
    rows: Rows
    naming: RowsNaming
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
        for observed, row in (await self._found(Finding.OWED))[Finding.OWED]:
            await self._settle(observed, Finding.OWED, remove=not observed.is_kept, owing=row)
        await asyncio.sleep(GRACE_SECONDS)
        found = await self._found(Finding.LEFTOVER, Finding.ORPHAN)
        for observed, _ in found[Finding.LEFTOVER]:
            await self._settle(observed, Finding.LEFTOVER, remove=not observed.is_kept)
        await self._clear_strays()
        unknown = found[Finding.ORPHAN]
        if self.leftovers is not None:
            await self.leftovers.tell(
                each.name for each, row in unknown if row is None and not self._matters(each)
            )
        orphans = [each for each, _ in unknown if self._matters(each)]
        if not orphans:
            return
        self.log.warning(
            "Not in the Hub's database, but with its label: %s (`orphan_policy` is %r)",
            ", ".join(sorted(each.name for each in orphans)),
            self.orphan_policy.value,
        )
        for observed in orphans if self.orphan_policy is not OrphanPolicy.KEEP else ():
            remove = self.orphan_policy is OrphanPolicy.REMOVE and not observed.is_kept
            await self._settle(observed, Finding.ORPHAN, remove=remove)

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

    async def _found(self, *wanted: Finding) -> dict[Finding, list[Pair]]:
        """Compare all containers with all rows, in pieces."""
        free = list[Observed]()
        async for some in _pieces(self.claims.unclaimed(self.watch.all())):
            free += self._unfollowed(some)
        found: dict[Finding, list[Pair]] = {each: [] for each in wanted}
        rows, words, naming = dict[Key, Row](), set[str](), Naming()
        async for users in _pieces(sorted({_key(each)[0] for each in free})):
            rows.update(self.rows(users))
        async for some in _pieces(free):
            words |= _words(some, rows)
        async for named in _pieces(self.naming(words)):
            naming.add(named)
        async for some in _pieces(free):
            for each in some:
                row = naming.row_of(each, rows.get(_key(each)))
                if (finding := judge(each, row)) in found:
                    found[finding].append((each, row))
        return found

    def _with_rows(self, objects: Iterable[Observed]) -> list[Pair]:
        """Return the containers that carry our labels and are nobody's in this process, with their rows."""
        free = self._unfollowed(self.claims.unclaimed(objects))
        rows = self.rows({_key(each)[0] for each in free})
        naming = Naming(self.naming(_words(free, rows)))
        return [(each, naming.row_of(each, rows.get(_key(each)))) for each in free]

    def _unfollowed(self, objects: Iterable[Observed]) -> list[Observed]:
        # Without our labels one was found through the database.
        return [each for each in objects if each.owner is not None and not self.watch.follows(each.id)]

    @staticmethod
    def _matters(observed: Observed) -> bool:
        # One that is stopped and was made to be kept is a user's, or was put away for a user.
        return observed.runs or not observed.is_kept

    async def _settle(
        self, observed: Observed, finding: Finding, *, remove: bool, owing: Row | None = None
    ) -> None:
        """Begin what is due with a container, and give others a turn: each asks the database at once."""
        owner = observed.owner
        assert owner is not None  # noqa: S101 - only what carries our labels is judged

        def now() -> list[Pair]:
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
        await asyncio.sleep(0)

    def _paid(self, key: Key, done: asyncio.Task[bool]) -> None:
        if not done.cancelled() and done.result() and self.strike_off is not None:
            self.strike_off(*key)


def _key(observed: Observed) -> Key:
    owner = observed.owner
    return (owner.username, owner.servername) if owner else ("", "")


def _words(objects: Iterable[Observed], rows: Mapping[Key, Row]) -> set[str]:
    """What rows elsewhere may name, of those that are not named by the row of their label."""
    words = set[str]()
    for each in objects:
        labelled = rows.get(_key(each))
        if labelled is None or not _is_named(labelled, each):
            words |= {each.id, *([each.owner.spawn_id] if each.owner else [])}
    return words


async def _pieces(items: Iterable[T]) -> AsyncIterator[list[T]]:
    """Give them a hundred at a time, with a turn for others after each: thousands keep nobody waiting."""
    left = iter(items)
    while some := list(itertools.islice(left, AT_A_TIME)):
        yield some
        await asyncio.sleep(0)
