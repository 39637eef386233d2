"""What a container's document says about its life: the body of `GET /containers/ID/json`.

An entry of `GET /containers/json` is given the same shape by `document_of`, as far as it goes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
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
_ADVICE = {
    126: "Check `cmd`: the image has no such program, or it may not be executed.",
    127: "Check `cmd`: the image has no such program. A single-user image has `jupyterhub-singleuser`.",
}
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_LAST_SIGNAL = 64
_EXITED = re.compile(r"Exited \((-?[0-9]+)\)")
_LIVING = {"running", "paused", "restarting"}


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

    @property
    def hint(self) -> str:
        """Say what its user can do about it, where that is known."""
        return "It needs more memory, or less to do." if self.oom_killed else ""

    @property
    def advice(self) -> str:
        """Say what an administrator can do about it, where that is known."""
        if self.oom_killed:
            return "`mem_limit` says how much memory a server has."
        return _ADVICE.get(self.code, "")

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
    """An exit code for programs, whose text says to people how the container ended."""

    ended: ExitStatus

    def __new__(cls, ended: ExitStatus) -> ExitCode:
        """Take the code of an end."""
        made = super().__new__(cls, ended.code)
        made.ended = ended
        return made

    def __str__(self) -> str:
        ended = self.ended
        oom = ", OOMKilled" if ended.oom_killed else ""
        at = f", FinishedAt={ended.finished_at}" if ended.finished_at else ""
        return f"ExitCode={ended.code}{oom}, Error={ended.error!r}{at}"


def document_of(entry: JsonObject) -> JsonObject:
    """Give a list's entry the shape of an inspected container.

    It lacks the environment, and of an end it knows the code alone.
    """
    word = str(entry.get("State") or "").lower()
    exited = _EXITED.match(str(entry.get("Status") or ""))
    return {
        "Id": entry["Id"],
        "Name": (entry.get("Names") or [""])[0],
        "Config": {"Image": entry.get("Image"), "Labels": entry.get("Labels") or {}},
        "HostConfig": entry.get("HostConfig") or {},
        "State": {
            "Status": word,
            "Running": word in _LIVING,
            "ExitCode": int(exited[1]) if exited else 0,
            # A list does not tell when; that it was started at all is what matters.
            "StartedAt": "" if word in {"created", "configured"} else str(entry.get("Created") or "once"),
        },
        "NetworkSettings": {
            "Networks": (entry.get("NetworkSettings") or {}).get("Networks") or {},
            "Ports": _ports(entry.get("Ports") or []),
        },
    }


def _ports(listed: Iterable[Mapping[str, Any]]) -> dict[str, list[dict[str, str]]]:
    ports: dict[str, list[dict[str, str]]] = {}
    for each in listed:
        bindings = ports.setdefault(f"{each['PrivatePort']}/{each.get('Type') or 'tcp'}", [])
        if each.get("PublicPort"):
            bindings.append({"HostIp": str(each.get("IP") or ""), "HostPort": str(each["PublicPort"])})
    return ports


def is_running(inspect: JsonObject) -> bool:
    """Tell whether the container's process lives, be it paused or between two automatic restarts.

    Docker counts both as running; Podman says so of neither.
    """
    state = _state(inspect)
    return any(state.get(word) is True for word in ("Running", "Paused", "Restarting"))


def is_being_removed(document: JsonObject) -> bool:
    """Tell whether the container is on its way out: it cannot be started, and its name will be free."""
    state = _state(document)
    if state.get("Status") == "removing" or state.get("Dead") is True:
        return True
    # The Engine removes it by itself when it has ended, and says so only a moment later.
    by_itself = (document.get("HostConfig") or {}).get("AutoRemove") is True
    return by_itself and not is_running(document) and not never_started(document)


def never_started(inspect: JsonObject) -> bool:
    """Tell whether no process ever ran in the container: just created, or its start failed."""
    if is_running(inspect):
        return False
    state = _state(inspect)
    started_at = state.get("StartedAt") or ""
    # Both engines write Go's zero time for "never".
    return state.get("Status") == "created" or not started_at or started_at.startswith("0001-01-01")


def restarts(inspect: JsonObject) -> int:
    """How often the container's restart policy has started it again since somebody started it."""
    return int(inspect.get("RestartCount") or 0)


def last_exit(inspect: JsonObject, code: int | None) -> ExitStatus:
    """How the last life of a container ended that its restart policy starts again.

    `code` is what an event has told of it: once the next life has begun, the document does not know any more.
    """
    state = _state(inspect)
    known = code if code is not None else int(state.get("ExitCode") or 0)
    return ExitStatus(
        code=known, oom_killed=state.get("OOMKilled") is True, memory_limit=_memory_limit(inspect)
    )


def last_change(inspect: JsonObject) -> int:
    """When the container was last started or ended, in nanoseconds since 1970; 0 where that is not known."""
    state = _state(inspect)
    return max(_nanoseconds(str(state.get(word) or "")) for word in ("StartedAt", "FinishedAt"))


def _nanoseconds(stamp: str) -> int:
    try:
        seconds = datetime.fromisoformat(stamp).timestamp()
    except ValueError:
        return 0
    # Go's zero time lies before 1970; a float holds microseconds of this century, not nanoseconds.
    return max(int(seconds * 10**6) * 1000, 0)


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
        memory_limit=_memory_limit(inspect),
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
    return ExitCode(found) if found else 0


def _state(inspect: JsonObject) -> Mapping[str, Any]:
    return inspect.get("State") or {}


def _memory_limit(inspect: JsonObject) -> int:
    return int((inspect.get("HostConfig") or {}).get("Memory") or 0)


def _human(size: float) -> str:
    unit = 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size /= 1024
        unit += 1
    return f"{size:.4g} {_UNITS[unit]}"
