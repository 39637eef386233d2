"""Programs that the test bed runs in the background: each in a session of its own, ended by its own id."""

from __future__ import annotations

import atexit
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.testbed.preloaded import Forked, parent
from tests.testbed.steps import TestbedError, wait_until

LOWEST, HIGHEST = 10_000, 19_999
"""Below what the kernel gives to connections and the Engine to containers, so neither takes it first."""
TRIES = 100
RESERVED_PORTS = Path("/proc/sys/net/ipv4/ip_local_reserved_ports")
OWN_PORTS = "32768-32831"
"""The first ones that an Engine gives to containers."""


def free_port(address: str = "127.0.0.1") -> int:
    """A port that nobody listens on now, drawn by lot: other runs of the tests draw at the same time."""
    for _ in range(TRIES):
        port = random.randint(LOWEST, HIGHEST)  # noqa: S311 - no secret
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind((address, port))
            return port
    raise TestbedError(f"No port from {LOWEST} to {HIGHEST} is free at {address}.")


@contextlib.contextmanager
def ports_reserved() -> Iterator[None]:
    """Keep outgoing connections off the ports of containers: while dockerd is dead, nobody holds these."""
    before = RESERVED_PORTS.read_text()
    RESERVED_PORTS.write_text(OWN_PORTS)
    try:
        yield
    finally:
        RESERVED_PORTS.write_text(before)


def outliving(command: Sequence[str], log: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a program that is to run on when this process has ended."""
    with log.open("ab") as stream:
        process = subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    _outliving.append(process)
    return process


_outliving: list[subprocess.Popen[bytes]] = []


@atexit.register
def _leave() -> None:
    for process in _outliving:
        if process.poll() is None:
            # Python warns of a child that is forgotten while it runs.
            process.returncode = 0


class Background:
    """One program with its log. It gets SIGTERM when the thread that started it ends.

    A module of this interpreter that is `preloaded` begins with its imports done.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        env: Mapping[str, str],
        cwd: Path,
        *,
        preloaded: bool = False,
    ) -> None:
        self.name = name
        self.log = log
        self.process: subprocess.Popen[bytes] | Forked
        if preloaded:
            module = command[command.index("-m") + 1 :]
            self.process = parent().start(module[0], module[1:], log, env, cwd)
            return
        setpriv = shutil.which("setpriv")
        guard = [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []
        with log.open("ab") as stream:
            self.process = subprocess.Popen(
                [*guard, *command],
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    def stop(self, seconds: float = 60.0) -> int:
        """SIGTERM and wait; SIGKILL where it does not end in time. Its exit status."""
        if self.alive:
            self.process.terminate()
            try:
                return self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
                message = f"{self.name} did not end within {seconds:.0f} s of SIGTERM; log:\n{self.tail()}"
                raise TestbedError(message) from None
        return self.process.wait()

    def kill(self) -> None:
        """SIGKILL to this one process, none of its children."""
        if self.alive:
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def text(self) -> str:
        """Its whole log."""
        return self.log.read_text(errors="replace")

    def tail(self, lines: int = 40) -> str:
        """The end of its log."""
        return "\n".join(self.text().splitlines()[-lines:])

    def wait_for_port(self, address: str, port: int, seconds: float) -> None:
        """Wait until it listens."""
        wait_until(lambda: _listens(address, port) or not self.alive, seconds, every=0.05)
        if not self.alive or not _listens(address, port):
            raise TestbedError(f"{self.name} does not listen on {address}:{port}; log:\n{self.tail()}")


def _listens(address: str, port: int) -> bool:
    with socket.socket() as sock:
        sock.settimeout(1)
        return sock.connect_ex((address, port)) == 0
