"""Whatever goes wrong with whichever request: nothing is lost, nothing is left, and the next spawn works."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator

import pytest

from asyncdockerspawner import lifecycle
from asyncdockerspawner.lifecycle import cleanup
from tests.fake_engine import FakeEngine
from tests.support.faults import case, matrix
from tests.support.faults.case import Operation
from tests.support.faults.matrix import FAULTS, QUICK, Ambushes, Bed, Place
from tests.support.faults.operations import OPERATIONS, Start, Stop
from tests.support.site import site_over
from tests.support.world import close_databases, new_world

SIDE_BY_SIDE = 12
pytestmark = [pytest.mark.fake_engine, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Place]]:
    folders = [tmp_path_factory.mktemp("place") for _ in range(SIDE_BY_SIDE)]
    made: list[Place] = []
    try:
        for folder in folders:
            fake = FakeEngine.start(folder)
            if made:
                # It takes long to make.
                shutil.copy(folders[0] / "hub.sqlite", folder)
            made.append(Place(fake, new_world(site_over(fake, hub_id="h"), folder)))
        yield made
    finally:
        close_databases()
        for place in made:
            place.fake.stop()


@pytest.fixture
async def bed(places: list[Place], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bed]:
    for name, value in QUICK.items():
        monkeypatch.setattr(f"asyncdockerspawner.{name}", value)
    free: asyncio.Queue[Place] = asyncio.Queue()
    for each in places:
        free.put_nowait(each)
    ambushes = Ambushes()
    ambushes.lay(monkeypatch)
    unheard: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: unheard.append(str(context)))
    yield Bed(free, ambushes)
    loop.set_exception_handler(None)
    assert unheard == []


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
async def test_no_fault_at_any_request_loses_or_leaves_anything(
    bed: Bed, operation: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in operation.constants.items():
        monkeypatch.setattr(f"asyncdockerspawner.{name}", value)
    complaints = await bed.complaints(operation)
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize(("operation", "broken"), [(Start(), "abandon"), (Stop(), "owe")])
async def test_the_matrix_sees_what_is_left(
    bed: Bed, operation: Operation, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(host: object) -> None:
        """Leave it to what is broken."""

    monkeypatch.setattr(cleanup, broken, lambda *_: None)
    monkeypatch.setattr(lifecycle, "sweep", nothing)
    monkeypatch.setattr(matrix, "SHARE", 1)
    monkeypatch.setattr(case, "EVENTUALLY", 1.0)
    faults = [
        fault for fault in FAULTS if fault.name in {"cancelled before the Engine acts", "reset before and on"}
    ]
    complaints = await bed.complaints(operation, faults)
    assert any("instead of {}" in each for each in complaints), complaints
