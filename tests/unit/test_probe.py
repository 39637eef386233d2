"""Waiting for a server's first HTTP answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from asyncdockerspawner.client import probe

Handler = Callable[[web.Request], Awaitable[web.Response]]


async def serve(handler: Handler, port: int = 0) -> tuple[web.AppRunner, int]:
    app = web.Application()
    app.router.add_get("/", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    return runner, runner.addresses[0][1]


@pytest.mark.parametrize("status", [200, 302, 404])
async def test_any_answer_below_500_counts(status: int) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    runner, port = await serve(handler)
    await asyncio.wait_for(probe.answers(f"http://127.0.0.1:{port}/"), 5)
    await runner.cleanup()


async def test_errors_of_the_server_are_waited_out() -> None:
    answers = [500, 503, 200]

    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=answers.pop(0))

    runner, port = await serve(handler)
    await asyncio.wait_for(probe.answers(f"http://127.0.0.1:{port}/"), 5)
    await runner.cleanup()
    assert answers == []


async def test_a_server_that_never_listens_is_waited_for_until_the_caller_ends_it() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response()

    runner, port = await serve(handler)
    await runner.cleanup()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(probe.answers(f"http://127.0.0.1:{port}/"), 0.1)
