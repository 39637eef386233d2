"""What our own requests have done to containers stands in the table before their answers are given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from asyncdockerspawner import errors
from asyncdockerspawner.client.changes import ContainerRequest, OnOutcome, Verb
from asyncdockerspawner.client.connection import Answer
from asyncdockerspawner.engine.table import Table
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.workloads.container import read
from asyncdockerspawner.workloads.observed import differ

NOT_MODIFIED = 304
"""What the Engine answers where there was nothing to stop."""
_STARTS = {Verb.START, Verb.RESTART}
_Call = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Before:
    """What the table knew when a request was sent."""

    container_id: str
    version: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRequests:
    """Hears of requests, and takes what came of them into a table."""

    table: Table
    is_asked: Callable[[str], bool]
    """Whether the watch is asking about a container itself: then it takes the answer in."""
    recheck: _Call
    """Ask the Engine about a container, and notify who follows it."""
    signal_exit: _Call
    """Wake who waits for a container's end."""
    notify: _Call
    """Notify who follows a container."""

    def asked(self, request: ContainerRequest) -> OnOutcome:
        """Hear of a request that is about to be sent; gives who is to hear what came of it."""
        container_id = self.table.id_of(request.ref)
        if request.verb in _STARTS:
            self.table.starting(container_id)
        before = _Before(container_id, self.table.version(container_id), self.table.name_of(container_id))
        return partial(self._heard, request, before)

    def _heard(self, request: ContainerRequest, before: _Before, outcome: Answer | BaseException) -> None:
        asks = request.verb is Verb.INSPECT
        # A list may have told of it meanwhile.
        container_id = before.container_id or self.table.id_of(request.ref)
        if asks and self.is_asked(container_id):
            return
        # By name, another may have been meant than the one that the table knows under it.
        exact = request.ref == container_id
        if isinstance(outcome, errors.ObjectNotFound) and exact:
            self.gone(container_id)
        elif asks and isinstance(outcome, Answer):
            self._inspected(container_id, before.version, outcome.data)
        elif not asks:
            self.table.mark_changed(request.ref)
            clear = self._done(request, container_id, before, outcome)
            if self.table.get(container_id) is not None and not (clear and exact):
                self.recheck(container_id)

    def _done(
        self, request: ContainerRequest, container_id: str, before: _Before, outcome: Answer | BaseException
    ) -> bool:
        """Take in what came of a change; False where the Engine has to be asked about it."""
        if not isinstance(outcome, Answer):
            self.table.not_started(container_id)
            return isinstance(outcome, errors.EngineUnavailable)
        if request.verb in _STARTS:
            return self.table.started(container_id, before.version)
        if request.verb is Verb.STOP:
            self.signal_exit(container_id)
            return self.table.ended(container_id, before.version, ran=outcome.status != NOT_MODIFIED)
        if request.verb is Verb.RENAME:
            return self.table.renamed(container_id, before.name, request.name)
        if container_id in {"", request.ref}:
            self.gone(request.ref)
        return True

    def _inspected(self, container_id: str, version: int, document: JsonObject) -> None:
        known = self.table.get(container_id)
        if known is None:
            return
        observed = read.observed(document)
        if observed.id != container_id:
            return
        if self.table.answer(container_id, observed, version) and differ(known, observed):
            self.notify(container_id)

    def gone(self, container_id: str) -> None:
        """Take in that a container is gone."""
        self.table.gone(container_id)
        self.signal_exit(container_id)
        self.notify(container_id)
