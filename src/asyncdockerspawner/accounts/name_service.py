"""The system's name service, asked by `getent`: /etc/passwd, LDAP, whatever nsswitch.conf names.

By a child process, since the C library's own functions may wait for a directory as long as they like, and
everybody with them.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from asyncdockerspawner.accounts import entries
from asyncdockerspawner.accounts.entries import Account
from asyncdockerspawner.client import programs
from asyncdockerspawner.errors import ProgramFailed

TIMEOUT = 5.0
"""Seconds that the name service has to answer, the wait for a place among those who ask included."""
ANSWERS_LAST = 300.0
"""Seconds that an answer is remembered."""
MISSES_LAST = 15.0
"""Seconds that is remembered that there was none; sssd's own `entry_negative_timeout`."""
MOST = 10_000
"""Answers that are remembered."""
AT_ONCE = 64
"""Child processes; a directory that hangs keeps each of them for `TIMEOUT`."""
_UNKNOWN_KEY = 2


@dataclass(frozen=True, slots=True)
class _Answer:
    text: str
    """A line; empty where the user is not known, or there was no answer."""
    failure: str
    """Why there was no answer."""
    until: float
    """By the monotonic clock."""


class NameService:
    """Asks once for all who want to know the same, and remembers the answer for a while."""

    def __init__(self, environ: Mapping[str, str] | None = None, *, timeout: float = TIMEOUT) -> None:
        self._environ = os.environ if environ is None else environ
        self._timeout = timeout
        self._answers: dict[tuple[str, str], _Answer] = {}
        self._asked: dict[tuple[str, str], asyncio.Event] = {}
        self._places = asyncio.Semaphore(AT_ONCE)

    async def account(self, name: str, *, fresh: bool = False) -> Account:
        """Return a user's account, nothing of which is known where the system does not know the user.

        `fresh`, it is asked again about who was not known a moment ago. Raises ProgramFailed where there is
        no answer.
        """
        if not entries.can_be_asked_for(name):
            return Account()
        line = await self._line("passwd", name, fresh=fresh)
        return (entries.account_of(line, name) if line else None) or Account()

    async def groups(self, name: str) -> tuple[int, ...]:
        """Return the ids of a user's groups, without the primary one. Raises ProgramFailed."""
        if not entries.can_be_asked_for(name):
            return ()
        line = await self._line("initgroups", name)
        groups = entries.groups_of(line, name)
        if groups is None:
            raise ProgramFailed(f"The program getent gave {line!r} for the groups of a user.")
        return groups

    async def _line(self, database: str, name: str, *, fresh: bool = False) -> str:
        answer = await self._answer((database, name), fresh=fresh)
        if answer.failure:
            raise ProgramFailed(answer.failure)
        return answer.text

    async def _answer(self, question: tuple[str, str], *, fresh: bool) -> _Answer:
        while True:
            known = self._answers.get(question)
            if known is not None and time.monotonic() < known.until:
                is_miss = not known.text and not known.failure
                if not (fresh and is_miss):
                    return known
            if question not in self._asked:
                break
            await self._asked[question].wait()
        self._asked[question] = over = asyncio.Event()
        try:
            answer = await self._ask(*question)
            self._remember(question, answer)
        finally:
            # Cancelled too: whoever waits asks then.
            del self._asked[question]
            over.set()
        return answer

    async def _ask(self, database: str, name: str) -> _Answer:
        try:
            async with asyncio.timeout(self._timeout), self._places:
                ended = await programs.run(
                    ["getent", database, name], environ=self._environ, timeout=self._timeout
                )
        except ProgramFailed as exc:
            return _failed(exc.message)
        except TimeoutError:
            return _failed(f"The program getent was not done within {self._timeout:g} s.")
        if ended.code not in {0, _UNKNOWN_KEY}:
            said = ended.stderr.decode(errors="replace").strip()[:200]
            return _failed(f"The program getent ended with {ended.code}: {said or 'it said nothing'}.")
        line = ended.stdout.decode(errors="replace").partition("\n")[0]
        known = not ended.code and bool(line)
        # No groups may be said of whom nobody was asked about: where the directory is stopped.
        says_little = database == "initgroups" and not line.removeprefix(name).strip()
        lasts = ANSWERS_LAST if known and not says_little else MISSES_LAST
        return _Answer(line if known else "", "", time.monotonic() + lasts)

    def _remember(self, question: tuple[str, str], answer: _Answer) -> None:
        self._answers.pop(question, None)
        self._answers[question] = answer
        if len(self._answers) > MOST:
            del self._answers[next(iter(self._answers))]


def _failed(reason: str) -> _Answer:
    return _Answer("", reason, time.monotonic() + MISSES_LAST)


_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, NameService] = WeakKeyDictionary()


def of_this_loop() -> NameService:
    """Return the name service that all who run in this loop share."""
    loop = asyncio.get_running_loop()
    if loop not in _of_loops:
        _of_loops[loop] = NameService()
    return _of_loops[loop]
