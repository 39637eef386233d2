"""What the Engine has and the Hub's database says, compared: how a container is judged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from asyncdockerspawner.lifecycle.reconcile import Finding, Naming, Row, judge
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.container import read
from asyncdockerspawner.workloads.observed import Phase
from tests.support.rows import LEFT, inactive

OWNER = labels.ownership_labels(hub_id="h", username="alice", servername="", spawn_id="s1")
MADE = read.observed({"Id": "a", "Config": {"Labels": OWNER}})


@pytest.mark.parametrize(
    ("row", "stopped", "running"),
    [
        (None, Finding.ORPHAN, Finding.ORPHAN),
        (inactive(), Finding.ORPHAN, Finding.ORPHAN),
        (Row(active=True, state={}), Finding.KNOWN, Finding.KNOWN),
        (Row(active=True, state={"owed": True, "object_id": "a"}), Finding.KNOWN, Finding.KNOWN),
        (inactive(owed=True, object_id="a"), Finding.OWED, Finding.OWED),
        (inactive(owed=True), Finding.OWED, Finding.OWED),
        (inactive(owed=True, object_id="b"), Finding.ORPHAN, Finding.ORPHAN),
        (inactive(owed=True, **LEFT), Finding.OWED, Finding.OWED),
        (inactive(owed=False, object_id="a"), Finding.KNOWN, Finding.ORPHAN),
        (inactive(object_id="a", **LEFT), Finding.KNOWN, Finding.LEFTOVER),
        (inactive(object_id="b", **LEFT), Finding.LEFTOVER, Finding.LEFTOVER),
        (inactive(container_id="a"), Finding.KNOWN, Finding.ORPHAN),
        (inactive(object_id="b", kept_ids=["c", "a"]), Finding.KNOWN, Finding.ORPHAN),
        (inactive(failed_id="a"), Finding.KNOWN, Finding.ORPHAN),
        (inactive(**LEFT), Finding.LEFTOVER, Finding.LEFTOVER),
        (inactive(**{**LEFT, "spawn_id": "s2"}), Finding.ORPHAN, Finding.ORPHAN),
        (inactive(**{**LEFT, "phase": "running"}), Finding.ORPHAN, Finding.ORPHAN),
    ],
)
def test_a_container_is_judged_by_what_the_database_says(
    row: Row | None, stopped: Finding, running: Finding
) -> None:
    phases = (Phase.ENDED, Phase.RUNNING)
    found = [judge(replace(MADE, phase=each), row) for each in phases]
    assert found == [stopped, running]


@pytest.mark.parametrize(
    ("state", "base_url", "finding"),
    [
        ({}, "/user/alice/", Finding.KNOWN),
        ({}, "/user/bob/", Finding.ORPHAN),
        ({"object_id": "a"}, "/user/bob/", Finding.KNOWN),
        ({"spawn_id": "s1"}, "/user/bob/", Finding.KNOWN),
    ],
)
def test_a_server_at_another_prefix_is_not_that_of_a_row_which_does_not_name_it(
    state: dict[str, str], base_url: str, finding: Finding
) -> None:
    row = Row(active=True, state=state, base_url=base_url)
    environment = {"JUPYTERHUB_SERVICE_PREFIX": "/user/alice/"}
    assert judge(replace(MADE, environment=environment, phase=Phase.RUNNING), row) is finding
    # A list does not tell the environment.
    assert judge(MADE, row) is Finding.KNOWN


def test_a_container_is_of_the_row_that_names_it_whatever_its_user_is_called() -> None:
    labelled, other = inactive(object_id="x"), inactive(object_id="y")
    by_id, by_creation, kept = inactive(object_id="a"), inactive(spawn_id="s1"), inactive(kept_ids=["a"])
    assert Naming([other, kept, by_creation, by_id]).row_of(MADE, labelled) is by_id
    assert Naming([other, kept, by_creation]).row_of(MADE, labelled) is by_creation
    assert Naming([other, kept]).row_of(MADE, labelled) is kept
    assert Naming([other]).row_of(MADE, labelled) is labelled
    assert Naming([other]).row_of(MADE, None) is None


@pytest.mark.parametrize("state", [{"object_id": "a"}, {"spawn_id": "s1"}, {"failed_id": "a"}])
def test_of_rows_that_name_a_container_alike_that_of_its_label_counts_then_the_first(
    state: dict[str, str],
) -> None:
    labelled, first, second = inactive(**state), inactive(**state), inactive(**state)
    assert Naming([first, second]).row_of(MADE, labelled) is labelled
    assert Naming([first, second]).row_of(MADE, inactive(object_id="x")) is first


def test_a_container_without_a_creation_is_of_no_row_without_one() -> None:
    made = read.observed({"Id": "a", "Config": {"Labels": {**OWNER, labels.SPAWN: ""}}})
    assert Naming([inactive(phase="starting")]).row_of(made, None) is None
    assert judge(made, inactive(phase="starting")) is Finding.ORPHAN


@pytest.mark.parametrize("some", [None, {}, {labels.HUB: "h"}])
def test_a_container_that_does_not_say_whose_it_is_belongs_to_no_row(some: dict[str, str] | None) -> None:
    found = read.observed({"Id": "a", "Config": {"Labels": some}})
    assert judge(found, Row(active=True, state={})) is Finding.ORPHAN
