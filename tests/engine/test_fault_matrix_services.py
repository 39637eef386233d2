"""Whatever goes wrong with whichever request to a swarm's manager: nothing is lost, nothing is left."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.faults.beds import bed_over, places_of
from tests.support.faults.case import Operation
from tests.support.faults.matrix import Bed, Place
from tests.support.faults.operations import OPERATIONS_OF_SERVICES
from tests.support.workloads import Services

SIDE_BY_SIDE = 8
pytestmark = [pytest.mark.fake_engine, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Place]]:
    with places_of([tmp_path_factory.mktemp("place") for _ in range(SIDE_BY_SIDE)], Services) as made:
        yield made


@pytest.fixture
async def bed(places: list[Place], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bed]:
    with bed_over(places, monkeypatch) as found:
        yield found


@pytest.mark.parametrize("operation", OPERATIONS_OF_SERVICES, ids=lambda each: each.name)
async def test_no_fault_at_any_request_loses_or_leaves_anything(
    bed: Bed, operation: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in operation.constants.items():
        monkeypatch.setattr(f"asyncdockerspawner.{name}", value)
    complaints = await bed.complaints(operation)
    assert not complaints, "\n".join(complaints)
