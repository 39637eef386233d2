"""A `getent` that stands in for the machine's own: a directory that is slow, fails, or knows others."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

SCRIPT = """#!/bin/sh
echo "$*" >>{asked}
{waits}
{complains}
case "$*" in
{knows}
esac
{otherwise}
"""
NOT_FOUND = 2
"""The exit status of a getent that does not know who is asked for."""


class NameService:
    """Stands at the beginning of PATH; without a further word it answers as the machine's own does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, str] = {}
        self._hanging = list[str]()
        folder.mkdir()
        self.behaves()

    @property
    def environment(self) -> dict[str, str]:
        """The PATH of a program that is to ask here."""
        return {"PATH": f"{self.folder}{os.pathsep}{os.environ['PATH']}"}

    def behaves(self, *, delay: float = 0, status: int | None = None) -> None:
        """From now on, answer after so many seconds, and with this exit status where one is given."""
        self._delay, self._status, self._stopped = delay, status, False
        self._write()

    def stops(self) -> None:
        """From now on, know nobody, as where the directory is stopped: nobody is in any group then."""
        self._stopped = True
        self._write()

    def knows(self, question: str, answer: str) -> None:
        """From now on, answer this: `passwd alice`, for instance, with her line."""
        self._known[question] = answer
        self._write()

    def hangs(self, question: str) -> None:
        """From now on, answer this after 30 seconds."""
        self._hanging.append(question)
        self._write()

    def asked(self) -> list[str]:
        """What it was asked, as often as it was."""
        return self._asked.read_text().splitlines() if self._asked.exists() else []

    @property
    def _asked(self) -> Path:
        return self.folder / "asked"

    def _write(self) -> None:
        known = [
            f"{shlex.quote(question)}) printf '%s\\n' {shlex.quote(answer)}; exit 0 ;;"
            for question, answer in self._known.items()
        ]
        if self._stopped:
            # As the machine's own: the name alone, and all is well.
            known = ["passwd*) exit 2 ;;", "initgroups*) shift; printf '%s\\n' \"$*\"; exit 0 ;;"]
        known[:0] = [f"{shlex.quote(question)}) sleep 30 ;;" for question in self._hanging]
        own = f'exec {shutil.which("getent")} "$@"'
        text = SCRIPT.format(
            asked=shlex.quote(str(self._asked)),
            waits=f"sleep {self._delay:g}" if self._delay else "",
            complains='echo "it is broken" >&2' if self._status is not None else "",
            knows="\n".join(known) if self._status is None else "",
            otherwise=own if self._status is None else f"exit {self._status}",
        )
        written = self.folder / "getent.new"
        written.write_text(text)
        written.chmod(0o755)
        # At once: it may be asked at this moment.
        written.rename(self.folder / "getent")
