"""What `getent` says of a user, read. Source: getent(1), passwd(5) and the GNU C library's `nss/getent.c`."""

from __future__ import annotations

import re
from dataclasses import dataclass

UNKNOWN_ID = -1
"""An id that is not known, as DockerSpawner writes it."""
LARGEST_ID = 2**32 - 2
"""The one above means "none" to the kernel."""
_PARTS_OTHERS = re.compile(r"[:/\x00-\x1f\x7f]")
_PARTS_LINES = re.compile(r"[:\x00-\x1f\x7f]")
SHELL = "/bin/sh"
"""Every image that has a shell has this one."""
_NUMBER = re.compile(r"\s*[+-]?\d+")


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the system, as far as it is known.

    What is not: ids below 0, an empty home, groups that are None.
    """

    user_id: int = UNKNOWN_ID
    group_id: int = UNKNOWN_ID
    """The primary group's."""
    home: str = ""
    """A path of the machine that the servers run on."""
    groups: tuple[int, ...] | None = None
    """Ids of the other groups."""

    def or_else(self, other: Account) -> Account:
        """Return this account, with what is not known of it as the other one has it."""
        return Account(
            user_id=other.user_id if self.user_id < 0 else self.user_id,
            group_id=other.group_id if self.group_id < 0 else self.group_id,
            home=self.home or other.home,
            groups=other.groups if self.groups is None else self.groups,
        )


def can_be_asked_for(name: str) -> bool:
    """Tell whether the name service can have a user of this name, and `getent` would take it for one."""
    return bool(name) and not name.startswith("-") and not _PARTS_OTHERS.search(name)


def account_of(line: str, name: str) -> Account | None:
    """Read a line of `getent passwd NAME`; None where it is somebody else's, or nothing that can be read.

    A name of digits is an id to `getent`, so what it says then may be another user's.
    """
    fields = line.split(":")
    if len(fields) < 6 or (_NUMBER.fullmatch(name) and fields[0] != name):
        return None
    user_id, group_id = as_id(fields[2]), as_id(fields[3])
    if user_id is None or group_id is None:
        return None
    return Account(user_id=user_id, group_id=group_id, home=fields[5])


def groups_of(line: str, name: str) -> tuple[int, ...] | None:
    """Read a line of `getent initgroups NAME`; None where it cannot be read."""
    return as_ids(line.removeprefix(name).split())


def line_of(name: str, account: Account, home: str) -> str | None:
    """Return the line of /etc/passwd for a user; None where name or home cannot be part of one."""
    if not name or name.startswith(("+", "-", "#")) or _PARTS_LINES.search(name + home):
        return None
    return f"{name}:x:{account.user_id}:{max(account.group_id, 0)}::{home}:{SHELL}"


def as_id(value: object) -> int | None:
    """Return the id that a number or its text is; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:11])
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST_ID:
        return None
    return value


def as_ids(values: object) -> tuple[int, ...] | None:
    """Return the ids that a list has, each once; None for anything else."""
    if not isinstance(values, list | tuple):
        return None
    ids = [as_id(each) for each in values]
    return None if None in ids else tuple(sorted({each for each in ids if each is not None}))
