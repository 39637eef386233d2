"""What an inspected container says about its life. Reads the body of `GET /containers/ID/json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asyncdockerspawner.jsontypes import JsonObject

_REASONS = {
    125: "the Engine could not run the container",
    126: "the command cannot be executed",
    127: "command not found",
    137: "stopped by force, or the machine ran out of memory",
    139: "segmentation fault",
    143: "asked to stop",
}
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_LAST_SIGNAL = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitStatus:
    """How a container ended, or why it never started."""

    code: int
    oom_killed: bool = False
    error: str = ""
    """The Engine's sentence where it could not start the container."""
    finished_at: str = ""
    memory_limit: int = 0
    """Bytes; 0 is no limit."""

    def __str__(self) -> str:
        return self.summary()

    def summary(self) -> str:
        """Say it in one clause, as it goes behind "The server"."""
        clause = self._out_of_memory() if self.oom_killed else self._by_code()
        return f"{clause} ({self.error})" if self.error else clause

    def _out_of_memory(self) -> str:
        limit = f" (limit {_human(self.memory_limit)})" if self.memory_limit > 0 else ""
        # The kernel may have killed a child only, whose parent then ended with a code of its own.
        if self.code in {0, 137}:
            return f"killed: out of memory{limit}"
        return f"exited with code {self.code} after running out of memory{limit}"

    def _by_code(self) -> str:
        reason = f": {_REASONS[self.code]}" if self.code in _REASONS else ""
        if 128 < self.code <= 128 + _LAST_SIGNAL:
            return f"killed by signal {self.code - 128}{reason}"
        return f"exited with code {self.code}{reason}"


def is_running(inspect: JsonObject) -> bool:
    """Tell whether the container's process lives, be it paused or between two automatic restarts.

    Docker counts both as running; Podman says so of neither.
    """
    state = _state(inspect)
    return any(state.get(word) is True for word in ("Running", "Paused", "Restarting"))


def never_started(inspect: JsonObject) -> bool:
    """Tell whether no process ever ran in the container: just created, or its start failed."""
    if is_running(inspect):
        return False
    state = _state(inspect)
    started_at = state.get("StartedAt") or ""
    # Both engines write Go's zero time for "never".
    return state.get("Status") == "created" or not started_at or started_at.startswith("0001-01-01")


def exit_status(inspect: JsonObject) -> ExitStatus | None:
    """How the container ended; None while it runs, and before its first start."""
    if is_running(inspect):
        return None
    state = _state(inspect)
    found = ExitStatus(
        code=int(state.get("ExitCode") or 0),
        oom_killed=state.get("OOMKilled") is True,
        error=str(state.get("Error") or ""),
        finished_at=str(state.get("FinishedAt") or ""),
        memory_limit=int((inspect.get("HostConfig") or {}).get("Memory") or 0),
    )
    # A start that failed leaves a container "created" that has a code and a reason all the same.
    if never_started(inspect) and not found.code and not found.error:
        return None
    return found


def poll_status(inspect: JsonObject | None) -> int | None:
    """What the Hub's `poll()` wants: None while running, else an exit code; 0 where nothing is there."""
    if inspect is None:
        return 0
    if is_running(inspect):
        return None
    found = exit_status(inspect)
    return found.code if found else 0


def _state(inspect: JsonObject) -> Mapping[str, Any]:
    return inspect.get("State") or {}


def _human(size: float) -> str:
    unit = 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size /= 1024
        unit += 1
    return f"{size:.4g} {_UNITS[unit]}"
