"""The swarm of two nodes, and accounts of this machine, for the tests of every folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testbed import system_users as accounts
from tests.testbed.name_service import NameService
from tests.testbed.swarm import Swarm, in_use, obstacle, tidy_up
from tests.testbed.system_users import SystemUsers


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


@pytest.fixture
def system_users(tmp_path: Path) -> Iterator[SystemUsers]:
    """Makes accounts of this machine, whose homes lie in the test's folder; they are removed afterwards."""
    if why := accounts.obstacle():
        pytest.skip(f"no system accounts can be made here: {why}")
    homes = tmp_path / "homes"
    homes.mkdir()
    with accounts.system_users(homes) as users:
        yield users


@pytest.fixture
def name_service(tmp_path: Path) -> NameService:
    """A stand-in for getent, for a Hub or a test that has it in its PATH (`environment`)."""
    return NameService(tmp_path / "name-service")
