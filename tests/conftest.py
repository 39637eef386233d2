"""The swarm of two nodes, for the tests of every folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.testbed.swarm import Swarm, in_use, obstacle, tidy_up


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the swarm, before other hooks look for the mark."""
    for item in items:
        if "tidy_swarm" in getattr(item, "fixturenames", ()):
            item.add_marker("swarm")


@pytest.fixture(scope="session")
def tidy_swarm() -> None:
    """Take away what a run that was killed has left."""
    if why := obstacle():
        pytest.skip(f"no swarm of two nodes can run here: {why}")
    tidy_up()


@pytest.fixture
def swarm(tidy_swarm: None) -> Iterator[Swarm]:
    """The swarm, which other tests may be using too: remove what the test has made, and disturb no node."""
    with in_use() as found:
        yield found


@pytest.fixture
def lone_swarm(tidy_swarm: None) -> Iterator[Swarm]:
    """The swarm, empty, and for this test alone: its nodes may be drained, killed and restarted."""
    with in_use(alone=True) as found:
        yield found
