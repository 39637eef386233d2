"""What a server runs as, as far as its life goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from asyncdockerspawner.client.execs import Ended
from asyncdockerspawner.jsontypes import JsonObject


class Workload(Protocol):
    """The verbs of the lifecycle; `ref` is an id or a name."""

    async def find(self, ref: str) -> JsonObject | None:
        """Give the object's document, or None where there is no such object."""

    async def create(self, name: str, body: JsonObject) -> str:
        """Create the object and give its id."""

    async def start(self, ref: str) -> None:
        """Start the object; one that runs already is as good."""

    async def stop(self, ref: str, *, grace: int | None = None) -> None:
        """Stop the object within `grace` seconds (None: its own); one that is stopped or gone is as good."""

    async def remove(self, ref: str, *, force: bool) -> None:
        """Remove the object and return when it is gone; one that is gone already is as good."""

    async def last_lines(self, ref: str, count: int) -> str:
        """Give the last lines that the server wrote, or nothing where they cannot be had."""

    async def changes(self, ref: str) -> Sequence[str] | None:
        """Give the paths that changed inside the object since it was made; None where nobody can tell."""

    async def rename(self, ref: str, name: str) -> None:
        """Give the object another name."""

    async def connect(self, ref: str, network: str) -> None:
        """Put the object into one more network."""

    async def run_inside(self, ref: str, command: Sequence[str], deadline: float) -> Ended:
        """Run a command inside the object; gives its exit code and what it wrote."""

    def running(self, document: JsonObject) -> bool:
        """Tell whether the object runs."""
