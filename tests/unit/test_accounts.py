"""What `getent` says of a user, and where a home may be."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncdockerspawner.accounts import homes
from asyncdockerspawner.accounts.entries import (
    LARGEST_ID,
    Account,
    account_of,
    as_id,
    as_ids,
    can_be_asked_for,
    groups_of,
    line_of,
)
from asyncdockerspawner.errors import BadTemplate, SpawnRefused

ALICE = "alice:x:1001:100:Alice,,,:/nfs/a/alice:/bin/bash"


def test_an_entry_is_read() -> None:
    assert account_of(ALICE, "alice") == Account(1001, 100, "/nfs/a/alice")


@pytest.mark.parametrize("name", ["Alice", "alice@corp.example", r"CORP\alice"])
def test_a_directory_may_write_the_name_in_its_own_way(name: str) -> None:
    assert account_of(ALICE, name) == Account(1001, 100, "/nfs/a/alice")


@pytest.mark.parametrize("name", ["1001", " 1001", "+1001", "-0"])
def test_a_name_that_is_a_number_is_not_taken_for_somebodys_uid(name: str) -> None:
    assert account_of(ALICE, name) is None
    assert account_of(f"{name}:x:7:8::/h:", name) == Account(7, 8, "/h")


@pytest.mark.parametrize(
    "line",
    ["", "alice", "alice:x:1001:100", "alice:x:-1:100::/h:", "alice:x:1001:staff::/h:", "a:x:١:1::/h:"],
)
def test_what_is_no_entry_is_nobodys(line: str) -> None:
    assert account_of(line, "alice") is None


@pytest.mark.parametrize("name", ["alice", "al.ice-1", r"CORP\alice", "alice@corp.example", "Ünal", "0"])
def test_names_that_are_asked_for(name: str) -> None:
    assert can_be_asked_for(name)


@pytest.mark.parametrize("name", ["", "-s", "a:b", "../a", "/a", "a\nb", "a\0b"])
def test_names_that_nobody_can_have_are_not_asked_for(name: str) -> None:
    assert not can_be_asked_for(name)


@pytest.mark.parametrize(
    ("line", "name", "groups"),
    [
        ("alice                 100 27 27", "alice", (27, 100)),
        ("alice", "alice", ()),
        ("a b 5", "a b", (5,)),
        ("27 100", "27", (100,)),
        ("alice staff", "alice", None),
    ],
)
def test_groups_are_read(line: str, name: str, groups: tuple[int, ...] | None) -> None:
    assert groups_of(line, name) == groups


@pytest.mark.parametrize("value", [0, 1001, LARGEST_ID])
def test_ids_are_numbers_or_their_texts(value: int) -> None:
    assert as_id(value) == as_id(str(value)) == value


@pytest.mark.parametrize(
    "value", [LARGEST_ID + 1, "9" * 5000, -1, "-2", True, 1.5, "", "alice", None, "²", "١"], ids=repr
)
def test_what_is_no_id(value: object) -> None:
    assert as_id(value) is None


def test_a_line_of_etc_passwd() -> None:
    account = Account(1001, 100)
    assert line_of("alice", account, "/home/alice") == "alice:x:1001:100::/home/alice:/bin/sh"
    assert line_of(r"CORP\\alice", Account(5), "/h") == r"CORP\\alice:x:5:0::/h:/bin/sh"


@pytest.mark.parametrize(
    ("name", "home"), [("", "/h"), ("a:b", "/h"), ("a\nb", "/h"), ("+", "/h"), ("#a", "/h"), ("a", "/h:")]
)
def test_what_no_line_of_etc_passwd_can_have(name: str, home: str) -> None:
    assert line_of(name, Account(1, 1), home) is None


def test_lists_of_ids() -> None:
    assert as_ids([5, "3", 5]) == (3, 5)
    assert as_ids(()) == ()
    assert as_ids(["staff"]) is None
    assert as_ids("27") is None
    assert as_ids(None) is None


def test_what_is_not_known_is_taken_from_elsewhere() -> None:
    other = Account(1, 2, "/o", (3,))
    assert Account().or_else(other) == other
    assert Account(0, 0, "/h", ()).or_else(other) == Account(0, 0, "/h", ())


@pytest.mark.parametrize(
    ("template", "name", "path"),
    [
        ("/home/{username}", "alice", "/home/alice"),
        ("/home/{username[0]}/{username}", "alice", "/home/a/alice"),
        ("/home/{username}", r"CORP\alice", r"/home/CORP\alice"),
        ("/home/{username}", "alice@corp.example", "/home/alice@corp.example"),
        ("/home/{username}", "...", "/home/..."),
        ("/home/../srv/{username}", "alice", "/home/../srv/alice"),
        ("/home/shared", "../x", "/home/shared"),
        ("home-{username}", "alice", "home-alice"),
    ],
)
def test_homes_by_a_template(template: str, name: str, path: str) -> None:
    assert homes.home_by(template, name, "option") == path


@pytest.mark.parametrize("name", ["", ".", "..", "../root", "/root", "a/b", "a\0"])
def test_a_name_that_leads_out_of_the_homes_is_refused(name: str) -> None:
    with pytest.raises(SpawnRefused, match="cannot be that of a home's folder") as refused:
        homes.home_by("/home/{username}", name, "the_option")
    assert "the_option" in refused.value.advice


def test_parts_of_a_name_that_lead_upwards_are_refused() -> None:
    with pytest.raises(SpawnRefused, match="leads out of the homes"):
        homes.home_by("/home/{username[0]}{username[1]}/x", "..evil", "option")


@given(st.text(st.sampled_from("./ab\\\0:é")))
def test_whatever_the_name_the_home_is_a_folder_of_the_homes(name: str) -> None:
    try:
        path = homes.home_by("/home/{username}", name, "option")
    except SpawnRefused:
        return
    assert posixpath.dirname(posixpath.normpath(path)) == "/home"


@given(st.text(min_size=1), st.integers(0, LARGEST_ID), st.integers(0, LARGEST_ID))
def test_a_line_that_is_written_is_read_as_it_was(name: str, uid: int, gid: int) -> None:
    line = line_of(name, Account(uid, gid), "/home/x")
    assert line is None or account_of(line, name) == Account(uid, gid, "/home/x")


@pytest.mark.parametrize("template", ["/home/{user}", "/home/{", "/home/{username.x}", "/h/{username[9]}"])
def test_a_template_that_cannot_be_filled_names_its_option(template: str) -> None:
    with pytest.raises(BadTemplate, match="the_option"):
        homes.home_by(template, "alice", "the_option")


@pytest.mark.parametrize("path", ["", "home", "/", "//", "/./", "/..", "/home/../etc", "../x", "/a\0b"])
def test_what_is_no_home_is_refused(path: str) -> None:
    with pytest.raises(SpawnRefused, match="no home") as refused:
        homes.checked(path, "the_option")
    assert "the_option" in refused.value.advice


@pytest.mark.parametrize("path", ["/home/alice", "/root", "/home/..."])
def test_homes_are_homes(path: str) -> None:
    assert homes.checked(path, "option") == path
