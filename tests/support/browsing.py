"""A real browser on the Hub's pages, and pictures of what it shows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeAlias

import jupyterhub
import pytest
from playwright.async_api import Page, async_playwright, expect

from tests.support.artefacts import artefact
from tests.support.hub_site import LONG_SECONDS, HubSite, until
from tests.support.secluded_browser import chromium

LONG = 1000 * LONG_SECONDS
"""Milliseconds."""
Picture: TypeAlias = Callable[[str], Coroutine[Any, Any, None]]


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with async_playwright() as playwright, chromium(playwright, tmp_path) as browser:
        opened = await browser.new_page(viewport={"width": 1280, "height": 800})
        opened.set_default_timeout(LONG)
        yield opened


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


async def lab_is_loaded(page: Page) -> None:
    """Wait until JupyterLab can be used."""
    await page.wait_for_selector("#jp-main-dock-panel", timeout=LONG)
    await page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=LONG)


async def new_notebook(page: Page) -> None:
    """Open a notebook from JupyterLab's launcher, with a kernel that is ready."""
    await page.click('.jp-LauncherCard[data-category="Notebook"]')
    await page.wait_for_selector('.jp-NotebookPanel [data-status="idle"]', timeout=LONG)


async def runs(page: Page, code: str, *, gives: str) -> None:
    """Run code in the last cell, and see what it gives below."""
    cell = page.locator(".jp-Notebook .jp-Cell .cm-content").last
    output = page.locator(".jp-OutputArea-output").last

    async def given() -> bool:
        # JupyterLab may set up cell and kernel anew while it loads: what was typed or asked is lost then.
        await cell.fill(code)
        await page.keyboard.press("Shift+Enter")
        try:
            await expect(output).to_have_text(gives, timeout=10_000)
        except AssertionError:
            return False
        return True

    await until(given, is_=True)
