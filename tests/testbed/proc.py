"""What /proc tells of other processes, nothing of one that has ended meanwhile; and of this one."""

from __future__ import annotations

import os
from collections.abc import Container
from contextlib import suppress
from pathlib import Path


def lines(path: Path) -> list[str]:
    """The lines of a file."""
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []


def words(path: Path) -> list[str]:
    """The words of a command line or an environment, which end with a NUL."""
    try:
        return [os.fsdecode(word) for word in path.read_bytes().split(b"\0")]
    except OSError:
        return []


def status(pid: int) -> str:
    """`R`, `S`, `T`, `Z` …; "" if it is gone."""
    return next(iter(_stat(_folder(pid))), "")


def began(pid: int) -> str:
    """When a process began, so that a later one with its number is not taken for it; "" if it is gone."""
    found = _stat(_folder(pid))
    return found[19] if found and found[0] != "Z" else ""


def states_of_threads(pid: int) -> set[str]:
    """The states in which a process's threads are."""
    found = [_stat(thread) for thread in (_folder(pid) / "task").glob("*")]
    return {stat[0] for stat in found if stat}


def of_programs(names: Container[str]) -> list[tuple[int, list[str]]]:
    """The processes that run programs of these names, with their command lines."""
    numbers = sorted(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    found = [(pid, words(_folder(pid) / "cmdline")) for pid in numbers]
    # One that is dead stays visible until its parent looks.
    return [
        (pid, command)
        for pid, command in found
        if command and Path(command[0]).name in names and status(pid) not in {"", "Z"}
    ]


def own_tcp_sockets() -> int:
    """How many TCP sockets this process has open, those that listen among them."""
    tables = [lines(Path("/proc/self/net", name))[1:] for name in ("tcp", "tcp6")]
    sockets = {f"socket:[{line.split()[9]}]" for table in tables for line in table}
    return sum(name in sockets for name in own_descriptors())


def own_descriptors() -> list[str]:
    """What this process's descriptors are of; without the one that lists them."""
    found = list[str]()
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/self/fd/{name}"))
    return found


def _folder(pid: int) -> Path:
    return Path("/proc", str(pid))


def _stat(folder: Path) -> list[str]:
    found = lines(folder / "stat")
    # The name in parentheses may hold anything.
    return found[0].rpartition(")")[2].split() if found else []
