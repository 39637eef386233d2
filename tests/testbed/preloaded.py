"""Programs of this interpreter that begin with their imports done: forked from a process that has done them.

Importing JupyterHub takes most of the CPU time of a Hub's start, and the tests start hundreds.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from tests.testbed.steps import TestbedError

IMPORTED = ("jupyterhub.app", "asyncdockerspawner")
READY_SECONDS = 120.0
"""How long the imports may take."""


class Forked:
    """A forked program, with as much of `subprocess.Popen` as the test bed uses."""

    def __init__(self, parent: Parent, pid: int) -> None:
        self._parent = parent
        self._status: int | None = None
        self.pid = pid

    def poll(self) -> int | None:
        """Its exit status (negative: the signal that ended it), or None while it runs."""
        if self._status is None:
            self._status = self._parent.status_of(self.pid)
        return self._status

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises subprocess.TimeoutExpired."""
        end = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if end is not None and time.monotonic() >= end:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            time.sleep(0.02)
        return status

    def terminate(self) -> None:
        """Send SIGTERM."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)


class Parent:
    """The process that has imported everything and forks; its programs get SIGTERM when this one ends."""

    def __init__(self) -> None:
        self._socket, its = socket.socketpair()
        with its:
            # It reads the end of the socket when this process ends, however that comes about.
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(its.fileno())],
                pass_fds=[its.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._begun: list[int] = []
        self._ended: dict[int, int] = {}
        self._rest = b""
        atexit.register(self.close)

    def start(
        self, module: str, words: Sequence[str], log: Path, env: Mapping[str, str], cwd: Path
    ) -> Forked:
        """Run `python -m MODULE WORDS…` in a session of its own; `log` gets what it says."""
        wanted = {"module": module, "words": list(words), "log": str(log), "env": dict(env), "cwd": str(cwd)}
        self._socket.sendall(json.dumps(wanted).encode() + b"\n")
        while not self._begun:
            self._take(READY_SECONDS)
        return Forked(self, self._begun.pop())

    def status_of(self, pid: int) -> int | None:
        """The exit status of a program that has ended."""
        while pid not in self._ended and self._take(0):
            pass
        return self._ended.get(pid)

    def close(self) -> None:
        """End the process and all its programs."""
        self._socket.close()
        self._process.wait()

    def _take(self, seconds: float) -> bool:
        """Take in what the process tells, if it does within so many seconds."""
        if not select.select([self._socket], [], [], seconds)[0]:
            return False
        if not (read := self._socket.recv(65536)):
            raise TestbedError(f"The process that starts Hubs has ended with {self._process.wait()}.")
        *lines, self._rest = (self._rest + read).split(b"\n")
        for line in lines:
            told = json.loads(line)
            if "begun" in told:
                self._begun.append(told["begun"])
                # The number may have been another's.
                self._ended.pop(told["begun"], None)
            else:
                self._ended[told["ended"]] = told["status"]
        return True


@functools.cache
def parent() -> Parent:
    """The one of this process."""
    return Parent()


def serve(descriptor: int) -> dict[str, Any]:
    """Fork for each line that comes. Returns in the forked process only, with what it is to run."""
    running: set[int] = set()
    with _ends_of_children() as wake, socket.socket(fileno=descriptor) as ours, ours.makefile("rw") as lines:
        while True:
            ready = select.select([ours, wake], [], [])[0]
            if wake in ready:
                wake.recv(4096)
                for pid, status in _ended(running):
                    lines.write(json.dumps({"ended": pid, "status": status}) + "\n")
            if ours in ready:
                # One line at a time: it is answered before the next one is sent.
                line = lines.readline()
                if not line:
                    _end(running)
                pid = os.fork()
                if not pid:
                    wanted: dict[str, Any] = json.loads(line)
                    return wanted
                running.add(pid)
                lines.write(json.dumps({"begun": pid}) + "\n")
            lines.flush()


@contextlib.contextmanager
def _ends_of_children() -> Iterator[socket.socket]:
    """Give what can be read when a child has ended."""
    wake, waker = socket.socketpair()
    with wake, waker:
        waker.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker.fileno())
        yield wake
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _ended(running: set[int]) -> list[tuple[int, int]]:
    found = [(pid, os.waitpid(pid, os.WNOHANG)) for pid in running]
    ended = [(pid, os.waitstatus_to_exitcode(status)) for pid, (gone, status) in found if gone]
    running.difference_update(pid for pid, _ in ended)
    return ended


def _end(running: set[int]) -> NoReturn:
    for pid in running:
        os.kill(pid, signal.SIGTERM)
    sys.exit()


def become(wanted: Mapping[str, Any]) -> None:
    """Have the environment, the folder, the output and the session of the program."""
    os.setsid()
    os.chdir(wanted["cwd"])
    os.environ.clear()
    os.environ.update(wanted["env"])
    # As `python -m` has it.
    sys.path[0] = wanted["cwd"]
    log = os.open(wanted["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for number in (1, 2):
        os.dup2(log, number)
    os.close(log)


def main() -> None:
    """Import, then serve; in each forked process, run what is wanted."""
    for name in IMPORTED:
        importlib.import_module(name)
    # Objects that are there for good are then shared with all that is forked.
    gc.freeze()
    wanted = serve(int(sys.argv[1]))
    become(wanted)
    sys.argv = [wanted["module"], *wanted["words"]]
    runpy.run_module(wanted["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
