"""What all rooms of the test bed share: telling the user, running programs, one cache folder, one lock."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

PROGRESS_EVERY = 5.0
TAIL = 30
_held: list[str] = []


class TestbedError(Exception):
    """A part could not be brought up; the message says which and what to do."""

    __test__ = False


def cache_dir(*parts: str) -> Path:
    """A folder under the cache of this project, made where it is missing."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base.joinpath("asyncdockerspawner", *(parts or ("testbed",)))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def say(text: str) -> None:
    """One line to the user, at once."""
    print(text, flush=True)


@contextlib.contextmanager
def step(what: str) -> Iterator[None]:
    """Say what is done and, at its end, how long it took."""
    say(f"* {what} ...")
    begin = time.monotonic()
    try:
        yield
    except BaseException:
        say(f"  failed after {time.monotonic() - begin:.1f} s: {what}")
        raise
    say(f"  done in {time.monotonic() - begin:.1f} s")


def throttled(every: float = PROGRESS_EVERY) -> Callable[[str], None]:
    """A `say` for long streams: the first line after each pause of `every` seconds."""
    last = time.monotonic()

    def tell(line: str) -> None:
        nonlocal last
        if line.strip() and time.monotonic() - last >= every:
            last = time.monotonic()
            say(f"  ... {line.strip()[:100]}")

    return tell


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    advice: str = "",
) -> str:
    """Run a program to its end, telling a line of its output now and then; its output is returned."""
    words = [str(word) for word in command]
    tell = throttled()
    lines: list[str] = []
    try:
        process = subprocess.Popen(
            words,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except FileNotFoundError as error:
        raise TestbedError(f"The program {words[0]!r} is missing. {advice}".strip()) from error
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            tell(line)
    if process.returncode:
        tail = "".join(lines[-TAIL:])
        raise TestbedError(f"{' '.join(words)} ended with {process.returncode}. {advice}\n{tail}")
    return "".join(lines)


@contextlib.contextmanager
def meanwhile(command: Sequence[str | Path], what: str) -> Iterator[None]:
    """Run a program beside what the body does, and wait for it; its output is told only if it fails."""
    words = [str(word) for word in command]
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=output, stderr=output) as process:
            try:
                yield
            except BaseException:
                process.terminate()
                raise
            with step(what):
                process.wait()
        if process.returncode:
            output.seek(0)
            tail = "".join(output.readlines()[-TAIL:])
            raise TestbedError(f"{' '.join(words)} ended with {process.returncode}.\n{tail}")


@contextlib.contextmanager
def lock(name: str) -> Iterator[None]:
    """One maker at a time: a second process waits and then finds the part made. Re-entrant in one process."""
    if name in _held:
        yield
        return
    with (cache_dir() / f"{name}.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"* waiting for another process, which has the lock {name!r} ...")
            fcntl.flock(handle, fcntl.LOCK_EX)
        _held.append(name)
        try:
            yield
        finally:
            _held.remove(name)


def wait_until(check: Callable[[], bool], seconds: float, *, every: float = 0.1) -> bool:
    """Whether `check` became true within the time."""
    end = time.monotonic() + seconds
    while not check():
        if time.monotonic() >= end:
            return False
        time.sleep(every)
    return True


def pip() -> list[str]:
    """A pip that reads this machine's own configuration: the interpreter's, else one in the cache."""
    own = [sys.executable, "-m", "pip"]
    if subprocess.run([*own, "--version"], capture_output=True, check=False).returncode == 0:
        return own
    home = cache_dir("testbed", "pip")
    python = home / "bin" / "python"
    with lock("pip"):
        if not (home / "bin" / "pip").exists():
            base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
            maker = str(base) if base.exists() else sys.executable
            run([maker, "-m", "venv", home], advice="On Debian the package python3-venv is needed.")
    return [str(python), "-m", "pip"]
