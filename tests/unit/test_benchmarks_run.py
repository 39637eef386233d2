"""What a run of the suite measures and where that goes, without anything that is measured."""

from __future__ import annotations

import pytest

from benchmarks.growth.cases import figures_of, steps

# ---- growth ----


@pytest.mark.parametrize(("most", "counts"), [(1, [1]), (5, [1, 5]), (1000, [1, 10, 100, 1000])])
def test_growth_begins_with_one(most: int, counts: list[int]) -> None:
    assert steps(most) == counts


def test_growth_is_compared_with_ten() -> None:
    rows = [{"cpu_ms": 9.0}, {"cpu_ms": 2.0}, {"cpu_ms": 3.0}]
    assert figures_of([1, 10, 100], rows) == {"cpu_ms": 3.0, "slower": 1.5}
    assert figures_of([1, 5], rows[:2]) == {"cpu_ms": 2.0}
