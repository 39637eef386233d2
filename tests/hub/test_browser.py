"""A user's day in a real browser: log in, compute, save a file, stop, start, and find the file again."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, TimeoutError, expect

from tests.support.browsing import LONG, Picture, lab_is_loaded, log_in, new_notebook, page, picture, runs
from tests.support.hub_site import DIES, HubSite, MakeHub, until

__all__ = ["page", "picture"]


@pytest.mark.timeout(1200)
async def test_a_notebook_computes_and_a_file_in_work_outlives_its_server(
    make_hub: MakeHub, singleuser_image: str, page: Page, picture: Picture
) -> None:
    hub = make_hub(image=singleuser_image, volumes={"{prefix}-{username}": "/home/jovyan/work"})
    await log_in(page, hub, "alice")
    await lab_is_loaded(page)
    await picture("lab")

    await new_notebook(page)
    await runs(page, "1+1", gives="2")
    await picture("computed")

    await runs(page, "print(open('work/kept.txt', 'w').write('still here'))", gives="10\n")
    before = hub.containers()[0]["Id"]

    await stopped_at_home(page, hub, picture)
    await started_at_home(page, hub)
    assert hub.containers()[0]["Id"] != before
    # A document of its own in JupyterLab, read from the new server.
    await page.goto(f"{hub.process.url}/user/alice/lab/tree/work/kept.txt?reset")
    await lab_is_loaded(page)
    await expect(page.locator(".jp-FileEditor .cm-content")).to_have_text("still here", timeout=LONG)
    await picture("found-again")
    assert hub.names() == ["alice"]


async def stopped_at_home(page: Page, hub: HubSite, picture: Picture) -> None:
    """Stop the server with the button of the Hub's home page."""
    page.on("dialog", lambda dialog: dialog.accept())  # a notebook that is not saved asks whether to leave
    await page.goto(f"{hub.process.url}/hub/home")

    async def asked() -> bool:
        # The page's script comes after the page: a click before it is bound to the button is lost.
        try:
            async with page.expect_request(lambda request: request.method == "DELETE", timeout=3_000):
                await page.click("#stop")
        except TimeoutError:
            return False
        return True

    await until(asked, is_=True)
    await expect(page.locator("#start")).to_contain_text("Start My Server", timeout=LONG)
    await hub.nothing_left()
    await picture("stopped")


async def started_at_home(page: Page, hub: HubSite) -> None:
    """Start the server with the button of the Hub's home page."""
    await page.goto(f"{hub.process.url}/hub/home")
    await page.click("#start")
    await page.wait_for_url("**/user/alice/lab**", timeout=LONG)
    await lab_is_loaded(page)


async def test_a_user_reads_on_the_page_why_the_server_died(
    make_hub: MakeHub, page: Page, picture: Picture
) -> None:
    hub = make_hub(cmd=DIES, config="c.JupyterHub.tornado_settings = {'slow_spawn_timeout': 0}")
    await log_in(page, hub, "alice")
    said = page.get_by_text("cannot open the notebook cupboard").first
    await expect(said).to_be_visible(timeout=LONG)
    await picture("died")
    await hub.nothing_left()
