"""Clients over a test's Engine, bodies of containers for both Engines, servers that answer as told."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from aiohttp import web

from asyncdockerspawner.client.client import Client
from asyncdockerspawner.client.settings import resolve
from tests.engine.conftest import SHELL, Site

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def opened(url: str, **client_kwargs: Any) -> AsyncIterator[Client]:
    """Give a client with these `client_kwargs`; a connection that is still in use at the end is a failure."""
    client = Client(resolve({"base_url": url, **client_kwargs}, {}, {}))
    try:
        yield client
        assert held(client) == 0
    finally:
        await client.close()


def held(client: Client) -> int:
    """How many connections are in use."""
    return sum(len(connector._acquired) for connector in client.connection._connectors)


def body(site: Site, kind: str = "stub", **words: Any) -> dict[str, Any]:
    """What makes a container that is removed after its test; `words` are the Engine's."""
    options = site.kind(kind)
    made = {"Image": options["image"], **({"Cmd": options["cmd"]} if "cmd" in options else {})}
    labels = {"asyncdockerspawner.hub": site.hub_id, **words.pop("Labels", {})}
    return {**made, **words, "Labels": labels}


def writer(site: Site, out: str = "", err: str = "", **words: Any) -> dict[str, Any]:
    """A container that writes these lines and ends."""
    if site.fake is not None:
        return body(site, Labels={"fake.exit": "0", "fake.stdout": out, "fake.stderr": err}, **words)
    text = '[ -z "$OUT" ] || printf \'%s\\n\' "$OUT"; [ -z "$ERR" ] || printf \'%s\\n\' "$ERR" >&2'
    return body(site, Cmd=[*SHELL, text], Env=[f"OUT={out}", f"ERR={err}"], **words)


async def ended(client: Client, ref: str) -> dict[str, Any]:
    """Wait until a container has run and ended; gives its document."""
    async with asyncio.timeout(20):
        while True:
            found = await client.containers.inspect(ref)
            assert found is not None
            if found["State"]["Status"] == "exited":
                return found
            await asyncio.sleep(0.05)


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
