"""Sandboxes made ahead: containers that hold a network, each for one server of its Hub.

Half of what a start costs the Engine is the network. A sandbox has that already; a server joins it, is in it
alone and for its life, and nobody is in it afterwards. It is there until it is taken, then while a spawn
holds it, then while there is a container that names it. A server's removal ends it first (`end_with`);
whoever else removes the container ends it too, and a sandbox that dies ends its server.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from asyncdockerspawner import errors
from asyncdockerspawner.client.client import Client
from asyncdockerspawner.engine.janitor import Janitor
from asyncdockerspawner.engine.start_slots import StartSlots
from asyncdockerspawner.engine.watch import Watch
from asyncdockerspawner.images import pause
from asyncdockerspawner.workloads.container import read
from asyncdockerspawner.workloads.container.sandbox import Shape
from asyncdockerspawner.workloads.observed import Observed
from asyncdockerspawner.workloads.source import Happened, Hint

IDLE_SECONDS = 30.0
"""So long making one waits for a moment in which nothing else starts."""
RETRY_PAUSES = (1.0, 3.0, 10.0, 30.0, 60.0)
"""Seconds before the next try where one could not be made; the last one repeats."""

_log = logging.getLogger(__name__)

Named = Callable[[Collection[str]], Collection[str]]
"""Returns those of these ids that the Hub's database names."""


@dataclass(eq=False, slots=True)
class Lease:
    """A sandbox in the hands of one spawn, and of no other ever."""

    id: str
    observed: Observed
    """It as it was when it was ready: where a server in it is reached does not change."""
    _pool: Sandboxes

    def used_by(self, container_id: str) -> None:
        """Take in which container is in it."""
        self._pool._users[self.id] = container_id

    def release(self) -> None:
        """Have it live from now on as long as the container that is in it, be that no time at all."""
        self._pool._release(self.id)


class Sandboxes:
    """The sandboxes of one Hub at one Engine."""

    def __init__(
        self, client: Client, watch: Watch, janitor: Janitor, slots: StartSlots, hub_id: str
    ) -> None:
        self._client = client
        self._watch = watch
        self._janitor = janitor
        self._slots = slots
        self._hub_id = hub_id
        self._count: int | None = None
        self._shape: Shape | None = None
        self._image = ""
        self._ready: dict[str, Observed] = {}
        self._users: dict[str, str] = {}
        """Sandboxes that were taken → the container in each; "" where none is known."""
        self._leased: set[str] = set()
        self._ending: set[str] = set()
        """Sandboxes that are being removed with what is in them."""
        self._making = ""
        """The name of the one that is being made."""
        self._filling: asyncio.Task[None] | None = None
        self._closed = False
        self._named: Named = lambda _: ()
        watch.on_hint = self._heard
        watch.on_listed = self._listed

    @property
    def ready(self) -> int:
        """How many may be taken."""
        return len(self._ready)

    @property
    def is_set_up(self) -> bool:
        """Whether somebody has said how many are to be kept."""
        return self._count is not None

    def set_up(self, count: int, named: Named) -> None:
        """Keep so many ready; of those that an earlier process has left, none that is `named`."""
        self._count, self._named = count, named

    def fits(self, shape: Shape) -> bool:
        """Tell whether sandboxes here are of this shape; who asks first decides."""
        if self._shape is None:
            self._shape = shape
            for each in [each for each in self._ready.values() if each.sandbox_for != str(shape)]:
                self._discard(each.id)
            self._fill()
        return shape == self._shape

    def take(self) -> Lease | None:
        """Take a sandbox that is ready, without waiting; None where there is none."""
        while self._ready:
            sandbox_id = next(iter(self._ready))
            observed = self._ready.pop(sandbox_id)
            self._users[sandbox_id] = ""
            known = self._watch.known(sandbox_id)
            if known is None or known.runs:
                self._leased.add(sandbox_id)
                self._fill()
                return Lease(sandbox_id, observed, self)
            self._end(sandbox_id)
        self._fill()
        return None

    async def end_with(self, container_id: str, *, force: bool) -> None:
        """Remove the sandbox of a container that is about to be removed, also while it runs with `force`.

        In this order, since a sandbox that no container names looks as if nobody had been in it.
        """
        known = self._watch.known(container_id)
        in_it = (sandbox for sandbox, user in self._users.items() if user == container_id)
        sandbox_id = (known.sandbox if known is not None else "") or next(in_it, "")
        if not sandbox_id or not (force or await self._is_over(container_id)):
            return
        if self._users.setdefault(sandbox_id, container_id) not in {"", container_id}:
            # What an earlier process made too late is not in the sandbox: another server is.
            return
        self._ending.add(sandbox_id)
        try:
            await self._client.containers.remove(sandbox_id, force=True)
            self._leased.discard(sandbox_id)
            self._users.pop(sandbox_id, None)
        except errors.EngineError as exc:
            if not 400 <= (exc.status or 0) < 500:
                raise
            _log.warning("Cannot remove the sandbox %s yet: %s", sandbox_id[:12], exc)
        finally:
            self._ending.discard(sandbox_id)

    async def _is_over(self, container_id: str) -> bool:
        document = await self._client.containers.inspect(container_id)
        return document is None or not read.observed(document).runs

    async def aclose(self) -> None:
        """Make no more; those that are ready are there for the Hub's next process."""
        self._closed = True
        if self._filling is not None:
            self._filling.cancel()
            await asyncio.gather(self._filling, return_exceptions=True)

    def _release(self, sandbox_id: str) -> None:
        if sandbox_id in self._leased:
            self._leased.discard(sandbox_id)
            if not self._is_used(sandbox_id):
                self._end(sandbox_id)

    def _is_used(self, sandbox_id: str) -> bool:
        user = self._users.get(sandbox_id, "")
        return sandbox_id in self._leased or (bool(user) and self._watch.known(user) is not None)

    def _is_known(self, sandbox: Observed) -> bool:
        return sandbox.id in self._users or sandbox.id in self._ready or sandbox.name == self._making

    def _heard(self, hint: Hint) -> None:
        """Hear of an end: of a sandbox, or of what was in one; and of what was made too late."""
        told = hint.observed
        if told.hub_id not in {"", self._hub_id}:
            return  # the stream tells of all Hubs' at this Engine
        if hint.kind is Happened.CREATED and told.sandbox_for and not self._is_known(told):
            # A create that nobody waits for any more.
            self._discard(told.id)
        if hint.kind not in {Happened.ENDED, Happened.REMOVED}:
            # The table knows what is told late of something that is gone.
            if self._watch.known(told.id) is not None:
                self._note(told)
            self._fill()
            return
        if told.sandbox_for:
            self._ended(told.id)
            self._fill()
        elif hint.kind is Happened.REMOVED and self._users.get(told.sandbox) == told.id:
            self._end(told.sandbox)

    def _listed(self) -> None:
        """Compare what is there with what is known, and see to the difference."""
        if self._count is None:
            return
        sandboxes = self._seen()
        if not (sandboxes or self._users or self._count):
            return
        self._take_over(sandboxes)
        for sandbox_id in [*self._users, *self._ready]:
            known = sandboxes.get(sandbox_id)
            if sandbox_id in self._users and not self._is_used(sandbox_id):
                self._end(sandbox_id)
            elif known is None or not known.runs:
                self._ended(sandbox_id)
        self._fill()

    def _seen(self) -> dict[str, Observed]:
        """Return the sandboxes that the table has, and note what is in them."""
        sandboxes = dict[str, Observed]()
        for each in (each for each in self._watch.all() if each.hub_id == self._hub_id):
            if each.sandbox_for:
                sandboxes[each.id] = each
            else:
                self._note(each)
        return sandboxes

    def _note(self, server: Observed) -> None:
        """Take in which sandbox a server names, also one that an earlier process came to create just now."""
        if server.sandbox and not self._is_used(server.sandbox):
            self._ready.pop(server.sandbox, None)
            self._users[server.sandbox] = server.id

    def _ended(self, sandbox_id: str) -> None:
        """See to what a sandbox leaves that may have ended."""
        if sandbox_id in self._users:
            self._end_user(sandbox_id)
        elif sandbox_id in self._ready:
            self._discard(sandbox_id)

    def _take_over(self, sandboxes: dict[str, Observed]) -> None:
        """Sort those that an earlier process has left, which the database may say were taken."""
        new = {each.id: each for each in sandboxes.values() if not self._is_known(each)}
        try:
            taken = set(self._named(new)) if new else set()
        except Exception as exc:  # noqa: BLE001 - the watch goes on without the database
            _log.warning("Cannot tell yet which sandboxes were taken: %s", exc)
            return
        for each in new.values():
            fits = self._shape is None or each.sandbox_for == str(self._shape)
            if each.id not in taken and each.runs and each.address_is_known and fits:
                self._ready[each.id] = each
            else:
                self._discard(each.id)
        for sandbox_id in list(self._ready)[: max(0, self.ready - (self._count or 0))]:
            self._discard(sandbox_id)

    def _discard(self, sandbox_id: str) -> None:
        """Remove a sandbox that nobody is in; nobody comes into it any more."""
        self._ready.pop(sandbox_id, None)
        self._users.setdefault(sandbox_id, "")
        self._end(sandbox_id)

    def _end(self, sandbox_id: str) -> None:
        """Remove a sandbox, should nobody be in it."""

        async def work() -> None:
            user = self._users.get(sandbox_id)
            if user is None or sandbox_id in self._leased:
                return
            # The table may not know yet of what was just made.
            if user and await self._client.containers.inspect(user) is not None:
                return
            await self._client.containers.remove(sandbox_id, force=True)
            self._users.pop(sandbox_id, None)

        self._janitor.submit(sandbox_id, work, what=f"remove the sandbox {sandbox_id[:12]}", goal="end")

    def _end_user(self, sandbox_id: str) -> None:
        """Stop the server whose sandbox has ended: it has no network any more."""

        async def work() -> None:
            if sandbox_id in self._ending or not self._users.get(sandbox_id):
                return
            document = await self._client.containers.inspect(sandbox_id)
            user = self._users.get(sandbox_id)
            lives = document is not None and read.observed(document).runs
            if lives or not user or sandbox_id in self._ending:
                return
            known = self._watch.known(user)
            if known is not None and not known.runs:
                return
            _log.warning(
                "%s has no network any more and is stopped: its sandbox %s has ended",
                known.name if known is not None else user[:12],
                sandbox_id[:12],
            )
            try:
                await self._client.containers.stop(user)
            except errors.ObjectNotFound:
                return

        self._janitor.submit(
            sandbox_id, work, what=f"stop what was in the sandbox {sandbox_id[:12]}", goal="stop"
        )

    def _fill(self) -> None:
        """See to it that what is missing is made."""
        runs = self._filling is not None and not self._filling.done()
        if self._is_wanting() and not runs and not self._closed:
            self._filling = asyncio.create_task(self._make_all(), name=f"make sandboxes of {self._hub_id}")

    def _is_wanting(self) -> bool:
        return self._shape is not None and self.ready < (self._count or 0)

    async def _make_all(self) -> None:
        failures = itertools.count()
        while self._is_wanting():
            await self._slots.idle(timeout=IDLE_SECONDS)
            try:
                await self._make()
                failures = itertools.count()
            except errors.EngineError as exc:
                count = next(failures)
                level = logging.DEBUG if count else logging.WARNING
                _log.log(level, "Cannot make a sandbox; servers start without: %s", exc)
                if isinstance(exc, errors.Forbidden):
                    self._count = 0
                    return
                await asyncio.sleep(RETRY_PAUSES[min(count, len(RETRY_PAUSES) - 1)])

    async def _make(self) -> None:
        """Make one and have it ready."""
        shape, containers = self._shape, self._client.containers
        if shape is None or not await self._have_image():
            return
        self._making = name = f"asyncdockerspawner-sandbox-{self._hub_id}-{uuid.uuid4().hex[:12]}"
        made = ""
        try:
            body = shape.body(image=self._image, hub_id=self._hub_id)
            try:
                made = await containers.create(name, body)
            except errors.ImageNotFound:
                # Somebody has removed it since.
                self._image = ""
                raise
            await containers.start(made)
            document = await containers.inspect(made)
            if document is None or not (found := read.observed(document)).runs:
                raise errors.StartFailed("start container", name, "it has ended at once")
            self._ready[made] = replace(found, environment=None)
        finally:
            self._making = ""
            if not self._closed and made not in self._ready:
                # Where the answer was lost, an event tells its id, now or later.
                ids = [made] if made else [each.id for each in self._watch.all() if each.name == name]
                for each in ids:
                    self._discard(each)

    async def _have_image(self) -> bool:
        """Load the image of the pause process where it is missing; False where there is none."""
        if self._image:
            return True
        architecture = await self._client.system.architecture()
        image = pause.image(architecture)
        if image is None:
            _log.warning(
                "There are no sandboxes on this Engine's machine (%s): there are on x86-64 and aarch64",
                architecture,
            )
            self._count = 0
            return False
        if await self._client.images.inspect(image.reference) is None:
            await self._client.images.load(image.archive, subject=image.reference)
        self._image = image.reference
        return True
