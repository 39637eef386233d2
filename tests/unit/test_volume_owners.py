"""Whose volumes are, and what they are called when their server has got another name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from asyncdockerspawner.names import volume_owners
from asyncdockerspawner.names.naming import namespace_of

WORDS = st.text("ab-", min_size=1, max_size=6)


def spawner(**frozen: str) -> Any:
    """What templates see of alice's server `new`, which was `old`; `frozen` names stay what they were."""
    made: Any = SimpleNamespace(name="new", user=SimpleNamespace(name="alice"), frozen=frozen)
    made.image, made.prefix, made.escape = "image:1", "jupyter", str
    made.template_namespace = lambda: namespace_of(made, "alice", "new")
    return made


def render(template: str, of: Any) -> str:
    if isinstance(of, volume_owners.StandIn):
        return template.format_map(of.template_namespace())
    plain = template.format(username=of.user.name, servername=of.name)
    return str(of.frozen.get(template.strip("{}"), plain))


def test_what_no_other_user_has_is_the_users_or_the_servers() -> None:
    templates = ["u-{username}", "s-{servername}-{username}", "{servername}", "all"]
    assert volume_owners.scopes(templates, spawner(), render) == {"u-alice": "user", "s-new-alice": "server"}


def test_a_stand_in_has_the_other_names_and_all_else_of_the_spawner() -> None:
    other = volume_owners.StandIn(spawner(), username="bob", servername="lab")
    assert (other.user.name, other.name, other.prefix) == ("bob", "lab", "jupyter")
    fields = other.template_namespace()
    assert (fields["username"], fields["servername"], fields["prefix"]) == ("bob", "lab", "jupyter")


def test_a_name_that_a_renamed_server_has_kept_makes_no_shared_volume_its_own() -> None:
    assert volume_owners.scopes(["{servername}"], spawner(servername="old"), render) == {}


def test_what_a_function_names_after_the_server_stays_what_it_was() -> None:
    def before(name: str, *had: str) -> str:
        return volume_owners.as_before(name, [("new", "old"), ("n-65w", "o-6cd")], had)

    assert before("v-alice-new", "v-alice-old") == "v-alice-old"
    assert before("v-alice-n-65w", "v-alice-o-6cd") == "v-alice-o-6cd"
    assert before("/srv/new/news", "/srv/old/news") == "/srv/old/news"
    assert before("/srv/new/news", "/srv/old/olds") == "/srv/old/olds"


def test_what_the_server_did_not_have_before_is_what_the_configuration_says() -> None:
    assert volume_owners.as_before("w-new", [("new", "old")], ["v-old", "w"]) == "w-new"
    assert volume_owners.as_before("shared", [("new", "old")], ["v-old"]) == "shared"
    assert volume_owners.as_before("v-new", [("new", "old")], ["v-old", "v-new"]) == "v-new"
    assert volume_owners.as_before("v-new", [("", "old"), ("new", "")], ["v-old"]) == "v-new"


@given(WORDS, WORDS, WORDS, st.lists(WORDS))
def test_a_server_gets_back_what_it_had_and_nothing_else(
    prefix: str, now: str, before: str, others: list[str]
) -> None:
    had = f"{prefix}{before}"
    assert volume_owners.as_before(f"{prefix}{now}", [(now, before)], [had]) == had
    found = volume_owners.as_before(prefix, [(now, before)], others)
    assert found == prefix or found in others
