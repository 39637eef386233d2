"""The containers of one Hub as the Engine has told of them: kept by events, corrected by lists. No I/O.

Documents have the shape of `GET /containers/ID/json`, as far as is known; a container whose address may
have changed has no `NetworkSettings`. Only an answer of the Engine ends a container here, never an event
alone: one that is restarted by its policy dies without being dead. Nor does an event alone bring one to life
again that has ended.

What our own requests have done stands here as soon as it is answered. The events that tell of it may come
much later, and then change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from asyncdockerspawner.client.events import (
    CREATIONS,
    ENDINGS,
    REMOVALS,
    RENAMES,
    SIGNALS,
    STARTS,
    ContainerEvent,
)
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.container import status

SHORT_ID = 12
"""Digits of an id by which a container is known everywhere; with fewer, a name is meant."""
SIGKILL = "9"
"""The signal of a kill; a stop or a restart begins with another one."""


class Change(Enum):
    """What an event means for who follows the container."""

    NOTHING = "nothing"
    STARTED = "its address may be another"
    UNCLEAR = "the Engine has to be asked whether it runs"
    STOPPED = "somebody has stopped it, and may be about to start it again"
    GONE = "there is no such container any more"


@dataclass(slots=True)
class _Entry:
    document: JsonObject
    version: int = 0
    """How often something was told of it: an answer that was asked for before the last is out of date."""
    signalled: bool = False
    """Whether it was asked from outside to end."""
    since: int = 0
    """When its present life began, or its last one ended: Engine's nanoseconds, 0 where nobody has told."""
    starting: bool = False
    """We have asked for its start, and there is no answer yet."""
    seen: bool = False
    """An event has told of that start."""
    renamed: str = ""
    """The name that we have given it, until the event of that comes: others before are of former names."""

    def put(self, document: JsonObject, since: int = 0) -> None:
        self.document, self.since = document, max(self.since, since)


class Table:
    """Containers by id: those with the label of `hub_id`, and those that `track` names."""

    def __init__(self, hub_id: str) -> None:
        self._hub_id = hub_id
        self._entries: dict[str, _Entry] = {}
        self._strays = 0
        self._told: set[str] = set()
        self._lists = 0
        self._removed: dict[str, int] = {}
        self.tracked: set[str] = set()
        """Ids of containers without our label: what DockerSpawner has made."""

    def get(self, container_id: str) -> JsonObject | None:
        """What is known of a container."""
        entry = self._entries.get(container_id)
        return entry.document if entry else None

    def version(self, container_id: str) -> int:
        """A number that changes whenever something is told of the container."""
        entry = self._entries.get(container_id)
        return entry.version if entry else -1 - self._strays

    def named(self, name: str) -> JsonObject | None:
        """What is known of the container of this name."""
        return next((each for each in self if _name(each) == name), None)

    def __iter__(self) -> Iterator[JsonObject]:
        return iter([entry.document for entry in self._entries.values()])

    def expect(self, container_id: str, name: str, owner: dict[str, str]) -> None:
        """Enter a container before it is started, so that no event of it comes too early."""
        document = {"Id": container_id, "Name": f"/{name}", "Config": {"Labels": owner}, "State": {}}
        self._entries.setdefault(container_id, _Entry(document))

    def id_of(self, ref: str) -> str:
        """Give the id of the container that the Engine calls so: by id, name or its beginning; or nothing."""
        if ref in self._entries:
            return ref
        if found := self.named(ref):
            return str(found["Id"])
        return next((each for each in self._entries if len(ref) >= SHORT_ID and each.startswith(ref)), "")

    def starting(self, container_id: str) -> None:
        """We ask for the container's start."""
        if (entry := self._entries.get(container_id)) is not None:
            entry.starting, entry.seen = True, False

    def started(self, container_id: str, version: int) -> bool:
        """A start was answered; False where the container may have ended again, by what was told since."""
        entry = self._entries.get(container_id)
        if entry is None:
            return True
        entry.starting = False
        current = entry.version == version
        if not current and entry.seen:
            return status.is_running(entry.document)
        # What else was told since is most likely of its former life.
        entry.version += 1
        _run(entry)
        return current

    def not_started(self, container_id: str) -> None:
        """The start was not answered, or refused."""
        if (entry := self._entries.get(container_id)) is not None:
            entry.starting = False

    def ended(self, container_id: str, version: int, *, ran: bool) -> bool:
        """A stop was answered, of one that `ran` or not; False where it may run again by now."""
        entry = self._entries.get(container_id)
        if entry is None:
            return True
        current = entry.version == version
        entry.version += 1
        known = entry.document
        runs = status.is_running(known)
        if not (runs or not known["State"] or (ran and status.never_started(known))):
            return True
        # How it ended is told by whoever asks next.
        started_at = (runs and known["State"].get("StartedAt")) or "once"
        state = {"Running": False, "Status": "exited", "StartedAt": started_at}
        entry.put({**known, "State": state})
        return current

    def name_of(self, container_id: str) -> str:
        """What the container is called, as far as is known."""
        return _name(self.get(container_id) or {})

    def renamed(self, container_id: str, former: str, name: str) -> bool:
        """A new name was answered; False where it may have another by now: it was not known as `former`."""
        entry = self._entries.get(container_id)
        if entry is None or name == (known := _name(entry.document)):
            return True
        if former not in {"", known}:
            return False
        entry.version += 1
        entry.renamed = name if former else ""
        entry.put({**entry.document, "Name": f"/{name}"})
        return bool(former)

    def gone(self, container_id: str) -> None:
        """A removal was answered; what events and lists tell from before that counts no more."""
        self._entries.pop(container_id, None)
        self._removed[container_id] = self._lists
        self._strays += 1

    def told(self, ref: str) -> None:
        """Remember that a request has changed what the Engine calls so: a list under way may not know it."""
        self._told.add(ref)

    def take(self, event: ContainerEvent) -> Change:
        """Take in one event; whatever it does not tell stays as it was."""
        entry = self._entries.get(event.container_id)
        if entry is None:
            return self._take_unknown(event)
        if event.action in REMOVALS:
            del self._entries[event.container_id]
            self._strays += 1
            return Change.GONE
        if event.action in CREATIONS | RENAMES:
            return self._take_name(entry, event)
        # Where the machine's clock was set back, the next list finds out.
        if 0 < event.time < entry.since:
            return Change.NOTHING
        return self._take_life(entry, event)

    def _take_unknown(self, event: ContainerEvent) -> Change:
        ref, told = event.container_id, event.attributes
        self._strays += 1
        if ref in self._removed:
            if event.action in REMOVALS:
                del self._removed[ref]
            return Change.NOTHING
        ours = told.get(labels.HUB) == self._hub_id or ref in self.tracked
        if not ours or event.action not in STARTS | CREATIONS:
            return Change.NOTHING
        if ref in self._told:
            # The event may be from before our own request.
            return Change.UNCLEAR
        document = {
            "Id": ref,
            "Name": f"/{told.get('name', '').lstrip('/')}",
            "Config": {"Labels": {key: told[key] for key in told if key.startswith(labels.PREFIX)}},
            "State": {},
        }
        self._entries[ref] = entry = _Entry(document)
        return self._take_life(entry, event) if event.action in STARTS else Change.NOTHING

    @staticmethod
    def _take_name(entry: _Entry, event: ContainerEvent) -> Change:
        name = event.attributes.get("name", "").lstrip("/")
        # A creation may be told when the container has long been started, or has another name.
        if event.action in RENAMES and entry.renamed in {"", name}:
            entry.version += 1
            entry.renamed = ""
            entry.put({**entry.document, "Name": f"/{name}"})
        return Change.NOTHING

    @staticmethod
    def _take_life(entry: _Entry, event: ContainerEvent) -> Change:
        known = entry.document
        runs = status.is_running(known)
        if event.action in SIGNALS:
            entry.signalled |= event.attributes.get("signal") != SIGKILL
            return Change.NOTHING
        if event.action in ENDINGS and not runs and "ExitCode" in known["State"]:
            # How it ended is known already; but what is being asked about it may be from before that.
            entry.version += not entry.starting
            return Change.NOTHING
        entry.version += 1
        signalled, entry.signalled = entry.signalled, False
        if event.action in ENDINGS:
            return Change.STOPPED if signalled else Change.UNCLEAR
        if entry.starting or runs or not known["State"]:
            entry.seen = True
            _run(entry)
            return Change.STARTED
        # Of the life that has ended, or of a new one: an event that comes late looks the same.
        return Change.UNCLEAR

    def answer(self, container_id: str, document: JsonObject | None, version: int) -> bool:
        """Take in what the Engine answered about one container; False if that is out of date already."""
        if self.version(container_id) != version:
            return False
        if document is None:
            self._entries.pop(container_id, None)
        else:
            entry = self._entries.setdefault(container_id, _Entry(document, max(version, 0)))
            entry.put(document, status.last_change(document))
            # It may tell what came of our start before that is answered.
            entry.version += entry.starting
            if (document["Config"].get("Labels") or {}).get(labels.HUB) != self._hub_id:
                self.tracked.add(container_id)
        return True

    def begin_list(self) -> None:
        """A list is about to be asked for: what is told from now on may be newer than what it says."""
        self._told.clear()
        # Whose end no event has told by the second list from then on, of that the event is lost.
        self._removed = {each: when for each, when in self._removed.items() if when == self._lists}
        self._lists += 1

    def install(self, listed: Iterable[JsonObject], *, held: Iterable[str]) -> set[str]:
        """Take in a whole list; the `held` ids stay as they were, and those it tells otherwise are given.

        So do those that a request of ours has changed meanwhile. Who holds a container asks the Engine about
        it: a list knows neither the reason of an end nor whether a start is under way.
        """
        found = {str(entry["Id"]): entry for entry in listed if self._ours(entry)}
        self.tracked = {each for each in self.tracked if each in found and not self._labelled(found[each])}
        kept = {*held, *map(self.id_of, self._told)}
        for gone in self._entries.keys() - found.keys() - kept:
            del self._entries[gone]
        doubtful = set(held) - found.keys()
        for container_id, entry in found.items():
            document = status.document_of(entry)
            known = self._entries.get(container_id)
            if container_id in self._removed:
                continue
            if container_id not in kept and self._told.isdisjoint({container_id, _name(document)}):
                made = self._entries[container_id] = _Entry(document, known.version if known else 0)
                made.since = known.since if known else 0
            elif known is None or differ(known.document, document):
                doubtful.add(container_id)
        return doubtful

    def _labelled(self, entry: JsonObject) -> bool:
        return (entry.get("Labels") or {}).get(labels.HUB) == self._hub_id

    def _ours(self, entry: JsonObject) -> bool:
        return self._labelled(entry) or entry["Id"] in self.tracked


def _name(document: JsonObject) -> str:
    return str(document.get("Name") or "").lstrip("/")


def _run(entry: _Entry) -> None:
    kept = {key: value for key, value in entry.document.items() if key != "NetworkSettings"}
    entry.document = {**kept, "State": {"Running": True, "Status": "running"}}


def differ(one: JsonObject, other: JsonObject) -> bool:
    """Tell whether two documents differ in what matters to the Hub."""
    return bool(_essence(one) != _essence(other))


def _essence(document: JsonObject) -> Any:
    """Reduce to what makes a difference to the Hub: does it run, and where is it reached."""
    network = document.get("NetworkSettings") or {}
    networks = network.get("Networks") or {}
    ports = {port: sorted(map(str, each)) for port, each in (network.get("Ports") or {}).items() if each}
    return (
        status.is_running(document),
        {name: (each or {}).get("IPAddress") for name, each in networks.items()},
        ports,
    )
