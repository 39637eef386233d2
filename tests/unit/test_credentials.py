"""Credentials for registries: whose they are, how they are written, and that no text shows them."""

from __future__ import annotations

import base64
import json
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from traitlets import TraitError

from asyncdockerspawner import DockerSpawner
from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.images import credentials
from asyncdockerspawner.images.credentials import DOCKER_HUB, Ask, Credentials

FILE = "/home/hub/.docker/config.json"
ASK = Ask("pass", "quay.io")


def auth(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


def user(server: str, name: str, password: str = "") -> Credentials:
    return Credentials(serveraddress=server, username=name, password=password or "pw")


@pytest.mark.parametrize(
    ("keys", "registry", "key", "server"),
    [
        (["quay.io"], "quay.io", "quay.io", "quay.io"),
        (["https://quay.io"], "quay.io", "https://quay.io", "quay.io"),
        (["http://quay.io/v2/"], "quay.io", "http://quay.io/v2/", "quay.io"),
        (["Quay.IO"], "quay.io", "Quay.IO", "quay.io"),
        (["localhost", "localhost:5000"], "localhost:5000", "localhost:5000", "localhost:5000"),
        (["quay.io"], "quay.io.evil.example", None, ""),
        (["quay.io:443"], "quay.io", None, ""),
        (["https://index.docker.io/v1/"], "docker.io", "https://index.docker.io/v1/", DOCKER_HUB),
        (["docker.io"], "index.docker.io", "docker.io", DOCKER_HUB),
        (["https://quay.io", "quay.io"], "quay.io", "quay.io", "quay.io"),
        (["quay.io", "quay.io/org", "quay.io/org/a"], "quay.io/org/ab", "quay.io/org", "quay.io"),
        (["quay.io/org/a", "quay.io/org", "quay.io"], "quay.io/org/a/b", "quay.io/org/a", "quay.io"),
        (["quay.io/org", "quay.io"], "quay.io", "quay.io", "quay.io"),
        (["other", "quay.io/org"], "quay.io", "quay.io/org", "quay.io"),
        ([], "quay.io", None, ""),
    ],
)
def test_the_key_that_names_the_registry_most_precisely_counts(
    keys: list[str], registry: str, key: str | None, server: str
) -> None:
    config = {"auths": {each: auth(f"{each.replace(':', '_')}:pw") for each in keys}}
    expected = None if key is None else user(server, key.replace(":", "_"))
    assert credentials.decide(config, registry, FILE) == expected
    option = {each: {"username": each, "password": "pw"} for each in keys}
    assert credentials.from_option(option, registry) == (None if key is None else user(server, key))


@pytest.mark.parametrize(
    ("config", "registry", "expected"),
    [
        ({"credsStore": "desktop"}, "quay.io", Ask("desktop", "quay.io")),
        ({"credsStore": "desktop"}, "docker.io", Ask("desktop", DOCKER_HUB)),
        ({"credsStore": "desktop"}, "quay.io/org/a", Ask("desktop", "quay.io")),
        ({"credsStore": "pass", "credHelpers": {"quay.io": "gcr"}}, "quay.io", Ask("gcr", "quay.io")),
        ({"credsStore": "pass", "credHelpers": {"quay.io": "gcr"}}, "gcr.io", Ask("pass", "gcr.io")),
        ({"credHelpers": {"docker.io": "pass"}}, "docker.io", Ask("pass", DOCKER_HUB)),
        ({"credHelpers": {"gcr.io": "gcr"}, "auths": {"quay.io": auth("a:b")}}, "quay.io",
         user("quay.io", "a", "b")),
        ({"credsStore": "pass", "credHelpers": {"quay.io": ""}, "auths": {"quay.io": auth("a:b")}}, "quay.io",
         user("quay.io", "a", "b")),
        ({"credsStore": "pass", "auths": {"quay.io": auth("a:b")}}, "quay.io", Ask("pass", "quay.io")),
        ({}, "quay.io", None),
        ({"auths": None, "credHelpers": None, "credsStore": None}, "quay.io", None),
    ],
)  # fmt: skip
def test_a_registrys_helper_comes_before_the_store_and_the_store_before_the_file(
    config: dict[str, Any], registry: str, expected: object
) -> None:
    assert credentials.decide(config, registry, FILE) == expected


def test_what_a_file_has_beside_its_helper_can_be_asked_for() -> None:
    config = {"credsStore": "pass", "auths": {"quay.io": auth("a:b"), "gcr.io": {}}}
    assert credentials.stored(config, "quay.io", FILE) == user("quay.io", "a", "b")
    assert credentials.stored(config, "gcr.io", FILE) is None


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (auth("a:b"), {"username": "a", "password": "b"}),
        (auth("a:b:c"), {"username": "a", "password": "b:c"}),
        (auth("a:b\0\0"), {"username": "a", "password": "b"}),
        (auth("ä:ö"), {"username": "ä", "password": "ö"}),
        ({"username": "a", "password": "b", "email": "a@b"}, {"username": "a", "password": "b"}),
        ({**auth("a:b"), "identitytoken": "t"}, {"identitytoken": "t"}),
        ({"registrytoken": "t", "serveraddress": "elsewhere"}, {"registrytoken": "t"}),
    ],
)
def test_an_entry_becomes_the_engines_words(entry: dict[str, str], words: dict[str, str]) -> None:
    expected = {"serveraddress": "quay.io", **words}
    for found in (
        credentials.from_entry(entry, "quay.io"),
        credentials.from_option({"quay.io": entry}, "quay.io"),
        credentials.decide({"auths": {"quay.io": entry}}, "quay.io", FILE),
    ):
        assert isinstance(found, Credentials)
        assert found.document() == expected


def test_an_entry_of_a_file_that_says_nothing_is_none_at_all() -> None:
    for entry in ({}, {"auth": ""}, auth(":"), {"email": "a@b"}):
        assert credentials.decide({"auths": {"quay.io": entry}}, "quay.io", FILE) is None


def test_the_option_and_its_function_may_say_nothing() -> None:
    assert credentials.from_option(None, "quay.io") is None
    assert credentials.from_entry(None, "quay.io") is None


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ({"ServerURL": "quay.io", "Username": "a", "Secret": "b"}, user("quay.io", "a", "b")),
        ({"Username": "<token>", "Secret": "t"}, Credentials(serveraddress="quay.io", identitytoken="t")),
        ({"ServerURL": "", "Username": "", "Secret": ""}, None),
    ],
)
def test_a_helpers_answer_is_read(output: dict[str, str], expected: Credentials | None) -> None:
    assert credentials.answered(ASK, 0, json.dumps(output).encode()) == expected


def test_a_helper_that_knows_nothing_of_the_registry_is_no_error() -> None:
    assert credentials.answered(ASK, 1, b"Credentials not found in native keychain\n") is None


SECRET = "s3cret-"
FAULTS: list[tuple[Callable[[str], object], str]] = [
    (lambda s: credentials.from_option(s, "quay.io"), "has to be a dictionary"),
    (lambda s: credentials.from_option({f"https://me:{s}@quay.io": {}}, "quay.io"), "the host of one"),
    (
        lambda s: credentials.from_option({"*": {"username": "a", "password": s}}, "quay.io"),
        "the host of one",
    ),
    (lambda s: credentials.from_option({1: {}}, "quay.io"), "the host of one"),
    (lambda s: credentials.from_option({"username": "a", "password": s}, "quay.io"), "registry's value"),
    (lambda s: credentials.from_option({"quay.io": {"user": "a", s: s}}, "quay.io"), "unknown key"),
    (lambda s: credentials.from_option({"quay.io": {}}, "quay.io"), "is empty"),
    (lambda s: credentials.from_option({"quay.io": {"password": s}}, "quay.io"), "has no user name"),
    (lambda s: credentials.from_entry({"username": s}, "quay.io"), "has no password"),
    (lambda s: credentials.from_entry({"identitytoken": [s]}, "quay.io"), "has to have texts"),
    (lambda s: credentials.from_entry(s, "quay.io"), "has to be a dictionary"),
    (lambda s: credentials.from_entry({"auth": s}, "quay.io"), "not the base64"),
    (lambda s: credentials.from_entry(auth(s), "quay.io"), "not the base64"),
    (lambda s: credentials.decide({"auths": {"quay.io": s}}, "quay.io", FILE), FILE),
    (lambda s: credentials.decide({"auths": {"quay.io": auth(s)}}, "quay.io", FILE), FILE),
    (lambda s: credentials.decide({"auths": s}, "quay.io", FILE), "`auths` has to be"),
    (lambda s: credentials.decide({"credsStore": f"../{s}"}, "quay.io", FILE), "`credsStore`"),
    (lambda s: credentials.decide({"credHelpers": {"quay.io": [s]}}, "quay.io", FILE), "`credHelpers`"),
    (lambda s: credentials.answered(ASK, 1, s.encode()), "docker-credential-pass ended with exit code 1"),
    (lambda s: credentials.answered(ASK, 0, s.encode()), "docker-credential-pass gave no answer"),
    (lambda s: credentials.answered(ASK, 0, b"[]"), "echo quay.io . docker-credential-pass get"),
    (lambda s: credentials.answered(ASK, 0, json.dumps({"Username": "", "Secret": s}).encode()), "no answer"),
    (lambda s: credentials.answered(ASK, 0, json.dumps({"Username": 1, "Secret": s}).encode()), "no answer"),
]
secret_texts = st.text(st.characters(codec="utf-8", exclude_characters=":"), max_size=20).map(
    lambda text: f"{SECRET}{text}"
)


@pytest.mark.parametrize(("fault", "told"), FAULTS, ids=[f"{n} {told}" for n, (_, told) in enumerate(FAULTS)])
def test_a_fault_is_told(fault: Callable[[str], object], told: str) -> None:
    with pytest.raises(BadOption, match=told):
        fault(SECRET)


@given(st.sampled_from([fault for fault, _ in FAULTS]), secret_texts)
def test_no_fault_shows_the_secret(fault: Callable[[str], object], secret: str) -> None:
    with pytest.raises(BadOption) as caught:
        fault(secret)
    told = "".join(traceback.format_exception_only(caught.value))
    assert SECRET not in told
    assert base64.b64encode(SECRET.encode()).decode().rstrip("=")[:-1] not in told
    # What is logged with a traceback would tell of the cause, too.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@given(secret_texts, st.sampled_from(["password", "identitytoken", "registrytoken", "username"]))
def test_no_text_of_credentials_shows_the_secret(secret: str, word: str) -> None:
    found = Credentials(**{"serveraddress": "quay.io", "username": "a", "password": "b", word: secret})
    for text in (repr(found), str(found), f"{found}", repr([found]), found.key):
        assert SECRET not in text
    assert "quay.io" in repr(found)
    assert found.document()[word] == secret


def test_the_key_tells_credentials_apart() -> None:
    assert user("quay.io", "a").key == user("quay.io", "a").key
    different = [user("quay.io", "a"), user("quay.io", "b"), user("quay.io", "a", "x"), user("gcr.io", "a")]
    different.append(Credentials(serveraddress="quay.io", identitytoken="a"))
    assert len({each.key for each in different}) == len(different)


segments = st.lists(st.sampled_from(["a", "b", "ab", "org"]), max_size=4).map(tuple)


@given(st.lists(segments, unique=True), segments)
def test_the_longest_key_that_leads_to_the_repository_counts(
    keys: list[tuple[str, ...]], wanted: tuple[str, ...]
) -> None:
    option = {
        "/".join(["quay.io", *key]): {"username": "/".join(key) or "-", "password": "pw"} for key in keys
    }
    found = credentials.from_option(option, "/".join(["quay.io", *wanted]))
    leading = [key for key in keys if wanted[: len(key)] == key]
    if leading:
        assert found == user("quay.io", "/".join(max(leading)) or "-")
    else:
        # As docker has it: any credentials for a host are better than none.
        assert (found is None) == (not keys)


@given(st.text(), st.text())
def test_a_host_never_gets_another_hosts_credentials(key: str, registry: str) -> None:
    found = credentials.decide({"auths": {key: auth("a:b")}}, registry, FILE)
    if found is not None:
        assert isinstance(found, Credentials)
        host = registry.partition("/")[0].lower()
        assert host in key.lower() or found.serveraddress == DOCKER_HUB


def test_a_command_for_the_administrator_is_safe_to_paste() -> None:
    assert "echo '$(reboot)' |" in credentials.by_hand(Ask("pass", "$(reboot)"))


def test_a_value_of_the_wrong_kind_is_refused_without_being_shown() -> None:
    with pytest.raises(TraitError, match="`registry_auth` has to be a dictionary") as caught:
        DockerSpawner(registry_auth="robot:hidden")
    assert "hidden" not in str(caught.value)
