"""Users and groups of a container, by its own /etc/passwd and /etc/group. Pure.

As the Engine resolves them when it starts a process: `GetExecUser` in runc's libcontainer/user.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ids:
    """A user id and a group id."""

    uid: int
    gid: int


ROOT = Ids(0, 0)
_ROOTS = {"", "0", "root"}
_LINES = re.compile(r"[^\n]+")


class UnknownUser(LookupError):
    """A name that neither file has; the text is a sentence."""


def as_numbers(user: str) -> Ids | None:
    """Return whom a text means that needs no look-up: `uid:gid`, or nobody, which is root."""
    name, _, group = user.partition(":")
    if name in _ROOTS and group in _ROOTS:
        return ROOT
    if _is_id(name) and _is_id(group):
        return Ids(int(name), int(group))
    return None


def resolve(user: str, passwd: str, group: str) -> Ids:
    """Return whom `name`, `uid`, `name:group` and the like mean. Raises UnknownUser."""
    name, _, group_name = user.partition(":")
    name = name or "0"
    entry = next(
        (each for each in _entries(passwd, 4) if each[2 if _is_id(name) else 0] == name and _is_id(each[2])),
        None,
    )
    if entry is None and not _is_id(name):
        raise UnknownUser(f"there is no user {name!r} in its /etc/passwd")
    uid = int(name if entry is None else entry[2])
    if not group_name:
        # A user without an entry is in root's group.
        return Ids(uid, int(entry[3]) if entry is not None and _is_id(entry[3]) else 0)
    return Ids(uid, _gid(group_name, group))


def stands_for(user: str, environment: Mapping[str, str]) -> str:
    """Return whom a server drops to that is started as root, as those of docker-stacks do: NB_UID, NB_GID."""
    uid, gid = environment.get("NB_UID", ""), environment.get("NB_GID", "")
    if not _is_id(uid):
        return user
    return f"{uid}:{gid}" if _is_id(gid) else uid


def is_root(user: str) -> bool:
    """Tell whether a server is started as root by this; nobody is root."""
    return user.partition(":")[0] in _ROOTS


def uid_of(user: str, environment: Mapping[str, str]) -> int | None:
    """Return the user id that a server has in the end, where no look-up is needed; None where a name is."""
    name = (stands_for("0", environment) if is_root(user) else user).partition(":")[0]
    return int(name) if _is_id(name) else None


def with_entry(passwd: str, line: str) -> str | None:
    """Return /etc/passwd with one more line; None where it knows both the name and the user id of it."""
    name, _, uid, *_ = line.split(":")
    missing = {("name", name), ("uid", uid)}
    for each in _entries(passwd, 3):
        missing -= {("name", each[0]), ("uid", each[2])}
        if not missing:
            return None
    end = "" if not passwd or passwd.endswith("\n") else "\n"
    return f"{passwd}{end}{line}\n"


def _gid(name: str, group: str) -> int:
    if _is_id(name):
        return int(name)
    for each in _entries(group, 3):
        if each[0] == name and _is_id(each[2]):
            return int(each[2])
    raise UnknownUser(f"there is no group {name!r} in its /etc/group")


def _entries(text: str, fields: int) -> Iterator[list[str]]:
    # A user may have made the file, of nothing but empty lines too.
    for found in _LINES.finditer(text):
        line = found[0]
        if line.count(":") >= fields - 1:
            yield line.strip().split(":")


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit()
