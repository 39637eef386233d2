"""Ownership labels, and the digest of what a container is made from."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncdockerspawner import labels
from asyncdockerspawner.labels import Owner, config_hash, owner_of, ownership_labels

BODY: dict[str, Any] = {
    "Image": "img:1",
    "Cmd": ["jupyterhub-singleuser"],
    "Env": ["A=1", "JUPYTERHUB_API_TOKEN=x", "B"],
    "HostConfig": {"Memory": 1, "Binds": ["v:/w:rw"], "PortBindings": {}},
}
texts = st.text()


@given(texts, texts, texts, texts)
def test_the_owner_is_read_back_from_its_labels(hub: str, user: str, server: str, spawn: str) -> None:
    found = ownership_labels(hub_id=hub, username=user, servername=server, spawn_id=spawn)
    assert owner_of({**found, "other": "label"}) == Owner(
        hub_id=hub, username=user, servername=server, spawn_id=spawn
    )


def test_label_names_are_fixed_because_running_containers_carry_them() -> None:
    found = ownership_labels(hub_id="h", username="u", servername="s", spawn_id="p")
    assert found == {
        "asyncdockerspawner.hub": "h",
        "asyncdockerspawner.user": "u",
        "asyncdockerspawner.server": "s",
        "asyncdockerspawner.spawn": "p",
    }
    assert labels.CONFIG_HASH == "asyncdockerspawner.config-hash"


@pytest.mark.parametrize("missing", [labels.HUB, labels.USER, labels.SERVER, labels.SPAWN])
def test_incomplete_labels_name_no_owner(missing: str) -> None:
    found = ownership_labels(hub_id="h", username="u", servername="s", spawn_id="p")
    del found[missing]
    assert owner_of(found) is None


def test_no_labels_name_no_owner() -> None:
    assert owner_of(None) is None
    assert owner_of({}) is None


@pytest.mark.parametrize(
    "change",
    [
        {"Image": "img:2"},
        {"Cmd": None},
        {"Env": ["A=2"]},
        {"HostConfig": {"Memory": 2, "Binds": ["v:/w:rw"]}},
        {"HostConfig": {"Memory": 1, "Binds": ["other:/w:rw"]}},
    ],
)
def test_the_hash_follows_what_the_server_is_made_from(change: dict[str, Any]) -> None:
    assert config_hash({**BODY, **change}) != config_hash(BODY)


@pytest.mark.parametrize(
    "change",
    [
        {"Env": ["B", "A=1", "JUPYTERHUB_API_TOKEN=y", "JPY_X=1", "MY_TOKEN=1"]},
        {"Labels": {"a": "b"}},
        {"HostConfig": {"Memory": 1, "CpuQuota": 0, "Mounts": [], "Binds": ["v:/w:rw"]}},
    ],
)
def test_the_hash_overlooks_what_differs_at_every_spawn(change: dict[str, Any]) -> None:
    assert config_hash({**BODY, **change}) == config_hash(BODY)


def test_a_body_without_the_keys_has_a_hash_too() -> None:
    assert re.fullmatch("[0-9a-f]{16}", config_hash({}))
    assert config_hash({}) == config_hash({"Env": None, "HostConfig": None})


def test_spawn_ids_differ() -> None:
    first, second = labels.new_spawn_id(), labels.new_spawn_id()
    assert re.fullmatch("[0-9a-f]{16}", first)
    assert first != second


def test_a_hubs_id_is_stable_and_does_not_show_its_secret() -> None:
    secret = bytes(range(32))
    assert labels.hub_id_from(secret) == labels.hub_id_from(secret)
    assert labels.hub_id_from(secret) != labels.hub_id_from(secret[::-1])
    assert re.fullmatch("[0-9a-f]{12}", labels.hub_id_from(secret))
    assert labels.hub_id_from(secret) not in secret.hex()
