"""Users choose an image on the page, by its address and over REST; the Engine is the fake one."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import jupyterhub
import pytest

from tests.fake_engine import FakeEngine
from tests.support.hub_api import Json
from tests.support.hub_site import HubSite, MakeHub, environment_of, form_of, inspected, sent, text_of

ODD = """<b>"&' {0} %s"""
ALLOWED = {"usual": "stub:1", ODD: "odd:1", "small": "small:1"}
# JupyterHub 5 counts refusals, too.
PATIENT = "c.Spawner.consecutive_failure_limit = 0"
AGAIN = "A start without a choice has the usual image."
FROM_A_FILE = """
import json, pathlib

async def allowed_images(spawner):
    return json.loads(pathlib.Path("allowed.json").read_text()).get(spawner.user.name)

c.DockerSpawner.allowed_images = allowed_images
"""
BY_HOOK = """
def hook(spawner):
    if spawner.user.name == "alice":
        spawner.allowed_images = ["small:1"]

c.Spawner.pre_spawn_hook = hook
"""
Ask = Callable[[HubSite, str, Any], Coroutine[Any, Any, httpx.Response]]


async def by_form(hub: HubSite, user: str, choice: Any) -> httpx.Response:
    session = await hub.log_in(user)
    # Not every choice has a form; what is sent is what a form with the field would send.
    answer = await session.get("/hub/home")
    xsrf = session.cookies["_xsrf"]
    assert answer.status_code == 200
    return await session.post(f"/hub/spawn/{user}", params={"_xsrf": xsrf}, files={"image": (None, choice)})


async def by_address(hub: HubSite, user: str, choice: Any) -> httpx.Response:
    session = await hub.log_in(user)
    return await session.get(f"/hub/spawn/{user}", params={"image": choice})


async def by_new_address(hub: HubSite, user: str, choice: Any) -> httpx.Response:
    session = await hub.log_in(user)
    return await session.get(f"/hub/spawn/{user}", params={"opt-image": choice})


async def by_rest(hub: HubSite, user: str, choice: Any) -> httpx.Response:
    await hub.api._send("POST", f"users/{user}")  # it may be there already
    return await hub.api._send("POST", f"users/{user}/server", {"image": choice})


WAYS: dict[str, Ask] = {"form": by_form, "address": by_address, "rest": by_rest}
if jupyterhub.version_info >= (6, 0):
    WAYS["opt"] = by_new_address


@pytest.fixture
def images(fake: FakeEngine) -> FakeEngine:
    for name in ("odd:1", "small:1"):
        fake.add_image(name)
    return fake


async def started(hub: HubSite, user: str) -> tuple[str, Json]:
    """Wait for the server; gives its image and the options that the Hub has stored."""
    server = await hub.settled(user)
    assert server is not None
    found = inspected(hub, user)
    assert environment_of(found)["JUPYTER_IMAGE_SPEC"] == found["Config"]["Image"]
    return found["Config"]["Image"], server["user_options"]


def said_in(answer: httpx.Response) -> str:
    if answer.headers["content-type"].startswith("application/json"):
        return str(answer.json()["message"])
    return text_of(answer.text)


async def start_again(hub: HubSite, user: str) -> httpx.Response:
    """Ask for a start without a word about options."""
    return await hub.api._send("POST", f"users/{user}/server")


@pytest.mark.hub_5
async def test_every_way_to_choose_gives_the_same_server(make_hub: MakeHub, images: FakeEngine) -> None:
    hub = make_hub(fake=images, allowed_images=ALLOWED, config=PATIENT)
    for way, ask in WAYS.items():
        await ask(hub, way, ODD)
        assert await started(hub, way) == ("odd:1", {"image": ODD}), way
        await hub.api.stop_server(way)
        # What was chosen last is had again, and is selected in the form.
        assert (await start_again(hub, way)).status_code in (201, 202)
        assert await started(hub, way) == ("odd:1", {"image": ODD}), way
        await hub.api.stop_server(way)
        page = await form_of(await hub.log_in(way))
        assert page.count(" selected") == 1
        assert 'value="&lt;b&gt;&#34;&amp;&#39; {0} %s" selected>' in page
    assert "unhandled user_options" not in hub.process.log_text()


@pytest.mark.hub_5
async def test_a_wrong_choice_is_refused_with_what_may_be_chosen_and_creates_nothing(
    make_hub: MakeHub, images: FakeEngine
) -> None:
    hub = make_hub(fake=images, allowed_images=ALLOWED, config=PATIENT)
    wrong: list[tuple[str, Any]] = [
        (way, choice) for way in WAYS for choice in ("<script>x</script>", "odd:1", "x" * 2000, "a\x1b[31m")
    ]
    wrong += [("rest", choice) for choice in (["usual"], {"usual": 1}, 5, True)]
    for way, choice in wrong:
        answer = await WAYS[way](hub, way, choice)
        assert answer.status_code == 400, (way, choice)
        assert f"is not in the list of allowed images: usual, {ODD}, small" in said_in(answer), (way, choice)
        assert "<script>x" not in answer.text or way == "rest"
        assert "Traceback" not in answer.text
    assert hub.names() == []
    # Every page that refuses has the form in it, and whoever was refused can choose again.
    session = await hub.log_in("form")
    answer = await sent(session, await form_of(session), image="evil")
    await sent(session, answer.text, image="small")
    assert (await started(hub, "form"))[0] == "small:1"


@pytest.mark.hub_5
async def test_nothing_can_be_chosen_by_default(make_hub: MakeHub, images: FakeEngine) -> None:
    hub = make_hub(fake=images, config=PATIENT)
    for way in ("form", "rest"):
        answer = await WAYS[way](hub, way, "small:1")
        assert answer.status_code == 400
        assert "does not let users choose an image" in said_in(answer)
        assert hub.names() == []
    # Without a form, the Hub starts the usual server where it could not do as the address says.
    await by_address(hub, "address", "small:1")
    assert (await started(hub, "address"))[0] == "stub:1"
    assert hub.names() == ["address"]


def allow(hub: HubSite, **allowed: Any) -> None:
    """Say which images each user may choose from now on."""
    (hub.process.directory / "allowed.json").write_text(json.dumps(allowed))


@pytest.mark.hub_5
async def test_a_choice_that_was_taken_off_the_list_refuses_one_start_at_most(
    make_hub: MakeHub, images: FakeEngine
) -> None:
    hub = make_hub(fake=images, config=PATIENT + FROM_A_FILE)
    users = ("alice", "bob", "carol")
    allow(hub, **dict.fromkeys(users, ALLOWED))
    for user in users:
        await by_rest(hub, user, "small")
        assert (await started(hub, user))[0] == "small:1"
        await hub.api.stop_server(user)
    hub.process.restart()
    remaining = {name: image for name, image in ALLOWED.items() if name != "small"}
    allow(hub, alice=remaining, bob=remaining, carol={})

    answer = await start_again(hub, "alice")
    assert answer.status_code == 400
    assert f"'small' is not in the list of allowed images: usual, {ODD}. Choose one" in said_in(answer)
    assert AGAIN in said_in(answer)
    assert (await start_again(hub, "alice")).status_code in (201, 202)
    assert await started(hub, "alice") == ("stub:1", {})

    session = await hub.log_in("bob")
    page = await form_of(session)
    assert 'value="usual" selected' in page
    await sent(session, page, image=ODD)
    assert await started(hub, "bob") == ("odd:1", {"image": ODD})

    session = await hub.log_in("carol")
    said = text_of((await session.get("/hub/spawn/carol")).text)
    assert "does not let users choose an image" in said
    assert AGAIN in said
    await session.get("/hub/spawn/carol")
    assert (await started(hub, "carol"))[0] == "stub:1"


@pytest.mark.hub_5
async def test_a_function_decides_for_each_user_and_visit(make_hub: MakeHub, images: FakeEngine) -> None:
    hub = make_hub(fake=images, config=PATIENT + FROM_A_FILE)
    allow(hub, alice=["stub:1", "odd:1"])
    session = await hub.log_in("alice")
    assert 'value="stub:1" selected' in await form_of(session)
    allow(hub, alice=["odd:1", "small:1"])
    page = await form_of(session)
    assert 'value="odd:1" selected' in page
    (hub.process.directory / "allowed.json").write_text("broken")
    answer = await session.get("/hub/spawn")
    assert answer.status_code == 500
    assert "Tell the administrator" in text_of(answer.text)
    assert "`allowed_images`: the configured function failed" in hub.process.log_text()
    assert (await session.get("/hub/home")).status_code == 200
    allow(hub, alice=["odd:1", "small:1"])
    await sent(session, page, image="small:1")
    assert (await started(hub, "alice"))[0] == "small:1"
    # Who has nothing to choose from sees no form.
    await (await hub.log_in("bob")).get("/hub/spawn")
    assert await started(hub, "bob") == ("stub:1", {})


@pytest.mark.hub_5
async def test_where_any_image_goes_the_page_has_a_field_for_its_name(
    make_hub: MakeHub, images: FakeEngine
) -> None:
    hub = make_hub(fake=images, allowed_images="*", config=PATIENT)
    for user, written, image in (("alice", " small:1 ", "small:1"), ("bob", "", "stub:1")):
        session = await hub.log_in(user)
        page = await form_of(session)
        assert 'value="stub:1"' in page
        answer = await sent(session, page, image="no image <b>")
        assert answer.status_code == 400
        assert "'no image <b>' is not the name of an image, such as `name`" in text_of(answer.text)
        assert hub.names() == ([] if user == "alice" else ["alice"])
        await sent(session, answer.text, image=written)
        assert (await started(hub, user))[0] == image


@pytest.mark.hub_5
async def test_a_hook_may_change_what_is_allowed(make_hub: MakeHub, images: FakeEngine) -> None:
    hub = make_hub(fake=images, config=PATIENT + BY_HOOK)
    await by_rest(hub, "alice", "small:1")
    assert (await started(hub, "alice"))[0] == "small:1"
    answer = await by_rest(hub, "bob", "small:1")
    assert answer.status_code == 400
    assert "does not let users choose an image" in said_in(answer)
    assert hub.names() == ["alice"]
