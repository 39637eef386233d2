"""Waiting for a server's first HTTP answer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from asyncdockerspawner.client import probe
from tests.support.waiting import until

pytestmark = pytest.mark.fake_engine

Handler = Callable[[web.Request], Awaitable[web.Response]]


async def serve(handler: Handler, port: int = 0) -> tuple[web.AppRunner, int]:
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
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
    await asyncio.wait_for(probe.Question(f"http://127.0.0.1:{port}/").answer(), 5)
    await runner.cleanup()


async def test_errors_of_the_server_are_waited_out() -> None:
    answers = [500, 503, 200]

    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=answers.pop(0))

    runner, port = await serve(handler)
    await asyncio.wait_for(probe.Question(f"http://127.0.0.1:{port}/").answer(), 5)
    await runner.cleanup()
    assert answers == []


async def test_a_server_that_never_listens_is_waited_for_until_the_caller_ends_it() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response()

    runner, port = await serve(handler)
    await runner.cleanup()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(probe.Question(f"http://127.0.0.1:{port}/").answer(), 0.1)


async def test_in_a_shared_network_a_server_that_does_not_know_the_prefix_is_another_one() -> None:
    asked: list[str] = []

    async def bob(request: web.Request) -> web.Response:
        """Know one's own prefix, as a program does that is no single-user server."""
        asked.append(request.path)
        return web.Response(status=200 if request.path == "/user/bob/" else 404)

    runner, port = await serve(bob)
    question = probe.Question(f"http://127.0.0.1:{port}/user/alice/", own=True)
    answer = asyncio.create_task(question.answer())
    await until(lambda: len(asked) >= 3)
    assert not answer.done()
    answer.cancel()
    await asyncio.wait([answer])
    assert question.seen is probe.Seen.NOT_FOUND
    # One that knows its prefix may not know what is below it.
    await asyncio.wait_for(probe.Question(f"http://127.0.0.1:{port}/user/bob/", own=True).answer(), 5)
    # Where the network is the server's own, nobody else can have answered.
    await asyncio.wait_for(probe.Question(f"http://127.0.0.1:{port}/user/alice/").answer(), 5)
    await runner.cleanup()


@pytest.mark.parametrize("listening", [True, False])
async def test_it_is_told_whether_somebody_listens(listening: bool) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        if listening:
            held.listen()
        assert await probe.listens(*held.getsockname()) is listening


async def test_of_a_host_name_it_is_not_told_as_that_would_take_a_thread() -> None:
    assert await probe.listens("localhost", 1) is False
