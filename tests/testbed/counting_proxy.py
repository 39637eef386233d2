"""A socket before an Engine's that counts what the Engine is asked for, and carries everything as it is."""

from __future__ import annotations

import asyncio
import contextlib
import re
import tempfile
from asyncio import StreamReader, StreamWriter
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TypeVar

from tests.testbed.carrier import CHUNK, Carrier, Line, pipe, served

VERSION = re.compile(r"^/v[0-9.]+(?=/)")


class CountingProxy(Carrier):
    """What listens at `url`; `requests` counts methods with paths, which are without version and query."""

    def __init__(self, engine: str) -> None:
        super().__init__(engine)
        self.url = ""
        """As in DOCKER_HOST."""
        self.requests: Counter[tuple[str, str]] = Counter()

    def count(self, method: str, path: str) -> int:
        """How often the Engine was asked for this."""
        return self.requests[method, path]

    def under_way(self, method: str, path: str) -> list[Line]:
        """The connections whose last request this is."""
        return [line for line in self.lines if line.request == (method, path)]

    def refusal(self, method: str, path: str) -> bytes | None:
        """The whole answer to what the Engine shall not hear of; None carries it."""
        return None

    async def up(self, line: Line) -> None:
        """Carry requests, each counted when its head is complete."""
        reader, writer = line.from_client, line.to_server
        while head := await _head(reader):
            first, *rest = head.decode("latin-1").split("\r\n")
            method, target, _ = first.split(" ", 2)
            line.request = method, VERSION.sub("", target.partition("?")[0])
            self.requests[line.request] += 1
            if (refusal := self.refusal(*line.request)) is not None:
                await _refuse(line, refusal)
            writer.write(head)
            fields = {
                name.strip().lower(): value.strip() for name, _, value in (x.partition(":") for x in rest)
            }
            if "upgrade" in fields:
                # From here on this is no HTTP any more.
                break
            await _carry_body(reader, writer, fields)
        await pipe(reader, writer)


async def _refuse(line: Line, answer: bytes) -> None:
    """Answer, and end the connection when the client has read that."""
    line.to_client.write(answer)
    line.to_client.write_eof()
    while await line.from_client.read(CHUNK):
        pass
    raise ConnectionAbortedError


async def _head(reader: StreamReader) -> bytes:
    """A request's line and fields; nothing at the end of the connection."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as exc:
        if exc.partial:
            raise
        return b""


async def _carry_body(reader: StreamReader, writer: StreamWriter, fields: Mapping[str, str]) -> None:
    if "chunked" in fields.get("transfer-encoding", "").lower():
        size = -1
        while size != 0:
            line = await reader.readuntil(b"\r\n")
            size = int(line.partition(b";")[0], 16)
            writer.write(line)
            await _carry_bytes(reader, writer, size + len(b"\r\n"))
    else:
        await _carry_bytes(reader, writer, int(fields.get("content-length", "0")))
    await writer.drain()


async def _carry_bytes(reader: StreamReader, writer: StreamWriter, count: int) -> None:
    while count:
        data = await reader.readexactly(min(count, CHUNK))
        writer.write(data)
        await writer.drain()
        count -= len(data)


Proxy = TypeVar("Proxy", bound=CountingProxy)


@contextlib.asynccontextmanager
async def counting_proxy(engine: str) -> AsyncIterator[CountingProxy]:
    """A proxy of the Engine at a URL (`unix://` or `tcp://`), in the loop that runs now."""
    async with listening(CountingProxy(engine)) as made:
        yield made


@contextlib.asynccontextmanager
async def listening(made: Proxy) -> AsyncIterator[Proxy]:
    """Have it listen at a socket, in the loop that runs now."""
    # The paths of sockets must stay short.
    with tempfile.TemporaryDirectory(prefix="counting-") as folder:
        path = Path(folder, "docker.sock")
        server = await asyncio.start_unix_server(made.take, path)
        made.url = f"unix://{path}"
        async with served(made, server):
            yield made
