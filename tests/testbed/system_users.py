"""Accounts of this machine that tests make, and that are removed also where a run was killed.

A run writes down beforehand what it makes, in a file that is locked as long as it lives. What is written in a
file without a lock is removed by the next run: accounts and groups of that name and number, and no others.
"""

from __future__ import annotations

import contextlib
import fcntl
import grp
import json
import os
import pwd
import random
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.testbed.steps import cache_dir, lock, run

LOCK = "system-users"
NUMBERS = range(700_000_000, 2_000_000_000)
"""Ids that neither this machine nor its subordinate ones have; an Engine takes none above 2^31."""


@dataclass(frozen=True)
class SystemGroup:
    """A group of this machine."""

    name: str
    gid: int


@dataclass(frozen=True)
class SystemUser:
    """An account of this machine, with a home that only its user may enter."""

    name: str
    uid: int
    gid: int
    home: Path


class SystemUsers:
    """Makes accounts; each run's have names and numbers of their own."""

    def __init__(self, homes: Path, record: IO[str]) -> None:
        self.homes = homes
        self._record = record
        self._run = f"t{uuid.uuid4().hex[:8]}"

    def user(self, word: str, *groups: SystemGroup) -> SystemUser:
        """Make an account whose name ends with this word, with a group of its own beside these."""
        own = self.group(word)
        made = SystemUser(own.name, _free_number(), own.gid, self.homes / own.name)
        self._write_down("user", made.name, made.uid)
        options = [f"--uid={made.uid}", f"--gid={made.gid}", f"--home-dir={made.home}", "--shell=/bin/sh"]
        if groups:
            options.append(f"--groups={','.join(group.name for group in groups)}")
        # With --system no subordinate ids are given away.
        _change("useradd", "--system", "--no-create-home", "--no-log-init", *options, made.name)
        made.home.mkdir(mode=0o700)
        os.chown(made.home, made.uid, made.gid)
        return made

    def group(self, word: str) -> SystemGroup:
        """Make a group whose name ends with this word."""
        made = SystemGroup(f"{self._run}{word}", _free_number())
        self._write_down("group", made.name, made.gid)
        _change("groupadd", f"--gid={made.gid}", made.name)
        return made

    def _write_down(self, kind: str, name: str, number: int) -> None:
        self._record.write(json.dumps([kind, name, number]) + "\n")
        self._record.flush()


def obstacle() -> str:
    """Why no accounts can be made here; "" where they can."""
    if os.geteuid() != 0:
        return "only root makes accounts"
    missing = [name for name in ("useradd", "groupadd", "userdel", "groupdel") if shutil.which(name) is None]
    return f"{' '.join(missing)} missing" if missing else ""


@contextlib.contextmanager
def system_users(homes: Path) -> Iterator[SystemUsers]:
    """Accounts whose homes lie in this folder; at the end they are gone, and what killed runs have left."""
    sweep()
    path = records() / f"{uuid.uuid4().hex}.json"
    with contextlib.ExitStack() as stack:
        with lock(LOCK):
            # Whoever sweeps never sees it without its lock.
            record = stack.enter_context(path.open("w"))
            fcntl.flock(record, fcntl.LOCK_EX)
        try:
            yield SystemUsers(homes, record)
        finally:
            _remove(path)


def sweep() -> None:
    """Remove the accounts of runs that were killed."""
    with lock(LOCK):
        for path in records().glob("*.json"):
            with contextlib.suppress(FileNotFoundError, BlockingIOError), path.open() as record:
                fcntl.flock(record, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(path)


def records() -> Path:
    """The folder in which is written what there is to remove."""
    return cache_dir("testbed", "system-users")


def _remove(path: Path) -> None:
    """Remove what is written here, users before their groups."""
    lines = path.read_text().splitlines(keepends=True)
    # A run may have been killed in the middle of a line, of what was not made then.
    written = [json.loads(line) for line in lines if line.endswith("\n")]
    for kind, name, number in reversed(written):
        with contextlib.suppress(KeyError):
            if kind == "user" and pwd.getpwnam(name).pw_uid == number:
                _change("userdel", "--force", name)
            if kind == "group" and grp.getgrnam(name).gr_gid == number:
                _change("groupdel", name)
    path.unlink()


def _free_number() -> int:
    """An id that neither a user nor a group has."""
    taken = {each.pw_uid for each in pwd.getpwall()} | {each.gr_gid for each in grp.getgrall()}
    return next(each for each in random.sample(NUMBERS, len(taken) + 1) if each not in taken)


def _change(*command: str) -> None:
    """Change the files of accounts; one process at a time, for these programs do not wait for each other."""
    with lock(LOCK):
        run(command)
