"""An Engine that is far away: a relay on this machine that lets every byte wait on its way."""

from __future__ import annotations

import asyncio
import contextlib
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from pathlib import Path

from tests.testbed.carrier import CHUNK, Carrier, Line, served


class Relay(Carrier):
    """Carries both ways, each chunk half a round trip later; a new connection costs a round trip more."""

    def __init__(self, engine: str, round_trip: float) -> None:
        super().__init__(engine)
        self.round_trip = round_trip
        self.url = ""
        """As in DOCKER_HOST."""

    async def up(self, line: Line) -> None:
        """Carry requests."""
        await asyncio.sleep(self.round_trip)
        await self._later(line.from_client, line.to_server)

    async def down(self, line: Line) -> None:
        """Carry answers."""
        await self._later(line.from_server, line.to_client)

    async def _later(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Carry all there is and its end, as much at a time as comes: a long line is no narrow one."""
        clock = asyncio.get_running_loop().time
        on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def take() -> None:
            while data := await reader.read(CHUNK):
                on_the_way.put_nowait((clock() + self.round_trip / 2, data))
            on_the_way.put_nowait((clock() + self.round_trip / 2, b""))

        async with asyncio.TaskGroup() as group:
            group.create_task(take())
            while True:
                moment, data = await on_the_way.get()
                await asyncio.sleep(moment - clock())
                if not data:
                    break
                writer.write(data)
                await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


@contextlib.asynccontextmanager
async def relay(engine: str, folder: Path, round_trip: float) -> AsyncIterator[Relay]:
    """Have an Engine at a socket in this folder that is so many seconds there and back away."""
    made = Relay(engine, round_trip)
    path = folder / "far.sock"
    server = await asyncio.start_unix_server(made.take, path)
    made.url = f"unix://{path}"
    async with served(made, server):
        yield made
