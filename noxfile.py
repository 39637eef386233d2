"""What the project checks, shows and measures; `nox` without arguments runs all that must be green."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import tempfile

import nox

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.error_on_external_run = True
nox.options.sessions = ["lint", "layers", "side_by_side"]

PROJECT = nox.project.load_toml("pyproject.toml")
HUBS = {"6": "jupyterhub>=6,<7", "5": "jupyterhub>=5.3,<6"}
PATIENCE = 180
"""Seconds that ctrl-C leaves a program to stop what it started; nox's own 0.3 would leave containers."""
SIDE_BY_SIDE = ["types", "unit", "engine", "hub_6", "hub_5"]
LIFECYCLE = ["tests/engine/test_lifecycle.py", "tests/engine/test_lifecycle_cancelled.py"]
PURE = [
    "errors", "jsontypes", "templating", "references", "naming", "labels", "spec/*", "status", "endpoint",
    "drift", "progress", "choice", "options_form", "credentials", "redact", "recipe", "engine/table",
]  # fmt: skip


def group(name: str) -> tuple[str, ...]:
    """Read the requirements of one dependency group."""
    return nox.project.dependency_groups(PROJECT, name)


def install(session: nox.Session, *groups: str, hub: str = "6") -> None:
    """Install the project with one Hub and these groups."""
    session.install("-e", ".", HUBS[hub], *(entry for name in groups for entry in group(name)))


def test(session: nox.Session, *what: str) -> None:
    """Run these tests in a temporary folder of their own: pytest tidies up the one that all runs share."""
    with tempfile.TemporaryDirectory(prefix="pytest-") as folder:
        words = [f"--basetemp={folder}/t", *(session.posargs or what)]
        session.run("pytest", *words, interrupt_timeout=PATIENCE)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting."""
    session.install(*group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def layers(session: nox.Session) -> None:
    """Check that each room imports only from the floors below it."""
    install(session, "layers")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Check types."""
    install(session, "dev")
    session.run("mypy", *session.posargs)


@nox.session
def unit(session: nox.Session) -> None:
    """Test the rooms that need no Engine; the pure ones have every branch covered."""
    install(session, "test")
    data = {"COVERAGE_FILE": f"{session.create_tmp()}/coverage"}
    session.run("coverage", "erase", env=data)
    session.run("coverage", "run", "-m", "pytest", "tests/unit", *session.posargs, env=data)
    session.run("coverage", "combine", "--quiet", env=data)
    pure = ",".join(f"src/asyncdockerspawner/{room}.py" for room in PURE)
    session.run("coverage", "report", f"--include={pure}", "--fail-under=100", env=data)


@nox.session(venv_backend="none")
def side_by_side(session: nox.Session) -> None:
    """Run types, unit, engine, hub_6 and hub_5 at once: much of the time, the last three wait."""
    running = {
        name: subprocess.Popen(
            [sys.executable, "-m", "nox", "-s", name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for name in SIDE_BY_SIDE
    }
    try:
        pass_on(running)
    except KeyboardInterrupt:
        # They have heard of it too, and clean up.
        pass_on(running)
        raise
    failed = [name for name, process in running.items() if process.wait()]
    if failed:
        session.error(f"failed: {', '.join(failed)}")


def pass_on(running: dict[str, subprocess.Popen[bytes]]) -> None:
    """Tell what these say until they have ended, each line with the name of who said it."""
    with selectors.DefaultSelector() as selector:
        for name, process in running.items():
            assert process.stdout is not None
            selector.register(process.stdout, selectors.EVENT_READ, name)
        rest = dict.fromkeys(running, b"")
        while selector.get_map():
            for key, _ in selector.select():
                said = os.read(key.fd, 65536)
                *lines, rest[key.data] = (rest[key.data] + said).split(b"\n")
                for line in lines:
                    print(f"{key.data:6} | {line.decode(errors='replace')}", flush=True)
                if not said:
                    selector.unregister(key.fileobj)


@nox.session
def engine(session: nox.Session) -> None:
    """Test client, Engine and lifecycle over the fake Engine and over a real one."""
    install(session, "test")
    session.run("python", "-m", "tests.testbed", "up")
    test(session, "tests/engine", "tests/testbed")


@nox.session
def hub_6(session: nox.Session) -> None:
    """Test with a real Hub, the newest 6.x."""
    install(session, "test", "browser")
    session.run("python", "-m", "tests.testbed", "up", "--singleuser")
    test(session, "tests/hub")


@nox.session
def hub_5(session: nox.Session) -> None:
    """Test with a real Hub, the newest 5.x, and the lifecycle on it."""
    install(session, "test", "browser", hub="5")
    session.run("python", "-m", "tests.testbed", "up", "--singleuser")
    test(session, "tests/hub", *LIFECYCLE)


@nox.session
def demo(session: nox.Session) -> None:
    """Bring up Engine, image, proxy and a Hub on http://127.0.0.1:8000."""
    install(session, "test")
    session.run("python", "-m", "tests.testbed.demo", *session.posargs, interrupt_timeout=PATIENCE)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure this spawner and DockerSpawner 14 in one run on one Engine."""
    install(session, "test")
    session.run("python", "-m", "benchmarks", *session.posargs, interrupt_timeout=PATIENCE)


@nox.session
def soak(session: nox.Session) -> None:
    """Spawn and stop thousands of times in one process: nothing fails, nothing is left, nothing grows."""
    install(session, "test")
    session.run("python", "-m", "benchmarks.soak", *session.posargs, interrupt_timeout=PATIENCE)
