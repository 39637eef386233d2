"""The containers of one Hub as the Engine has told of them: kept by events, corrected by lists. No I/O.

Documents have the shape of `GET /containers/ID/json`, as far as is known; a container whose address may
have changed has no `NetworkSettings`. Only an answer of the Engine ends a container here, never an event
alone: one that is restarted by its policy dies without being dead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from asyncdockerspawner import labels, status
from asyncdockerspawner.client.events import (
    CREATIONS,
    ENDINGS,
    REMOVALS,
    SIGNALS,
    STARTS,
    ContainerEvent,
)
from asyncdockerspawner.jsontypes import JsonObject

SIGKILL = "9"
"""The signal of a kill; a stop or a restart begins with another one."""


class Change(Enum):
    """What an event means for who follows the container."""

    NOTHING = "nothing"
    STARTED = "its address may be another"
    MAYBE_ENDED = "the Engine has to be asked whether it runs"
    STOPPED = "somebody has stopped it, and may be about to start it again"
    GONE = "there is no such container any more"


@dataclass(slots=True)
class _Entry:
    document: JsonObject
    version: int = 0
    """How many events have told of it: an answer that was asked for before the last one is out of date."""
    signalled: bool = False
    """Whether it was asked from outside to end."""


class Table:
    """Containers by id: those with the label of `hub_id`, and those that `track` names."""

    def __init__(self, hub_id: str) -> None:
        self._hub_id = hub_id
        self._entries: dict[str, _Entry] = {}
        self._strays = 0
        self.tracked: set[str] = set()
        """Ids of containers without our label: what DockerSpawner has made."""

    def get(self, container_id: str) -> JsonObject | None:
        """What is known of a container."""
        entry = self._entries.get(container_id)
        return entry.document if entry else None

    def version(self, container_id: str) -> int:
        """A number that every event of the container changes."""
        entry = self._entries.get(container_id)
        return entry.version if entry else -1 - self._strays

    def named(self, name: str) -> JsonObject | None:
        """What is known of the container of this name."""
        return next((each for each in self if str(each.get("Name")).lstrip("/") == name), None)

    def __iter__(self) -> Iterator[JsonObject]:
        return iter([entry.document for entry in self._entries.values()])

    def expect(self, container_id: str, name: str, owner: dict[str, str]) -> None:
        """Enter a container before it is started, so that no event of it comes too early."""
        document = {"Id": container_id, "Name": f"/{name}", "Config": {"Labels": owner}, "State": {}}
        self._entries.setdefault(container_id, _Entry(document))

    def started(self, container_id: str, version: int) -> None:
        """Take a container for running, unless an event has told something of it since `version`."""
        entry = self._entries.get(container_id)
        if entry is not None and entry.version == version:
            _run(entry)

    def take(self, event: ContainerEvent) -> Change:
        """Take in one event; whatever it does not tell stays as it was."""
        entry = self._entries.get(event.container_id)
        if entry is None:
            entry = self._new(event)
        if entry is None:
            self._strays += 1
            return Change.NOTHING
        if event.action in CREATIONS | SIGNALS:
            # They tell nothing of how it is, and the first may come when the start has been answered already.
            entry.signalled |= event.action in SIGNALS and event.attributes.get("signal") != SIGKILL
            return Change.NOTHING
        entry.version += 1
        signalled, entry.signalled = entry.signalled, False
        if event.action in REMOVALS:
            del self._entries[event.container_id]
            self._strays += 1
            return Change.GONE
        if event.action in ENDINGS:
            return Change.STOPPED if signalled else Change.MAYBE_ENDED
        if event.action in STARTS:
            _run(entry)
            return Change.STARTED
        # A rename: it is all that is left.
        entry.document = {**entry.document, "Name": f"/{event.attributes.get('name', '').lstrip('/')}"}
        return Change.NOTHING

    def answer(self, container_id: str, document: JsonObject | None, version: int) -> bool:
        """Take in what the Engine answered about one container; False if that is out of date already."""
        if self.version(container_id) != version:
            return False
        if document is None:
            self._entries.pop(container_id, None)
        else:
            entry = self._entries.setdefault(container_id, _Entry(document, max(version, 0)))
            entry.document = document
            if (document["Config"].get("Labels") or {}).get(labels.HUB) != self._hub_id:
                self.tracked.add(container_id)
        return True

    def install(self, listed: Iterable[JsonObject], *, held: Iterable[str]) -> set[str]:
        """Take in a whole list; the `held` ids stay as they were, and those it tells otherwise are given.

        Who holds a container asks the Engine about it: a list knows neither the reason of an end nor whether
        a start is under way.
        """
        found = {str(entry["Id"]): entry for entry in listed if self._ours(entry)}
        self.tracked = {each for each in self.tracked if each in found and not self._labelled(found[each])}
        keep = set(held)
        for gone in self._entries.keys() - found.keys() - keep:
            del self._entries[gone]
        doubtful = keep - found.keys()
        for container_id, entry in found.items():
            document = status.document_of(entry)
            known = self._entries.get(container_id)
            if container_id not in keep:
                self._entries[container_id] = _Entry(document, known.version if known else 0)
            elif known is None or _essence(known.document) != _essence(document):
                doubtful.add(container_id)
        return doubtful

    def _labelled(self, entry: JsonObject) -> bool:
        return (entry.get("Labels") or {}).get(labels.HUB) == self._hub_id

    def _ours(self, entry: JsonObject) -> bool:
        return self._labelled(entry) or entry["Id"] in self.tracked

    def _new(self, event: ContainerEvent) -> _Entry | None:
        told = event.attributes
        ours = told.get(labels.HUB) == self._hub_id or event.container_id in self.tracked
        if not ours or event.action not in STARTS | CREATIONS:
            return None
        entry = _Entry(
            {
                "Id": event.container_id,
                "Name": f"/{told.get('name', '').lstrip('/')}",
                "Config": {"Labels": {key: told[key] for key in told if key.startswith(labels.PREFIX)}},
                "State": {},
            }
        )
        return self._entries.setdefault(event.container_id, entry)


def _run(entry: _Entry) -> None:
    kept = {key: value for key, value in entry.document.items() if key != "NetworkSettings"}
    entry.document = {**kept, "State": {"Running": True, "Status": "running"}}


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
