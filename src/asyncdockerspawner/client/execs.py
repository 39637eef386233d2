"""Commands inside containers. Source: Docker Engine API v1.41, "Exec"."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from asyncdockerspawner.client.connection import Connection, segment
from asyncdockerspawner.client.output import end_of


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended, and what it wrote to its streams; of much, the end."""

    code: int
    stdout: str
    stderr: str


class Execs:
    """Verbs on commands in running containers."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def run(self, ref: str, command: Sequence[str], *, timeout: float) -> Ended:
        """Run a command to its end. Raises EngineError; TimeoutError where it does not end in time."""
        created = await self._connection.request(
            "POST",
            f"containers/{segment(ref)}/exec",
            operation="create exec",
            subject=ref,
            body={"Cmd": list(command), "AttachStdout": True, "AttachStderr": True},
        )
        exec_id = str(created.data["Id"])
        async with (
            asyncio.timeout(timeout),
            self._connection.stream(
                "POST",
                f"exec/{segment(exec_id)}/start",
                operation="start exec",
                subject=ref,
                body={"Detach": False, "Tty": False},
            ) as chunks,
        ):
            stdout, stderr = (await end_of(chunks)).parted
        found = await self._connection.request(
            "GET", f"exec/{segment(exec_id)}/json", operation="inspect exec", subject=ref
        )
        return Ended(int(found.data.get("ExitCode") or 0), stdout, stderr)
