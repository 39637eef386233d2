"""A system user's account at the next spawn: what was saved, whose it is, and when it counts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from traitlets import default

from asyncdockerspawner import SystemUserSpawner
from asyncdockerspawner.accounts import name_service
from asyncdockerspawner.accounts.entries import Account
from asyncdockerspawner.accounts.saved import PARTS, Saved, only, part
from asyncdockerspawner.errors import BadOption, SiteCodeFailed, SpawnRefused
from asyncdockerspawner.spawners import account
from asyncdockerspawner.spawners.launch_inputs import launch_inputs
from asyncdockerspawner.workloads.launch import LaunchInputs
from tests.support.dockerspawner_14 import make
from tests.testbed.name_service import NameService as Getent

EARLIER = {
    "user_id": 1001, "group_id": 1001, "host_home": "/home/oldzed", "supplementary_groups": [27],
    "account_name": "alice",
}  # fmt: skip
IS_USED = "What is known of the user from an earlier spawn is used"
NAMES = {"host_homedir_format_string": ""}


@pytest.fixture(autouse=True)
def getent(name_service: Getent, monkeypatch: pytest.MonkeyPatch) -> Getent:
    know(name_service, "alice", 1001)
    name_service.knows("initgroups alice", "alice                 27 50")
    monkeypatch.setenv("PATH", name_service.environment["PATH"])
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    return name_service


def know(getent: Getent, name: str, uid: int) -> None:
    getent.knows(f"passwd {name}", f"{name}:x:{uid}:100::/nfs/{name}:/bin/sh")


async def launched(spawner: Any) -> LaunchInputs:
    await spawner._before_hook()
    return await launch_inputs(spawner)


def fails(spawner: Any) -> Any:
    raise ConnectionError("LDAP is away")


# ---- a directory that is stopped ---------------------------------------------------------------------------


async def test_a_stopped_directory_takes_no_groups_away_and_is_told(getent: Getent) -> None:
    options = {**NAMES, "supplementary_groups": True}
    spawner, _ = make(SystemUserSpawner, options)
    assert (await launched(spawner)).runs_as.groups == (27, 50)
    state = spawner.get_state()
    getent.stops()
    name_service._of_loops.clear()
    again, log = make(SystemUserSpawner, options)
    again.load_state(state)
    inputs = await launched(again)
    assert (inputs.runs_as.user, inputs.runs_as.groups) == ("1001:100", (27, 50))
    assert list(inputs.binds) == ["/nfs/alice"]
    assert again.get_state() == state
    assert log == [f"WARNING: alice: `getent passwd alice` gives nobody. {IS_USED}"]
    # Nor is it asked about the groups, of which it would say that there are none.
    assert "initgroups alice" not in getent.asked()[2:]


async def test_groups_that_are_not_told_while_ids_are_set_are_those_of_before(getent: Getent) -> None:
    getent.stops()
    spawner, log = make(SystemUserSpawner, {"user_id": 1001, "group_id": 100, "supplementary_groups": True})
    spawner.load_state(EARLIER)
    assert (await launched(spawner)).runs_as.groups == (27,)
    assert log == [f"WARNING: alice: `getent passwd alice` gives nobody. {IS_USED}"]


async def test_a_user_whom_a_hook_makes_has_groups_too(getent: Getent) -> None:
    spawner, _ = make(SystemUserSpawner, {"supplementary_groups": True}, username="bob")
    await spawner._before_hook()
    know(getent, "bob", 1002)
    getent.knows("initgroups bob", "bob                 27")
    assert (await launch_inputs(spawner)).runs_as.groups == (27,)


async def test_that_there_are_no_groups_is_not_remembered_for_long(
    getent: Getent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(name_service, "MISSES_LAST", 0.0)
    service = name_service.NameService(getent.environment)
    getent.knows("initgroups alice", "alice                 ")
    assert await service.groups("alice") == ()
    getent.knows("initgroups alice", "alice                 27")
    assert [await service.groups("alice") for _ in range(2)] == [(27,), (27,)]
    assert len(getent.asked()) == 2


async def test_what_nobody_tells_any_more_is_told_to_be_the_former(getent: Getent) -> None:
    spawner, log = make(SystemUserSpawner, {"user_id": 1001, "group_id": lambda _: None})
    spawner.load_state(EARLIER)
    spawner.supplementary_groups = lambda _: None
    getent.stops()
    inputs = await launched(spawner)
    assert (inputs.runs_as.user, inputs.runs_as.groups) == ("1001:1001", (27,))
    assert log == [f"WARNING: alice: `getent passwd alice` gives nobody. {IS_USED}"]
    spawner, log = make(SystemUserSpawner, {"user_id": 1001, "group_id": 1001})
    spawner.supplementary_groups = lambda _: None
    spawner.load_state(EARLIER)
    await launched(spawner)
    assert log == [f"WARNING: alice: Not all of the account is told now. {IS_USED}"]


# ---- whose account it is -----------------------------------------------------------------------------------


async def test_root_is_nobody_whom_the_name_service_may_name(getent: Getent) -> None:
    for options in ({}, {**NAMES, "user_id": lambda _: None, "run_as_root": True}):
        spawner, _ = make(SystemUserSpawner, options, username="root")
        with pytest.raises(SpawnRefused, match="root cannot have a server") as refused:
            await launched(spawner)
        assert "blocked_users" in refused.value.advice
    spawner.load_state({"user_id": 0, "group_id": 0})
    with pytest.raises(SpawnRefused, match="root cannot have a server"):
        await launched(spawner)
    for told in (0, lambda _: 0):
        spawner, _ = make(SystemUserSpawner, {"user_id": told}, username="root")
        assert (await launched(spawner)).runs_as.user == "0:0"


async def test_what_was_saved_of_another_uid_is_not_mixed_with_this_one(getent: Getent) -> None:
    getent.stops()
    spawner, log = make(SystemUserSpawner, {"supplementary_groups": True})
    spawner.load_state(EARLIER)
    await spawner._before_hook()
    spawner.user_id = 2001
    inputs = await launch_inputs(spawner)
    assert (inputs.runs_as.user, inputs.runs_as.groups) == ("2001", ())
    assert "/home/oldzed" not in inputs.binds
    assert "the uid of alice is 2001 now" in log[0].lower()
    spawner.host_homedir_format_string = ""
    with pytest.raises(SpawnRefused, match="home of the user is not known"):
        await launch_inputs(spawner)


async def test_a_renamed_user_is_not_whom_the_former_name_was() -> None:
    spawner, log = make(SystemUserSpawner, NAMES, username="new-name")
    spawner.load_state(EARLIER)
    assert (spawner.user_id, spawner.get_state()) == (-1, EARLIER)
    with pytest.raises(SpawnRefused, match="does not know the user new-name"):
        await launched(spawner)
    assert log == []


async def test_a_state_of_dockerspawners_has_no_name_and_counts(getent: Getent) -> None:
    getent.stops()
    spawner, _ = make(SystemUserSpawner)
    spawner.load_state({"user_id": 7, "group_id": 8})
    assert spawner.get_state() == {"user_id": 7, "group_id": 8}
    assert (await launched(spawner)).runs_as.user == "7:8"
    assert spawner.get_state() == {"user_id": 7, "group_id": 8, "account_name": "alice"}


@pytest.mark.parametrize("by_name", [True, False])
async def test_a_class_may_have_defaults_in_both_forms(getent: Getent, by_name: bool) -> None:
    class ByName(SystemUserSpawner):
        def _user_id_default(self) -> int:
            return 5

        def _group_id_default(self) -> int:
            return 6

        def _host_home_default(self) -> str:
            return "/srv/a"

    class Decorated(SystemUserSpawner):
        @default("user_id")
        def _uid(self) -> int:
            return 5

        @default("group_id")
        def _gid(self) -> int:
            return 6

        @default("host_home")
        def _home(self) -> str:
            return "/srv/a"

    spawner, _ = make(ByName if by_name else Decorated)
    inputs = await launched(spawner)
    assert (inputs.runs_as.user, list(inputs.binds)) == ("5:6", ["/srv/a"])


async def test_an_id_that_is_none_names_its_option() -> None:
    spawner, _ = make(SystemUserSpawner)
    await spawner._before_hook()
    spawner.user_id = -5
    with pytest.raises(BadOption, match="`user_id` is, or its function gave, -5"):
        await launch_inputs(spawner)


# ---- functions that fail -----------------------------------------------------------------------------------


async def test_a_function_that_fails_gives_nothing_that_it_did_not_give_before() -> None:
    spawner, _ = make(SystemUserSpawner, {"host_home": lambda _: None})
    assert list((await launched(spawner)).binds) == ["/home/alice"]
    state = spawner.get_state()
    assert (state["host_home"], "by_functions" in state) == ("/nfs/alice", False)
    again, _ = make(SystemUserSpawner, {"host_home": fails})
    again.load_state(state)
    with pytest.raises(SiteCodeFailed, match="host_home"):
        await launched(again)


async def test_what_a_function_gave_before_serves_for_as_long_as_it_fails() -> None:
    spawner, _ = make(SystemUserSpawner, {"host_home": lambda _: "/ldap/a", "group_id": lambda _: 7})
    await launched(spawner)
    for _ in range(2):
        state = spawner.get_state()
        assert state["by_functions"] == ["group_id", "host_home"]
        spawner, log = make(SystemUserSpawner, {"host_home": fails, "group_id": fails})
        spawner.load_state(state)
        inputs = await launched(spawner)
        assert (inputs.runs_as.user, list(inputs.binds)) == ("1001:7", ["/ldap/a"])
        assert len(log) == 2


async def test_what_a_function_gave_for_another_uid_does_not_serve(getent: Getent) -> None:
    spawner, _ = make(SystemUserSpawner, {"group_id": fails})
    spawner.load_state({**EARLIER, "user_id": 5, "by_functions": ["group_id"]})
    with pytest.raises(SiteCodeFailed, match="group_id"):
        await launched(spawner)


async def test_a_function_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "FUNCTION_TIMEOUT", 0.01)

    async def hangs(spawner: Any) -> int:
        await asyncio.Event().wait()
        return 5

    spawner, log = make(SystemUserSpawner, {"user_id": hangs})
    with pytest.raises(SiteCodeFailed, match=r"`user_id`.*not done within 0\.01 s"):
        await launched(spawner)
    spawner, log = make(SystemUserSpawner, {"user_id": hangs})
    spawner.load_state({**EARLIER, "by_functions": ["user_id"]})
    assert (await launched(spawner)).runs_as.user == "1001:100"
    assert "An earlier spawn's value is used" in log[0]

    async def times_out(spawner: Any) -> int:
        raise TimeoutError("its own")

    spawner, _ = make(SystemUserSpawner, {"user_id": times_out})
    with pytest.raises(SiteCodeFailed, match="its own"):
        await launched(spawner)


# ---- how it is saved ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "saved",
    [
        Saved(),
        Saved(Account(1, 2, "/h", (3,))),
        Saved(Account(1), "alice", ["user_id"]),
        Saved(Account(1, 2, "/h", (3,)), "alice", ()),
    ],
)
def test_what_is_saved_is_read_again(saved: Saved) -> None:
    read = Saved.of(saved.state())
    assert (read.account, read.name, [*read.by_functions]) == (
        saved.account,
        saved.name,
        [*saved.by_functions],
    )


def test_what_cannot_be_read_is_not_known() -> None:
    assert Saved.of({"account_name": 5, "host_home": 5, "by_functions": ["user_id"]}) == Saved()
    for given in (None, "user_id", [[], {}, "x"]):
        read = Saved.of({"account_name": "a", "user_id": 1, "by_functions": given})
        assert (read.name, list(read.by_functions)) == ("a", [])


def test_parts_of_an_account() -> None:
    whole = Account(1, 2, "/h", (3,))
    assert [part(only(whole, [name]), name) for name in PARTS] == [1, 2, "/h", (3,)]
    assert [part(only(whole, []), name) for name in PARTS] == [None] * 4
