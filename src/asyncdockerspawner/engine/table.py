"""The objects of one Hub as the Engine has told of them: kept by hints, corrected by lists. No I/O.

What may have changed is forgotten: an object that was started has no addresses until somebody has asked for
them. Only an answer of the Engine ends an object here, never a hint alone: a container that is restarted by
its policy dies without being dead. Nor does a hint alone bring one to life again that has ended.

What our own requests have done stands here as soon as it is answered. The hints that tell of it may come
much later, and then change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum

from asyncdockerspawner.workloads.observed import Observed, Phase, differ
from asyncdockerspawner.workloads.source import Happened, Hint

SHORT_ID = 12
"""Digits of an id by which an object is known everywhere; with fewer, a name is meant."""


class Change(Enum):
    """What a hint means for who follows the object."""

    NOTHING = "nothing"
    STARTED = "its address may be another"
    UNCLEAR = "the Engine has to be asked whether it runs"
    STOPPED = "somebody has stopped it, and may be about to start it again"
    GONE = "there is no such object any more"


@dataclass(slots=True)
class _Entry:
    observed: Observed
    version: int = 0
    """How often something was told of it: an answer that was asked for before the last is out of date."""
    signalled: bool = False
    """Whether it was asked from outside to end."""
    since: int = 0
    """When its present life began, or its last one ended: Engine's nanoseconds, 0 where nobody has told."""
    starting: bool = False
    """We have asked for its start, and there is no answer yet."""
    seen: bool = False
    """A hint has told of that start."""
    renamed: str = ""
    """The name that we have given it, until the hint of that comes: others before are of former names."""

    def put(self, observed: Observed, since: int = 0) -> None:
        self.observed, self.since = observed, max(self.since, since)

    def run(self) -> None:
        """Take it for running, at an address that is not known."""
        self.observed = replace(
            self.observed, phase=Phase.RUNNING, last_exit=None, last_change=0, addresses=None
        )


class Table:
    """Objects by id: those with the label of `hub_id`, and those that are `tracked`."""

    def __init__(self, hub_id: str) -> None:
        self._hub_id = hub_id
        self._entries: dict[str, _Entry] = {}
        self._strays = 0
        """How often something was told of objects that are not here."""
        self._changed: set[str] = set()
        """Refs of what requests of our own have changed since the last list was asked for."""
        self._lists = 0
        self._same: dict[str, Observed] = {}
        """By id: what is known of an object and is as the list under way tells it."""
        self._removed: dict[str, int] = {}
        self.tracked: set[str] = set()
        """Ids of objects without our label: what DockerSpawner has made."""

    def get(self, object_id: str) -> Observed | None:
        """Return what is known of an object."""
        entry = self._entries.get(object_id)
        return entry.observed if entry else None

    def version(self, object_id: str) -> int:
        """Return a number that changes whenever something is told of the object."""
        entry = self._entries.get(object_id)
        return entry.version if entry else -1 - self._strays

    def named(self, name: str) -> Observed | None:
        """Return what is known of the object of this name."""
        return next((each for each in self if each.name == name), None)

    def __iter__(self) -> Iterator[Observed]:
        return iter([entry.observed for entry in self._entries.values()])

    def expect(self, observed: Observed) -> None:
        """Enter an object before it is started, so that no hint of it comes too early."""
        self._entries.setdefault(observed.id, _Entry(observed))

    def id_of(self, ref: str) -> str:
        """Return the id of the object that the Engine calls so: by id, name or its beginning; or nothing."""
        if ref in self._entries:
            return ref
        if found := self.named(ref):
            return found.id
        return next((each for each in self._entries if len(ref) >= SHORT_ID and each.startswith(ref)), "")

    def starting(self, object_id: str) -> None:
        """Take in that we ask for the object's start."""
        if (entry := self._entries.get(object_id)) is not None:
            entry.starting, entry.seen = True, False

    def started(self, object_id: str, version: int) -> bool:
        """Take in that a start was answered; False where the object may have ended again since."""
        entry = self._entries.get(object_id)
        if entry is None:
            return True
        entry.starting = False
        current = entry.version == version
        if not current and entry.seen:
            return entry.observed.runs
        # What else was told since is most likely of its former life.
        entry.version += 1
        entry.run()
        return current

    def not_started(self, object_id: str) -> None:
        """Take in that the start was not answered, or refused."""
        if (entry := self._entries.get(object_id)) is not None:
            entry.starting = False

    def ended(self, object_id: str, version: int, *, ran: bool) -> bool:
        """Take in that a stop was answered, of one that `ran` or not; False where it may run again by now."""
        entry = self._entries.get(object_id)
        if entry is None:
            return True
        current = entry.version == version
        entry.version += 1
        known = entry.observed
        if not (known.runs or known.phase is Phase.UNKNOWN or (ran and known.never_started)):
            return True
        # How it ended is told by whoever asks next.
        entry.put(replace(known, phase=Phase.ENDED, last_exit=None, last_change=0))
        return current

    def name_of(self, object_id: str) -> str:
        """Return what the object is called, as far as is known."""
        known = self.get(object_id)
        return known.name if known else ""

    def renamed(self, object_id: str, former: str, name: str) -> bool:
        """Take in that a new name was answered; False where it may have another: it was not `former`."""
        entry = self._entries.get(object_id)
        if entry is None or name == entry.observed.name:
            return True
        if former not in {"", entry.observed.name}:
            return False
        entry.version += 1
        entry.renamed = name if former else ""
        entry.put(replace(entry.observed, name=name))
        return bool(former)

    def gone(self, object_id: str) -> None:
        """Take in that a removal was answered; what hints and lists tell from before that counts no more."""
        self._entries.pop(object_id, None)
        self._removed[object_id] = self._lists
        self._strays += 1

    def mark_changed(self, ref: str) -> None:
        """Remember that a request has changed what the Engine calls so: a list under way may not know it."""
        self._changed.add(ref)

    def take(self, hint: Hint) -> Change:
        """Take in a hint; whatever it does not tell stays as it was."""
        entry = self._entries.get(hint.observed.id)
        if entry is None:
            return self._take_unknown(hint)
        if hint.kind is Happened.REMOVED:
            del self._entries[hint.observed.id]
            self._strays += 1
            return Change.GONE
        if hint.kind in {Happened.CREATED, Happened.RENAMED}:
            return self._take_name(entry, hint)
        # Where the machine's clock was set back, the next list finds out.
        if 0 < hint.time < entry.since:
            return Change.NOTHING
        return self._take_life(entry, hint)

    def _take_unknown(self, hint: Hint) -> Change:
        object_id = hint.observed.id
        self._strays += 1
        if object_id in self._removed:
            if hint.kind is Happened.REMOVED:
                del self._removed[object_id]
            return Change.NOTHING
        if not self._ours(hint.observed) or hint.kind not in _ENTERING:
            return Change.NOTHING
        if object_id in self._changed or hint.kind is Happened.CHANGED:
            # It may be from before our own request; or it tells nothing but that there is something.
            return Change.UNCLEAR
        self._entries[object_id] = entry = _Entry(hint.observed)
        return self._take_life(entry, hint) if hint.kind is Happened.STARTED else Change.NOTHING

    @staticmethod
    def _take_name(entry: _Entry, hint: Hint) -> Change:
        name = hint.observed.name
        # A creation may be told when the object has long been started, or has another name.
        if hint.kind is Happened.RENAMED and entry.renamed in {"", name}:
            entry.version += 1
            entry.renamed = ""
            entry.put(replace(entry.observed, name=name))
        return Change.NOTHING

    @staticmethod
    def _take_life(entry: _Entry, hint: Hint) -> Change:
        known = entry.observed
        if hint.kind is Happened.SIGNALLED:
            entry.signalled |= not hint.by_force
            return Change.NOTHING
        if hint.kind is Happened.ENDED and not (known.runs or known.exit_is_unknown):
            # How it ended is known already; but what is being asked about it may be from before that.
            entry.version += not entry.starting
            return Change.NOTHING
        entry.version += 1
        if hint.kind is Happened.CHANGED:
            return Change.UNCLEAR
        signalled, entry.signalled = entry.signalled, False
        if hint.kind is Happened.ENDED:
            return Change.STOPPED if signalled else Change.UNCLEAR
        if entry.starting or known.runs or known.phase is Phase.UNKNOWN:
            entry.seen = True
            entry.run()
            return Change.STARTED
        # Of the life that has ended, or of a new one: a hint that comes late looks the same.
        return Change.UNCLEAR

    def answer(self, object_id: str, observed: Observed | None, version: int) -> bool:
        """Take in what the Engine answered about one object; False if that is out of date already."""
        if self.version(object_id) != version:
            # What is told of others meanwhile is no news of what is neither known nor there.
            return observed is None and object_id not in self._entries
        if observed is None:
            self._entries.pop(object_id, None)
        else:
            entry = self._entries.setdefault(object_id, _Entry(observed, max(version, 0)))
            entry.put(observed, observed.last_change)
            # It may tell what came of our start before that is answered.
            entry.version += entry.starting
            if observed.hub_id != self._hub_id:
                self.tracked.add(object_id)
        return True

    def outdate(self, object_id: str) -> None:
        """Take in that what is being asked about an object now is from before what is known of it."""
        if (entry := self._entries.get(object_id)) is not None:
            entry.version += 1

    def begin_list(self) -> None:
        """Take in that a list is about to be asked for: what is told from now on may be newer than it."""
        self._changed.clear()
        self._same.clear()
        # Whose end no hint has told by the second list from then on, of that the hint is lost.
        self._removed = {each: when for each, when in self._removed.items() if when == self._lists}
        self._lists += 1

    def compare(self, observed: Observed) -> None:
        """Take in what a list tells of one object, so that `install` need not compare thousands at once."""
        known = self.get(observed.id)
        if known is not None and not differ(known, observed):
            self._same[observed.id] = known

    def install(self, listed: Iterable[Observed], *, held: Iterable[str]) -> set[str]:
        """Take in a whole list, all but the `held` ids; give those that the Engine has to be asked about.

        They are the held ones that the list tells otherwise, and those that a request of ours has changed
        meanwhile: a list knows neither the reason of an end nor whether a start is under way.
        """
        found = {each.id: each for each in listed if self._ours(each)}
        self.tracked = {each for each in self.tracked if each in found and found[each].hub_id != self._hub_id}
        kept = {*held, *map(self.id_of, self._changed)}
        for gone in self._entries.keys() - found.keys() - kept:
            del self._entries[gone]
        unclear = set(held) - found.keys()
        for object_id, observed in found.items():
            known = self._entries.get(object_id)
            if object_id in self._removed or (known is not None and known.observed is observed):
                continue
            if object_id not in kept and self._changed.isdisjoint({object_id, observed.name}):
                made = self._entries[object_id] = _Entry(observed, known.version if known else 0)
                made.since = known.since if known else 0
            elif known is None or self._differs(known.observed, observed):
                unclear.add(object_id)
        return unclear

    def _differs(self, known: Observed, observed: Observed) -> bool:
        return self._same.get(observed.id) is not known and differ(known, observed)

    def _ours(self, observed: Observed) -> bool:
        return observed.hub_id == self._hub_id or observed.id in self.tracked


_ENTERING = frozenset({Happened.CREATED, Happened.STARTED, Happened.CHANGED})
"""What a first hint of an object may be; of others, an end is no news."""
