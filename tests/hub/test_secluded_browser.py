"""Containers that start and end beside the browser, which changes the machine's addresses, cost no page."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest
from aiohttp import web
from playwright.async_api import Page

from tests.support.browsing import page
from tests.testbed.bridge import ip

__all__ = ["page"]

CARD = f"browser{os.getpid()}"
MANY = 24
"""Requests at once: more than the browser has connections to a host, so that some wait."""
FETCHED = f"""() => Promise.all(
    [...Array({MANY}).keys()].map(i => fetch('/' + i).then(answer => answer.text(), error => String(error)))
)"""

DRAWN_TWICE = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.fixture
def card() -> Iterator[str]:
    """A network interface of this machine, without an address."""
    ip("link", "add", CARD, "type", "bridge")
    try:
        ip("link", "set", CARD, "up")
        yield CARD
    finally:
        ip("link", "delete", CARD)


async def test_a_page_is_whole_though_addresses_come_and_go_while_it_loads(page: Page, card: str) -> None:
    asked = asyncio.Event()
    changed = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        if request.path != "/":
            asked.set()
            await changed.wait()
        return web.Response(text="here", content_type="text/html")

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        await page.goto(f"http://127.0.0.1:{runner.addresses[0][1]}/")
        fetched = asyncio.create_task(page.evaluate(FETCHED))
        await asked.wait()
        for host in range(1, 11):
            ip("address", "add", f"198.18.99.{host}/32", "dev", card)
            # By the time that it has drawn twice a browser has heard of what changed.
            await page.evaluate(DRAWN_TWICE)
        changed.set()
        assert await fetched == ["here"] * MANY
    finally:
        await runner.cleanup()
