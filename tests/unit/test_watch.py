"""Waiting for the end of a container on one shared stream, over a small server on a Unix socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from asyncdockerspawner.client.settings import EngineSettings
from asyncdockerspawner.engine.engine import Engine


class EventServer:
    """Serves `GET /events` to any number of readers; `None` ends their streams."""

    def __init__(self) -> None:
        self.queues: list[asyncio.Queue[bytes | None]] = []
        self.app = web.Application()
        self.app.router.add_get("/v1.41/events", self.stream)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.queues.append(queue)
        while (line := await queue.get()) is not None:
            await response.write(line)
        return response

    def tell(self, action: str, container_id: str) -> None:
        for queue in self.queues:
            queue.put_nowait(json.dumps({"Action": action, "Actor": {"ID": container_id}}).encode() + b"\n")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EventServer]:
    made = EventServer()
    runner = web.AppRunner(made.app, shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "engine.sock")).start()
    yield made
    await runner.cleanup()


@pytest.fixture
async def engine(server: EventServer, tmp_path: Path) -> AsyncIterator[Engine]:
    made = Engine(EngineSettings(url=f"unix://{tmp_path}/engine.sock", api_version="1.41"))
    yield made
    for queue in server.queues:
        queue.put_nowait(None)
    await made.aclose()


async def test_only_the_waiter_of_that_container_is_woken_by_an_end(
    engine: Engine, server: EventServer
) -> None:
    assert await engine.watch("test").ready()
    with engine.watch("test").waiting("a") as a, engine.watch("test").waiting("b") as b:
        server.tell("start", "b")
        server.tell("die", "a")
        await asyncio.wait_for(a.wait(), 5)
        assert not b.is_set()


async def test_all_waiters_share_one_stream(engine: Engine, server: EventServer) -> None:
    assert all(await asyncio.gather(*(engine.watch("test").ready() for _ in range(10))))
    assert len(server.queues) == 1


async def test_a_broken_stream_wakes_everybody_and_is_opened_again(
    engine: Engine, server: EventServer
) -> None:
    assert await engine.watch("test").ready()
    with engine.watch("test").waiting("a") as a:
        server.queues.pop().put_nowait(None)
        await asyncio.wait_for(a.wait(), 5)
    assert await engine.watch("test").ready()
    with engine.watch("test").waiting("a") as a:
        server.tell("destroy", "a")
        await asyncio.wait_for(a.wait(), 5)


async def test_without_an_engine_the_watch_says_so(tmp_path: Path) -> None:
    engine = Engine(EngineSettings(url=f"unix://{tmp_path}/none.sock", api_version="1.41"))
    assert not await engine.watch("test").ready()
    await engine.aclose()
