"""What is read of servers in the Hub's database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyterhub import orm
from sqlalchemy import event
from sqlalchemy.orm import Session

from asyncdockerspawner.hub import records
from asyncdockerspawner.hub.records import (
    known_users,
    object_claims,
    rows_naming,
    sandboxes_named,
    server_rows,
    session_of,
    strike_off,
    strike_off_of,
    volume_claims,
)
from asyncdockerspawner.lifecycle import Row
from tests.support.databases import close_databases, open_database


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    yield open_database(tmp_path / "hub.sqlite")
    close_databases()


def add(session: Session, username: str, **servers: dict[str, Any] | None) -> orm.User:
    """A user with servers of these names and states; `_` is the one without a name."""
    user = session.query(orm.User).filter_by(name=username).one_or_none() or orm.User(name=username)
    session.add(user)
    for name, state in servers.items():
        session.add(orm.Spawner(name=name.strip("_"), user=user, state=state))
    session.commit()
    return user


def test_every_server_of_the_users_is_found_and_nobody_elses(session: Session) -> None:
    add(session, "alice", _={"object_id": "a"}, lab={"owed": True})
    add(session, "bob", lab=None)
    add(session, "carol", lab={"object_id": "c"})
    add(session, "dave")
    assert server_rows(session, {"alice", "bob", "dave", "nobody"}) == {
        ("alice", ""): Row(active=False, state={"object_id": "a"}),
        ("alice", "lab"): Row(active=False, state={"owed": True}),
        ("bob", "lab"): Row(active=False, state={}),
    }
    assert server_rows(session, ()) == {}


def test_a_server_with_an_address_is_active(session: Session) -> None:
    user = add(session, "alice", on={}, off={})
    user.orm_spawners["on"].server = orm.Server(ip="127.0.0.1", port=8888)
    session.commit()
    rows = server_rows(session, ["alice"])
    assert {name: row.active for (_, name), row in rows.items()} == {"on": True, "off": False}


@pytest.mark.parametrize(("users", "queries"), [(4, 1), (5, 2), (11, 3)])
def test_no_query_names_more_users_than_a_database_takes(
    session: Session, monkeypatch: pytest.MonkeyPatch, users: int, queries: int
) -> None:
    monkeypatch.setattr(records, "AT_ONCE", 4)
    names = {f"user-{number}" for number in range(users)}
    for name in names:
        add(session, name, _={"object_id": name})
    asked: list[int] = []

    def count(_connection: Any, _cursor: Any, text: str, values: Any, *_: Any) -> None:
        if "users.name IN (" in text:
            asked.append(len(values))

    event.listen(session.get_bind(), "before_cursor_execute", count)
    rows = server_rows(session, names)
    assert {name: row.state for (name, _), row in rows.items()} == {
        name: {"object_id": name} for name in names
    }
    assert (len(asked), max(asked)) == (queries, 4)


def test_what_the_hub_has_not_committed_yet_is_seen_and_nothing_is_written(session: Session) -> None:
    add(session, "alice", _={})
    server_rows(session, ["alice"])
    assert not session.dirty
    assert not session.new
    session.query(orm.Spawner).one().state = {"object_id": "new"}
    # The Hub has not committed this yet; it is true all the same.
    assert server_rows(session, ["alice"])["alice", ""].state == {"object_id": "new"}


def test_a_record_leads_to_its_database(session: Session) -> None:
    user = add(session, "alice", _={})
    assert session_of(user.orm_spawners[""]) is session


def test_a_record_that_is_in_no_database_is_refused() -> None:
    with pytest.raises(ValueError, match="is in no database"):
        session_of(orm.Spawner(name="lab"))


def test_users_are_told_from_names_that_nobody_has(session: Session) -> None:
    add(session, "alice", _=None)
    add(session, "dave")
    assert known_users(session, {"alice", "dave", "nobody"}) == {"alice", "dave"}
    assert known_users(session, ()) == set()


@pytest.mark.parametrize(
    ("username", "servername", "claims"),
    [
        ("alice", None, ["bob/lab"]),
        ("alice", "lab", ["alice/", "bob/lab"]),
        ("bob", "lab", ["alice/", "alice/lab"]),
        ("bob", None, ["alice/", "alice/lab"]),
        ("carol", None, ["alice/", "alice/lab", "bob/lab"]),
    ],
)
def test_servers_whose_state_names_a_volume_claim_it(
    session: Session, username: str, servername: str | None, claims: list[str]
) -> None:
    add(session, "alice", _={"own_volumes": {"v_1": "user"}}, lab={"own_volumes": {"v_1": "user"}}, x=None)
    add(session, "bob", lab={"volume_names": {"v-{servername}": "v_1"}}, y={"own_volumes": {"vx1": "user"}})
    add(session, "carol", lab={"own_volumes": {"v_11": "user", "av_1": "user"}})
    assert sorted(volume_claims(session, username, "v_1", servername)) == claims


def test_a_debt_that_is_done_is_taken_out_of_the_state_and_nothing_else(session: Session) -> None:
    user = add(session, "alice", _={"owed": True, "owed_now": True, "object_id": "a"}, lab={"object_id": "b"})
    for name in ("", "lab", "nothing"):
        strike_off_of(session, "alice", name)
    strike_off_of(session, "nobody", "")
    session.rollback()
    assert [row.state for row in user.orm_spawners.values()] == [{"object_id": "a"}, {"object_id": "b"}]


def test_a_debt_of_a_server_without_a_row_is_nobodys(session: Session) -> None:
    row = add(session, "alice", _={"owed": True}).orm_spawners[""]
    session.delete(row)
    session.commit()
    strike_off(row)
    strike_off(None)
    assert server_rows(session, {"alice"}) == {}


def test_the_prefix_of_an_active_server_is_the_one_that_it_was_started_at(session: Session) -> None:
    user = add(session, "alice", _={})
    user.orm_spawners[""].server = orm.Server(ip="127.0.0.1", port=8888, base_url="/user/alice/")
    user.name = "bob"
    session.commit()
    assert server_rows(session, ["bob"])["bob", ""] == Row(active=True, state={}, base_url="/user/alice/")


@pytest.mark.parametrize("few", [0, 20])
def test_servers_are_found_by_what_their_state_names_whosever_they_are(
    session: Session, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(records, "FEW", few)
    add(session, "alice", _={"object_id": "aa"}, lab={"kept_ids": ["bb", "cc"]}, other=None)
    add(session, "bob", _={"object_id": "aaa", "spawn_id": "s"})
    assert list(rows_naming(session, ())) == []
    found = [row.state for row in rows_naming(session, {"aa", "cc", "none", "100%_"})]
    wanted = [{"object_id": "aa"}, {"kept_ids": ["bb", "cc"]}]
    # Of many words all rows are given, to be told apart by who asks.
    assert [each for each in found if few or each in wanted] == wanted


def test_of_many_words_all_servers_are_given_page_by_page(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "FEW", 0)
    monkeypatch.setattr(records, "PAGE", 2)
    users = [add(session, name, _={"object_id": name}) for name in ("aa", "bb", "cc", "dd", "ee")]
    rows = rows_naming(session, {"none"})
    assert next(rows).object_id == "aa"
    # What comes meanwhile is met too, and what goes is not.
    session.delete(users[3].orm_spawners[""])
    add(session, "late", _={"object_id": "late"})
    assert [row.object_id for row in rows] == ["bb", "cc", "ee", "late"]


def test_the_others_that_name_an_object_are_told_by_name(session: Session) -> None:
    add(session, "alice", _={"object_id": "aa"}, lab={"kept_ids": ["aa"]})
    add(session, "bob", _={"failed_id": "aa"}, lab={"object_id": "aaa"})
    assert sorted(object_claims(session, "alice", "", "aa")) == ["alice/lab", "bob/"]
    assert object_claims(session, "alice", "", "none") == []


def test_sandboxes_are_named_by_the_servers_that_had_them(session: Session) -> None:
    add(session, "alice", _={"sandbox": "s1"}, lab={"object_id": "s2"})
    assert sandboxes_named(session, {"s1", "s2", "s3"}) & {"s1", "s2", "s3"} == {"s1"}
    assert sandboxes_named(session, set()) == set()
    # Without a database nobody has had any.
    assert sandboxes_named(None, {"s1"}) == set()
