"""Tasks of a swarm's services. Source: Docker Engine API v1.41, "Tasks".

Only a manager answers; any other Engine raises NotSwarmManager.
"""

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

LOGS_TIMEOUT = 10.0
"""The manager asks the task's node, and waits for one that is away."""


class Tasks:
    """Verbs on tasks."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def list(self, filters: Mapping[str, Sequence[str]]) -> builtins.list[JsonObject]:
        """Return the tasks that a filter lets through: `label`, `node`, `desired-state`, `service`, `id`.

        A `label` is one of the task's service, also after that is gone. A `service` that is gone is
        ObjectNotFound, for all that are asked for with it.
        """
        answer = await self._connection.request(
            "GET", "tasks", operation="list tasks", params={"filters": dict(filters)}
        )
        return builtins.list(answer.data or ())

    def one_by_one(
        self, filters: Mapping[str, Sequence[str]]
    ) -> AbstractAsyncContextManager[AsyncIterator[JsonObject]]:
        """Give the tasks of `list` as they come."""
        return one_by_one(self._connection, "tasks", filters)

    async def inspect(self, task_id: str) -> JsonObject | None:
        """Return `GET /tasks/ID`, or None where there is no such task."""
        try:
            answer = await self._connection.request(
                "GET",
                f"tasks/{segment(task_id)}",
                operation="inspect task",
                subject=task_id,
            )
        except errors.ObjectNotFound:
            return None
        return dict(answer.data)

    async def logs(self, task_id: str, *, tail: int) -> str:
        """Return the last `tail` lines of stdout and stderr together; of very long ones, the end.

        Raises EngineTimeout where its node is away, and EngineError where its log driver cannot be read.
        """
        async with self._connection.stream(
            "GET",
            f"tasks/{segment(task_id)}/logs",
            operation="read logs",
            subject=task_id,
            params={"stdout": True, "stderr": True, "tail": str(tail)},
        ) as chunks:
            async with asyncio.timeout(LOGS_TIMEOUT):
                return (await end_of(chunks)).text
