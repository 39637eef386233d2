"""Whom a text means in a container, by its /etc/passwd and /etc/group."""

from __future__ import annotations

import pytest

from asyncdockerspawner.workloads.container.users import (
    Ids,
    UnknownUser,
    as_numbers,
    resolve,
    stands_for,
    uid_of,
    with_entry,
)

PASSWD = """root:x:0:0:root:/:/bin/sh
jovyan:x:1000:100::/home/jovyan:/bin/sh

# broken
short:x
odd:x:none:5::/:
nogid:x:7:?::/:
1234:x:55:66::/:
jovyan:x:2000:200::/:
"""
GROUP = "root:x:0:\nusers:x:100:jovyan\nbad:x:y:\nshort:x\n"


@pytest.mark.parametrize(
    ("user", "found"),
    [
        ("", Ids(0, 0)),
        ("0", Ids(0, 0)),
        ("root", Ids(0, 0)),
        ("root:0", Ids(0, 0)),
        (":root", Ids(0, 0)),
        ("1000:100", Ids(1000, 100)),
        ("0:100", Ids(0, 100)),
        ("1000", None),
        ("jovyan", None),
        ("1000:users", None),
        ("jovyan:100", None),
        ("-1:5", None),
        ("²:5", None),
    ],
)
def test_numbers_need_no_look_up(user: str, found: Ids | None) -> None:
    assert as_numbers(user) == found


@pytest.mark.parametrize(
    ("user", "found"),
    [
        ("jovyan", Ids(1000, 100)),
        ("1000", Ids(1000, 100)),
        ("jovyan:users", Ids(1000, 100)),
        ("jovyan:5", Ids(1000, 5)),
        ("jovyan:", Ids(1000, 100)),
        ("1000:users", Ids(1000, 100)),
        ("4242", Ids(4242, 0)),
        ("4242:users", Ids(4242, 100)),
        (":users", Ids(0, 100)),
        ("nogid", Ids(7, 0)),
        # A number is never a name.
        ("1234", Ids(1234, 0)),
    ],
)
def test_names_and_lone_numbers_are_looked_up_as_the_engine_does(user: str, found: Ids) -> None:
    assert resolve(user, PASSWD, GROUP) == found


@pytest.mark.parametrize(
    ("user", "told"),
    [
        ("alice", "no user 'alice' in its /etc/passwd"),
        ("odd", "no user 'odd'"),
        ("short", "no user 'short'"),
        ("jovyan:staff", "no group 'staff' in its /etc/group"),
        ("jovyan:bad", "no group 'bad'"),
    ],
)
def test_unknown_names_are_said(user: str, told: str) -> None:
    with pytest.raises(UnknownUser, match=told):
        resolve(user, PASSWD, GROUP)


@pytest.mark.parametrize(
    ("environment", "user"),
    [
        ({}, "root"),
        ({"NB_UID": "1000", "NB_GID": "100"}, "1000:100"),
        ({"NB_UID": "1000"}, "1000"),
        ({"NB_UID": "1000", "NB_GID": "users"}, "1000"),
        ({"NB_UID": "", "NB_GID": "100"}, "root"),
        ({"NB_UID": "jovyan"}, "root"),
    ],
)
def test_images_of_docker_stacks_drop_to_the_user_of_their_environment(
    environment: dict[str, str], user: str
) -> None:
    assert stands_for("root", environment) == user


@pytest.mark.parametrize(
    ("user", "uid"),
    [("", 0), ("root", 0), ("0:0", 0), ("1000", 1000), ("1000:users", 1000), ("jovyan", None), ("²", None)],
)
def test_an_id_is_told_without_a_look_up(user: str, uid: int | None) -> None:
    assert uid_of(user, {}) == uid
    assert uid_of(user, {"NB_UID": "7001", "NB_GID": "7002"}) == (7001 if uid == 0 else uid)
    assert uid_of(user, {"NB_UID": "x"}) == uid


@pytest.mark.parametrize(
    ("passwd", "found"),
    [
        ("", "alice:x:1001:100::/home/alice:\n"),
        ("root:x:0:0:::", "root:x:0:0:::\nalice:x:1001:100::/home/alice:\n"),
        ("root:x:0:0:::\n", "root:x:0:0:::\nalice:x:1001:100::/home/alice:\n"),
        # A name alone, or a number alone, is not known.
        ("alice:x:5:5:::\n", "alice:x:5:5:::\nalice:x:1001:100::/home/alice:\n"),
        ("bob:x:1001:5:::\n", "bob:x:1001:5:::\nalice:x:1001:100::/home/alice:\n"),
        ("alice:x:5:5:::\nbob:x:1001:5:::\n", None),
        ("alice:x:1001:7::/:\n", None),
    ],
)
def test_a_user_is_added_once(passwd: str, found: str | None) -> None:
    assert with_entry(passwd, "alice:x:1001:100::/home/alice:") == found


def test_empty_lines_and_what_comes_after_the_user_cost_nothing() -> None:
    padded = "\n" * 2**19 + PASSWD + ":\n" * 2**17
    assert resolve("jovyan", padded, GROUP) == Ids(1000, 100)
    assert with_entry(padded, "jovyan:x:1000:5::/:") is None
