"""Ownership labels."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncdockerspawner.names import labels
from asyncdockerspawner.names.labels import Owner, owner_of, ownership_labels

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


def test_only_what_stays_after_its_server_has_the_label_that_says_so() -> None:
    assert labels.kept_label(remove=False) == {labels.KEEP: "true"}
    assert labels.kept_label(remove=True) == {}
