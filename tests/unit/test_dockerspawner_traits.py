"""Every option of DockerSpawner 14 is here, with its default, its kinds of values and its former names.

What it is like there is asked of DockerSpawner 14 itself, in an environment of its own.
"""

from __future__ import annotations

from typing import Any

import pytest

from asyncdockerspawner import DockerSpawner
from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.spawners.options import deprecated
from tests.support import dockerspawner_14 as questions

DEFAULTS = {
    "apply_user_options": ("a function", "the choice of an image is checked there, not in `start` only"),
    "container_image": ("''", "nothing reads it; `image` has the default"),
    "options_form": ("a function", "gives the form, made anew for each visit"),
}
"""Option → our other default, and why."""

NO_IMAGES = {"True", "False", "a whole number", "a number with a point", "bytes", "a nested dictionary"}
NO_MOUNTS = {
    *("a text", "a number as text", "a size", "a star", "a policy", "a scheme", "no text"),
    *("a list", "a tuple"),
}
REFUSED = {
    "allowed_images": (NO_IMAGES, "any spawn would fail with them, and pages of the Hub too"),
    "image_whitelist": (NO_IMAGES, "it is handed over to `allowed_images`"),
    "mounts": (NO_MOUNTS, "any spawn would fail: a mount is a dictionary"),
}
"""Option → samples that DockerSpawner takes and we do not, and why."""

READ_OTHERWISE = {
    ("allowed_images", "a tuple"): ("{'a': 'a'}", "in DockerSpawner, choosing from a tuple is an error"),
    ("allowed_images", "a function"): ("None", "read, options are what the function gives"),
    ("allowed_images", "an async function"): ("{}", "until it was called: the default"),
    ("cpu_limit", "an async function"): ("0.0", "until it was called: the default"),
    ("mem_limit", "an async function"): ("0", "until it was called: the default"),
}
"""Option and sample → what is read from ours, and why it is not what DockerSpawner gives."""

WORDS_IN_COMMON = 7
"""So many words on end in two help texts are no chance."""


@pytest.fixture(autouse=True)
def no_engine_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)


def own(theirs: dict[str, Any]) -> set[str]:
    """Give the options that DockerSpawner adds to JupyterHub's."""
    return {name for name, trait in theirs["traits"].items() if not trait["inherited"]}


def test_it_is_dockerspawner_14_that_answers(theirs: dict[str, Any]) -> None:
    assert theirs["version"].startswith("14.")
    assert len(own(theirs)) > 30


def test_every_option_is_here(theirs: dict[str, Any]) -> None:
    assert set(theirs["traits"]) - set(questions.traits_of(DockerSpawner)) == set()


def test_every_option_has_the_same_default(theirs: dict[str, Any]) -> None:
    ours = questions.traits_of(DockerSpawner)
    names = set(theirs["traits"])
    assert {name: ours[name]["default"] for name in names if name not in DEFAULTS} == {
        name: theirs["traits"][name]["default"] for name in names if name not in DEFAULTS
    }
    assert {name: ours[name]["named"] for name in names if name not in DEFAULTS} == {
        name: theirs["traits"][name]["named"] for name in names if name not in DEFAULTS
    }
    for name, (default, why) in DEFAULTS.items():
        assert theirs["traits"][name]["default"] != ours[name]["default"] == default, why


def test_defaults_depend_on_the_same_things(theirs: dict[str, Any]) -> None:
    assert questions.computed_by(DockerSpawner) == theirs["computed"]
    assert len(set(theirs["computed"])) > 5


def test_every_option_takes_the_same_kinds_of_values(theirs: dict[str, Any]) -> None:
    for name in own(theirs):
        taken, of_ours = theirs["accepted"][name], questions.accepted_by(DockerSpawner, name)
        refused, why = REFUSED.get(name, (set(), ""))
        assert (name, set(taken) - set(of_ours)) == (name, refused), why
        for sample in set(taken) - refused:
            expected, why = READ_OTHERWISE.get((name, sample), (taken[sample], ""))
            assert (name, sample, of_ours[sample]) == (name, sample, expected), why


def test_the_listed_differences_are_differences(theirs: dict[str, Any]) -> None:
    for (name, sample), (read, _) in READ_OTHERWISE.items():
        assert theirs["accepted"][name][sample] != read


def test_options_grow_in_the_configuration(theirs: dict[str, Any]) -> None:
    assert {"volumes", "mounts", "extra_host_config", "allowed_images"} <= set(theirs["lazily"])
    ours = {name: questions.lazily(DockerSpawner, name) for name in theirs["lazily"]}
    assert ours == theirs["lazily"]
    assert questions.lazily(DockerSpawner, "environment") == "{'a': 'b', 'c': 'd'}"


def test_what_one_spawner_adds_is_not_anothers() -> None:
    one, _ = questions.make(DockerSpawner, {"volumes": {"a": "/a"}})
    other, _ = questions.make(DockerSpawner, {"volumes": {"a": "/a"}})
    plain, _ = questions.make(DockerSpawner)
    for spawner in (one, plain):
        spawner.volumes["b"] = "/b"
        spawner.mounts.append({"target": "/c"})
        spawner.extra_host_config["privileged"] = True
    fresh, _ = questions.make(DockerSpawner)
    assert (other.volumes, fresh.volumes) == ({"a": "/a"}, {})
    assert (other.mounts, fresh.extra_host_config) == ([], {})


def runs_of_words(text: str) -> set[tuple[str, ...]]:
    words = text.lower().replace("`", "").split()
    return {
        tuple(words[start : start + WORDS_IN_COMMON]) for start in range(len(words) - WORDS_IN_COMMON + 1)
    }


def test_every_option_explains_itself_in_words_of_its_own(theirs: dict[str, Any]) -> None:
    ours = {
        name: trait for name, trait in questions.traits_of(DockerSpawner).items() if not trait["inherited"]
    }
    names = own(theirs)
    assert names <= set(ours)
    assert [name for name in names if len(ours[name]["help"]) < 20] == []
    everything = set().union(*(runs_of_words(theirs["traits"][name]["help"]) for name in names))
    assert len(everything) > 300
    assert {name for name, trait in ours.items() if runs_of_words(trait["help"]) & everything} == set()


def test_former_names_say_the_same_and_hand_over_the_same(theirs: dict[str, Any]) -> None:
    assert set(theirs["aliases"]) == set(questions.ALIASES) == set(deprecated.ALIASES)
    for name, (new, told) in theirs["aliases"].items():
        assert questions.told_by(DockerSpawner, name, new) == told
        assert [len(lines) for _, lines in told.values()] == [1, 0, 1, 1], name


def test_a_former_name_names_the_subclass_that_is_configured() -> None:
    class OurSpawner(DockerSpawner):
        pass

    spawner, lines = questions.make(OurSpawner, {"container_prefix": "x"})
    assert lines == [
        "WARNING: OurSpawner.container_prefix is deprecated in DockerSpawner 0.10.0, "
        "use OurSpawner.prefix instead"
    ]
    assert spawner.prefix == "x"


def test_former_options_without_effect_only_warn(theirs: dict[str, Any]) -> None:
    of_ours = {"use_docker_client_env": False, "certs_volume_name": "certs", "move_certs_image": "busybox"}
    values = {**questions.WITHOUT_EFFECT, **of_ours}
    assert set(theirs["without_effect"]) | set(of_ours) == set(values) == set(deprecated.WITHOUT_EFFECT)
    before = questions.traits_of(DockerSpawner)
    for name, value in values.items():
        spawner, lines = questions.make(DockerSpawner, {name: value})
        assert [line.split(":")[0] for line in lines] == ["WARNING"], name
        assert f"DockerSpawner.{name} has no effect" in lines[0]
        others = set(before) - {name}
        assert {each: questions.shown(getattr(spawner, each)) for each in others} == {
            each: before[each]["default"] for each in others
        }
    assert {name: len(lines) for name, lines in theirs["without_effect"].items()} == dict.fromkeys(
        theirs["without_effect"], 1
    )


def test_an_option_that_has_gone_is_an_error_that_names_what_took_its_place() -> None:
    with pytest.raises(BadOption, match="`extra_start_kwargs` has gone: use `extra_host_config`"):
        questions.make(DockerSpawner, {"extra_start_kwargs": {"privileged": True}})
    spawner, _ = questions.make(DockerSpawner)
    with pytest.raises(BadOption, match="extra_host_config"):
        spawner.extra_start_kwargs = {}
