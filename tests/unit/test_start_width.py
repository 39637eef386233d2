"""How many starts at a time: found at Engines that are only reckoned, in no time."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from asyncdockerspawner.engine import start_width as room
from asyncdockerspawner.engine.start_width import StartWidth, UnderWay
from tests.support.simulated_starts import Crowd, SimulatedEngine, crowd

DAY = 86_400.0
STEP = 1.5
"""No width is more than so many times its neighbour."""


def crowds(engine: SimulatedEngine, width: StartWidth, count: int, sizes: int = 100) -> list[Crowd]:
    """A crowd a day."""
    return [crowd(engine, sizes, width, begin=day * DAY) for day in range(count)]


def test_how_many_are_under_way_is_told_as_a_mean() -> None:
    under_way = UnderWay()
    under_way.add(1, 10.0)
    before = under_way.total(10.0)
    under_way.add(2, 11.0)
    under_way.add(-1, 12.0)
    assert (under_way.count, (under_way.total(14.0) - before) / 4) == (2, (1 + 3 + 2 + 2) / 4)


@pytest.mark.parametrize(("first", "least"), [(1, 1), (2, 2), (3, 2), (5, 2), (6, 5), (128, 2)])
def test_the_first_width_is_the_first(first: int, least: int) -> None:
    assert StartWidth(first, least).width == first


@given(
    first=st.integers(2, 200),
    answers=st.lists(
        st.tuples(st.floats(0, 900), st.floats(0, 1e4), st.floats(0, 1e4), st.booleans()), max_size=400
    ),
)
def test_whatever_is_measured_the_width_is_within_its_bounds_and_goes_step_by_step(
    first: int, answers: list[tuple[float, float, float, bool]]
) -> None:
    width, now = StartWidth(first, 2), 0.0
    for under_way, seconds, later, crowded in answers:
        before, now = width.width, now + later * (not crowded)
        why = width.answered(width.width if crowded else under_way, seconds, now)
        assert 2 <= width.width <= 4 * first
        assert 1 / STEP <= width.width / before <= STEP
        assert bool(why) is (width.width != before)


def test_few_starts_tell_nothing() -> None:
    width = StartWidth(4, 2)
    for number in range(1000):
        assert not width.answered(1 + number % 3, 1.0, float(number))
    for number in range(4 + room.ENOUGH - 1):
        assert not width.answered(4, 1.0, 1000.0 + number)
    assert "more may be faster" in width.answered(4, 1.0, 1020.0)
    assert width.width == 6


@settings(max_examples=20)
@example(first=6, side_by_side=2.441567718257169, distance=0.5598670872424705)
@given(first=st.sampled_from([2, 4, 6, 16]), side_by_side=st.floats(0.5, 80), distance=st.floats(0, 1))
def test_it_comes_to_what_the_engine_does_side_by_side_and_stays_there(
    first: int, side_by_side: float, distance: float
) -> None:
    def engine() -> SimulatedEngine:
        return SimulatedEngine(side_by_side, distance=distance)

    width = StartWidth(first, 2)
    *_, before, last = crowds(engine(), width, 12)
    best = min(crowd(engine(), 200, first * 4).last, crowd(engine(), 200, first).last)
    # What an hour has made it forget is one step up.
    assert max(before.widths[-1], last.widths[-1]) <= STEP * min(before.widths[-1], last.widths[-1])
    settled = min(last.widths)
    # Where half as many again bring less than a tenth, all that are more bring less than 0.375.
    assert crowd(engine(), 200, settled).last <= 1.4 * best
    # More than it was given at first is no more than twice what it can use, and a step.
    in_use = side_by_side * (1 + distance / 0.4)
    assert settled <= max(first, 2 * STEP * in_use)


@pytest.mark.parametrize("spread", [0.0, 0.5, 0.8])
@pytest.mark.parametrize(("first", "side_by_side"), [(4, 2), (4, 4), (4, 16), (16, 4), (16, 16)])
def test_however_much_starts_differ_a_crowd_is_done_no_later_than_at_the_first_width(
    first: int, side_by_side: float, spread: float
) -> None:
    width = StartWidth(first, 2)
    learnt = crowds(SimulatedEngine(side_by_side, spread=spread), width, 10, sizes=60)
    fixed = SimulatedEngine(side_by_side, spread=spread)
    given_ = [crowd(fixed, 60, first) for _ in learnt]
    assert sum(one.last for one in learnt) <= 1.05 * sum(one.last for one in given_)
    assert sum(one.mean for one in learnt) <= 1.10 * sum(one.mean for one in given_)


def test_where_nothing_is_in_the_way_more_are_started_from_the_first_crowd_on() -> None:
    [first, *_, last] = crowds(SimulatedEngine(64), StartWidth(4, 2), 3, sizes=60)
    fixed = crowd(SimulatedEngine(64), 60, 4)
    assert first.last < 0.75 * fixed.last
    assert last.last < 0.35 * fixed.last
    assert last.widths[-1] == 16


def test_an_engine_far_away_is_given_more_at_a_time() -> None:
    near, far = StartWidth(4, 2), StartWidth(4, 2)
    crowds(SimulatedEngine(3, work=0.3), near, 5)
    crowds(SimulatedEngine(3, work=0.3, distance=0.3), far, 5)
    assert near.width in {4, 6}
    assert far.width >= 6


def test_a_machine_that_has_fewer_cpus_than_it_tells_is_given_fewer_at_a_time() -> None:
    width = StartWidth(128, 2)
    crowds(SimulatedEngine(8), width, 8, sizes=400)
    assert 8 <= width.width <= 45


def test_fewer_at_a_time_on_a_machine_at_rest_tell_nothing_of_a_crowd() -> None:
    width = StartWidth(8, 2)
    crowd(SimulatedEngine(8), 100, width, begin=0.0)
    before = width.width
    for number in range(100):
        assert not width.answered(4, 0.01, 1000.0 + number)
    later = crowd(SimulatedEngine(8), 100, width, begin=5000.0)
    assert min(later.widths) == before


def test_a_width_that_was_too_much_is_tried_again_after_an_hour() -> None:
    width, engine = StartWidth(4, 2), SimulatedEngine(2)
    tried = [
        6 in crowd(engine, 100, width, begin).widths
        for begin in (0.0, 600.0, 1200.0, 1300.0 + room.FORGET_SECONDS)
    ]
    assert tried == [True, False, False, True]


def test_once_fewer_do_not_do_any_more_there_are_more_again() -> None:
    width = StartWidth(64, 2)
    crowds(SimulatedEngine(6), width, 8, sizes=400)
    low = width.width
    assert low < 32
    for day in range(8, 20):
        crowd(SimulatedEngine(1000), 400, width, begin=day * DAY)
    assert width.width >= 2 * low
