"""Helper programs, run without a thread: posix_spawn, a pidfd, and pipes in the loop.

Needs Linux 5.3 for the pidfd. Not asyncio's own subprocesses: on Python 3.11 they wait in a thread unless the
whole process is given a PidfdChildWatcher, which forgets all programs that run whenever somebody attaches a
loop (https://github.com/python/cpython/blob/3.11/Lib/asyncio/unix_events.py).
And whoever is cancelled while asyncio starts a program leaves that program's children behind.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from asyncdockerspawner.errors import ProgramFailed

LIMIT = 2**20
"""Bytes that a program may say on each of its two outputs."""

_CHUNK = 2**16
_KILL_TIMEOUT = 1.0
"""A killed program is waited for so long; one that hangs in the kernel is reaped whenever it ends."""

_STATUS_LOST = 255


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: its exit code, or minus the signal's number, and what it said."""

    code: int
    stdout: bytes = field(repr=False)
    stderr: bytes = field(repr=False)


async def run(
    command: Sequence[str],
    *,
    environ: Mapping[str, str],
    timeout: float,
    stdin: bytes = b"",
    limit: int = LIMIT,
) -> Ended:
    """Run a program from `environ`'s PATH to its end and return what it said.

    Raises ProgramFailed where it cannot be run, is not done after `timeout` seconds, or says more than
    `limit` bytes. Cancelled or failed, the program and its process group are killed and reaped.
    """
    path = shutil.which(command[0], path=environ.get("PATH", os.defpath))
    if path is None:
        raise ProgramFailed(f"The program {command[0]} is not on the PATH of the Hub's user.")
    if not hasattr(os, "pidfd_open"):
        raise ProgramFailed(f"The program {command[0]} cannot be run: this needs Linux.")
    program = _Program(path, command, environ, stdin, limit)
    try:
        async with asyncio.timeout(timeout):
            return await program.ended()
    except TimeoutError:
        raise ProgramFailed(f"The program {command[0]} was not done within {timeout:g} s.") from None
    finally:
        await program.halt()


class _Program:
    """One run of a program; all happens in callbacks of the loop, so it is reaped even if nobody waits."""

    def __init__(
        self, path: str, command: Sequence[str], environ: Mapping[str, str], stdin: bytes, limit: int
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._name = command[0]
        self._limit = limit
        self._unsent = memoryview(stdin)
        self._over = asyncio.Event()
        self._reaped = asyncio.Event()
        self._too_much = False
        self._code = _STATUS_LOST
        self._start(path, command, environ)

    async def ended(self) -> Ended:
        """Wait for the end. Raises ProgramFailed where the program says too much."""
        await self._over.wait()
        if self._too_much:
            raise ProgramFailed(f"The program {self._name} said more than {self._limit} bytes.")
        stdout, stderr = (bytes(said) for said in self._said.values())
        return Ended(self._code, stdout, stderr)

    async def halt(self) -> None:
        """Kill the program unless it has ended, and leave no pipe."""
        for pipe in list(self._pipes):
            self._close(pipe)
        if not self._reaped.is_set():
            # Not reaped, so the number still is its own: with it go the children of a script.
            with suppress(ProcessLookupError):
                os.killpg(self._pid, signal.SIGKILL)
            with suppress(TimeoutError):
                async with asyncio.timeout(_KILL_TIMEOUT):
                    await self._reaped.wait()

    def _start(self, path: str, command: Sequence[str], environ: Mapping[str, str]) -> None:
        with ExitStack() as theirs, ExitStack() as ours:
            try:
                # In this order no end of a later pipe is 0, 1 or 2, even where the Hub has closed those.
                stdin, self._stdin = _pipe(theirs, ours)
                out, stdout = _pipe(ours, theirs)
                err, stderr = _pipe(ours, theirs)
                self._pid = _spawned(path, command, environ, (stdin, stdout, stderr))
                self._pidfd = _watched(self._pid)
            except (OSError, ValueError) as exc:
                reason = exc.strerror if isinstance(exc, OSError) else exc
                raise ProgramFailed(f"The program {path} cannot be run: {reason}.") from exc
            ours.pop_all()
        self._pipes = {self._stdin, out, err}
        self._said = {out: bytearray(), err: bytearray()}
        for pipe in self._pipes:
            os.set_blocking(pipe, False)
        self._loop.add_reader(self._pidfd, self._reap)
        for pipe in self._said:
            self._loop.add_reader(pipe, self._read, pipe)
        self._loop.add_writer(self._stdin, self._write)

    def _reap(self) -> None:
        try:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
        except ChildProcessError:
            # Somebody in this process reaps every child.
            pass
        else:
            if not pid:
                return
            self._code = os.waitstatus_to_exitcode(status)
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        # Its last words are in the pipes; their end may never come where a child of its own keeps them open.
        for pipe in self._said:
            while self._read(pipe):
                pass
        self._reaped.set()
        self._over.set()

    def _read(self, pipe: int) -> bool:
        """Read what a pipe has; returns whether there may be more at once."""
        if pipe not in self._pipes:
            return False
        try:
            chunk = os.read(pipe, _CHUNK)
        except BlockingIOError:
            return False
        self._said[pipe] += chunk
        if len(self._said[pipe]) > self._limit:
            self._too_much = True
            self._over.set()
        if not chunk or self._too_much:
            self._close(pipe)
        return pipe in self._pipes

    def _write(self) -> None:
        try:
            self._unsent = self._unsent[os.write(self._stdin, self._unsent) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            # It does not want to know; what it says then is its answer.
            self._unsent = self._unsent[:0]
        if not self._unsent:
            self._close(self._stdin)

    def _close(self, pipe: int) -> None:
        self._pipes.remove(pipe)
        self._loop.remove_reader(pipe)
        self._loop.remove_writer(pipe)
        os.close(pipe)


def _pipe(read_by: ExitStack, written_by: ExitStack) -> tuple[int, int]:
    """Make a pipe that no program inherits by itself."""
    read_end, write_end = os.pipe()
    read_by.callback(os.close, read_end)
    written_by.callback(os.close, write_end)
    return read_end, write_end


def _spawned(path: str, command: Sequence[str], environ: Mapping[str, str], ends: Sequence[int]) -> int:
    return os.posix_spawn(
        path,
        [*command],
        {**environ},
        file_actions=[(os.POSIX_SPAWN_DUP2, end, number) for number, end in enumerate(ends)],
        # A session of its own: no terminal to ask a password at, and one process group to kill.
        setsid=True,
        setsigmask=(),
        # Python ignores these, and what is ignored would be inherited.
        setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
    )


def _watched(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except OSError:
        # An old kernel, or a sandbox that forbids it. A killed program is waited for without delay.
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
