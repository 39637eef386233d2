"""What a kept container was made from, and what its user left in it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from asyncdockerspawner.workloads.body import differences
from asyncdockerspawner.workloads.container.drift import files_of_the_user, fingerprint, other_account
from asyncdockerspawner.workloads.container.read import observed

BODY: dict[str, Any] = {
    "Image": "img:1",
    "Cmd": ["jupyterhub-singleuser"],
    "Env": ["A=1", "JUPYTERHUB_API_TOKEN=x", "B"],
    "HostConfig": {"Memory": 1, "Binds": ["v:/w:rw"], "PortBindings": {}},
}


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
def test_the_fingerprint_follows_what_the_server_is_made_from(change: dict[str, Any]) -> None:
    assert fingerprint({**BODY, **change}) != fingerprint(BODY)


@pytest.mark.parametrize(
    "change",
    [
        {"Env": ["B", "A=1", "JUPYTERHUB_API_TOKEN=y", "JPY_X=1", "MY_TOKEN=1"]},
        {"Labels": {"a": "b"}},
        {"HostConfig": {"Memory": 1, "CpuQuota": 0, "Mounts": [], "Binds": ["v:/w:rw"]}},
    ],
)
def test_the_fingerprint_overlooks_what_differs_at_every_spawn(change: dict[str, Any]) -> None:
    assert fingerprint({**BODY, **change}) == fingerprint(BODY)


def test_another_user_or_other_groups_are_told_where_there_are_any() -> None:
    alone = {**BODY, "User": "1001:100"}
    grouped = {**alone, "HostConfig": {**BODY["HostConfig"], "GroupAdd": ["27"]}}
    assert differences(fingerprint(alone), fingerprint({**alone, "User": "1002:100"})) == ["user"]
    assert differences(fingerprint(alone), fingerprint(grouped)) == ["user"]
    # One that was made before anybody looked at it is taken for the same.
    assert differences(fingerprint(BODY), fingerprint(alone)) == []


def test_a_body_without_the_keys_has_a_fingerprint_too() -> None:
    assert re.fullmatch("([a-z]+:[0-9a-f]{12} ?){5}", fingerprint({}))
    assert fingerprint({}) == fingerprint({"Env": None, "HostConfig": None})


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"Image": "img:2"}, "image"),
        ({"Cmd": None}, "command"),
        ({"Env": ["A=2"]}, "environment"),
        ({"HostConfig": {"Memory": 2, "Binds": ["v:/w:rw"]}}, "limits"),
        ({"HostConfig": {"Memory": 1, "Binds": []}}, "mounts"),
    ],
)
def test_the_part_that_differs_is_named(change: dict[str, Any], part: str) -> None:
    assert differences(fingerprint(BODY), fingerprint({**BODY, **change})) == [part]


@pytest.mark.parametrize("old", ["", "0123456789abcdef", "image:", "future:1"])
def test_what_a_fingerprint_does_not_tell_counts_as_equal(old: str) -> None:
    assert differences(old.replace("image:", "other:1"), fingerprint(BODY)) == []


HOME = {"Id": "a", "Config": {"WorkingDir": "/srv/lab", "Env": ["HOME=/data/me", "A"]}}
WORK = {**HOME, "Mounts": [{"Destination": "/home/jovyan/work"}]}


@pytest.mark.parametrize(
    ("document", "changed", "found"),
    [
        (HOME, ["/tmp/x", "/var/log/a", "/etc"], []),
        (HOME, ["/home", "/root", "/srv", "/srv/lab", "/data"], []),
        (HOME, ["/home/jovyan/a", "/root/.bashrc"], ["/home/jovyan/a", "/root/.bashrc"]),
        (HOME, ["/srv/lab/a", "/data/me/b"], ["/srv/lab/a", "/data/me/b"]),
        (WORK, ["/home", "/home/jovyan", "/home/jovyan/work", "/home/jovyan/work/x"], []),
        (WORK, ["/home/jovyan/workbook"], ["/home/jovyan/workbook"]),
        (
            HOME | {"Config": {}},
            ["/jupyterhub-certs", "/jupyterhub-certs/key.pem", "/etc", "/etc/passwd"],
            [],
        ),
        # Without a working directory a server works in the root.
        ({"Id": "a", "Config": {}}, ["/anything"], ["/anything"]),
    ],
)
def test_files_below_a_home_or_the_working_directory_may_be_the_users(
    document: dict[str, Any], changed: list[str], found: list[str]
) -> None:
    assert files_of_the_user(changed, observed(document)) == found


@pytest.mark.parametrize(
    ("user", "groups", "body", "other"),
    [
        ("71001:71000", None, {"User": "71001:71000"}, ""),
        ("71001:71000", ["7", "8"], {"User": "71001:71000", "HostConfig": {"GroupAdd": ["8", "7"]}}, ""),
        ("71001:71000", None, {"User": "72222:71000"}, "71001:71000"),
        ("0", [], {"User": "71001:71000"}, "0"),
        ("", [], {"User": "71001:71000"}, "root"),
        ("5", ["27"], {"User": "5"}, "5 with the groups 27"),
        ("5", None, {"User": "5", "HostConfig": {"GroupAdd": ["27"]}}, "5"),
        # Whom an image runs as is the image's business.
        ("1000", None, {}, ""),
    ],
)
def test_whom_a_kept_container_was_made_to_run_as(
    user: str, groups: Any, body: dict[str, Any], other: str
) -> None:
    kept = observed({"Id": "a", "Config": {"User": user}, "HostConfig": {"GroupAdd": groups}})
    assert other_account(body, kept) == other
