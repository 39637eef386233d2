"""Names of objects: DockerSpawner 14's, vector for vector, and what the schemes promise."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncdockerspawner.errors import BadOption, BadTemplate
from asyncdockerspawner.names import naming
from asyncdockerspawner.names.templating import render

WITH_IMAGE = "{prefix}-{username}-{imagename}"
VECTORS: list[tuple[str, str, str | None, str, str, str]] = [
    ("alice", "", None, "jupyter", "img", "jupyter-alice"),
    ("Alice", "", None, "jupyter", "img", "jupyter--41lice"),
    ("alice-b", "", None, "jupyter", "img", "jupyter-alice-2db"),
    ("user--foo", "", None, "jupyter", "img", "jupyter-user-2d-2dfoo"),
    ("user", "foo", None, "jupyter", "img", "jupyter-user--foo"),
    ("has@", "also-has@", None, "jupyter", "img", "jupyter-has-40--also-2dhas-40"),
    ("user@email.com", "", None, "jupyter", "img", "jupyter-user-40email-2ecom"),
    ("josé", "", None, "jupyter", "img", "jupyter-jos-c3-a9"),
    ("user_1", "my_server", None, "jupyter", "img", "jupyter-user-5f1--my-5fserver"),
    ("alice", "My-Server", None, "jupyter", "img", "jupyter-alice--my-2dserver"),
    ("alice", "MY SERVER", None, "jupyter", "img", "jupyter-alice--my-20server"),
    ("张三", "", None, "jupyter", "img", "jupyter--e5-bc-a0-e4-b8-89"),
    ("a.b c", "", None, "hub1", "img", "hub1-a-2eb-20c"),
    ("alice", "", WITH_IMAGE, "jupyter", "quay.io/jupyter/scipy-notebook:2023-10-23",
     "jupyter-alice-quay.io-jupyter-scipy-notebook-2023-10-23"),
    ("alice", "", WITH_IMAGE, "jupyter", "my.reg:5000/foo", "jupyter-alice-my.reg-5000-foo"),
    ("alice", "", WITH_IMAGE, "jupyter", "foo@sha256:abcd", "jupyter-alice-foo@sha256-abcd"),
    ("Alice@X", "S 1", "{prefix}-{raw_username}-{raw_servername}", "jupyter", "img", "jupyter-Alice@X-S 1"),
    ("alice", "", "{prefix}-{username}-{servername}", "jupyter", "img", "jupyter-alice-"),
    ("Al", "x", "{prefix}-{safe_username}-{username}", "jupyter", "img", "jupyter--41l--41l"),
    ("alice", "", "{prefix}-{nosuch}-{username}", "jupyter", "img", "{prefix}-{nosuch}-{username}"),
    ("alice", "", "{prefix}-{username", "jupyter", "img", "{prefix}-{username"),
    ("alice", "", "{{literal}}-{username}", "jupyter", "img", "{literal}-alice"),
    ("alice", "", "{username!r:>10}", "jupyter", "img", "   'alice'"),
    ("", "", None, "jupyter", "img", "jupyter-"),
]  # fmt: skip
LEGACY_VECTORS = [
    ("alice", "", "jupyter-alice"),
    ("Alice-B", "", "jupyter-Alice-B"),
    ("user@email.com", "", "jupyter-user_40email_2Ecom"),
    ("user_1", "srv_2", "jupyter-user_5F1--srv_5F2"),
    ("josé", "", "jupyter-jos_C3_A9"),
    ("Alice", "My-Server", "jupyter-Alice--my-server"),
    ("has@", "also-has@", "jupyter-has_40--also-has_40"),
    ("user--foo", "", "jupyter-user--foo"),
    ("user", "foo", "jupyter-user--foo"),
]
ENGINE_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
# escapism does not pad hexadecimal, so control characters are not told apart.
names = st.text(st.characters(min_codepoint=32, exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)


def name_of(
    username: str,
    servername: str = "",
    *,
    template: str | None = None,
    escape: naming.EscapeScheme = naming.escape_dns,
    **fields: Any,
) -> str:
    values = {"image": "img", "prefix": "jupyter", **fields}
    found = naming.namespace(username=username, servername=servername, escape=escape, **values)
    return str(render(template or naming.default_name_template(servername), found, option="name_template"))


@pytest.mark.parametrize("vector", VECTORS)
def test_the_default_scheme_gives_dockerspawners_names(
    vector: tuple[str, str, str | None, str, str, str],
) -> None:
    username, servername, template, prefix, image, expected = vector
    assert name_of(username, servername, template=template, prefix=prefix, image=image) == expected


@pytest.mark.parametrize(("username", "servername", "expected"), LEGACY_VECTORS)
def test_the_legacy_scheme_gives_dockerspawners_names(username: str, servername: str, expected: str) -> None:
    assert name_of(username, servername, escape=naming.scheme("legacy")) == expected


def test_a_callable_is_used_as_it_is() -> None:
    assert name_of("alice", "srv", escape=naming.scheme(str.upper)) == "jupyter-ALICE--SRV"


@pytest.mark.parametrize("template", ["{0}-{username}", "{}-{username}", "{prefix.foo}-{username}"])
def test_a_template_that_reaches_for_more_than_fields_is_refused_by_name(template: str) -> None:
    with pytest.raises(BadTemplate, match="name_template") as caught:
        name_of("alice", template=template)
    assert template in str(caught.value)


@pytest.mark.parametrize("value", ["", "modern", 7, None])
def test_an_unknown_scheme_is_refused_by_name(value: object) -> None:
    with pytest.raises(BadOption, match="escape"):
        naming.scheme(value)


def test_a_scheme_that_gives_no_string_is_refused() -> None:
    with pytest.raises(BadOption, match="escape"):
        name_of("alice", escape=naming.scheme(lambda _: 5))


@given(names, st.one_of(st.just(""), names))
def test_default_names_are_valid_at_the_engine(username: str, servername: str) -> None:
    assert ENGINE_NAME.fullmatch(name_of(username, servername))


@given(names, st.one_of(st.just(""), names), names, st.one_of(st.just(""), names))
def test_default_names_are_stable_and_told_apart(user: str, server: str, user2: str, server2: str) -> None:
    same = (user, server.lower()) == (user2, server2.lower())
    assert (name_of(user, server) == name_of(user2, server2)) == same


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_the_default_scheme_uses_dns_characters_only(text: str) -> None:
    assert re.fullmatch(r"[a-z0-9-]*", naming.escape_dns(text))


class FakeSpawner:
    """What the naming strategies see of a spawner, with a namespace that a subclass changed."""

    def template_namespace(self) -> dict[str, str]:
        return {"username": "raw@name", "safe_username": "raw-40name"}


def test_volumes_are_named_from_the_spawners_namespace() -> None:
    assert naming.default_format_volume_name("v-{username}", FakeSpawner()) == "v-raw@name"


def test_the_escaped_strategy_escapes_whatever_the_namespace_says() -> None:
    assert naming.escaped_format_volume_name("v-{username}", FakeSpawner()) == "v-raw-40name"


class Unhashable:
    """A site's own way, which may be anything that can be called."""

    __hash__ = None  # type: ignore[assignment]

    def __call__(self, *_: object) -> str:
        return "x"


@pytest.mark.parametrize(
    ("way", "escape", "alone"),
    [
        (naming.default_format_volume_name, naming.escape_dns, True),
        (naming.escaped_format_volume_name, naming.escape_legacy, True),
        (Unhashable(), naming.escape_dns, False),
        (naming.default_format_volume_name, Unhashable(), False),
    ],
)
def test_names_are_of_this_package_alone_where_no_function_is_the_sites(
    way: Any, escape: Any, alone: bool
) -> None:
    assert naming.names_alone(SimpleNamespace(format_volume_name=way, escape=escape)) is alone


@pytest.mark.parametrize("strategy", [naming.default_format_volume_name, naming.escaped_format_volume_name])
def test_an_unknown_field_in_a_volumes_name_is_refused(strategy: Any) -> None:
    with pytest.raises(BadTemplate, match="nosuch"):
        strategy("v-{nosuch}", FakeSpawner())


def test_a_configured_scheme_that_gives_no_string_is_refused() -> None:
    with pytest.raises(BadOption, match="escape must give a string"):
        naming.scheme(len)("alice")


@given(names, st.one_of(st.just(""), names))
def test_legacy_names_are_valid_at_the_engine(username: str, servername: str) -> None:
    assert ENGINE_NAME.fullmatch(name_of(username, servername, escape=naming.escape_legacy))


def test_dashes_in_a_username_cannot_pass_for_a_named_server() -> None:
    assert name_of("user--foo") != name_of("user", "foo")
