"""A real browser on the Hub's pages, and pictures of what it shows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeAlias

import jupyterhub
import pytest
from playwright.async_api import Page, async_playwright

from tests.support.artefacts import artefact
from tests.support.hub_site import HubSite
from tests.testbed.browser import ensure_chromium

# As root, in a container or where /dev/shm is small, Chromium needs all three.
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
LONG = 60_000
Picture: TypeAlias = Callable[[str], Coroutine[Any, Any, None]]


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=ensure_chromium(), args=FLAGS)
        try:
            opened = await browser.new_page(viewport={"width": 1280, "height": 800})
            opened.set_default_timeout(LONG)
            yield opened
        finally:
            await browser.close()


@pytest.fixture
def picture(page: Page, request: pytest.FixtureRequest) -> Picture:
    """Take a picture of each step, numbered, into the folder of artefacts."""
    taken: list[str] = []

    async def take(step: str) -> None:
        taken.append(step)
        name = f"hub-{jupyterhub.version_info[0]}-{request.node.name}-{len(taken)}-{step}.png"
        await page.screenshot(path=artefact(name))

    return take


async def log_in(page: Page, hub: HubSite, user: str) -> None:
    await page.goto(f"{hub.process.url}/hub/login")
    await page.fill("#username_input", user)
    await page.fill("#password_input", "any")
    await page.click("#login_submit")
    await page.wait_for_url(lambda url: "/hub/login" not in url, wait_until="commit")
