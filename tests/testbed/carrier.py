"""What stands before a server and carries to it, in the loop of the test: the base of all fronts."""

from __future__ import annotations

import asyncio
import contextlib
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TypeVar

CHUNK = 1 << 16
ENDS_WITHIN = 5.0


@dataclass(eq=False)
class Line:
    """One client's connection, and ours to the server."""

    from_client: StreamReader
    to_client: StreamWriter
    from_server: StreamReader
    to_server: StreamWriter
    request: tuple[str, str] = ("", "")
    """Method and path of what goes on in it, where that is known."""

    def abort(self) -> None:
        """Break both, as a cable that is cut."""
        for writer in (self.to_client, self.to_server):
            writer.transport.abort()


class Carrier:
    """Carries bytes both ways; what is special overrides `connect`, `up` or `down`."""

    def __init__(self, server: str) -> None:
        self._server = server
        self.lines: set[Line] = set()
        """The connections that are open."""
        self.connections = 0
        """How many there have been."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def connect(self, reader: StreamReader, writer: StreamWriter) -> tuple[StreamReader, StreamWriter]:
        """The connection to the server for this client. Raises OSError."""
        return await _connected(self._server)

    async def up(self, line: Line) -> None:
        """Carry from the client to the server."""
        await pipe(line.from_client, line.to_server)

    async def down(self, line: Line) -> None:
        """Carry from the server to the client."""
        await pipe(line.from_server, line.to_client)

    def take(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Serve a client, as `asyncio.start_server` wants it."""
        if self._closed:
            # It was accepted before the server was closed.
            writer.transport.abort()
            return
        task = asyncio.create_task(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Also of one that is cancelled before it begins.
        task.add_done_callback(lambda _: writer.transport.abort())

    async def close(self) -> None:
        """Break every connection."""
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.02)  # transports end in the loop's next turns

    async def _carry(self, reader: StreamReader, writer: StreamWriter) -> None:
        self.connections += 1
        try:
            there = await self.connect(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            return
        line = Line(reader, writer, *there)
        self.lines.add(line)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.up(line))
                group.create_task(self.down(line))
        except* (OSError, asyncio.IncompleteReadError):
            pass  # either side may break off at any time: the other one is told below
        finally:
            self.lines.discard(line)
            line.abort()


Served = TypeVar("Served", bound=Carrier)


@contextlib.asynccontextmanager
async def served(carrier: Served, server: asyncio.Server) -> AsyncIterator[Served]:
    """Let clients come to it until the end of the block."""
    try:
        yield carrier
    finally:
        # Who has come is taken first: asyncio loses one that it accepts while the server is closed.
        await asyncio.sleep(0.02)
        server.close()
        await carrier.close()


async def pipe(reader: StreamReader, writer: StreamWriter) -> None:
    """Carry all there is, and its end."""
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def _connected(server: str) -> tuple[StreamReader, StreamWriter]:
    scheme, _, place = server.partition("://")
    if scheme == "unix":
        return await asyncio.open_unix_connection(place)
    host, _, port = place.rpartition(":")
    return await asyncio.open_connection(host, int(port))
