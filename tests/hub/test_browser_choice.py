"""The form for choosing an image in a real browser: by keyboard, by its accessible name, in the dark."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from tests.fake_engine import FakeEngine
from tests.support.browsing import LONG, Picture, log_in, page, picture
from tests.support.hub_site import HubSite, MakeHub, inspected

__all__ = ["page", "picture"]

ODD = """<b>"&'"""
ALLOWED = {"Usual": "stub:1", ODD: "odd:1", "Small": "small:1"}
# What of the field and what lies behind it can be seen: whether text and ground differ enough.
CONTRAST = """element => {
    const parts = colour => colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
    const light = colour => parts(colour).map(part => part / 255)
        .map(part => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
        .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
    const style = getComputedStyle(element);
    let behind = element;
    while (behind.parentElement && /^rgba\\(.*, 0\\)$/.test(getComputedStyle(behind).backgroundColor)) {
        behind = behind.parentElement;
    }
    const [a, b] = [light(style.color), light(getComputedStyle(behind).backgroundColor)];
    return {contrast: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), dark: b < 0.2};
}"""
READABLE = 4.5
"""What the Web Content Accessibility Guidelines (AA) ask of text."""


@pytest.fixture
def hub(make_hub: MakeHub, fake: FakeEngine) -> HubSite:
    for name in ("odd:1", "small:1"):
        fake.add_image(name)
    return make_hub(fake=fake, allowed_images=ALLOWED)


def field(page: Page) -> Locator:
    return page.get_by_label("Image", exact=True)


async def form(page: Page, hub: HubSite) -> Locator:
    """Open the page with the form; gives its field."""
    await page.goto(f"{hub.process.url}/hub/spawn")
    await expect(field(page)).to_be_visible(timeout=LONG)
    return field(page)


async def reach(page: Page, wanted: Locator) -> None:
    """Go there as somebody without a mouse does."""
    for _ in range(30):
        if await wanted.evaluate("element => element === document.activeElement"):
            return
        await page.keyboard.press("Tab")
    raise AssertionError("the keyboard does not get there")


async def started(hub: HubSite) -> str:
    assert await hub.settled("alice")
    return str(inspected(hub, "alice")["Config"]["Image"])


async def test_an_image_is_chosen_by_keyboard_and_is_selected_at_the_next_visit(
    hub: HubSite, page: Page, picture: Picture
) -> None:
    alerts: list[str] = []
    page.on("dialog", lambda dialog: alerts.append(dialog.message))
    await log_in(page, hub, "alice")
    image = await form(page, hub)
    assert await image.locator("option").all_inner_texts() == list(ALLOWED)
    await expect(image).to_have_value("Usual")
    await expect(page.get_by_role("combobox", name="Image", exact=True)).to_have_count(1)
    assert await page.locator("#spawn_form b").count() == 0
    await picture("first-visit")

    await reach(page, image)
    await page.keyboard.press("ArrowDown")
    await expect(image).to_have_value(ODD)
    await picture("chosen")
    await reach(page, page.get_by_role("button", name="Start"))
    # Once it is started, the browser goes to the server.
    async with page.expect_response(lambda answer: answer.request.method == "POST", timeout=LONG):
        await page.keyboard.press("Enter")
    await page.wait_for_url("**/user/alice/**", wait_until="commit")
    assert await started(hub) == "odd:1"
    await hub.api.stop_server("alice")

    image = await form(page, hub)
    await expect(image).to_have_value(ODD)
    await picture("second-visit")
    assert alerts == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_form_can_be_read_in_either_theme(
    hub: HubSite, page: Page, picture: Picture, scheme: Any
) -> None:
    await page.emulate_media(color_scheme=scheme)
    await log_in(page, hub, "alice")
    image = await form(page, hub)
    await picture(scheme)
    for part in (image, page.locator("label[for=image]")):
        seen = await part.evaluate(CONTRAST)
        assert seen["contrast"] >= READABLE
        assert seen["dark"] is (scheme == "dark")


async def test_a_refusal_is_read_above_the_form(hub: HubSite, page: Page, picture: Picture) -> None:
    await log_in(page, hub, "alice")
    await form(page, hub)
    await page.goto(f"{hub.process.url}/hub/spawn?image=<img src=x onerror=alert(1)>")
    await expect(page.locator(".spawn-error-msg")).to_contain_text("is not in the list of allowed images")
    await expect(page.locator(".spawn-error-msg")).to_contain_text(ODD)
    assert await page.locator(".spawn-error-msg img").count() == 0
    await expect(field(page)).to_have_value("Usual")
    await picture("refused")


async def test_the_field_for_any_image_says_what_goes_in(
    make_hub: MakeHub, fake: FakeEngine, page: Page, picture: Picture
) -> None:
    fake.add_image("mine:1")
    hub = make_hub(fake=fake, allowed_images="*")
    await log_in(page, hub, "alice")
    image = await form(page, hub)
    await expect(image).to_have_value("stub:1")
    await expect(page.get_by_role("textbox", name="Image", exact=True)).to_have_accessible_description(
        "As name, name:tag or name@digest. Empty is the usual one."
    )
    await picture("any-image")
    await image.fill("mine:1")
    async with page.expect_response(lambda answer: answer.request.method == "POST", timeout=LONG):
        await page.keyboard.press("Enter")
    assert await started(hub) == "mine:1"
