"""Who ends nox ends all that it runs, and in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.testbed.steps import wait_until

ROOT = Path(__file__).resolve().parents[2]
SLEEPS = '''

PROGRAM = """
import pathlib, signal, sys
def clean(*_):
    pathlib.Path(sys.argv[1] + "-cleaned").touch()
    sys.exit(1)
signal.signal(signal.SIGINT, clean)
pathlib.Path(sys.argv[1] + "-runs").touch()
signal.pause()
"""


@nox.session(venv_backend="none")
def one(session: nox.Session) -> None:
    session.run(sys.executable, "-c", PROGRAM, "one", external=True, interrupt_timeout=PATIENCE)


@nox.session(venv_backend="none")
def two(session: nox.Session) -> None:
    session.run(sys.executable, "-c", PROGRAM, "two", external=True, interrupt_timeout=PATIENCE)


SIDE_BY_SIDE = ["one", "two"]


def newer_python() -> None:
    return None
'''


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
@pytest.mark.parametrize(("session", "parts"), [("one", ["one"]), ("side_by_side", ["one", "two"])])
def test_a_signal_to_nox_alone_ends_its_parts_in_order(
    tmp_path: Path, number: int, session: str, parts: list[str]
) -> None:
    (tmp_path / "noxfile.py").write_text((ROOT / "noxfile.py").read_text() + SLEEPS)
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    with (tmp_path / "log").open("wb") as log:
        nox = subprocess.Popen(
            [sys.executable, "-m", "nox", "-s", session],
            cwd=tmp_path,
            env=os.environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        assert wait_until(lambda: all((tmp_path / f"{part}-runs").exists() for part in parts), 100)
        nox.send_signal(number)
        assert nox.wait(60) != 0
    finally:
        nox.kill()
        nox.wait()
    assert [part for part in parts if not (tmp_path / f"{part}-cleaned").exists()] == []
