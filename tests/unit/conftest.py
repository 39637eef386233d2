"""What several tests of the pure rooms stand on."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support import dockerspawner_14 as questions
from tests.testbed.dockerspawner import dockerspawner_python


@pytest.fixture(scope="session")
def theirs() -> dict[str, Any]:
    """DockerSpawner 14's answers, from the environment in which it is installed."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(Path.home())}
    program = Path(questions.__file__)
    done = subprocess.run(
        [dockerspawner_python(), program], env=environment, check=True, capture_output=True, timeout=120
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found
