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


@nox.session(venv_backend="none")
def fails(session: nox.Session) -> None:
    session.run(sys.executable, "-c", "open('begun', 'w'); 1 / 0", external=True)


@nox.session(venv_backend="none")
def waits(session: nox.Session) -> None:
    session.run(sys.executable, "-c", "open('begun'); open('waited', 'w')", external=True)


SIDE_BY_SIDE = os.environ["PARTS"].split()
LAST = {"waits"}


def newer_python() -> None:
    return None
'''


def started(folder: Path, session: str, parts: list[str]) -> subprocess.Popen[bytes]:
    """Run nox in a folder, with these parts in place of the project's own."""
    (folder / "noxfile.py").write_text((ROOT / "noxfile.py").read_text() + SLEEPS)
    (folder / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "nox", "-s", session],
            cwd=folder,
            env={**os.environ, "PARTS": " ".join(parts)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
@pytest.mark.parametrize(("session", "parts"), [("one", ["one"]), ("side_by_side", ["one", "two"])])
def test_a_signal_to_nox_alone_ends_its_parts_in_order(
    tmp_path: Path, number: int, session: str, parts: list[str]
) -> None:
    nox = started(tmp_path, session, parts)
    try:
        assert wait_until(lambda: all((tmp_path / f"{part}-runs").exists() for part in parts), 100)
        nox.send_signal(number)
        assert nox.wait(60) != 0
    finally:
        nox.kill()
        nox.wait()
    assert [part for part in parts if not (tmp_path / f"{part}-cleaned").exists()] == []


@pytest.mark.parametrize("parts", [["fails", "waits"], ["waits", "fails"]])
def test_a_part_that_comes_last_begins_when_the_others_have_ended_even_if_they_failed(
    tmp_path: Path, parts: list[str]
) -> None:
    nox = started(tmp_path, "side_by_side", parts)
    try:
        assert nox.wait(100) != 0
    finally:
        nox.kill()
        nox.wait()
    told = (tmp_path / "log").read_text()
    assert "aborted: failed: fails" in told, told
    assert (tmp_path / "waited").exists(), told
