"""Options that are functions of the spawner: called once for each spawn, and readable at any time."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from asyncdockerspawner import DockerSpawner
from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.spawners.image_choice import choose
from asyncdockerspawner.spawners.launch_inputs import launch_inputs
from asyncdockerspawner.spawners.options.per_spawn import PerSpawn
from tests.support.dockerspawner_14 import make

GIB = 2**30
VALUES: dict[str, tuple[Any, Any, Any]] = {
    "allowed_images": (["image:1"], {"image:1": "image:1"}, {}),
    "cpu_limit": (1.5, 1.5, 0.0),
    "extra_networks": (["backend"], ["backend"], []),
    "links": ({"db": "database"}, {"db": "database"}, {}),
    "mem_limit": ("2G", 2 * GIB, 0),
    "mounts": ([{"target": "/t"}], [{"target": "/t"}], []),
    "network_name": ("hub", "hub", "bridge"),
    "read_only_volumes": ({"r": "/r"}, {"r": "/r"}, {}),
    "volume_owner": ("1000:100", "1000:100", "image"),
    "volumes": ({"v": "/v"}, {"v": "/v"}, {}),
}
"""Option → what its function gives, what is read then, and the default."""


class Spawner(DockerSpawner):
    """Needs neither a Hub nor an image to say what it would create."""

    def get_env(self) -> dict[str, Any]:
        """Read the options, as the Hub's own `get_env` reads the limits."""
        self.seen_by_get_env = {name: getattr(self, name) for name in VALUES}
        return {}


class Site:
    """What a site's function gives, and the spawners that it was called with.

    Its functions are plain ones: traitlets copies a configuration, and with a method what it belongs to.
    """

    def __init__(self, value: Any) -> None:
        self.value = value
        self.spawners: list[Any] = []

    def function(self, kind: str) -> Callable[[Any], Any]:
        """Give a function of this kind."""

        def given(spawner: Any) -> Any:
            self.spawners.append(spawner)
            return self.value

        async def given_later(spawner: Any) -> Any:
            return given(spawner)

        def given_to(spawner: Any, *, word: str) -> Any:
            assert word == "x"
            return given_later(spawner)

        kinds: dict[str, Callable[[Any], Any]]
        kinds = {"def": given, "async def": given_later, "partial": functools.partial(given_to, word="x")}
        return kinds[kind]


KINDS = ("def", "async def", "partial")
WRONG = {"mem_limit": "much"}


def made(option: str, function: Any) -> Any:
    return make(Spawner, {option: function, "cmd": ["start"], "image": "image:1"})[0]


def test_the_table_has_every_option_that_may_be_a_function_for_each_spawn() -> None:
    assert set(VALUES) == {
        name for name, trait in DockerSpawner.class_traits().items() if isinstance(trait, PerSpawn)
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("option", VALUES)
async def test_a_function_is_called_once_for_each_spawn_with_its_spawner(option: str, kind: str) -> None:
    given, read, _ = VALUES[option]
    site = Site(given)
    spawner = made(option, site.function(kind))
    for number in (1, 2):
        spawner.clear_state()
        await choose(spawner, final=True)
        await launch_inputs(spawner)
        await launch_inputs(spawner)
        assert site.spawners == [spawner] * number
        assert getattr(spawner, option) == spawner.seen_by_get_env[option] == read


@pytest.mark.parametrize("option", VALUES)
def test_a_function_can_be_read_outside_a_spawn(option: str) -> None:
    given, read, _ = VALUES[option]
    site = Site(given)
    spawner = made(option, site.function("def"))
    assert getattr(spawner, option) == read
    assert getattr(spawner, option) == read
    assert site.spawners == [spawner]


@pytest.mark.parametrize("option", VALUES)
async def test_an_async_function_reads_as_the_default_until_it_was_awaited(option: str) -> None:
    given, read, default = VALUES[option]
    spawner = made(option, Site(given).function("async def"))
    assert getattr(spawner, option) == default
    await launch_inputs(spawner)
    assert getattr(spawner, option) == read
    spawner.clear_state()
    assert getattr(spawner, option) == default


@pytest.mark.parametrize("option", VALUES)
async def test_what_is_read_before_a_spawn_is_not_what_the_spawn_gets(option: str) -> None:
    given, read, default = VALUES[option]
    site = Site(default)
    spawner = made(option, site.function("def"))
    assert getattr(spawner, option) == default
    site.value = given
    # The Hub does this at the beginning of each spawn.
    spawner.clear_state()
    await launch_inputs(spawner)
    assert getattr(spawner, option) == read


@pytest.mark.parametrize("option", ["volumes", "mounts", "links"])
async def test_what_a_hook_changes_in_place_stays_for_this_spawn_only(option: str) -> None:
    site = Site({"a": "/a"} if option != "mounts" else [{"target": "/a"}])
    before = repr(site.value)
    spawner = made(option, lambda _: type(site.value)(site.value))
    value = getattr(spawner, option)
    if option == "mounts":
        value.append({"target": "/b"})
    else:
        value["b"] = "/b"
    assert "/b" in str(getattr(await launch_inputs(spawner), "binds" if option == "volumes" else option))
    spawner.clear_state()
    assert repr(getattr(spawner, option)) == before


@pytest.mark.parametrize("option", VALUES)
async def test_a_plain_value_set_later_takes_the_functions_place(option: str) -> None:
    _, read, default = VALUES[option]
    spawner = made(option, Site(default).function("async def"))
    await launch_inputs(spawner)
    setattr(spawner, option, read)
    assert getattr(spawner, option) == read


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize("option", VALUES)
async def test_a_value_of_the_wrong_kind_is_an_error_that_names_the_option(option: str, kind: str) -> None:
    spawner = made(option, Site(WRONG.get(option, object())).function(kind))
    with pytest.raises(BadOption, match=f"`{option}`: the configured function gave"):
        await launch_inputs(spawner)


@pytest.mark.parametrize("option", VALUES)
async def test_a_function_that_fails_is_an_error_that_names_the_option(option: str) -> None:
    def fails(spawner: Any) -> Any:
        raise ValueError(spawner.user.name)

    async def fails_later(spawner: Any) -> Any:
        raise ValueError(spawner.user.name)

    for function in (fails, fails_later):
        with pytest.raises(BadOption, match=rf"`{option}`: .* failed with ValueError\('alice'\)"):
            await launch_inputs(made(option, function))
    with pytest.raises(BadOption, match=f"`{option}`"):
        getattr(made(option, fails), option)


@pytest.mark.parametrize("kind", KINDS)
async def test_extra_options_are_functions_too(kind: str) -> None:
    site = Site({"hostname": "{username}"})
    spawner = made("extra_create_kwargs", site.function(kind))
    assert (await launch_inputs(spawner)).extra_create == {"hostname": "alice"}
    assert site.spawners == [spawner]
    assert callable(spawner.extra_create_kwargs)
    assert not inspect.iscoroutine(spawner.extra_host_config)
