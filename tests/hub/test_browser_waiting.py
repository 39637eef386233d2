"""What a user sees in a real browser while a server is on its way, and where it never arrives."""

from __future__ import annotations

import re

from playwright.async_api import Page, expect

from tests.fake_engine import FakeEngine
from tests.support.browsing import LONG, Picture, log_in, page, picture
from tests.support.hub_site import AT_ONCE, SHELL, MakeHub

__all__ = ["page", "picture"]

SLOW = "registry.test/slow:1"
SECRET = "6b1f-hidden"
FAILS = [*SHELL, f"echo '<b>no cupboard</b> token={SECRET} '$DB_PASSWORD; exit 3"]
EATS_MEMORY = [*SHELL, "exec /bin/busybox tail /dev/zero"]


async def test_a_pull_is_seen_moving_until_the_server_is_there(
    make_hub: MakeHub, fake: FakeEngine, page: Page, picture: Picture
) -> None:
    fake.add_pullable(SLOW, pause=2)
    hub = make_hub(fake=fake, image=SLOW, config=AT_ONCE)
    await log_in(page, hub, "alice")
    message, bar = page.locator("#progress-message"), page.locator("#progress-bar")
    await expect(message).to_contain_text(re.compile(rf"Pulling {SLOW}: .*of \d+ layers?"), timeout=LONG)
    first = await bar.get_attribute("aria-valuenow")
    await picture("pulling")
    # The page is loaded anew: the lines are there again.
    await page.reload()
    await expect(message).to_contain_text("layer", timeout=LONG)
    await picture("pulling-still")
    await expect(bar).not_to_have_attribute("aria-valuenow", str(first), timeout=LONG)
    assert await hub.settled("alice")
    assert len(fake.requests("POST", "/images/create")) == 1


async def test_a_server_that_fails_shows_its_reason_and_its_last_lines_as_text_without_secrets(
    make_hub: MakeHub, page: Page, picture: Picture
) -> None:
    hub = make_hub(cmd=FAILS, config=AT_ONCE, environment={"DB_PASSWORD": "opensesame"})
    await log_in(page, hub, "alice")
    await expect(page.get_by_text("exited with code 3").first).to_be_visible(timeout=LONG)
    await expect(page.get_by_text("<b>no cupboard</b> token=*** ***").first).to_be_visible(timeout=LONG)
    await picture("failed")
    log = hub.process.log_text()
    assert "no cupboard" in log
    for secret in (SECRET, "opensesame"):
        assert secret not in log
        assert secret not in await page.content()
    await hub.nothing_left()


async def test_a_server_that_runs_out_of_memory_while_it_starts_says_so(
    make_hub: MakeHub, page: Page, picture: Picture
) -> None:
    hub = make_hub(cmd=EATS_MEMORY, config=AT_ONCE, mem_limit="16M")
    await log_in(page, hub, "alice")
    said = page.get_by_text("out of memory (limit 16 MiB)").first
    await expect(said).to_be_visible(timeout=LONG)
    await expect(said).to_contain_text("It needs more memory, or less to do.")
    assert "`mem_limit`" in hub.process.log_text()
    await picture("out-of-memory")
    await hub.nothing_left()
