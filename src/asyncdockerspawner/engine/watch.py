"""What runs at the Engine, known without asking: one event stream and one table for all servers of a Hub."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from asyncdockerspawner import errors
from asyncdockerspawner.engine.own_requests import OwnRequests
from asyncdockerspawner.engine.table import Change, Table
from asyncdockerspawner.workloads.observed import Observed, differ
from asyncdockerspawner.workloads.source import Happened, Hint, Source

AT_A_TIME = 100
"""Objects of a list that are compared in one piece."""
FIRST_LIST_SECONDS = 5.0
"""How long a question waits for the first list."""
SUBSCRIBE_SECONDS = 2.0
"""How long a start waits for the stream before it goes on without."""
REOPEN_PAUSES = (0.1, 0.3, 1.0, 3.0)
"""Seconds before the stream is opened again, by how often it has failed in a row; the last one repeats."""
STEADY_SECONDS = 5.0
"""A stream that lived so long has not failed when it ends."""
LONG_OUTAGE_SECONDS = 30.0
"""After an absence of so long, `on_synced` is called again."""
RESTART_SECONDS = 2.0
"""How long an object that somebody has stopped may take to be back before its end is told."""

_log = logging.getLogger(__name__)

Changed = Callable[[Observed | None], None]
"""Is called with what the Engine says of a followed object: it ended, went away, or may have moved."""


class ExitEvent(asyncio.Event):
    """Is set when an object may have ended."""

    exit_code: int | None = None
    """Of its last end, where a hint has told it."""


class Watch:
    """Subscribe, list, replay, go live; again and again for as long as the loop runs.

    Promises: what the table says was true when the Engine said it; while `live`, no later change is missed;
    an Engine that does not answer changes nothing. Reading the table never waits, but for the first list.
    """

    def __init__(self, source: Source, hub_id: str) -> None:
        self._source = source
        self._hub_id = hub_id
        self._table = Table(hub_id)
        self._task: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self._listed = asyncio.Event()
        self._pace_changed = asyncio.Event()
        self._list_is_due = False
        self._exit_events: dict[str, set[ExitEvent]] = {}
        self._followers: dict[str, Changed] = {}
        self._rechecks: dict[str, asyncio.Task[None]] = {}
        self._replay: list[Hint] | None = None
        self.own_requests = OwnRequests(
            table=self._table,
            is_asked=self._rechecks.__contains__,
            recheck=self._recheck,
            signal_exit=self._signal_exit,
            notify=self._notify,
        )
        self._failures = 0
        self._last_synced = 0.0
        self.on_synced: Callable[[], None] | None = None
        """Called after the first list, and after the first one that follows a long absence."""
        self.on_hint: Callable[[Hint], None] | None = None
        """Called with each hint, once it stands in the table."""
        self.on_listed: Callable[[], None] | None = None
        """Called after each list."""
        self.live = False
        """Whether the stream is open, so that nothing is missed."""
        self._closed = False

    def begin(self) -> None:
        """See to it that the watch runs."""
        if not self._closed and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run(), name=f"watch containers of {self._hub_id}")

    async def ready(self) -> bool:
        """Wait shortly for the stream; False if it is not open then.

        Called before a container is started, so that no end comes before the subscription.
        """
        self.begin()
        with suppress(TimeoutError):
            async with asyncio.timeout(SUBSCRIBE_SECONDS):
                await self._tried.wait()
        return self.live

    async def find(self, object_id: str, name: str, *, labelled: bool = True) -> Observed | None:
        """Return what is known of an object, by id, or by name where that is empty; None if there is none.

        An id that the table does not know is asked for: a label may be missing. Raises EngineError where the
        Engine does not answer that, or has never answered yet.
        """
        self.begin()
        if object_id and not labelled and self._table.get(object_id) is None:
            # With these in the list, it serves all who ask meanwhile.
            self._table.tracked.add(object_id)
        if not self._listed.is_set():
            await self._first_list()
        if not object_id:
            return self._table.named(name)
        if self._table.get(object_id) is None:
            await self._refresh(object_id)
        return self._table.get(object_id)

    @property
    def tells_ends(self) -> bool:
        """Whether who waits for an end is woken by it; else it has to ask."""
        return self.live and self._source.tells_ends

    def asked(self, ref: str) -> Changed:
        """Hear that somebody else asks about an object now; gives what is to be called with the answer."""
        object_id = self._table.id_of(ref) or ref
        version, known = self._table.version(object_id), self._table.get(object_id)

        def answered(observed: Observed | None) -> None:
            # Who has told of it meanwhile may have asked later. A question of this watch may get no answer.
            if known is None or self._table.get(object_id) is not known:
                return
            if not self._table.answer(object_id, observed, version):
                return
            if object_id in self._rechecks:
                self._table.outdate(object_id)
            if observed is None or differ(known, observed):
                self._notify(object_id)

        return answered

    def removed(self, object_id: str) -> None:
        """Hear that an object was removed, on our demand."""
        self.own_requests.gone(object_id)

    def known(self, object_id: str) -> Observed | None:
        """Return what the table has of an object, now."""
        return self._table.get(object_id)

    def all(self) -> list[Observed]:
        """Return everything in the table."""
        return list(self._table)

    @contextmanager
    def starting(self, observed: Observed) -> Iterator[ExitEvent]:
        """Within it, an object is started; the event is set whenever it may have ended."""
        self._table.expect(observed)
        with self.waiting(observed.id) as exited:
            yield exited

    @contextmanager
    def waiting(self, object_id: str) -> Iterator[ExitEvent]:
        """Return an event that is set whenever this object may have ended; clear it to wait again."""
        exited = ExitEvent()
        events = self._exit_events.setdefault(object_id, set())
        events.add(exited)
        self._pace_changed.set()
        try:
            yield exited
        finally:
            events.discard(exited)
            if not events:
                self._exit_events.pop(object_id, None)

    def follow(self, object_id: str, changed: Changed) -> None:
        """Have `changed` called when the object has ended, is gone, or may be reached elsewhere."""
        self._followers[object_id] = changed
        if self._listed.is_set() and not self._runs(object_id):
            self._recheck(object_id)

    def follows(self, object_id: str) -> bool:
        """Tell whether somebody follows the object."""
        return object_id in self._followers

    def unfollow(self, object_id: str) -> None:
        """Take `follow` back."""
        self._followers.pop(object_id, None)

    async def aclose(self) -> None:
        """End the stream and all questions."""
        self._closed = True
        tasks = [*self._rechecks.values(), *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _first_list(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_LIST_SECONDS):
                await self._listed.wait()
        if not self._listed.is_set():
            raise errors.EngineUnavailable("list containers", "", "the Engine has not answered yet")

    async def _run(self) -> None:
        while True:
            begin = time.monotonic()
            try:
                await self._watch()
            except* errors.EngineError as group:
                level = logging.DEBUG if self._failures else logging.WARNING
                _log.log(level, "The Engine's event stream broke: %s", group.exceptions[0])
            except* Exception:  # noqa: BLE001 - without its watch, a Hub would take the dead for living
                _log.exception("The watch of the Engine failed; it begins anew")
            finally:
                was_live, self.live = self.live, False
                if was_live:
                    self._tried.clear()
                    self._signal_all()
                else:
                    self._tried.set()
            if self._closed:
                # Before Python 3.13, a task group loses a cancellation that meets a failure.
                return
            steady = was_live and time.monotonic() - begin > STEADY_SECONDS
            self._failures = 0 if steady else self._failures + 1
            pause = REOPEN_PAUSES[min(max(self._failures - 1, 0), len(REOPEN_PAUSES) - 1)]
            await asyncio.sleep(pause * random.uniform(0.7, 1.0))  # noqa: S311 - no secret
            if not was_live:
                # No stream, but the Engine may answer all the same: then lists have to do.
                await self._list_without_stream()

    async def _watch(self) -> None:
        async with asyncio.TaskGroup() as group, self._source.hints() as hints:
            self.live = True
            self._tried.set()
            resync = group.create_task(self._keep_listing())
            async for hint in hints:
                self._take(hint)
            resync.cancel()

    async def _list_without_stream(self) -> None:
        try:
            await self._list()
        except errors.EngineError as exc:
            _log.debug("The Engine does not answer: %s", exc)
        except Exception:  # noqa: BLE001 - as in `_run`
            _log.exception("The watch of the Engine failed; it begins anew")

    async def _keep_listing(self) -> None:
        while True:
            await self._list()
            await self._pause()

    async def _pause(self) -> None:
        """Wait until the next list is due, also where somebody begins to wait for a start meanwhile."""
        begin, jitter = time.monotonic(), random.uniform(0.9, 1.1)  # noqa: S311 - no secret
        while (left := begin + jitter * self._pace() - time.monotonic()) > 0 and not self._list_is_due:
            self._pace_changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._pace_changed.wait()

    def _pace(self) -> float:
        return self._source.pause(waited_for=bool(self._exit_events))

    async def _list(self) -> None:
        self._replay, self._list_is_due = [], False
        self._table.begin_list()
        try:
            listed = await self._source.list(self._hub_id, self._table.tracked)
            await self._compare(listed)
            unclear = self._table.install(listed, held=self._held())
            for hint in self._replay:
                self._apply(hint)
        finally:
            self._replay = None
        self._listed.set()
        # Who follows what does not run has not been notified of it yet, or has not acted on it.
        for object_id in unclear | {each for each in self._followers if not self._runs(each)}:
            self._recheck(object_id)
        if self.on_listed is not None:
            self.on_listed()
        self._notify_synced()

    async def _compare(self, listed: Sequence[Observed]) -> None:
        """Compare the servers that are followed with a list of thousands, with turns for others."""
        for number, observed in enumerate(listed):
            if observed.id in self._followers:
                self._table.compare(observed)
            if number % AT_A_TIME == 0:
                await asyncio.sleep(0)

    def _notify_synced(self) -> None:
        before, self._last_synced = self._last_synced, time.monotonic()
        # Between two lists of a healthy watch lies the pause.
        away = self._last_synced - before - self._source.pause(waited_for=False) * 1.1
        if self.on_synced is not None and (not before or away > LONG_OUTAGE_SECONDS):
            self.on_synced()

    def _held(self) -> set[str]:
        return self._exit_events.keys() | self._followers.keys()

    def _take(self, hint: Hint) -> None:
        if hint.kind is Happened.ELSEWHERE:
            self._list_is_due = True
            self._pace_changed.set()
            return
        if hint.kind in {Happened.ENDED, Happened.REMOVED}:
            self._signal_exit(hint.observed.id, hint.exit_code)
        # The list under way may be older than this; it is told again once the list is in.
        if self._replay is not None:
            self._replay.append(hint)
        else:
            self._apply(hint)

    def _apply(self, hint: Hint) -> None:
        object_id = hint.observed.id
        change, followed = self._table.take(hint), object_id in self._followers
        if change is Change.STOPPED and followed:
            asyncio.get_running_loop().call_later(RESTART_SECONDS, self._recheck, object_id)
        elif change in {Change.UNCLEAR, Change.STOPPED} or (change is Change.STARTED and followed):
            self._recheck(object_id)
        elif change is Change.GONE:
            self._notify(object_id)
        if self.on_hint is not None:
            self.on_hint(hint)

    def _recheck(self, object_id: str) -> None:
        """Ask the Engine about an object, and notify who follows it."""
        task = self._rechecks.get(object_id)
        # One that has ended may still be there: its callback comes in the loop's next turn.
        if not self._closed and (task is None or task.done()):
            task = asyncio.create_task(self._check(object_id), name=f"inspect {object_id[:12]}")
            self._rechecks[object_id] = task
            task.add_done_callback(lambda done: self._forget(object_id, done))

    def _forget(self, object_id: str, done: asyncio.Task[None]) -> None:
        if self._rechecks.get(object_id) is done:
            del self._rechecks[object_id]

    async def _check(self, object_id: str) -> None:
        try:
            await self._refresh(object_id)
        except errors.EngineError as exc:
            # The next list comes back to it.
            _log.debug("Cannot ask about %s: %s", object_id, exc)
        else:
            self._notify(object_id)

    async def _refresh(self, object_id: str) -> None:
        """Ask the Engine about an object until its answer is newer than all that was told of it."""
        current = False
        while not current:
            version = self._table.version(object_id)
            current = self._table.answer(object_id, await self._source.find(object_id), version)

    def _notify(self, object_id: str) -> None:
        observed = self._table.get(object_id)
        # Of what is gone, nobody will take the following back.
        changed = self._followers.get(object_id) if observed else self._followers.pop(object_id, None)
        if changed is not None:
            changed(observed)

    def _runs(self, object_id: str) -> bool:
        observed = self._table.get(object_id)
        return observed is not None and observed.runs

    def _signal_exit(self, object_id: str, exit_code: int | None = None) -> None:
        """Set the events of who waits for the object's end."""
        for exited in self._exit_events.get(object_id, ()):
            exited.exit_code = exit_code
            exited.set()

    def _signal_all(self) -> None:
        for object_id in list(self._exit_events):
            self._signal_exit(object_id)
