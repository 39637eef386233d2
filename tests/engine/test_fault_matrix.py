"""Whatever goes wrong with whichever request: nothing is lost, nothing is left, and the next spawn works."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from asyncdockerspawner import lifecycle
from asyncdockerspawner.lifecycle import cleanup
from tests.support.faults import case, matrix
from tests.support.faults.beds import bed_over, places_of
from tests.support.faults.case import Operation
from tests.support.faults.in_sandboxes import OPERATIONS_IN_SANDBOXES
from tests.support.faults.matrix import FAULTS, Bed, Place
from tests.support.faults.operations import OPERATIONS, Start, Stop

SIDE_BY_SIDE = 8
pytestmark = [pytest.mark.fake_engine, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Place]]:
    with places_of([tmp_path_factory.mktemp("place") for _ in range(SIDE_BY_SIDE)]) as made:
        yield made


@pytest.fixture
async def bed(places: list[Place], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bed]:
    with bed_over(places, monkeypatch) as found:
        yield found


@pytest.mark.parametrize("operation", [*OPERATIONS, *OPERATIONS_IN_SANDBOXES], ids=lambda each: each.name)
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
