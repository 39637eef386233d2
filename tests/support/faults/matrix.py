"""Every request of an operation, hit by every fault: recorded, struck, and judged by what came of it."""

from __future__ import annotations

import asyncio
import copy
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import aiodocker
import pytest
from jupyterhub import orm, roles
from jupyterhub.user import User
from sqlalchemy.orm import Session

from asyncdockerspawner.client.settings import EngineSettings
from asyncdockerspawner.engine import registry
from tests.fake_engine import FakeEngine
from tests.support.engines import engines_of
from tests.support.faults.case import Case, Operation
from tests.support.faults.steps import Step, steps_of
from tests.support.site import Site
from tests.support.waiting import until
from tests.support.world import World

Json = dict[str, Any]
Words = Callable[["Step"], Json]
PATIENCE = 40.0
"""Seconds after which something is said to hang."""
PATIENT = 30.0
"""A call's deadline."""
IMPATIENT = 0.7
"""A call's deadline while a fault is in force."""
LATE = 0.25
"""Seconds by which the Engine is late, or too late."""
AWAY = 0.4
"""Seconds for which the Engine is away."""
TIMES = {"start_timeout": 10, "http_timeout": 4}
QUICK: Mapping[str, Any] = {
    "client.connection.UNSENT_PAUSES": (0.02, 0.05),
    "client.connection.LOST_PAUSES": (0.02, 0.05),
    # No deadlines of their own: the connection's is for all.
    "client.containers.INSPECT_TIMEOUT": 0,
    "client.containers.START_TIMEOUT": 0,
    "client.containers.STOP_TIMEOUT": 0,
    "client.containers.REMOVE_TIMEOUT": 0.5,
    "client.tasks.LOGS_TIMEOUT": 0.5,
    "client.listing.IDLE_TIMEOUT": 0.5,
    "engine.janitor.RETRY_PAUSES": (0.05, 0.1),
    "images.pulls.GRACE_SECONDS": 0.05,
    "images.pulls.RETRY_PAUSES": (0.05,),
    "engine.watch.FIRST_LIST_SECONDS": 0.5,
    "engine.watch.SUBSCRIBE_SECONDS": 0.2,
    "engine.watch.REOPEN_PAUSES": (0.05, 0.1),
    "engine.sandboxes.IDLE_SECONDS": 0.5,
    "engine.sandboxes.RETRY_PAUSES": (0.05, 0.1),
    "lifecycle.wanted.LATE_PAUSES": (0.1,) * 6,
    "lifecycle.cleanup.SWEEP_SECONDS": 1.0,
    "lifecycle.obtain.LOST_SECONDS": 0.05,
    "lifecycle.obtain.REMOVAL_TRIES": 5,
    "lifecycle.placement.LOOK_SECONDS": 0.05,
    "lifecycle.readiness.LOOK_SECONDS": 0.5,
    "lifecycle.readiness.BLIND_SECONDS": 0.2,
    "lifecycle.reconcile.GRACE_SECONDS": 0.1,
    "workloads.service.source.SHORTEST": 0.5,
}
"""What the package waits for in seconds, here in fractions of one."""
SWARM = {"services", "tasks", "nodes", "secrets", "configs"}
"""Routes of a swarm's manager."""
RECORDINGS = 5
"""So often an operation is watched before faults are aimed at its requests."""
SHARE = int(os.environ.get("FAULT_MATRIX_SHARE", "12"))
"""One of so many pairs of fault and request is tried: of 24 faults, two at each request."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request, or, where it lasts, with all of its route from there on."""

    name: str
    words: Words
    """Of the fake Engine's rule."""
    lasting: bool = False
    cancels: bool = False
    """The operation is cancelled when the request is on its way."""
    absent: bool = False
    """The Engine goes away when the request is on its way, and comes back."""

    def strike(self, fake: FakeEngine, step: Step) -> None:
        """Put it into force."""
        if not self.lasting:
            fake.rule(step.method, step.path, nth=step.nth, **self.words(step))
            return
        if step.nth > 1:
            fake.rule(step.method, step.path, times=step.nth - 1)
        fake.rule(step.method, step.path, **self.words(step))

    def is_last_word(self, step: Step) -> bool:
        """Tell whether the Engine says that an object is gone, or will not be: then it may be left.

        Of a service, nobody can say what is to go where the manager refuses to tell of it.
        """
        gone = self.words is not_found and step.route.startswith(("/containers/{", "/services/{"))
        decides = step.method == "DELETE" or step.route in {"/services/{ref}", "/tasks", "/nodes"}
        return gone or (self.lasting and decides and "status" in self.words(step))


def not_found(step: Step) -> Json:
    """404, in the words that go with the route."""
    if (kind := step.route.split("/")[1]) in SWARM:
        return {"status": 404, "message": f"{kind.removesuffix('s')} it not found"}
    what = "image" if "image" in step.route or step.route.endswith("create") else "container"
    return {"status": 404, "message": f"No such {what}: it"}


def taken(step: Step) -> Json:
    """409, in the words that go with the route."""
    if (kind := step.route.split("/")[1]) in SWARM:
        what = f"name conflicts with an existing object: {kind.removesuffix('s')} it already exists"
        return {"status": 409, "message": f"rpc error: code = AlreadyExists desc = {what}"}
    return {"status": 409, "message": TAKEN}


def _words(**words: Any) -> Words:
    return lambda _: words


def _once_and_on(**named: Words) -> list[Fault]:
    once = [Fault(name.replace("_", " "), words) for name, words in named.items()]
    return [*once, *(Fault(f"{each.name} and on", each.words, lasting=True) for each in once)]


TAKEN = (
    f'Conflict. The container name "/it" is already in use by container "{"f" * 64}". '
    "You have to remove (or rename) that container to be able to reuse that name."
)
UNSENT = Fault("cancelled before it is sent", _words(), cancels=True)
FAULTS = [
    UNSENT,
    Fault("cancelled before the Engine acts", _words(delay_before=LATE), cancels=True),
    Fault("cancelled after the Engine has acted", _words(delay_after=LATE), cancels=True),
    Fault("the Engine goes away", _words(delay_before=LATE), absent=True),
    Fault("slow drip", _words(slow_drip=0.1)),
    Fault("garbage", _words(garbage_body=True, cut_after=1)),
    *_once_and_on(
        reset_before=_words(reset_before=True),
        reset_after=_words(reset_after=True),
        hang=_words(hang=True),
        acts_too_late=_words(delay_before=IMPATIENT + LATE),
        answers_too_late=_words(delay_after=IMPATIENT + LATE),
        error_500=_words(status=500, message="out of cheese"),
        error_404=not_found,
        name_taken=taken,
        removal=_words(status=409, message="removal of container it is already in progress"),
    ),
]


@dataclass(eq=False)
class Ambush:
    """Cancels a task at the moment when it, or what works for it, is about to send a request."""

    step: Step
    task: asyncio.Future[Any]
    url: str
    seen: int = 0

    def passes(self, docker: aiodocker.Docker, method: str, path: str) -> None:
        """Have a request pass by."""
        ours = [engine.client.connection for engine in engines_of(self.url)]
        mine = any(docker in (each.docker, each._streams) for each in ours)
        if mine and method == self.step.method and re.search(self.step.path, f"/{path}"):
            self.seen += 1
            if self.seen == self.step.nth:
                self.task.cancel()


class Ambushes(set[Ambush]):
    """All that lie in wait on the way of requests."""

    def lay(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have every request pass by, until the test ends."""
        original = aiodocker.Docker._do_query

        async def watched(docker: aiodocker.Docker, path: Any, method: str, **more: Any) -> Any:
            for each in list(self):
                each.passes(docker, method, str(path))
            return await original(docker, path, method, **more)

        monkeypatch.setattr(aiodocker.Docker, "_do_query", watched)

    @contextmanager
    def ambush(self, step: Step, task: asyncio.Future[Any], url: str) -> Iterator[Ambush]:
        """Lie in wait for a request to this Engine."""
        one = Ambush(step, task, url)
        self.add(one)
        try:
            yield one
        finally:
            self.remove(one)


@dataclass
class Place:
    """A fake Engine and a Hub's database, where one case follows the other, each with a user of its own."""

    fake: FakeEngine
    first: World
    users: int = 0

    def world(self, operation: Operation) -> World:
        """Make a Hub with a new user."""
        self.users += 1
        config = copy.deepcopy(self.first.settings["config"])
        options = {"client_kwargs": {"base_url": self.fake.url, "timeout": PATIENT}, **TIMES}
        config.DockerSpawner.update({**options, **Site.kind(self.first.site, operation.kind)})
        config.DockerSpawner.update(operation.options)
        db = self._session()
        user = orm.User(name=f"user{self.users}")
        db.add(user)
        roles.assign_default_roles(db, user)
        db.commit()
        return self._world(db, user, {**self.first.settings, "config": config})

    def restarted(self, world: World) -> World:
        """Start the Hub again over the same database."""
        name = world.user.name
        world.db.commit()
        world.db.close()
        db = self._session()
        return self._world(db, db.query(orm.User).filter_by(name=name).one(), world.settings)

    def _session(self) -> Session:
        # One database for many: else every case would compile the Hub's SQL anew.
        return Session(self.first.db.get_bind(), expire_on_commit=False)

    def _world(self, db: Session, user: orm.User, settings: Json) -> World:
        return World(self.first.site, self.first.folder, settings, db, User(user, settings))


@dataclass
class Bed:
    """Where cases run side by side."""

    places: asyncio.Queue[Place]
    ambushes: Ambushes
    met: set[tuple[Step, Fault]] = field(default_factory=set)

    @asynccontextmanager
    async def case(self, operation: Operation) -> AsyncIterator[Case]:
        """Give the operation its beginning, in a fresh world."""
        place = await self.places.get()
        place.fake.reset()
        place.first.site.workload.prepare(place.fake)
        case = Case(place.fake, place.world(operation), place.restarted)
        try:
            async with asyncio.timeout(PATIENCE):
                await operation.prepare(case)
                await case.quiet()
            case.fake.clear_requests()
            yield case
        finally:
            case.fake.clear_rules()
            await case.end_process()
            case.world.db.close()
            self.places.put_nowait(place)

    async def recorded(self, operation: Operation) -> list[Step]:
        """Give the requests that the operation makes where nothing goes wrong."""
        async with self.case(operation) as case:
            outcome = await ended(operation.act(case))
            assert operation.bearable(case, outcome, final=False), repr(outcome)
            await case.quiet()
            steps = steps_of(case.fake.requests())
        first = next(at for at, step in enumerate(steps) if operation.begins in f"{step.method} {step.route}")
        return steps[first:]

    async def complaints(self, operation: Operation, faults: Iterable[Fault] = FAULTS) -> list[str]:
        """Let every fault hit every request of the operation; what is wrong with what came of it."""
        # On a busy machine there may be a request more, such as a look at what an event is late to tell.
        steps = min([await self.recorded(operation) for _ in range(RECORDINGS)], key=len)
        wanted = [fault for fault in faults if operation.may_be_cancelled or not fault.cancels]
        trials = [
            (step, fault)
            for row, fault in enumerate(wanted)
            for column, step in enumerate(steps)
            if (row + column) % SHARE == 0
        ]
        said = await asyncio.gather(*(self.complaint(operation, *trial) for trial in trials))
        # Here and there a request is not made that was recorded, such as a look that an event has saved.
        few = len(self.met) * 4 < len(trials) * 3
        # A busy machine misses deadlines: what is wrong is wrong without others beside it too.
        again = [one for one, each in zip(trials, said, strict=True) if each or (few and one not in self.met)]
        found = [each for trial in again if (each := await self.complaint(operation, *trial))]
        if len(self.met) * 4 < len(trials) * 3:
            found.append(f"only {len(self.met)} of {len(trials)} faults have met their request")
        return found

    async def complaint(self, operation: Operation, step: Step, fault: Fault) -> str:
        """Let a fault hit a request; what is wrong with what came of it, or nothing."""
        outcome: BaseException | None = None
        try:
            async with self.case(operation) as case, asyncio.timeout(PATIENCE):
                fault.strike(case.fake, step)
                case.refused = "status" in fault.words(step)
                with impatience(case.fake.url):
                    outcome = await self._act(operation, case, step, fault)
                case.fake.clear_rules()
                await judged(operation, case, outcome, step, fault)
        except Exception as exc:  # noqa: BLE001 - one complaint of many
            return f"{operation.name}, {step}, {fault.name}: {exc!r}, after it had ended with {outcome!r}"
        return ""

    async def _act(self, operation: Operation, case: Case, step: Step, fault: Fault) -> BaseException | None:
        task = asyncio.ensure_future(ended(operation.act(case)))
        try:
            if fault is UNSENT:
                with self.ambushes.ambush(step, task, case.fake.url) as ambush:
                    outcome = await asyncio.shield(task)
                if ambush.seen >= step.nth:
                    self.met.add((step, fault))
                return outcome
            if fault.cancels or fault.absent:
                while not task.done() and not step.made(case.fake):  # noqa: ASYNC110 - only asking tells
                    await asyncio.sleep(0.02)
                await asyncio.sleep(0.03)
            if fault.cancels:
                task.cancel()
            if fault.absent:
                await away(case.fake)
            outcome = await asyncio.shield(task)
            if await _met(case.fake, step):
                self.met.add((step, fault))
            return outcome
        finally:
            task.cancel()


async def _met(fake: FakeEngine, step: Step) -> bool:
    """Tell whether the request was made; where nobody waits for an operation's end, it may come later."""
    with suppress(TimeoutError):
        await until(lambda: step.made(fake), 5.0)
    return step.made(fake)


async def away(fake: FakeEngine) -> None:
    """Let the Engine be away for a moment."""
    fake.offline(AWAY)
    await until(lambda: fake.online, 60)


@contextmanager
def impatience(url: str) -> Iterator[None]:
    """Within it, no call to this Engine may take long; before and after, this machine may be busy."""
    connection = registry.engine_for(EngineSettings(url=url, timeout=PATIENT)).client.connection
    connection.settings = replace(connection.settings, timeout=IMPATIENT)
    try:
        yield
    finally:
        connection.settings = replace(connection.settings, timeout=PATIENT)


async def ended(work: Awaitable[None]) -> BaseException | None:
    """Give what it ended with."""
    try:
        await work
    except (Exception, asyncio.CancelledError) as exc:  # noqa: BLE001 - the caller judges it
        return exc
    return None


async def judged(
    operation: Operation, case: Case, outcome: BaseException | None, step: Step, fault: Fault
) -> None:
    """Fail where the operation has left something, or the user's next spawn does not work."""
    final = fault.is_last_word(step)
    cancelled = fault.cancels and isinstance(outcome, asyncio.CancelledError)
    assert cancelled or operation.bearable(case, outcome, final=final), f"polls: {case.polls}"
    await case.becomes(operation.running(case, outcome), what="after it", final=final)
    await operation.finish(case)
    await case.becomes(set(), what="when it is over", final=final)
    case.configure(image="stub:1", environment={}, **TIMES)
    made = await case.spawn()
    if operation.keeps:
        assert made in case.kept or not case.kept or operation.renews, "what was kept was not found"
        case.kept.add(made)
    assert await case.spawner.poll() is None, "the next server does not run"
    await case.stop()
    if not operation.spares_old:
        case.old.clear()
    await case.becomes(set(), what="after the next spawn")
    case.holds_nothing()
