"""How the Hub asks about a user's choice, and what sites and subclasses may put in the answers' place."""

from __future__ import annotations

from typing import Any

import pytest
from tornado import web
from traitlets import default

from asyncdockerspawner import DockerSpawner
from asyncdockerspawner.spawners.image_choice import choose
from tests.support.dockerspawner_14 import make

ALLOWED = {"A": "a:1", "B": "b:1"}


def made(cls: Any = DockerSpawner, **options: Any) -> Any:
    return make(cls, {"image": "usual:1", "allowed_images": ALLOWED, **options})[0]


async def refused(spawner: Any, user_options: dict[str, Any]) -> web.HTTPError:
    spawner.user_options = spawner.orm_spawner.user_options = user_options
    with pytest.raises(web.HTTPError) as caught:
        await spawner._run_apply_user_options(user_options)
    return caught.value


class ByMagicName(DockerSpawner):
    """Overrides as traitlets finds it by name."""

    def _options_form_default(self) -> str:
        return self._default_options_form() + "<hr>"


class ByDecorator(DockerSpawner):
    """Overrides as DockerSpawner itself does."""

    @default("options_form")
    def _default_options_form(self) -> str:
        return super()._default_options_form() + "<hr>"


class ByName(DockerSpawner):
    """Overrides what DockerSpawner calls it."""

    def _default_options_form(self) -> str:
        return super()._default_options_form() + "<hr>"


@pytest.mark.parametrize("cls", [ByMagicName, ByDecorator, ByName])
async def test_a_subclass_may_add_to_the_form(cls: Any) -> None:
    found = await made(cls).get_options_form()
    assert "<select" in found
    assert found.endswith("<hr>")


async def test_a_site_may_have_a_form_of_its_own() -> None:
    assert await made(options_form="<b>own</b>").get_options_form() == "<b>own</b>"
    assert await made(options_form=lambda spawner: spawner.user.name).get_options_form() == "alice"


async def test_the_form_follows_an_async_function_from_visit_to_visit() -> None:
    names = ["x:1", "y:1"]

    async def allowed(spawner: Any) -> list[str]:
        assert spawner.user.name == "alice"
        return names

    spawner = made(allowed_images=allowed)
    assert "z:1" not in await spawner.get_options_form()
    names = ["x:1", "z:1"]
    assert "z:1" in await spawner.get_options_form()


def failing(*args: Any) -> Any:
    raise OSError("no list today")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"allowed_images": failing}, "`allowed_images`"),
        ({"options_form": failing}, "`options_form`"),
    ],
)
async def test_a_form_whose_function_fails_is_a_sentence_and_the_log_names_the_option(
    options: dict[str, Any], named: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(web.HTTPError) as caught:
        await made(**options).get_options_form()
    assert caught.value.status_code == 500
    assert "dministrator" in caught.value.jupyterhub_message  # type: ignore[attr-defined]
    assert "no list today" not in caught.value.jupyterhub_message  # type: ignore[attr-defined]
    [record] = caplog.records
    assert named in record.getMessage()
    assert record.exc_info


async def test_a_list_whose_function_fails_is_no_invalid_option_of_the_user() -> None:
    error = await refused(made(allowed_images=failing), {"image": "A"})
    assert error.status_code == 500
    assert "dministrator" in error.jupyterhub_message  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("formdata", "options"),
    [
        ({"image": ["A"]}, {"image": "A"}),
        ({"image": ["A"], "other": ["x"]}, {"image": "A"}),
        ({"image": [""]}, {"image": ""}),
        ({"image": []}, {}),
        ({}, {}),
    ],
)
def test_form_and_address_give_what_a_request_would_have(
    formdata: dict[str, list[str]], options: dict[str, Any]
) -> None:
    assert made().run_options_from_form(formdata) == options
    assert made().options_from_query(formdata) == options


@pytest.mark.parametrize("ask", ["run_options_from_form", "options_from_query"])
def test_a_field_that_came_twice_is_told_at_once(ask: str) -> None:
    with pytest.raises(web.HTTPError) as caught:
        getattr(made(), ask)({"image": ["A", "B"]})
    assert caught.value.status_code == 400
    assert "choose one" in caught.value.jupyterhub_message  # type: ignore[attr-defined]


async def test_a_choice_is_taken_where_the_hub_applies_options() -> None:
    spawner = made()
    await spawner._run_apply_user_options({"image": "B"})
    assert spawner.image == "b:1"
    for nothing in ({}, {"image": ""}, {"image": None}, {"other": "x"}):
        spawner = made()
        await spawner._run_apply_user_options(nothing)
        assert spawner.image == "usual:1"


@pytest.mark.parametrize("wanted", ["b:1", ["A"], {"A": "A"}, 5, True, "x" * 10_000, "A\n"])
async def test_a_wrong_choice_is_an_error_of_the_hub_and_is_not_repeated(wanted: Any) -> None:
    spawner = made()
    error = await refused(spawner, {"image": wanted, "other": "kept"})
    assert error.status_code == 400
    assert "A, B" in error.jupyterhub_message  # type: ignore[attr-defined]
    assert spawner.image == "usual:1"
    assert spawner.orm_spawner.user_options == {"other": "kept"}


@pytest.mark.parametrize("wanted", ["Upper", "a::b", "a@sha256:12", "a/", "-"])
async def test_where_any_image_goes_what_names_none_is_refused_and_not_repeated(wanted: str) -> None:
    spawner = made(allowed_images="*")
    error = await refused(spawner, {"image": wanted})
    assert error.status_code == 400
    assert spawner.orm_spawner.user_options == {}


async def test_other_functions_are_not_called_before_the_spawn_is_prepared() -> None:
    def volumes(spawner: Any) -> dict[str, str]:
        raise AssertionError

    spawner = made(volumes=volumes, allowed_images=lambda _: ALLOWED)
    await spawner._run_apply_user_options({"image": "B"})
    assert spawner.image == "b:1"


async def test_with_a_hook_that_may_change_what_is_allowed_the_choice_waits_for_it() -> None:
    def hook(spawner: Any) -> None:
        spawner.allowed_images["C"] = "c:1"

    spawner = made(pre_spawn_hook=hook)
    spawner.user_options = {"image": "C"}
    await spawner._run_apply_user_options(spawner.user_options)
    hook(spawner)
    await choose(spawner, final=True)
    assert spawner.image == "c:1"


def strict(status: int) -> Any:
    """A spawner that lets nobody choose."""

    class Strict(DockerSpawner):
        async def check_allowed(self, image: str) -> str:
            raise web.HTTPError(status, "not today")

    return made(Strict)


@pytest.mark.parametrize("status", [400, 403])
async def test_a_subclass_refuses_in_words_of_its_own(status: int) -> None:
    spawner = strict(status)
    error = await refused(spawner, {"image": "A"})
    assert (error.status_code, error.log_message) == (status, "not today")
    assert spawner.orm_spawner.user_options == {}


async def test_what_a_subclass_cannot_tell_now_is_asked_again_later() -> None:
    spawner = strict(503)
    spawner.user_options = spawner.orm_spawner.user_options = {"image": "A"}
    await spawner._run_apply_user_options(spawner.user_options)
    with pytest.raises(web.HTTPError, match="not today"):
        await choose(spawner, final=True)
    assert spawner.orm_spawner.user_options == {"image": "A"}


async def test_a_site_that_applies_options_itself_still_has_the_choice_checked() -> None:
    spawner = made(apply_user_options={"image": "image"})
    spawner.user_options = {"image": "evil:1"}
    await spawner._run_apply_user_options(spawner.user_options)
    with pytest.raises(Exception, match="not in the list"):
        await choose(spawner, final=True)


def test_a_list_is_read_as_the_names_of_themselves() -> None:
    assert made(allowed_images=["a", "b"]).allowed_images == {"a": "a", "b": "b"}
    assert made(allowed_images=lambda _: ["a"]).allowed_images == {"a": "a"}


async def test_the_former_name_of_check_allowed_says_so() -> None:
    with pytest.warns(DeprecationWarning, match=r"12\.0, use DockerSpawner\.check_allowed"):
        assert await made().check_image_whitelist("A") == "a:1"
