"""One whole spawn in a process of its own, whose threads are counted, over the fake Engine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fake_engine import FakeEngine

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("way", ["unix", "tcp"])
def test_a_spawn_uses_no_executor_and_one_thread(fake: FakeEngine, way: str) -> None:
    command = [sys.executable, "-m", "tests.support.lone_spawn", fake.url, way]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    seen = json.loads(answer.stdout)
    assert (seen["executor"], seen["threads"], seen["polls"]) == (False, 1, [None, 0])
    assert seen["address"]
    assert fake.containers() == []
