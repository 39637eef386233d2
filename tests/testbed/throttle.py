"""A front of a registry on 127.0.0.1: as slow as a far one, and it breaks off where it is told to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.testbed.carrier import CHUNK, Carrier, Line, served


class Front(Carrier):
    """What listens at `address` and carries to a registry; its rules may be changed at any time."""

    def __init__(self, registry: str) -> None:
        super().__init__(f"tcp://{registry}")
        self.address = ""
        self.rate: float | None = None
        """Bytes per second of all answers together; None is as fast as it goes."""
        self.cut_after: int | None = None
        """Bytes of a connection's answers after which it is cut; manifests are short, layers are not."""
        self.cuts_left = 0
        """How many connections may still be cut."""
        self.carried = 0
        """Bytes of all answers so far."""
        self._free_at = 0.0

    def cut(self, times: int, *, after: int) -> None:
        """Cut so many connections, each after so many bytes of its answers."""
        self.cuts_left, self.cut_after = times, after

    async def down(self, line: Line) -> None:
        """Carry answers, each at its time."""
        carried = 0
        while data := await line.from_server.read(CHUNK):
            await self._wait_for_turn(len(data))
            carried += len(data)
            if self.cut_after is not None and carried > self.cut_after and self.cuts_left > 0:
                self.cuts_left -= 1
                line.abort()
                return
            line.to_client.write(data)
            await line.to_client.drain()
            self.carried += len(data)
        line.to_client.write_eof()

    async def _wait_for_turn(self, count: int) -> None:
        """Wait as long as a line that all connections share would take for so many bytes."""
        if self.rate is None:
            return
        now = asyncio.get_running_loop().time()
        self._free_at = max(self._free_at, now) + count / self.rate
        await asyncio.sleep(self._free_at - now)


@contextlib.asynccontextmanager
async def front(registry: str, *, rate: float | None = None) -> AsyncIterator[Front]:
    """A front of the registry at an address, in the loop that runs now."""
    made = Front(registry)
    made.rate = rate
    server = await asyncio.start_server(made.take, "127.0.0.1", 0)
    made.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with served(made, server):
        yield made
