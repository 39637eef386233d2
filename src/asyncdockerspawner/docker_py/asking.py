"""What docker-py's methods have in common: the connection, whole answers, words that were given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from asyncdockerspawner.client.connection import Connection
from asyncdockerspawner.docker_py.arguments import filter_lists
from asyncdockerspawner.docker_py.failures import Unsupported
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.lifecycle import Server


async def read_whole(  # noqa: PLR0913 - a request has this many parts
    server: Server,
    verb: str,
    path: str,
    *,
    subject: str,
    operation: str,
    read: Callable[[bytes], Any],
    params: Mapping[str, Any] | None = None,
    body: JsonObject | None = None,
    idle: float | None = None,
    timeout: float | None = None,
) -> Any:
    """Read an answer that takes its time, on the pool in which nobody waits for it."""
    async with connection_of(server).stream(
        verb, path, operation=operation, subject=subject, params=params, body=body, idle=idle
    ) as chunks:
        # In here, so that what cannot be read, or takes too long, becomes an error of ours.
        async with asyncio.timeout(timeout):
            return read(b"".join([chunk async for chunk in chunks]))


def connection_of(server: Server) -> Connection:
    """Return the connection to the Engine that the server is at."""
    return server.engine.client.connection


def given(**words: Any) -> JsonObject:
    """Return the words that have a value."""
    return {word: value for word, value in words.items() if value is not None}


def filters_given(wanted: Mapping[str, Any]) -> JsonObject:
    """Return the query that has these filters, if there are any."""
    return given(filters=filter_lists(wanted))


def refuse_generators(method: str, **words: bool) -> None:
    """Raise Unsupported for what docker-py would give as a generator that waits for the Engine."""
    for word, value in words.items():
        if value:
            raise Unsupported(
                f"docker({method!r}, {word}=True) would give a generator that holds up the Hub: leave "
                f"{word} out, or use spawner.engine.docker, which is an aiodocker.Docker."
            )
