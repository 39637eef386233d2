"""The operations of the fault matrix where servers are in sandboxes that were made ahead."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from tests.support.engines import engines_of
from tests.support.faults.case import Case, Operation
from tests.support.faults.operations import A_WHILE, Adopt, Death, OwedStop, Start, Stop
from tests.support.waiting import until

Json = dict[str, Any]


class InSandbox(Operation):
    """One sandbox is ready when the operation begins."""

    options: ClassVar[Json] = {"sandboxes": 1}

    async def prepare(self, case: Case) -> None:
        await case.spawn()
        await case.stop()
        (engine,) = engines_of(case.fake.url)
        await until(lambda: engine.sandboxes("h").ready == 1)
        await super().prepare(case)


class StartInSandbox(InSandbox, Start):
    """A server is started in a sandbox, and another one is made in its place."""

    name = "start-in-sandbox"


class StopInSandbox(InSandbox, Stop):
    """A server is stopped and removed with its sandbox."""

    name = "stop-in-sandbox"


class AdoptInSandbox(InSandbox, Adopt):
    """A server of an earlier process is found again in its sandbox."""

    name = "adoption-in-sandbox"


class OwedStopInSandbox(InSandbox, OwedStop):
    """A stop that an earlier process could not do ends a server and its sandbox."""

    name = "owed-stop-in-sandbox"


class DeathOfSandbox(InSandbox, Death):
    """The sandbox of a running server ends by itself."""

    name = "death-of-sandbox"

    async def act(self, case: Case) -> None:
        case.fake.die(case.spawner._managed.record.sandbox, 0)
        await asyncio.sleep(A_WHILE)


OPERATIONS_IN_SANDBOXES: list[Operation] = [
    StartInSandbox(),
    StopInSandbox(),
    AdoptInSandbox(),
    OwedStopInSandbox(),
    DeathOfSandbox(),
]
