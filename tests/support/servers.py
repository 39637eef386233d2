"""Servers that answer as they are told, or carry what arrives to an Engine."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def answering(handler: Handler) -> AsyncIterator[str]:
    """Serve every path with `handler` on a socket; gives its address."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "engine.sock"
        await web.UnixSite(runner, str(path)).start()
        try:
            yield f"unix://{path}"
        finally:
            await runner.cleanup()


@asynccontextmanager
async def forwarding(url: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Carry 127.0.0.1:PORT to an Engine's socket, without a thread; gives the port."""
    open_pipes: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                while data := await reader.read(65536):
                    writer.write(data)
                    await writer.drain()
            writer.close()
        except asyncio.CancelledError:
            writer.transport.abort()
            raise

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(url.removeprefix("unix://"))
        open_pipes.update(asyncio.create_task(pipe) for pipe in (pump(reader, back), pump(there, writer)))

    server = await asyncio.start_server(carry, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in open_pipes:
            task.cancel()
        await asyncio.gather(*open_pipes, return_exceptions=True)
        await asyncio.sleep(0.02)  # transports end in the loop's next turns
