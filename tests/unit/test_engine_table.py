"""The table of containers: what events, lists and answers make of it, in whatever order they arrive."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncdockerspawner.client.events import ContainerEvent
from asyncdockerspawner.engine.table import Change, Table
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.container import read
from asyncdockerspawner.workloads.observed import Observed, Phase, poll_status
from asyncdockerspawner.workloads.source import Happened, Hint
from tests.support.table_deliveries import OURS, Deliveries, document_of, entry_of, event, inspected, listed

EXPECTED = Observed(id="a", name="n", hub_id="h")


def holding(*entries: Observed) -> Table:
    table = Table("h")
    table.install(entries, held=())
    return table


def runs(table: Table) -> bool:
    return (table.get("a") or Observed(id="")).runs


@pytest.mark.parametrize("action", ["create", "start", "restart", "unpause"])
def test_a_container_of_this_hub_enters_with_its_first_event(action: str) -> None:
    table = Table("h")
    change = table.take(event(action, **{"image": "i", labels.SERVER: "s", labels.SPAWN: "x"}))
    known = table.named("n")
    assert known is not None
    assert known == table.get("a")
    assert known.owner == labels.Owner(hub_id="h", username="u", servername="s", spawn_id="x")
    assert runs(table) is (change is Change.STARTED) is (action != "create")


@pytest.mark.parametrize(
    "foreign",
    [
        read.hint(ContainerEvent("a", "start")),
        event("start", **{labels.HUB: "other"}),
        event("die"),
        event("rename"),
    ],
)
def test_others_containers_and_ends_of_unknown_ones_do_not_enter(foreign: Hint) -> None:
    table = Table("h")
    assert table.take(foreign) is Change.NOTHING
    assert (table.get("a"), table.named("n"), list(table)) == (None, None, [])


def test_a_tracked_container_enters_without_a_label() -> None:
    table = Table("h")
    table.tracked.add("a")
    assert table.take(read.hint(ContainerEvent("a", "start", {"name": "/old"}))) is Change.STARTED
    assert table.named("old") == table.get("a")


@pytest.mark.parametrize("action", ["die", "died"])
def test_an_end_is_a_question_and_changes_nothing_itself(action: str) -> None:
    table = holding(listed(port=1))
    before, version = table.get("a"), table.version("a")
    assert table.take(event(action)) is Change.UNCLEAR
    assert table.get("a") == before
    assert table.version("a") > version


@pytest.mark.parametrize(
    ("signals", "change"),
    [("15", Change.STOPPED), ("15 9", Change.STOPPED), ("9", Change.UNCLEAR), ("", Change.UNCLEAR)],
)
def test_an_end_that_was_asked_for_may_be_a_restart(signals: str, change: Change) -> None:
    table = holding(listed(port=1))
    before, version = table.get("a"), table.version("a")
    for signal in signals.split():
        assert table.take(event("kill", signal=signal)) is Change.NOTHING
    assert table.answer("a", before, version)
    assert table.take(event("die")) is change
    assert table.get("a") == before
    # What was asked of the last one is not asked of the next.
    table.take(event("start"))
    assert table.take(event("die")) is Change.UNCLEAR


@pytest.mark.parametrize("action", ["destroy", "remove"])
def test_a_removal_takes_the_container_out(action: str) -> None:
    table = holding(listed(port=1), listed("b"))
    assert table.take(event(action)) is Change.GONE
    assert [each.id for each in table if table.take(event(action, each.id)) is Change.GONE] == ["b"]
    assert list(table) == []


@pytest.mark.parametrize("action", ["start", "restart", "unpause"])
def test_a_start_makes_an_address_unknown(action: str) -> None:
    table = holding(listed(port=1))
    assert table.take(event(action)) is Change.STARTED
    assert table.get("a") == replace(listed(port=1), phase=Phase.RUNNING, addresses=None)


@pytest.mark.parametrize("action", ["start", "restart", "unpause"])
def test_a_start_that_nobody_here_has_asked_for_is_a_question(action: str) -> None:
    table = holding(listed())
    version = table.version("a")
    assert table.take(event(action)) is Change.UNCLEAR
    assert (runs(table), table.version("a") > version) == (False, True)
    table.starting("a")
    assert table.take(event(action)) is Change.STARTED
    assert runs(table)


@pytest.mark.parametrize("known", [[listed(port=1)], [listed()], []], ids=["running", "ended", "unknown"])
def test_what_a_hint_does_not_tell_has_to_be_asked(known: list[Observed]) -> None:
    table = holding(*known)
    version = table.version("a")
    hint = Hint(kind=Happened.CHANGED, observed=EXPECTED)
    assert table.take(hint) is Change.UNCLEAR
    assert list(table) == known
    assert not table.answer("a", inspected(port=1), version)
    assert table.take(replace(hint, observed=Observed(id="b"))) is Change.NOTHING


def test_a_rename_changes_the_name_alone() -> None:
    table = holding(listed(port=1))
    given = table.get("a")
    assert given is not None
    assert table.take(event("rename", name="/new", oldName="/n")) is Change.NOTHING
    assert table.named("new") == replace(given, name="new")
    # What was given away stays as it was.
    assert given.name == "n"


def test_an_expected_container_is_there_before_its_events_and_replaces_nothing() -> None:
    table = Table("h")
    table.expect(EXPECTED)
    assert table.named("n") == EXPECTED
    table.take(event("start"))
    table.expect(EXPECTED)
    assert runs(table)


@pytest.mark.parametrize(
    ("between", "running", "clear"),
    [
        ((), True, True),
        (("create",), True, True),
        (("start",), True, True),
        (("die",), True, False),
        (("start", "die"), True, True),
    ],
)
def test_an_answered_start_counts_unless_an_event_came_first(
    between: tuple[str, ...], running: bool, clear: bool
) -> None:
    table = Table("h")
    table.expect(EXPECTED)
    version = table.version("a")
    table.starting("a")
    for action in between:
        table.take(event(action))
    assert table.started("a", version) is clear
    assert runs(table) is running
    table.started("none", -1)
    assert table.get("none") is None


def test_what_is_older_than_the_present_life_changes_nothing() -> None:
    table, second = Table("h"), 1_700_000_000_000_000_000
    living = {"Running": True, "StartedAt": "2023-11-14T22:13:20.000123456Z", "ExitCode": 0}
    table.answer("a", read.observed({**document_of(port=1), "State": living}), -1)
    before, version = table.get("a"), table.version("a")
    for action in ("start", "kill", "die", "restart"):
        late = ContainerEvent("a", action, {"name": "n", **OURS, "signal": "15"}, second + 122_999)
        assert table.take(read.hint(late)) is Change.NOTHING
    assert (table.get("a"), table.version("a")) == (before, version)
    assert table.take(read.hint(ContainerEvent("a", "die", OURS, second + 124_000))) is Change.UNCLEAR


def test_an_answered_stop_counts_before_its_events_and_a_late_start_revives_nothing() -> None:
    table = holding(listed(port=1))
    version = table.version("a")
    assert table.ended("a", version, ran=True)
    assert not runs(table)
    assert poll_status(table.get("a")) == 0
    assert table.take(event("start")) is Change.UNCLEAR
    assert table.take(event("kill", signal="15")) is Change.NOTHING
    assert table.take(event("die")) is Change.STOPPED
    assert not runs(table)
    # What was asked before the stop was answered is out of date.
    assert not table.answer("a", inspected(port=1), version)


def test_an_end_that_is_known_with_its_code_stays_as_it_is_known() -> None:
    table = holding(listed())
    before, version = table.get("a"), table.version("a")
    assert table.take(event("die")) is Change.NOTHING
    assert table.ended("a", version, ran=False)
    assert table.get("a") == before


def test_an_answered_removal_counts_whatever_events_and_lists_come_late() -> None:
    table = holding(listed(port=1))
    table.begin_list()
    table.gone("a")
    assert table.install([listed(port=1)], held=()) == set()
    for action in ("create", "start", "die", "destroy"):
        assert table.take(event(action)) is Change.NOTHING
    assert list(table) == []


def test_removals_that_no_event_confirms_are_forgotten_in_the_end() -> None:
    table = holding(listed(port=1))
    table.gone("a")
    for _ in range(3):
        table.begin_list()
        table.install([], held=())
    assert table._removed == {}


def test_an_answered_name_counts_and_events_of_former_ones_come_late() -> None:
    table = holding(listed(port=1))
    assert table.renamed("a", "n", "third")
    table.take(event("rename", name="second"))
    assert table.name_of("a") == "third"
    table.take(event("rename", name="third"))
    table.take(event("rename", name="fourth"))
    assert table.name_of("a") == "fourth"
    # Told by an event before the answer, it is another one's: the Engine has to be asked.
    assert not table.renamed("a", "n", "x")
    assert table.name_of("a") == "fourth"


def test_a_list_that_was_under_way_when_a_request_was_answered_is_not_believed() -> None:
    table = holding(listed(port=1))
    table.begin_list()
    table.mark_changed("a")
    table.ended("a", table.version("a"), ran=True)
    assert table.install([listed(port=1)], held=()) == {"a"}
    assert not runs(table)
    table.begin_list()
    assert table.install([listed(port=1)], held=()) == set()
    assert runs(table)


@pytest.mark.parametrize(
    ("ref", "found"), [("a" * 64, "a" * 64), ("n", "a" * 64), ("a" * 12, "a" * 64), ("a" * 11, ""), ("x", "")]
)
def test_a_container_is_known_by_id_name_and_short_id(ref: str, found: str) -> None:
    assert holding(listed("a" * 64)).id_of(ref) == found


def test_an_answer_is_taken_unless_an_event_has_overtaken_it() -> None:
    table = holding(listed(port=1))
    version = table.version("a")
    assert table.answer("a", inspected(port=2), version)
    assert table.get("a") == inspected(port=2)
    table.take(event("start"))
    assert not table.answer("a", inspected(), version)
    assert runs(table)
    assert not table.answer("a", None, version)
    assert table.answer("a", None, table.version("a"))
    assert table.get("a") is None


def test_an_answer_about_an_unknown_container_makes_it_known() -> None:
    table = Table("h")
    assert table.answer("none", None, -1)
    assert table.answer("a", inspected(port=1), -1)
    assert runs(table)
    assert table.take(event("die")) is Change.UNCLEAR
    assert not table.answer("a", inspected(port=1), 0)


def test_what_is_neither_known_nor_there_is_not_out_of_date_because_others_end() -> None:
    table = holding(listed("a", port=1), listed("b", port=1))
    known, unknown = table.version("a"), table.version("c")
    table.gone("a")
    table.take(event("destroy", "b"))
    assert table.answer("a", None, known)
    assert table.answer("c", None, unknown)
    # That one is there may be from before its end.
    assert not table.answer("a", inspected(), known)
    assert table.get("a") is None


@pytest.mark.parametrize("owner", [None, {}, {labels.HUB: "other"}])
def test_what_was_asked_for_without_our_label_is_tracked_from_then_on(owner: Any) -> None:
    table = Table("h")
    table.answer("ours", inspected("ours"), -1)
    table.answer("a", inspected(owner=owner, port=1), -1)
    assert table.tracked == {"a"}
    assert table.install([listed(owner=owner)], held=()) == set()
    assert not runs(table)


def test_a_list_replaces_what_was_known_but_for_others_containers() -> None:
    table = holding(listed("a", port=1), listed("gone", port=1))
    found = [listed("a"), listed("new", port=2)]
    assert table.install([*found, listed("b", owner=None), listed("c", owner={})], held=()) == set()
    assert list(table) == found


@pytest.mark.parametrize("ahead", [False, True], ids=["at once", "compared ahead"])
@pytest.mark.parametrize(
    ("entries", "unclear"),
    [
        ([listed(port=1)], set()),
        ([listed(port=1, name="other")], set()),
        ([listed(port=2)], {"a"}),
        ([listed()], {"a"}),
        ([], {"a"}),
        ([listed(port=1), listed("unknown")], {"unknown"}),
    ],
    ids=["same", "renamed", "moved", "ended", "gone", "unknown"],
)
def test_a_list_leaves_a_held_container_as_it_was_and_says_where_it_differs(
    entries: list[Observed], unclear: set[str], ahead: bool
) -> None:
    table = Table("h")
    table.answer("a", inspected(port=1), -1)
    held = {each.id for each in entries} | {"a"}
    for each in entries if ahead else ():
        table.compare(each)
    assert table.install(entries, held=held) == unclear
    assert table.get("a") == inspected(port=1)
    assert table.get("unknown") is None


def test_what_changes_after_it_was_compared_is_compared_again() -> None:
    table = holding(inspected(port=1))
    table.compare(listed(port=1))
    table.answer("a", inspected(port=2), table.version("a"))
    assert table.install([listed(port=1)], held={"a"}) == {"a"}
    table.begin_list()
    assert table.install([listed(port=2)], held={"a"}) == set()


@pytest.mark.parametrize(
    ("network", "same"),
    [
        ({"Networks": {"x": {"IPAddress": "1.1.1.1"}, "y": None}, "Ports": {"1/tcp": None}}, True),
        ({"Networks": {"x": {"IPAddress": "1.1.1.2"}, "y": None}, "Ports": {}}, False),
        ({"Networks": {"x": {"IPAddress": "1.1.1.1"}}, "Ports": {}}, False),
        ({"Networks": None, "Ports": None}, False),
        (None, False),
    ],
)
def test_what_differs_is_the_address_however_it_is_written(network: Any, same: bool) -> None:
    table = Table("h")
    table.answer("a", read.observed({**document_of(port=1), "NetworkSettings": network}), -1)
    entry = {**entry_of(port=1), "Ports": [{"PrivatePort": 1}]}
    entry["NetworkSettings"] = {"Networks": {"x": {"IPAddress": "1.1.1.1"}, "y": {"IPAddress": None}}}
    assert table.install([read.listed(entry)], held={"a"}) == (set() if same else {"a"})


RARE = [
    *(
        "create",
        "remove",
        "rename",
        "flash",
        "hold_or_let_go",
        "find",
        "subscribe",
        "begin_a_list",
        "compare_the_list",
        "ask_now",
    ),
    *("remove_on_request", "restart_on_request", "rename_on_request", "look_on_request", "lose_an_answer"),
]
OFTEN = [
    *("run", "run_on_request", "stop", "stop_on_request", "restart"),
    *("see_the_list", "give_the_list", "answer_the_requests", "settle"),
]
MOSTLY = ["die", "deliver", "deliver", "deliver", "see_the_questions", "give_the_answers"]
STEPS = st.tuples(st.sampled_from(RARE + 2 * OFTEN + 4 * MOSTLY), st.sampled_from("aaabc"))


@settings(max_examples=300, deadline=None)
@given(st.lists(STEPS, min_size=100, max_size=100))
def test_however_it_all_arrives_the_table_ends_up_telling_the_truth(steps: list[tuple[str, str]]) -> None:
    deliveries = Deliveries()
    for step, letter in [*steps, ("settle", "")]:
        getattr(deliveries, step)(letter)
        deliveries.check()


def test_what_is_being_asked_may_be_out_of_date_already() -> None:
    table = holding(replace(EXPECTED, phase=Phase.RUNNING))
    asked = table.version("a")
    table.outdate("a")
    table.outdate("nobody knows this one")
    assert not table.answer("a", replace(EXPECTED, phase=Phase.ENDED), asked)
    assert runs(table)
