"""What the project checks, shows and measures; `nox` without arguments runs all that must be green."""

from __future__ import annotations

import atexit
import itertools
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import NoReturn

import nox

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "uv"
nox.options.reuse_venv = "yes"
nox.options.error_on_external_run = True
nox.options.sessions = ["lint", "layers", "side_by_side"]


def end(number: int, _frame: object) -> NoReturn:
    """End on SIGINT and SIGTERM, and have the programs that run clean up.

    A program that ctrl-C in a terminal has reached is not told twice: that would break off its cleaning.
    """
    told = number == signal.SIGINT and in_foreground()
    tasks = Path("/proc/self/task")
    for children in tasks.glob("*/children"):
        for pid in map(int, children.read_text().split()):
            if not told or os.getpgid(pid) != os.getpgrp():
                os.kill(pid, signal.SIGINT)
    raise KeyboardInterrupt


def in_foreground() -> bool:
    """Tell whether a terminal's ctrl-C reaches this process."""
    try:
        with open("/dev/tty") as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False


for each in (signal.SIGINT, signal.SIGTERM):
    signal.signal(each, end)
# Where Python may keep no bytecode, each of hundreds of Hubs compiles all that it imports: half of its start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

PROJECT = nox.project.load_toml("pyproject.toml")
HUBS = {"6": "jupyterhub>=6,<7", "5": "jupyterhub>=5.3,<6"}
PATIENCE = 180
"""Seconds that ctrl-C leaves a program to stop what it started; nox's own 0.3 would leave containers."""
NOX = [sys.executable, "-m", "nox", "-s"]
SIDE_BY_SIDE = [
    "hub_6(faults)", "hub_6(migration)", "hub_6(usual)", "engine", "hub_5", "newest", "browser", "swarm",
    "small_bench", "fake", "newer", "unit", "types",
]  # fmt: skip
"""First what mostly waits; then what only needs CPU time."""
GIVE_WAY = {"fake", "newer", "unit", "small_bench", "types"}
"""Parts that leave half of the CPU time to others."""
LAST = {"swarm"}
"""Parts that run beside those alone: a swarm's nodes that get no CPU time are taken for dead."""
AT_ONCE = 5
"""More are no faster on two cores, and keep each other waiting until their limits."""
SAID_AGAIN = 60  # last lines of a part that failed, told once more at the end: others have buried them
EVERYWHERE = ["client_*", "docker_py*", "fake_engine_answers", "lifecycle*"]
"""What is tested over each Engine: files of tests/engine."""
WITHOUT_A_REAL_ENGINE = [
    "lifecycle*", "lone_spawn", "readiness_probe", "reconcile", "service_source", "start_slot_limits",
    "swarm_*", "watch_stream",
]  # fmt: skip
"""What is tested over the fake Engine with the newest Python: files of tests/engine."""
UP = ["python", "-m", "tests.testbed", "up"]
NEWEST_ENGINE = ["python", "-m", "tests.testbed", "run"]
OF_SMALL_BENCH = "benchmarks_load"  # needs a Hub, but is not in `hub_6`, which takes longest already
FAULTS = ["cancelled_starts", "container_faults", "engine_faults", "failed_starts", "hub_restart"]
OF_HUB_6 = {"faults": FAULTS, "migration": ["migration"], "usual": list[str]()}
"""Part → files of tests/hub; "usual" has those of no other part."""
PURE = PROJECT["tool"]["asyncdockerspawner"]["pure"]
REACHED = {"lifecycle": 94, "engine": 98, "workloads": 95}
"""Percent of each folder's lines that the tests of the part `newer` reach at least."""


def group(name: str) -> tuple[str, ...]:
    """Read the requirements of one dependency group."""
    return nox.project.dependency_groups(PROJECT, name)


@cache
def wheel_folder() -> Path:
    """Make the folder of this run's wheel."""
    folder = tempfile.mkdtemp(prefix="wheel-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def install(session: nox.Session, *groups: str, hub: str = "6") -> None:
    """Install the project's wheel, built once in each run of nox, with one Hub and these groups.

    Not in editable mode: what is missing in the wheel shall be missing in the tests.
    """
    if not list(wheel_folder().glob("*.whl")):
        session.run_install("uv", "build", "--wheel", "--quiet", "--out-dir", str(wheel_folder()), ".")
    wheels = [str(wheel) for wheel in wheel_folder().glob("*.whl")]
    session.install(*wheels, HUBS[hub], *(entry for name in groups for entry in group(name)))


def run_tests(session: nox.Session, *what: str, through: Sequence[str] = (), fake: str = "") -> None:
    """Run these tests in a temporary folder of their own: pytest tidies up the one that all runs share."""
    with tempfile.TemporaryDirectory(prefix="pytest-") as folder:
        words = [*through, "pytest", f"--basetemp={folder}/t", *(session.posargs or what)]
        session.run(*words, interrupt_timeout=PATIENCE, env={"FAKE_ENGINE": fake})


def files(names: Iterable[str], folder: str = "engine") -> list[str]:
    """Find files of a folder of tests."""
    return sorted(str(path) for name in names for path in Path("tests", folder).glob(f"test_{name}.py"))


def newer_python() -> str | None:
    """Find the newest Python of this machine that is newer than the oldest one that is supported."""
    for version in ("3.14", "3.13", "3.12"):
        of_pyenv = map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
        for python in filter(None, [shutil.which(f"python{version}"), *of_pyenv]):
            # One of pyenv's names may stand for nothing.
            if not subprocess.run([python, "--version"], capture_output=True, check=False).returncode:
                return python
    return None


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
    """Test the rooms that need no Engine; the pure ones have every branch covered.

    With words for pytest, as in `-- tests/unit/test_labels.py`, nothing is measured.
    """
    install(session, "test")
    if session.posargs:
        named = any(Path(word.partition("::")[0]).exists() for word in session.posargs)
        session.run("pytest", *([] if named else ["tests/unit"]), *session.posargs)
        return
    session.env["COVERAGE_FILE"] = f"{session.create_tmp()}/coverage"
    session.run("coverage", "erase")
    session.run("coverage", "run", "--branch", "-m", "pytest", "tests/unit")
    session.run("coverage", "combine", "--quiet")
    pure = ",".join(f"src/asyncdockerspawner/{room}.py" for room in PURE)
    session.run("coverage", "report", f"--include={pure}", "--fail-under=100")


@nox.session(venv_backend="none")
def side_by_side(session: nox.Session) -> None:
    """Run what takes long a few at a time: much of the time, the parts with an Engine wait.

    Not by nox's own `--parallel`: two seconds after ctrl-C it kills what still cleans up.
    """
    waiting = deque(name for name in SIDE_BY_SIDE if name != "newer" or newer_python())
    # All environments stand before any test begins.
    session.run(*NOX, *waiting, "--install-only", external=True)
    failed: list[Part] = []
    with selectors.DefaultSelector() as running:
        try:
            run_all(running, waiting, failed)
        except KeyboardInterrupt:
            # Those that run have been told, and clean up.
            waiting.clear()
            run_all(running, waiting, failed)
            raise
    for part in failed:
        print(f"\nHow {part.name} ended:", *part.last, sep="\n", flush=True)
    if failed:
        tests = "".join(f"\n{part.name:7} | {each}" for part in failed for each in part.failed)
        session.error(f"failed: {', '.join(part.name for part in failed)}{tests}")


class Part:
    """One session in a process of its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [*NOX, name, "--no-install"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        if name in GIVE_WAY:
            give_way(self.process.pid)
        self.last: deque[str] = deque(maxlen=SAID_AGAIN)
        self.failed: list[str] = []
        self._rest = b""

    def pass_on(self, descriptor: int) -> bool:
        """Tell what it says, each line with its name; False once it has ended."""
        said = os.read(descriptor, 65536)
        *lines, self._rest = (self._rest + said).split(b"\n")
        for text in (line.decode(errors="replace") for line in lines):
            self.last.append(f"{self.name:7} | {text}")
            if text.startswith(("FAILED tests", "ERROR tests")):
                self.failed.append(text[:200])
            print(self.last[-1], flush=True)
        return bool(said)


def give_way(pid: int, niceness: int = 3) -> None:
    """Have a process that leads a session, and what it will start, leave the CPU to others."""
    # Linux shares it among sessions before niceness counts, where the autogroups of sched(7) are on.
    os.setpriority(os.PRIO_PROCESS, pid, niceness)
    autogroup = Path(f"/proc/{pid}/autogroup")
    if autogroup.exists():
        autogroup.write_text(str(niceness))


def run_all(running: selectors.BaseSelector, waiting: deque[str], failed: list[Part]) -> None:
    """Run those that wait, in their order, until all have ended."""
    while waiting or running.get_map():
        while len(running.get_map()) < AT_ONCE and (name := next_of(running, waiting)):
            waiting.remove(name)
            part = Part(name)
            assert part.process.stdout is not None
            running.register(part.process.stdout, selectors.EVENT_READ, part)
        for key, _ in running.select():
            part = key.data
            if not part.pass_on(key.fd):
                running.unregister(key.fileobj)
                if part.process.wait():
                    failed.append(part)


def next_of(running: selectors.BaseSelector, waiting: Iterable[str]) -> str:
    """Find the first that may begin now; "" where none may."""
    unfinished = {*waiting, *(key.data.name for key in running.get_map().values())}
    return next((name for name in waiting if name not in LAST or unfinished <= {name, *GIVE_WAY}), "")


@nox.session
def fake(session: nox.Session) -> None:
    """Test client, Engine and lifecycle over the fake Engine, but for what the part `newer` tests."""
    install(session, "test")
    elsewhere = [f"--ignore={file}" for file in files(WITHOUT_A_REAL_ENGINE if newer_python() else ())]
    run_tests(session, "tests/engine", "-m", "fake_engine", *elsewhere)


@nox.session
def engine(session: nox.Session) -> None:
    """Test client, Engine and lifecycle over a real Engine, and what brings it up."""
    install(session, "test")
    session.run(*UP)
    run_tests(session, "tests/engine", "tests/testbed", "-m", "not fake_engine and not swarm")


@nox.session
def newest(session: nox.Session) -> None:
    """Test client and lifecycle, and what the fake Engine answers, over the newest Engine of Debian."""
    install(session, "test")
    session.run(*UP, "--newest")
    run_tests(session, *files(EVERYWHERE), "-m", "real_engine", through=NEWEST_ENGINE)


@nox.session
@nox.parametrize("part", [nox.param(name, id=name) for name in OF_HUB_6])
def hub_6(session: nox.Session, part: str) -> None:
    """Test with a real Hub, the newest 6.x."""
    install(session, "test", "browser")
    session.run(*UP, "--singleuser", "--hub-image", "--dockerspawner", "--newest")
    elsewhere = [OF_SMALL_BENCH, *itertools.chain.from_iterable(OF_HUB_6.values())]
    usual = ["tests/hub", *(f"--ignore={file}" for file in files(elsewhere, "hub"))]
    what = files(OF_HUB_6[part], "hub") or usual
    run_tests(session, *what, "-m", "not browser and not swarm", through=NEWEST_ENGINE)


@nox.session
def browser(session: nox.Session) -> None:
    """Test what users see of a real Hub in a real browser."""
    install(session, "test", "browser")
    session.run(*UP, "--singleuser", "--newest", "--browser")
    run_tests(session, "tests/hub", "-m", "browser and not swarm", through=NEWEST_ENGINE)


@nox.session
def swarm(session: nox.Session) -> None:
    """Test over a real swarm of two nodes, with Debian 12's Engine and the newest."""
    install(session, "test", "browser")
    session.run(*UP, "--singleuser", "--hub-image", "--dockerspawner", "--browser", "--swarm")
    run_tests(session, "tests/testbed", "tests/engine", "tests/hub", "-m", "swarm")


@nox.session
def hub_5(session: nox.Session) -> None:
    """Test with a real Hub, the newest 5.x, where it differs from 6.x."""
    install(session, "test", "browser", hub="5")
    session.run(*UP, "--singleuser", "--dockerspawner")
    run_tests(session, "tests/hub", "-m", "hub_5", fake="20.10")


@nox.session(python=newer_python())
def newer(session: nox.Session) -> None:
    """Test with a newer Python, where this machine has one, what needs no real Engine.

    How much of lifecycle, engine and workloads is reached is measured here: older Pythons would take half as
    much time again for it. Where tests are named, no share is demanded.
    """
    install(session, "test")
    session.env.update(COVERAGE_FILE=f"{session.create_tmp()}/coverage", COVERAGE_CORE="sysmon")
    session.run("coverage", "erase")
    what = ["tests/unit", *files(WITHOUT_A_REAL_ENGINE), "-m", "not real_engine and not swarm"]
    run_tests(session, *what, through=["coverage", "run", "-m"], fake="20.10")
    session.run("coverage", "combine", "--quiet")
    for folder, least in [] if session.posargs else REACHED.items():
        included = f"--include=src/asyncdockerspawner/{folder}/*"
        session.run("coverage", "report", "--skip-covered", included, f"--fail-under={least}")


@nox.session
def demo(session: nox.Session) -> None:
    """Bring up Engine, image, proxy and a Hub on http://127.0.0.1:8000."""
    install(session, "test")
    session.run("python", "-m", "tests.testbed.demo", *session.posargs, interrupt_timeout=PATIENCE)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure this spawner, DockerSpawner 14 and the bare Engine in one run on one Engine."""
    install(session, "test")
    measure = ["python", "-m", "benchmarks", *session.posargs]
    session.run(*measure, interrupt_timeout=PATIENCE)
    if "--all" in session.posargs and not {"--list", "--report"} & {*session.posargs}:
        session.run(*UP, "--newest")
        session.run(*NEWEST_ENGINE, *measure, "--newest", interrupt_timeout=PATIENCE)


@nox.session
def small_bench(session: nox.Session) -> None:
    """See that every case of the benchmarks works, with next to nothing in it: no time is judged."""
    install(session, "test")
    session.run(*UP, "--singleuser", "--dockerspawner")
    both = (f"--only={name}" for name in ("storm", "polls", "hub-storm"))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for words in (["--all", "--spawner", "ours"], both):
            small = ["python", "-m", "benchmarks", "--small", "--results", folder, *words]
            session.run(*small, interrupt_timeout=PATIENCE)
    run_tests(session, *files([OF_SMALL_BENCH], "hub"))


@nox.session
def load(session: nox.Session) -> None:
    """Put a load on a Hub of your own: `-- --url https://… --users 50`, with JUPYTERHUB_API_TOKEN set."""
    install(session, "test")
    # Thousands of users take long to remove.
    session.run("python", "-m", "benchmarks.load", *session.posargs, interrupt_timeout=10 * PATIENCE)


@nox.session
def faults(session: nox.Session) -> None:
    """Let every fault hit every request of every operation; the usual tests try a twelfth of them."""
    install(session, "test")
    session.env["FAULT_MATRIX_SHARE"] = "1"
    run_tests(session, "tests/engine/test_fault_matrix.py", "tests/engine/test_fault_matrix_services.py")


@nox.session
def soak(session: nox.Session) -> None:
    """Spawn and stop thousands of times in one process: nothing fails, nothing is left, nothing grows."""
    install(session, "test")
    session.run("python", "-m", "benchmarks.soak", *session.posargs, interrupt_timeout=PATIENCE)
