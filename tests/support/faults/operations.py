"""What a Hub asks of its spawner, from a beginning to an end: what the fault matrix lets faults hit."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

from asyncdockerspawner.lifecycle.spawn import Phase
from tests.support.faults.case import Case, Operation

Json = dict[str, Any]
A_WHILE = 0.6
"""Seconds for which a fault lasts where nobody waits for the operation's end."""


class Start(Operation):
    """A server is started."""

    name = "start"

    async def act(self, case: Case) -> None:
        try:
            await case.spawn()
        except asyncio.CancelledError:
            spawn = case.spawner._managed.spawn
            if self.keeps and spawn is not None and spawn.phase is Phase.RUNNING:
                # It was cancelled when the server had been started already.
                case.kept.add(case.spawner.object_id)
            # As the Hub does for a DELETE of a pending server.
            await case.stop()
            raise
        if self.keeps:
            case.kept.add(case.made)

    def bearable(self, case: Case, outcome: BaseException | None, *, final: bool) -> bool:
        told = getattr(outcome, "jupyterhub_message", "")
        return outcome is None or (isinstance(told, str) and bool(told))

    def running(self, case: Case, outcome: BaseException | None) -> set[str]:
        return {case.made} if outcome is None else set()

    async def finish(self, case: Case) -> None:
        if case.row.server is not None:
            await case.stop()


class StartToKeep(Start):
    """A server is started whose container shall be kept."""

    name = "start-to-keep"
    options: ClassVar[Json] = {"remove": False}
    begins = "POST /containers/create"
    keeps = True


class StartInFull(Start):
    """A server is started with all that may go with it, from an image that has to be pulled."""

    name = "start-in-full"
    options: ClassVar[Json] = {
        "image": "registry.test/pullable:1",
        "volumes": {"v-{username}": "/w"},
        "extra_networks": ["more"],
    }
    begins = "POST /images/create"

    async def prepare(self, case: Case) -> None:
        case.fake.http.post("/networks/create", json={"Name": "more"}).raise_for_status()


class StartDying(Start):
    """A server is started that dies before it answers."""

    name = "start-dying"
    kind = "dies"
    options: ClassVar[Json] = {"start_timeout": 4, "http_timeout": 1}
    begins = "POST /containers/create"

    def bearable(self, case: Case, outcome: BaseException | None, *, final: bool) -> bool:
        # Where the Engine does not tell of the death, the Hub's own patience with the server ends it.
        waited = isinstance(outcome, TimeoutError)
        return waited or (outcome is not None and super().bearable(case, outcome, final=final))


class StartOverOld(Start):
    """A server is started where one of an earlier process, which nobody remembers, has the name."""

    name = "start-over-old"
    begins = "POST /containers/create"

    async def prepare(self, case: Case) -> None:
        case.old.add(await case.spawn())
        case.row.state, case.spawner.server = {}, None
        await case.next_process()


class Resume(StartToKeep):
    """A kept container is started again."""

    name = "resume"
    begins = ""

    async def prepare(self, case: Case) -> None:
        case.kept.add(await case.spawn())
        await case.stop()
        await case.next_process()


class Recreate(StartToKeep):
    """A kept container that no longer fits and holds no files gives way to a new one."""

    name = "recreate"
    options: ClassVar[Json] = {"remove": False, "on_drift": "recreate"}
    begins = "GET /containers/{ref}/changes"
    spares_old = True

    async def prepare(self, case: Case) -> None:
        case.old.add(await case.spawn())
        await case.stop()
        case.configure(mem_limit="64M")
        await case.next_process()


class RecreateBesides(StartToKeep):
    """A kept container that no longer fits and holds files is put away."""

    name = "recreate-besides"
    options: ClassVar[Json] = {"remove": False, "on_drift": "recreate"}
    begins = "GET /containers/{ref}/changes"
    renews = True

    async def prepare(self, case: Case) -> None:
        case.kept.add(await case.spawn())
        case.fake.set_changes(case.made, [{"Path": "/home", "Kind": 0}, {"Path": "/home/mine", "Kind": 1}])
        await case.stop()
        case.configure(mem_limit="64M")
        await case.next_process()


class Stop(Operation):
    """A server is stopped and its container removed."""

    name = "stop"

    async def prepare(self, case: Case) -> None:
        await case.spawn()
        if self.keeps:
            case.kept.add(case.made)

    async def act(self, case: Case) -> None:
        await case.stop()

    def running(self, case: Case, outcome: BaseException | None) -> set[str]:
        case.old |= {case.made} if case.refused else set()
        return set()

    async def finish(self, case: Case) -> None:
        case.old.clear()
        if case.refused and await case.quiet() != dict.fromkeys(case.kept, False):
            # What is refused is given up, but the debt is in the database: the next process pays it.
            await case.next_process()
            case.look_around()


class StopAndKeep(Stop):
    """A server is stopped and its container kept."""

    name = "stop-and-keep"
    options: ClassVar[Json] = {"remove": False}
    keeps = True


class StopAfterRestart(Stop):
    """A server of an earlier process is stopped."""

    name = "stop-after-restart"
    # Cancelled before it has asked about the server, the Hub itself forgets it; but it shields its stops.
    may_be_cancelled = False

    async def prepare(self, case: Case) -> None:
        await super().prepare(case)
        await case.next_process()


class Adopt(Operation):
    """A server of an earlier process is asked about and found again."""

    name = "adoption"

    async def prepare(self, case: Case) -> None:
        await case.spawn()
        await case.next_process()

    async def act(self, case: Case) -> None:
        wanted = str(case.spawner.server.url)
        case.polls.add(await case.spawner.poll())
        assert await case.spawner.get_url() == wanted, "another address"

    def bearable(self, case: Case, outcome: BaseException | None, *, final: bool) -> bool:
        return outcome is None and (final or case.polls <= {None})

    def running(self, case: Case, outcome: BaseException | None) -> set[str]:
        return {case.made}

    async def finish(self, case: Case) -> None:
        await case.stop()


class AdoptByName(Adopt):
    """The same where the earlier process was killed before it knew the container's id."""

    name = "adoption-by-name"

    async def prepare(self, case: Case) -> None:
        await case.spawn()
        state = {**case.spawner.get_state(), "phase": "starting"}
        case.row.state = {key: state[key] for key in state if key != "object_id"}
        await case.next_process()


class Watch(Adopt):
    """The event stream breaks, and is opened again."""

    name = "watch"
    constants: ClassVar[Mapping[str, Any]] = {"workloads.container.source.RESYNC_SECONDS": 0.5}

    async def prepare(self, case: Case) -> None:
        await case.spawn()
        case.spawner.add_poll_callback(case.told.set)

    async def act(self, case: Case) -> None:
        case.fake.cut_events()
        for _ in range(6):
            case.polls.add(await case.spawner.poll())
            await asyncio.sleep(A_WHILE / 6)

    async def finish(self, case: Case) -> None:
        # Whatever has happened to the watch: an end is noticed.
        case.die(5)
        await case.told.wait()
        await case.stop()


class Death(Watch):
    """A running server ends by itself."""

    name = "death"

    async def act(self, case: Case) -> None:
        case.die(5)
        await asyncio.sleep(A_WHILE)

    def running(self, case: Case, outcome: BaseException | None) -> set[str]:
        case.old.add(case.made)
        return set()

    async def finish(self, case: Case) -> None:
        await case.told.wait()
        assert await case.spawner.poll() is not None
        await case.stop()
        case.old.clear()


class OwedStop(Stop):
    """A stop that an earlier process could not do is done."""

    name = "owed-stop"
    lasts: ClassVar[float] = A_WHILE
    """Seconds in which all that it takes has been asked."""

    async def prepare(self, case: Case) -> None:
        await super().prepare(case)
        case.fake.rule(*case.world.site.workload.ending, status=500, message="not now")
        await case.stop()
        await case.quiet()
        case.fake.clear_rules()
        await case.next_process()

    async def act(self, case: Case) -> None:
        case.look_around()
        await asyncio.sleep(self.lasts)


class OwedStopAndKeep(OwedStop):
    """The same where the container is kept."""

    name = "owed-stop-and-keep"
    options: ClassVar[Json] = {"remove": False}
    begins = "POST /containers/{ref}/stop"
    keeps = True


class Leftover(OwedStop):
    """What a start that was cut off has left is cleared away."""

    name = "leftover"
    begins = "POST /containers/{ref}/stop"

    async def prepare(self, case: Case) -> None:
        await case.spawn()
        state = {**case.spawner.get_state(), "phase": "starting"}
        case.row.state = {key: state[key] for key in state if key != "object_id"}
        case.spawner.server = None
        await case.next_process()


OPERATIONS: list[Operation] = [
    Start(), StartToKeep(), StartInFull(), StartDying(), StartOverOld(), Resume(), Recreate(),
    RecreateBesides(), Stop(), StopAndKeep(), StopAfterRestart(), Adopt(), AdoptByName(), Watch(), Death(),
    OwedStop(), OwedStopAndKeep(), Leftover(),
]  # fmt: skip


class StartService(Start):
    """A server is started as a service."""

    def bearable(self, case: Case, outcome: BaseException | None, *, final: bool) -> bool:
        # While the manager does not answer, the Hub's own patience with the start ends it.
        return isinstance(outcome, TimeoutError) or super().bearable(case, outcome, final=final)


class StartServiceInFull(StartService):
    """A service is started with all that may go with it."""

    name = "start-in-full"
    options: ClassVar[Json] = {
        "volumes": {"v-{username}": "/w"},
        "secrets": {"key.pem": "hidden"},
        "resolve_image": True,
    }


class OwedRemoval(OwedStop):
    """A removal of a service that an earlier process could not do is done."""

    name = "owed-removal"
    begins = "DELETE /services/{ref}"
    # Its processes are waited for first.
    lasts = 2 * A_WHILE


class LeftoverService(Leftover):
    """What a start that was cut off has left of services is cleared away."""

    begins = "DELETE /services/{ref}"
    lasts = 2 * A_WHILE


class StartOverOldService(StartOverOld, StartService):
    """A service is started where one of an earlier process, which nobody remembers, has the name."""

    begins = "POST /services/create"


class StartDyingService(StartDying):
    """A service is started that dies before it answers."""

    begins = "POST /services/create"


OPERATIONS_OF_SERVICES: list[Operation] = [
    StartService(), StartServiceInFull(), StartDyingService(), StartOverOldService(), Stop(),
    StopAfterRestart(), Adopt(), AdoptByName(), Watch(), Death(), OwedRemoval(), LeftoverService(),
]  # fmt: skip
