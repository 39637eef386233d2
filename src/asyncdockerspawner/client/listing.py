"""Long lists, as they come.

Source: Docker Engine API v1.41, "List containers", "List services", "List tasks".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

from asyncdockerspawner.client.arrays import IDLE_TIMEOUT, elements
from asyncdockerspawner.client.connection import Connection
from asyncdockerspawner.jsontypes import JsonObject

AT_A_TIME = 100
"""Documents that are given without a pause."""


@asynccontextmanager
async def one_by_one(
    connection: Connection,
    path: str,
    filters: Mapping[str, Sequence[str]],
    *,
    operation: str = "",
    **params: Any,
) -> AsyncIterator[AsyncIterator[JsonObject]]:
    """Give the documents of a list as they come: thousands are neither decoded in one piece, nor kept.

    `params` go into the query.
    """
    operation, params = operation or f"list {path}", {**params, "filters": dict(filters)}
    async with (
        connection.stream("GET", path, operation=operation, params=params, idle=IDLE_TIMEOUT) as chunks,
        aclosing(elements(chunks)) as documents,
        aclosing(_in_pieces(documents)) as pieces,
    ):
        yield pieces


async def _in_pieces(documents: AsyncIterator[JsonObject]) -> AsyncGenerator[JsonObject]:
    """Yield them with pauses in between: thousands keep nobody waiting."""
    number = 0
    async for each in documents:
        yield each
        number += 1
        if number % AT_A_TIME == 0:
            await asyncio.sleep(0)
