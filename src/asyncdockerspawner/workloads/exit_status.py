"""How a server's process ended, in words for its user and for the administrator. Pure."""

from __future__ import annotations

from dataclasses import dataclass

NOT_RUN = 125
"""The exit code of what could not be run at all, as docker gives it."""
_REASONS = {
    NOT_RUN: "the Engine could not run the container",
    126: "the command cannot be executed",
    127: "command not found",
    137: "stopped by force, or the machine ran out of memory",
    139: "segmentation fault",
    143: "asked to stop",
}
_ADVICE = {
    126: "Check `cmd`: the image has no such program, or it may not be executed.",
    127: "Check `cmd`: the image has no such program. A single-user image has `jupyterhub-singleuser`.",
}
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_LAST_SIGNAL = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitStatus:
    """How a server's process ended, or why it never started."""

    code: int
    oom_killed: bool = False
    error: str = ""
    """The Engine's sentence where it could not start the process."""
    finished_at: str = ""
    """As the Engine writes it."""
    memory_limit: int = 0
    """Bytes; 0 is no limit."""
    cause: str = ""
    """What has ended it, or kept it from starting, if that was not its process: goes behind "The server"."""
    cure: str = ""
    """What an administrator can do about that cause."""

    def __str__(self) -> str:
        return self.summary()

    def summary(self) -> str:
        """Return it as one clause, which goes behind "The server"."""
        if self.cause:
            return self.cause
        clause = self._out_of_memory() if self.oom_killed else self._by_code()
        return f"{clause} ({self.error})" if self.error else clause

    @property
    def hint(self) -> str:
        """Return what its user can do about it, where that is known."""
        return "It needs more memory, or less to do." if self.oom_killed else ""

    @property
    def advice(self) -> str:
        """Return what an administrator can do about it, where that is known."""
        if self.oom_killed:
            return "`mem_limit` says how much memory a server has."
        return self.cure or _ADVICE.get(self.code, "")

    def _out_of_memory(self) -> str:
        limit = f" (limit {_human(self.memory_limit)})" if self.memory_limit > 0 else ""
        # The kernel may have killed a child only, whose parent then ended with a code of its own.
        if self.code in {0, 137}:
            return f"was killed: out of memory{limit}"
        return f"exited with code {self.code} after running out of memory{limit}"

    def _by_code(self) -> str:
        reason = f": {_REASONS[self.code]}" if self.code in _REASONS else ""
        if 128 < self.code <= 128 + _LAST_SIGNAL:
            return f"was killed by signal {self.code - 128}{reason}"
        return f"exited with code {self.code}{reason}"


class ExitCode(int):
    """An exit code for programs, whose text says to people how the process ended."""

    status: ExitStatus

    def __new__(cls, status: ExitStatus) -> ExitCode:
        """Take the code of a status."""
        made = super().__new__(cls, status.code)
        made.status = status
        return made

    def __str__(self) -> str:
        status = self.status
        oom = ", OOMKilled" if status.oom_killed else ""
        at = f", FinishedAt={status.finished_at}" if status.finished_at else ""
        return f"ExitCode={status.code}{oom}, Error={status.error!r}{at}"


def _human(size: float) -> str:
    unit = 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size /= 1024
        unit += 1
    return f"{size:.4g} {_UNITS[unit]}"
