"""Containers: the verbs that a spawner needs. Source: Docker Engine API v1.41, "Containers"."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from asyncdockerspawner import errors
from asyncdockerspawner.client.connection import Connection, segment
from asyncdockerspawner.client.listing import one_by_one
from asyncdockerspawner.client.output import end_of
from asyncdockerspawner.jsontypes import JsonObject

INSPECT_TIMEOUT = 60.0
"""Inspect waits for a start under way, so it may take as long as a start."""
START_TIMEOUT = 120.0
PORT_TRIES = 5
"""How often a start is tried again where ports are taken. The Engine itself tries ten in a row each time."""
STOP_TIMEOUT = 130.0
"""Beyond the grace that is asked for; a container's own is not known here."""
REMOVE_TIMEOUT = 60.0
"""As long is somebody else's removal waited for."""


class Containers:
    """Verbs on containers; `ref` is an id or a name."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def create(self, name: str, body: JsonObject) -> str:
        """Create a container and return its id. Raises NameConflict, ImageNotFound, InvalidConfig."""
        answer = await self._connection.request(
            "POST",
            "containers/create",
            operation="create container",
            subject=name,
            params={"name": name},
            body=body,
        )
        return str(answer.data["Id"])

    async def start(self, ref: str) -> bool:
        """Start a container; False if it was running already. Raises StartFailed, ObjectNotFound."""
        try:
            return await self._start(ref)
        except errors.PortTaken as exc:
            return await self._start_on_others(ref, exc)

    async def _start_on_others(self, ref: str, taken: errors.PortTaken) -> bool:
        """Start a container where ports are taken: the Engine goes on behind those that it has tried."""
        for _ in range(PORT_TRIES):
            try:
                return await self._start(ref)
            except errors.PortTaken as exc:
                taken = exc
            except errors.ObjectNotFound:
                # With AutoRemove its failed start has removed it.
                break
        raise taken

    async def _start(self, ref: str) -> bool:
        answer = await self._connection.request(
            "POST",
            f"containers/{segment(ref)}/start",
            operation="start container",
            repeatable=True,
            subject=ref,
            timeout=START_TIMEOUT,
        )
        return answer.status != 304

    async def inspect(self, ref: str) -> JsonObject | None:
        """Return `GET /containers/REF/json`, or None where there is no such container."""
        try:
            answer = await self._connection.request(
                "GET",
                f"containers/{segment(ref)}/json",
                operation="inspect container",
                subject=ref,
                timeout=INSPECT_TIMEOUT,
            )
        except errors.ObjectNotFound:
            return None
        return dict(answer.data)

    async def list(self, labels: Mapping[str, str]) -> builtins.list[JsonObject]:
        """Return all containers, running or not, that carry every one of these labels."""
        answer = await self._connection.request(
            "GET",
            "containers/json",
            operation="list containers",
            params={"all": True, "filters": _all_of(labels)},
        )
        return builtins.list(answer.data)

    def one_by_one(self, labels: Mapping[str, str]) -> AbstractAsyncContextManager[AsyncIterator[JsonObject]]:
        """Give the containers of `list` as they come."""
        return one_by_one(
            self._connection, "containers/json", _all_of(labels), operation="list containers", all=True
        )

    async def stop(self, ref: str, *, grace: int | None = None) -> bool:
        """Stop a container; False if it did not run. `grace`: seconds before SIGKILL, None = its own."""
        answer = await self._connection.request(
            "POST",
            f"containers/{segment(ref)}/stop",
            operation="stop container",
            repeatable=True,
            subject=ref,
            params=None if grace is None else {"t": grace},
            timeout=(grace or 0) + STOP_TIMEOUT,
        )
        return answer.status != 304

    async def wait(self, ref: str, *, timeout: float) -> int:
        """Wait for a container's end and return its exit code. Raises EngineTimeout, ObjectNotFound."""
        answer = await self._connection.request(
            "POST",
            f"containers/{segment(ref)}/wait",
            operation="wait for container",
            repeatable=True,
            subject=ref,
            timeout=timeout,
        )
        return int(answer.data["StatusCode"])

    async def remove(self, ref: str, *, force: bool = False, timeout: float | None = None) -> None:
        """Remove a container with its anonymous volumes and return when it is gone.

        A container that is gone already, or that somebody else is removing, is as good.
        """
        try:
            await self._connection.request(
                "DELETE",
                f"containers/{segment(ref)}",
                operation="remove container",
                repeatable=True,
                subject=ref,
                params={"v": True, "force": force},
            )
        except errors.ObjectNotFound:
            return
        except errors.RemovalInProgress:
            await self._wait_gone(ref, timeout or REMOVE_TIMEOUT)

    async def rename(self, ref: str, name: str) -> None:
        """Rename a container. Raises NameConflict, ObjectNotFound."""
        await self._connection.request(
            "POST",
            f"containers/{segment(ref)}/rename",
            operation="rename container",
            subject=ref,
            params={"name": name},
        )

    async def changes(self, ref: str) -> Sequence[str]:
        """Return the paths at which a container's files differ from its image's, without mounts."""
        answer = await self._connection.request(
            "GET",
            f"containers/{segment(ref)}/changes",
            operation="read changes",
            subject=ref,
        )
        return [str(change["Path"]) for change in answer.data or ()]

    async def logs(self, ref: str, *, tail: int) -> str:
        """Return the last `tail` lines of stdout and stderr together; of very long ones, the end."""
        async with self._connection.stream(
            "GET",
            f"containers/{segment(ref)}/logs",
            operation="read logs",
            subject=ref,
            params={"stdout": True, "stderr": True, "tail": str(tail)},
        ) as chunks:
            async with asyncio.timeout(INSPECT_TIMEOUT):
                return (await end_of(chunks)).text

    async def _wait_gone(self, ref: str, timeout: float) -> None:
        pause = 0.02
        try:
            async with asyncio.timeout(timeout):
                while (found := await self.inspect(ref)) is not None:
                    ref = str(found["Id"])  # by then, the name may be another's
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, 0.5)
        except TimeoutError as exc:
            raise errors.EngineTimeout("remove container", ref, "it is still being removed") from exc


def _all_of(labels: Mapping[str, str]) -> dict[str, builtins.list[str]]:
    """Return the filter that lets through what carries every one of these labels."""
    return {"label": [f"{key}={value}" for key, value in labels.items()]}
