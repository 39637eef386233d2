"""What several tests of the pure rooms stand on."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.support import dockerspawner_14 as questions
from tests.support import guards
from tests.support.virtual_time import virtual_time
from tests.testbed.dockerspawner import dockerspawner_python

ROOT = Path(__file__).parents[2]
# No test depends on how fast the machine is, and no change fails by an example that another one's run has not
# met: who looks for new ones says `--hypothesis-profile=exploring`.
settings.register_profile("exploring", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("any-machine", settings.get_profile("exploring"), derandomize=True)
settings.load_profile("any-machine")


@pytest.fixture(scope="module", autouse=True)
def no_socket() -> Iterator[None]:
    """Fail a test that opens a connection or listens: such a test belongs to those with an Engine."""
    with guards.no_sockets():
        yield


@pytest.fixture
async def virtual() -> AsyncIterator[None]:
    """Let time go by only while everybody waits for it."""
    with virtual_time(asyncio.get_running_loop()):
        yield


@pytest.fixture(scope="session")
def theirs() -> dict[str, Any]:
    """DockerSpawner 14's answers, from the environment in which it is installed."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(Path.home())}
    done = subprocess.run(
        [dockerspawner_python(), "-m", str(questions.__name__)],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
        timeout=120,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found
