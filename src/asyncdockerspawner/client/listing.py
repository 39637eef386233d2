"""Long lists, as they come. Source: Docker Engine API v1.41, "List services", "List tasks"."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager

from asyncdockerspawner.client.arrays import IDLE_TIMEOUT, elements
from asyncdockerspawner.client.connection import Connection
from asyncdockerspawner.jsontypes import JsonObject


@asynccontextmanager
async def one_by_one(
    connection: Connection, path: str, filters: Mapping[str, Sequence[str]]
) -> AsyncIterator[AsyncIterator[JsonObject]]:
    """Give the documents of a list as they come, so that thousands are never decoded in one piece."""
    async with (
        connection.stream(
            "GET", path, operation=f"list {path}", params={"filters": dict(filters)}, idle=IDLE_TIMEOUT
        ) as chunks,
        aclosing(elements(chunks)) as documents,
    ):
        yield documents
