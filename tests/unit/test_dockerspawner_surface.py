"""What subclasses override and call of DockerSpawner 14 is here, alike, and is called by our own code.

What it is like there is asked of DockerSpawner 14 itself, in an environment of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tornado import web

from asyncdockerspawner import DockerSpawner, errors
from asyncdockerspawner.spawners.launch_inputs import launch_inputs, name_by_template
from asyncdockerspawner.spawners.volumes import scopes
from asyncdockerspawner.workloads.launch import LaunchInputs
from tests.support import dockerspawner_14 as questions

CHECKED_BY_THE_TRAIT = "the option's own type checks and reads it; a function is called for each spawn"
ONE_FOR_ALL = "one method tells of all options without effect"
DIFFERENCES = {
    "_cast_cpu_limit": CHECKED_BY_THE_TRAIT,
    "_mem_limit_str": CHECKED_BY_THE_TRAIT,
    "_client_env_changed": ONE_FOR_ALL,
    "_ip_connect_changed": ONE_FOR_ALL,
    "_tls_changed": ONE_FOR_ALL,
    "_image_changed": "an object's name is made at its start, from what holds then",
}
"""Member → why ours is not DockerSpawner's; none of them is there."""

OTHER_ANSWERS = {
    "mount_binds": (
        [
            {"Source": "m--41l-40x", "Target": "/m", "Type": "volume", "ReadOnly": True},
            {
                "Source": "/x/my-20server",
                "Target": "/x",
                "Type": "bind",
                "BindOptions": {"Propagation": "rslave"},
            },
        ],
        "`ReadOnly: False` is not written: to the Engine it is the same, and kept containers would differ",
    ),
}
"""Question → our answer, and why it is not DockerSpawner's."""


@pytest.fixture(autouse=True)
def no_engine_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)


def test_every_member_is_here_with_its_kind_and_its_parameters(theirs: dict[str, Any]) -> None:
    expected = {name: what for name, what in theirs["members"].items() if name not in DIFFERENCES}
    assert {name: questions.signature_of(DockerSpawner, name) for name in expected} == expected
    assert len(expected) > 55


def test_the_listed_differences_are_all_that_is_not_here(theirs: dict[str, Any]) -> None:
    absent = {name for name in theirs["members"] if not hasattr(DockerSpawner, name)}
    assert absent == set(DIFFERENCES)


def test_members_give_what_dockerspawners_give(theirs: dict[str, Any]) -> None:
    ours = questions.answers_of(DockerSpawner)
    for label, answer in theirs["answers"].items():
        expected, why = OTHER_ANSWERS.get(label, (answer, ""))
        assert (label, ours[label]) == (label, expected), why
    assert {label for label in OTHER_ANSWERS if ours[label] != theirs["answers"][label]} == set(OTHER_ANSWERS)


class Bare(DockerSpawner):
    """Needs no Hub to say what it would create."""

    def get_env(self) -> dict[str, Any]:
        return {}


class TakesAFolderAway(Bare):
    """Nobody of the guests gets what is shared."""

    def _volumes_to_binds(self, volumes: Any, binds: Any, mode: str = "rw") -> Any:
        found = super()._volumes_to_binds(volumes, binds, mode)
        return {source: bind for source, bind in found.items() if bind["bind"] != "/shared"}


class MountsOtherwise(Bare):
    """Has a way of its own for all that is mounted."""

    @property
    def volume_binds(self) -> Any:
        return {"other": {"bind": "/other", "ro": True}}

    @property
    def volume_mount_points(self) -> Any:
        return ["/declared"]

    @property
    def mount_binds(self) -> Any:
        return [*super().mount_binds, {"Type": "tmpfs", "Target": "/scratch"}]


class RendersMore(Bare):
    """Knows one more kind of template."""

    def _render_templates(self, obj: Any, ns: Any = None) -> Any:
        found = super()._render_templates(obj, ns)
        return found.replace("%u", self.user.name) if isinstance(found, str) else found


class EscapesOtherwise(Bare):
    """Keeps names as short as they are."""

    @staticmethod
    def _escape(text: str) -> str:
        return text.lower().replace("@", "-at-")

    @staticmethod
    def _legacy_escape(text: str) -> str:
        return "old"


class NamesOtherwise(Bare):
    """Drops the domain."""

    @property
    def escaped_name(self) -> str:
        return str(self.user.name.partition("@")[0].lower())


class KeepsTheEscapedName(Bare):
    """Has found the name elsewhere."""

    _escaped_name = "elsewhere"


class CallsWithTheName(Bare):
    """Its site's functions take a name."""

    def _eval_if_callable(self, x: Any) -> Any:
        return x(self.user.name) if callable(x) else x


class CommandsOtherwise(Bare):
    """Wraps the command."""

    async def get_command(self) -> Any:
        return ["nice", *await super().get_command()]

    def get_args(self) -> list[str]:
        return ["--of-the-class"]


VOLUMES = {"home-{username}": "/home", "shared": "/shared"}
OVERRIDDEN: list[tuple[type[Bare], dict[str, Any], Callable[[LaunchInputs], Any], Any]] = [
    (TakesAFolderAway, {"volumes": VOLUMES}, lambda made: list(made.binds), ["home--41l-40x"]),
    (TakesAFolderAway, {"read_only_volumes": VOLUMES}, lambda made: made.mount_points, ["/home"]),
    (MountsOtherwise, {"volumes": VOLUMES}, lambda made: list(made.binds), ["other"]),
    (MountsOtherwise, {"volumes": VOLUMES}, lambda made: made.mount_points, ["/declared"]),
    (
        MountsOtherwise,
        {"mounts": [{"target": "/t", "source": "v"}]},
        lambda made: [each["Target"] for each in made.mounts],
        ["/t", "/scratch"],
    ),
    (RendersMore, {"name_template": "x-%u-{servername}"}, lambda made: made.name, "x-Al@x-lab"),
    (EscapesOtherwise, {"name_template": "x-{username}"}, lambda made: made.name, "x-al-at-x"),
    (
        EscapesOtherwise,
        {"name_template": "x-{username}", "escape": "legacy"},
        lambda made: made.name,
        "x-old",
    ),
    (NamesOtherwise, {"volumes": VOLUMES}, lambda made: list(made.binds), ["home-al", "shared"]),
    (KeepsTheEscapedName, {"volumes": VOLUMES}, lambda made: next(iter(made.binds)), "home-elsewhere"),
    (
        CallsWithTheName,
        {"extra_host_config": lambda name: {"uts_mode": name}},
        lambda made: made.extra_host,
        {"uts_mode": "Al@x"},
    ),
    (CallsWithTheName, {"volumes": lambda name: {name: "/v"}}, lambda made: list(made.binds), ["Al@x"]),
    (
        CommandsOtherwise,
        {"cmd": ["start"]},
        lambda made: made.command,
        ["nice", "start", "--of-the-class"],
    ),
]


@pytest.mark.parametrize(("cls", "options", "seen", "expected"), OVERRIDDEN)
async def test_what_a_subclass_overrides_decides(
    cls: Any, options: dict[str, Any], seen: Callable[[LaunchInputs], Any], expected: Any
) -> None:
    spawner, _ = questions.make(
        cls, {"image": "image:1", "cmd": ["start"], **options}, name="lab", username="Al@x"
    )
    spawner.object_name = name_by_template(spawner)
    assert seen(await launch_inputs(spawner)) == expected


class AllowsOthers(DockerSpawner):
    """Asks elsewhere what may be chosen."""

    def _get_allowed_images(self) -> Any:
        return {"Mine": f"{self.user.name}:1", "Yours": "yours:1"}


async def test_what_a_subclass_allows_can_be_chosen_and_is_in_the_form() -> None:
    spawner, _ = questions.make(AllowsOthers, {"allowed_images": ["a:1"]})
    assert await spawner.check_allowed("Mine") == "alice:1"
    form = await spawner.get_options_form()
    assert "Yours" in form
    assert "a:1" not in form


async def test_a_subclass_may_ask_and_refuse_what_ours_allows() -> None:
    class Strict(DockerSpawner):
        async def check_allowed(self, image: str) -> str:
            found = await super().check_allowed(image)
            if found == "b:1":
                raise web.HTTPError(403, "not today")
            return found

    spawner, _ = questions.make(Strict, {"allowed_images": {"A": "a:1", "B": "b:1"}})
    assert await spawner.check_allowed("A") == "a:1"
    with pytest.raises(web.HTTPError, match="not today"):
        await spawner.check_allowed("B")


async def test_a_refused_choice_is_caught_as_dockerspawners_and_as_ours() -> None:
    spawner, _ = questions.make(DockerSpawner, {"allowed_images": ["a:1"]})
    with pytest.raises(web.HTTPError) as caught:
        await spawner.check_allowed("b:1")
    assert isinstance(caught.value, errors.ImageNotAllowed)
    assert caught.value.status_code == 400
    assert str(caught.value).startswith("'b:1' is not in the list of allowed images: a:1.")


async def test_a_subclass_whose_names_are_shared_calls_no_volume_a_users_own() -> None:
    spawner, _ = questions.make(NamesOtherwise, {"volumes": VOLUMES}, username="Al@x")
    assert scopes(spawner) == {}
    usual, _ = questions.make(Bare, {"volumes": VOLUMES}, username="Al@x")
    assert scopes(usual) == {"home--41l-40x": "user"}
