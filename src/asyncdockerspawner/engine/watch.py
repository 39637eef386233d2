"""What runs at the Engine, known without asking: one event stream and one table for all servers of a Hub."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from asyncdockerspawner import errors
from asyncdockerspawner.client.containers import Containers
from asyncdockerspawner.client.events import ENDINGS, REMOVALS, ContainerEvent, Events
from asyncdockerspawner.engine.own_requests import OwnRequests
from asyncdockerspawner.engine.table import Change, Table
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.container import status

FIRST_LIST_SECONDS = 5.0
"""How long a question waits for the first list."""
SUBSCRIBE_SECONDS = 2.0
"""How long a start waits for the stream before it goes on without."""
RESYNC_SECONDS = 60.0
"""Between lists in quiet times; a list is also how a connection that is dead without a word is noticed."""
REOPEN_PAUSES = (0.1, 0.3, 1.0, 3.0)
"""Seconds before the stream is opened again, by how often it has failed in a row; the last one repeats."""
STEADY_SECONDS = 5.0
"""A stream that lived so long has not failed when it ends."""
LONG_OUTAGE_SECONDS = 30.0
"""After an absence of so long, `on_synced` is called again."""

RESTART_SECONDS = 2.0
"""How long a container that somebody has stopped may take to be back before its end is told."""

_log = logging.getLogger(__name__)

Changed = Callable[[JsonObject | None], None]
"""Is called with what the Engine says of a followed container: it ended, went away, or may have moved."""


class Ended(asyncio.Event):
    """Is set when a container may have ended."""

    exit_code: int | None = None
    """Of its last end, where an event has told it."""


class Watch:
    """Subscribe, list, replay, go live; again and again for as long as the loop runs.

    Promises: what the table says was true when the Engine said it; while `live`, no later change is missed;
    an Engine that does not answer changes nothing. Reading the table never waits, but for the first list.
    """

    def __init__(self, events: Events, containers: Containers, hub_id: str) -> None:
        self._events = events
        self._containers = containers
        self._hub_id = hub_id
        self._table = Table(hub_id)
        self._task: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self._listed = asyncio.Event()
        self._waiters: dict[str, set[Ended]] = {}
        self._followers: dict[str, Changed] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._replay: list[ContainerEvent] | None = None
        self.own_requests = OwnRequests(
            table=self._table,
            asking=self._asking.__contains__,
            doubt=self._doubt,
            wake=self._wake,
            tell=self._tell,
        )
        self._failures = 0
        self._last_synced = 0.0
        self.on_synced: Callable[[], None] | None = None
        """Called after the first list, and after the first one that follows a long absence."""
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

    async def find(self, container_id: str, name: str, *, labelled: bool = True) -> JsonObject | None:
        """Give what is known of a container, by id, or by name where that is empty; None if there is none.

        An id that the table does not know is asked for: a label may be missing. Raises EngineError where the
        Engine does not answer that, or has never answered yet.
        """
        self.begin()
        if container_id and not labelled and self._table.get(container_id) is None:
            # With these in the list, it serves all who ask meanwhile.
            self._table.tracked.add(container_id)
        if not self._listed.is_set():
            await self._first_list()
        if not container_id:
            return self._table.named(name)
        if self._table.get(container_id) is None:
            await self._ask(container_id)
        return self._table.get(container_id)

    def known(self, container_id: str) -> JsonObject | None:
        """Give what the table has of a container, now."""
        return self._table.get(container_id)

    def all(self) -> list[JsonObject]:
        """Everything in the table."""
        return list(self._table)

    @contextmanager
    def starting(self, container_id: str, name: str, owner: Mapping[str, str]) -> Iterator[Ended]:
        """Within it, a container is started; the event is set whenever it may have ended."""
        self._table.expect(container_id, name, dict(owner))
        with self.waiting(container_id) as ended:
            yield ended

    @contextmanager
    def waiting(self, container_id: str) -> Iterator[Ended]:
        """Give an event that is set whenever this container may have ended; clear it to wait again."""
        waiter = Ended()
        waiters = self._waiters.setdefault(container_id, set())
        waiters.add(waiter)
        try:
            yield waiter
        finally:
            waiters.discard(waiter)
            if not waiters:
                self._waiters.pop(container_id, None)

    def follow(self, container_id: str, changed: Changed) -> None:
        """Have `changed` called when the container has ended, is gone, or may be reached elsewhere."""
        self._followers[container_id] = changed
        if self._listed.is_set() and not self._runs(container_id):
            self._doubt(container_id)

    def follows(self, container_id: str) -> bool:
        """Tell whether somebody follows the container."""
        return container_id in self._followers

    def unfollow(self, container_id: str) -> None:
        """Take `follow` back."""
        self._followers.pop(container_id, None)

    async def aclose(self) -> None:
        """End the stream and all questions."""
        self._closed = True
        tasks = [*self._asking.values(), *([self._task] if self._task else [])]
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
                    self._wake_all()
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
        async with asyncio.TaskGroup() as group, self._events.containers() as events:
            self.live = True
            self._tried.set()
            resync = group.create_task(self._keep_listing())
            async for event in events:
                self._take(event)
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
            await asyncio.sleep(RESYNC_SECONDS * random.uniform(0.9, 1.1))  # noqa: S311 - no secret

    async def _list(self) -> None:
        # What DockerSpawner has made carries no label, so a filter would hide it.
        filters = {} if self._table.tracked else {labels.HUB: self._hub_id}
        self._replay = []
        self._table.begin_list()
        try:
            listed = await self._containers.list(filters)
            doubtful = self._table.install(listed, held=self._held())
            for event in self._replay:
                self._apply(event)
        finally:
            self._replay = None
        self._listed.set()
        # Who follows what does not run has not been told of it yet, or has not acted on it.
        for container_id in doubtful | {each for each in self._followers if not self._runs(each)}:
            self._doubt(container_id)
        self._tell_synced()

    def _tell_synced(self) -> None:
        before, self._last_synced = self._last_synced, time.monotonic()
        # Between two lists of a healthy watch lies the pause.
        away = self._last_synced - before - RESYNC_SECONDS * 1.1
        if self.on_synced is not None and (not before or away > LONG_OUTAGE_SECONDS):
            self.on_synced()

    def _held(self) -> set[str]:
        return self._waiters.keys() | self._followers.keys()

    def _take(self, event: ContainerEvent) -> None:
        if event.action in ENDINGS | REMOVALS:
            self._wake(event.container_id, event.exit_code)
        # The list under way may be older than this; it is told again once the list is in.
        if self._replay is not None:
            self._replay.append(event)
        else:
            self._apply(event)

    def _apply(self, event: ContainerEvent) -> None:
        change, followed = self._table.take(event), event.container_id in self._followers
        if change is Change.STOPPED and followed:
            asyncio.get_running_loop().call_later(RESTART_SECONDS, self._doubt, event.container_id)
        elif change in {Change.UNCLEAR, Change.STOPPED} or (change is Change.STARTED and followed):
            self._doubt(event.container_id)
        elif change is Change.GONE:
            self._tell(event.container_id)

    def _doubt(self, container_id: str) -> None:
        """Ask the Engine about a container, and tell who follows it."""
        asking = self._asking.get(container_id)
        # One that has ended may still be there: its callback comes in the loop's next turn.
        if not self._closed and (asking is None or asking.done()):
            task = asyncio.create_task(self._clear_up(container_id), name=f"inspect {container_id[:12]}")
            self._asking[container_id] = task
            task.add_done_callback(lambda done: self._forget(container_id, done))

    def _forget(self, container_id: str, done: asyncio.Task[None]) -> None:
        if self._asking.get(container_id) is done:
            del self._asking[container_id]

    async def _clear_up(self, container_id: str) -> None:
        try:
            await self._ask(container_id)
        except errors.EngineError as exc:
            # The next list comes back to it.
            _log.debug("Cannot ask about %s: %s", container_id, exc)
        else:
            self._tell(container_id)

    async def _ask(self, container_id: str) -> None:
        current = False
        while not current:
            version = self._table.version(container_id)
            current = self._table.answer(container_id, await self._containers.inspect(container_id), version)

    def _tell(self, container_id: str) -> None:
        document = self._table.get(container_id)
        # Of what is gone, nobody will take the following back.
        changed = self._followers.get(container_id) if document else self._followers.pop(container_id, None)
        if changed is not None:
            changed(document)

    def _runs(self, container_id: str) -> bool:
        document = self._table.get(container_id)
        return document is not None and status.is_running(document)

    def _wake(self, container_id: str, exit_code: int | None = None) -> None:
        for waiter in self._waiters.get(container_id, ()):
            waiter.exit_code = exit_code
            waiter.set()

    def _wake_all(self) -> None:
        for container_id in list(self._waiters):
            self._wake(container_id)
