"""Forms of a configuration's own, filled in on the Hub's page: image and memory."""

from __future__ import annotations

import pytest

from tests.support.hub_site import HubSite, MakeHub, environment_of, form_of, inspected, sent, text_of

FIELDS = """
<label for="image">Image</label>
<select name="image"><option value="usual">usual</option><option value="other">other</option></select>
<label for="memory">Memory</label>
<input name="memory" value="64M">
"""
ALLOWED = """
c.DockerSpawner.allowed_images = {{"usual": {usual!r}, "other": {other!r}}}
FIELDS = {fields!r}
"""
BY_HOOK = """
c.DockerSpawner.options_form = FIELDS

def options_from_form(formdata):
    return {"image": formdata["image"][0], "memory": formdata["memory"][0]}

def take_memory(spawner):
    if "memory" in spawner.user_options:
        spawner.mem_limit = spawner.user_options["memory"]

c.DockerSpawner.options_from_form = options_from_form
c.DockerSpawner.pre_spawn_hook = take_memory
"""
BY_ASYNC_FUNCTIONS = """
async def options_form(spawner):
    return FIELDS + f'<p>for {spawner.user.name}</p>'

async def options_from_form(formdata, spawner):
    return {"image": formdata["image"][0], "memory": formdata["memory"][0]}

async def take_memory(spawner):
    spawner.mem_limit = spawner.user_options.get("memory", 0)

c.Spawner.options_form = options_form
c.Spawner.options_from_form = options_from_form
c.Spawner.pre_spawn_hook = take_memory
"""
BY_MAPPING = """
c.Spawner.options_form = FIELDS
c.Spawner.options_from_form = "simple"
c.Spawner.apply_user_options = {"memory": "mem_limit"}
"""
BY_FUNCTION_OPTIONS = """
c.Spawner.options_form = FIELDS
c.Spawner.options_from_form = "simple"
c.DockerSpawner.mem_limit = lambda spawner: spawner.user_options.get("memory", 0)
c.DockerSpawner.environment = {"CHOICE": lambda spawner: spawner.user_options["image"]}
"""
BY_SUBCLASS = """
from asyncdockerspawner import DockerSpawner


class FormSpawner(DockerSpawner):
    def _options_form_default(self):
        return FIELDS + "<p>YOURNAME=%s</p>" % self.user.name

    def options_from_form(self, formdata):
        self.mem_limit = formdata["memory"][0]
        return {"image": formdata["image"][0], "env": {"YOURNAME": self.user.name}}

    def get_env(self):
        env = super().get_env()
        env.update(self.user_options.get("env", {}))
        return env


c.JupyterHub.spawner_class = FormSpawner
"""
BY_START = """
from asyncdockerspawner import DockerSpawner


class ChoosingSpawner(DockerSpawner):
    options_form = FIELDS

    def options_from_form(self, formdata):
        return {"profile": formdata["image"][0], "memory": formdata["memory"][0]}

    async def start(self):
        self.image = self.allowed_images[self.user_options.get("profile", "usual")]
        self.mem_limit = self.user_options.get("memory", "64M")
        return await super().start()


c.JupyterHub.spawner_class = ChoosingSpawner
"""
WAYS = {
    "hook": BY_HOOK,
    "async functions": BY_ASYNC_FUNCTIONS,
    "mapping": BY_MAPPING,
    "functions as options": BY_FUNCTION_OPTIONS,
    "subclass": BY_SUBCLASS,
    "start": BY_START,
}
MISTAKABLE = ("hook", "mapping", "functions as options", "subclass")
"""The places in which an amount of memory that is none may be noticed."""
REFUSING = {key: value for key, value in WAYS.items() if key != "start"}
"""`start` of a subclass looks the image up itself."""


def site(make_hub: MakeHub, way: str, usual: str, other: str) -> HubSite:
    return make_hub(config=ALLOWED.format(usual=usual, other=other, fields=FIELDS) + WAYS[way])


@pytest.mark.parametrize("way", WAYS)
async def test_image_and_memory_are_as_chosen_on_the_page(
    other_image: str, make_hub: MakeHub, stub_image: str, way: str
) -> None:
    hub = site(make_hub, way, stub_image, other_image)
    session = await hub.log_in("alice")
    page = await form_of(session)
    assert "Memory" in text_of(page)
    await sent(session, page, image="other", memory="96M")
    assert await hub.settled("alice")
    assert await hub.answers("alice")
    found = inspected(hub, "alice")
    assert found["Config"]["Image"] == other_image
    assert found["HostConfig"]["Memory"] == 96 * 2**20
    assert environment_of(found)["JUPYTER_IMAGE_SPEC"] == other_image
    assert environment_of(found)["MEM_LIMIT"] == str(96 * 2**20)
    await hub.api.stop_server("alice")
    await hub.nothing_left()

    # Another choice, of the same user and of another one.
    for user, who in (("alice", session), ("bob", await hub.log_in("bob"))):
        await sent(who, await form_of(who), image="usual", memory="80M")
        assert await hub.settled(user)
        assert inspected(hub, user)["Config"]["Image"] == stub_image
        assert inspected(hub, user)["HostConfig"]["Memory"] == 80 * 2**20


@pytest.mark.parametrize("way", REFUSING)
async def test_an_image_that_is_not_on_offer_is_refused_on_the_page(
    other_image: str, make_hub: MakeHub, stub_image: str, way: str
) -> None:
    hub = site(make_hub, way, stub_image, other_image)
    session = await hub.log_in("alice")
    answer = await sent(session, await form_of(session), image=stub_image, memory="80M")
    said = text_of(answer.text)
    assert "is not in the list of allowed images: usual, other" in said
    assert "Traceback" not in said
    assert answer.status_code == 400
    assert hub.names() == []
    # The page that says so has the form in it again.
    await sent(session, answer.text, image="usual", memory="80M")
    assert await hub.settled("alice")
    assert await hub.answers("alice")


@pytest.mark.parametrize("way", MISTAKABLE)
async def test_memory_that_is_none_is_an_error_that_leaves_nothing(
    other_image: str, make_hub: MakeHub, stub_image: str, way: str
) -> None:
    hub = site(make_hub, way, stub_image, other_image)
    session = await hub.log_in("alice")
    answer = await sent(session, await form_of(session), image="usual", memory="much")
    # What a site's own function raises has the Hub's own sentence, and on some ways even status 200.
    assert 'class="spawn-error-msg' in answer.text
    assert "Traceback" not in text_of(answer.text)
    assert hub.names() == []
    await sent(session, answer.text, image="usual", memory="80M")
    assert await hub.settled("alice")
    assert await hub.answers("alice")
