"""Whose account a server runs as: who is asked in which order, what is saved, and who is refused."""

from __future__ import annotations

from typing import Any

import pytest
from tornado import web

from asyncdockerspawner import SystemUserSpawner
from asyncdockerspawner.accounts import name_service
from asyncdockerspawner.errors import BadOption, BadTemplate, SiteCodeFailed, SpawnRefused
from asyncdockerspawner.spawners.launch_inputs import launch_inputs
from asyncdockerspawner.workloads.launch import LaunchInputs, RunsAs
from tests.support.dockerspawner_14 import make
from tests.testbed.name_service import NameService as Getent

NAMES = {"host_homedir_format_string": ""}
"""The name service tells the home."""


@pytest.fixture(autouse=True)
def getent(name_service: Getent, monkeypatch: pytest.MonkeyPatch) -> Getent:
    know(name_service, "alice", 1001, 100, "/nfs/alice")
    name_service.knows("initgroups alice", "alice                 27 50")
    monkeypatch.setenv("PATH", name_service.environment["PATH"])
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    return name_service


def know(getent: Getent, name: str, uid: int, gid: int, home: str = "") -> None:
    getent.knows(f"passwd {name}", f"{name}:x:{uid}:{gid}::{home or f'/home/{name}'}:/bin/sh")


def new(options: dict[str, Any] | None = None, username: str = "alice") -> SystemUserSpawner:
    spawner: SystemUserSpawner = make(SystemUserSpawner, options, username=username)[0]
    return spawner


async def launched(spawner: SystemUserSpawner) -> LaunchInputs:
    await spawner._before_hook()
    return await launch_inputs(spawner)


async def fails(spawner: Any) -> Any:
    raise ConnectionError("LDAP is away")


# ---- who is asked ------------------------------------------------------------------------------------------


async def test_the_name_service_tells_the_account(getent: Getent) -> None:
    spawner = new({**NAMES, "supplementary_groups": True})
    inputs = await launched(spawner)
    assert inputs.runs_as == RunsAs(
        user="1001:100", groups=(27, 50), working_dir="/home/alice", home="/nfs/alice"
    )
    assert (inputs.environment["NB_UID"], inputs.environment["NB_GID"]) == (1001, 100)
    assert inputs.binds == {"/nfs/alice": {"bind": "/home/alice", "ro": False}}
    assert getent.asked() == ["passwd alice", "initgroups alice"]


async def test_it_is_plain_to_read_in_hooks_which_may_change_it() -> None:
    spawner = new(NAMES)
    assert (spawner.user_id, spawner.group_id) == (-1, -1)
    await spawner._before_hook()
    assert (spawner.user_id, spawner.group_id) == (1001, 100)
    assert (spawner.homedir, spawner.host_homedir) == ("/home/alice", "/nfs/alice")
    assert spawner.get_env()["NB_UID"] == 1001
    spawner.user_id, spawner.group_id, spawner.host_home = 5, 6, "/srv/alice"
    inputs = await launch_inputs(spawner)
    assert inputs.runs_as.user == "5:6"
    assert list(inputs.binds) == ["/srv/alice"]


async def test_what_is_set_asks_nobody(getent: Getent) -> None:
    spawner = new({"user_id": 5})
    spawner.group_id = 6
    assert (await launched(spawner)).runs_as.user == "5:6"
    assert getent.asked() == []


async def test_what_is_not_set_is_asked_for(getent: Getent) -> None:
    spawner = new({"user_id": 5})
    assert (await launched(spawner)).runs_as.user == "5:100"
    assert getent.asked() == ["passwd alice"]


@pytest.mark.parametrize("sync", [True, False])
async def test_functions_tell_and_are_called_once_for_a_spawn(getent: Getent, sync: bool) -> None:
    calls = list[str]()

    def telling(name: str, value: Any) -> Any:
        async def told(spawner: Any) -> Any:
            calls.append(name)
            return value

        def at_once(spawner: Any) -> Any:
            calls.append(name)
            return value

        return at_once if sync else told

    values = {"user_id": 5, "group_id": "6", "host_home": "/ldap/a", "supplementary_groups": [9, "8"]}
    spawner = new({name: telling(name, value) for name, value in values.items()})
    assert (spawner.user_id, spawner.host_home, spawner.get_state()) == (-1, "", {})
    inputs = await launched(spawner)
    assert inputs.runs_as == RunsAs(user="5:6", groups=(8, 9), working_dir="/home/alice", home="/ldap/a")
    assert list(inputs.binds) == [spawner.host_homedir] == ["/ldap/a"]
    assert calls == list(values)
    spawner.clear_state()
    assert (spawner.user_id, spawner.group_id) == (5, 6)
    await launched(spawner)
    assert (calls, getent.asked()) == ([*values, *values], [])


async def test_a_function_that_is_set_later_counts() -> None:
    spawner = new({"user_id": lambda _: 5, "group_id": lambda _: 5})
    await spawner._before_hook()
    spawner.user_id = lambda _: 7
    assert (await launch_inputs(spawner)).runs_as.user == "7:5"


async def test_functions_that_do_not_know_leave_it_to_the_name_service() -> None:
    nothing: dict[str, Any] = dict.fromkeys(("user_id", "group_id"), lambda _: None)
    spawner = new({**nothing, **NAMES, "host_home": lambda _: None, "supplementary_groups": lambda _: True})
    inputs = await launched(spawner)
    assert inputs.runs_as == RunsAs(
        user="1001:100", groups=(27, 50), working_dir="/home/alice", home="/nfs/alice"
    )
    assert list(inputs.binds) == ["/nfs/alice"]


async def test_a_hook_may_make_the_user(getent: Getent) -> None:
    spawner = new(username="bob")
    await spawner._before_hook()
    know(getent, "bob", 1002, 100)
    assert (await launch_inputs(spawner)).runs_as.user == "1002:100"
    assert getent.asked() == ["passwd bob"] * 2


async def test_nothing_is_asked_for_the_whole_spawn_again_where_the_directory_is_away(
    getent: Getent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(name_service, "MISSES_LAST", 0.0)
    getent.behaves(status=7)
    spawner = new({"supplementary_groups": True})
    spawner.load_state({"user_id": 5})
    await launched(spawner)
    assert getent.asked() == ["passwd alice"]


async def test_a_subclass_may_know_better() -> None:
    class Knows(SystemUserSpawner):
        def _user_id_default(self) -> int:
            return 1 + super()._user_id_default()

        @property
        def homedir(self) -> str:
            return "/work"

        @property
        def host_homedir(self) -> str:
            return f"/srv{super().host_homedir}"

    spawner, _ = make(Knows)
    inputs = await launched(spawner)
    assert inputs.runs_as == RunsAs(user="1002:100", working_dir="/work", home="/srv/home/alice")
    assert inputs.environment["HOME"] == "/work"
    assert inputs.binds == {"/srv/home/alice": {"bind": "/work", "ro": False}}
    assert spawner.get_state()["user_id"] == 1002


# ---- what is saved -----------------------------------------------------------------------------------------


async def test_the_account_is_saved_and_serves_where_the_directory_is_away(getent: Getent) -> None:
    spawner = new({**NAMES, "supplementary_groups": True})
    inputs = await launched(spawner)
    state = spawner.get_state()
    assert state == {
        "user_id": 1001, "group_id": 100, "host_home": "/nfs/alice", "supplementary_groups": [27, 50],
        "account_name": "alice",
    }  # fmt: skip
    getent.behaves(status=7)
    name_service._of_loops.clear()
    again, log = make(SystemUserSpawner, {**NAMES, "supplementary_groups": True})
    again.load_state(state)
    assert (again.user_id, again.host_homedir, again.get_state()) == (1001, "/nfs/alice", state)
    later = await launched(again)
    assert (later.runs_as, later.binds) == (inputs.runs_as, inputs.binds)
    assert log == [
        "WARNING: alice: The program getent ended with 7: it is broken. What is known of the user from an "
        "earlier spawn is used"
    ]


async def test_a_user_whom_the_system_does_not_know_any_more_is_known_by_the_saved_state() -> None:
    spawner = new(username="bob")
    spawner.load_state({"user_id": 7, "group_id": 8})
    assert (await launched(spawner)).runs_as.user == "7:8"


@pytest.mark.parametrize(
    "state",
    [{}, {"user_id": -1}, {"user_id": "x", "group_id": None, "host_home": 5, "supplementary_groups": 5}],
)
async def test_a_state_that_says_nothing(state: dict[str, Any]) -> None:
    spawner = new()
    spawner.load_state(state)
    assert spawner.get_state() == {}


async def test_a_uid_that_has_changed_is_told_once() -> None:
    spawner, log = make(SystemUserSpawner)
    spawner.load_state({"user_id": 7, "group_id": 8})
    assert (await launched(spawner)).runs_as.user == "1001:100"
    assert log == [
        "WARNING: The uid of alice is 1001 now, and was 7: the user's files may still belong to that one"
    ]
    assert spawner.get_state() == {
        "user_id": 1001, "group_id": 100, "host_home": "/nfs/alice", "account_name": "alice",
    }  # fmt: skip


async def test_a_function_that_fails_leaves_it_to_the_saved_state(getent: Getent) -> None:
    options = {"user_id": fails, "group_id": fails, "host_home": fails, "supplementary_groups": fails}
    spawner, log = make(SystemUserSpawner, options)
    spawner.load_state({"user_id": 5, "group_id": 6, "host_home": "/h", "supplementary_groups": [9]})
    inputs = await launched(spawner)
    assert inputs.runs_as == RunsAs(user="5:6", groups=(9,), working_dir="/home/alice", home="/h")
    assert list(inputs.binds) == ["/h"]
    assert len(log) == 4
    assert all("LDAP is away" in line and "An earlier spawn's value is used" in line for line in log)
    assert getent.asked() == []


@pytest.mark.parametrize("option", ["user_id", "group_id", "host_home", "supplementary_groups"])
async def test_a_function_that_fails_is_named_where_nothing_was_saved(option: str) -> None:
    spawner = new({option: fails})
    await spawner._before_hook()
    with pytest.raises(SiteCodeFailed, match=option):
        await launch_inputs(spawner)


async def test_a_hook_may_make_good_what_a_function_did_not() -> None:
    spawner = new({"user_id": fails})
    await spawner._before_hook()
    spawner.user_id = 5
    assert (await launch_inputs(spawner)).runs_as.user == "5:100"


# ---- who is refused ----------------------------------------------------------------------------------------


async def test_an_unknown_user_is_refused_with_the_ways_out_and_not_before_the_hook() -> None:
    spawner = new(username="bob")
    await spawner._before_hook()
    assert spawner.get_state() == {}
    with pytest.raises(SpawnRefused, match="does not know the user bob") as refused:
        await launch_inputs(spawner)
    for way in ("getent passwd bob", "sssd", "`user_id`", "hook"):
        assert way in refused.value.advice


async def test_a_directory_that_does_not_answer_refuses_who_was_never_known(getent: Getent) -> None:
    getent.behaves(status=7)
    with pytest.raises(SpawnRefused, match="could not be asked about the user alice") as refused:
        await launched(new())
    assert "it is broken" in refused.value.advice


async def test_minus_one_is_nobody(getent: Getent) -> None:
    spawner = new()
    spawner.user_id = spawner.group_id = -1
    assert (await launched(spawner)).runs_as.user == "1001:100"


@pytest.mark.parametrize("option", ["user_id", "group_id", "supplementary_groups"])
async def test_ids_that_no_engine_takes_are_refused(option: str) -> None:
    largest, above = 2**31 - 1, 2**31
    many = option == "supplementary_groups"
    await launched(new({option: [largest] if many else largest}))
    with pytest.raises(SpawnRefused, match="cannot run a server as this user") as refused:
        await launched(new({option: [above] if many else above}))
    assert str(above) in refused.value.advice


async def test_a_gid_that_nobody_knows_is_left_to_the_image_and_told_once() -> None:
    spawner, log = make(SystemUserSpawner, {"user_id": 5}, username="bob")
    assert (await launched(spawner)).runs_as.user == "5"
    assert log == ["WARNING: bob: nobody knows the gid, so the image decides it: see `group_id`"]


async def test_a_function_may_refuse_the_user() -> None:
    def refuses(spawner: Any) -> Any:
        raise web.HTTPError(403, "not you")

    spawner = new({"user_id": refuses})
    spawner.load_state({"user_id": 5, "group_id": 6})
    with pytest.raises(web.HTTPError, match="not you"):
        await spawner._before_hook()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("user_id", "alice"), ("user_id", 2**32), ("group_id", [5]), ("host_home", 5),
        ("supplementary_groups", ["staff"]), ("supplementary_groups", "5"),
    ],
)  # fmt: skip
async def test_what_a_function_should_not_give_is_named(option: str, value: Any) -> None:
    with pytest.raises(BadOption, match=f"`{option}`"):
        await launched(new({option: lambda _: value}))


@pytest.mark.parametrize(("option", "value"), [("user_id", 2**32), ("supplementary_groups", ["staff"])])
async def test_what_an_option_should_not_be_is_named(option: str, value: Any) -> None:
    with pytest.raises(BadOption, match=f"`{option}`"):
        await launched(new({option: value}))


@pytest.mark.parametrize("name", ["..", "../alice", "/alice", ""])
async def test_a_name_that_leads_out_of_the_homes_is_refused(name: str) -> None:
    spawner = new({"user_id": 5, "group_id": 5}, username=name)
    with pytest.raises(SpawnRefused, match="cannot be that of a home's folder"):
        await launched(spawner)


@pytest.mark.parametrize("home", ["/", "relative", "/nfs/../etc"])
async def test_a_home_that_is_none_is_refused(getent: Getent, home: str) -> None:
    know(getent, "bob", 1002, 100, home)
    with pytest.raises(SpawnRefused, match="no home") as refused:
        await launched(new(NAMES, username="bob"))
    assert "name service" in refused.value.advice
    with pytest.raises(SpawnRefused, match="no home") as refused:
        await launched(new({"host_home": lambda _: home}))
    assert "host_home" in refused.value.advice


async def test_a_home_that_nobody_knows_is_refused() -> None:
    with pytest.raises(SpawnRefused, match="home of the user is not known"):
        await launched(new({**NAMES, "user_id": 5, "group_id": 5}, username="bob"))


@pytest.mark.parametrize("option", ["host_homedir_format_string", "image_homedir_format_string"])
async def test_a_template_that_cannot_be_filled_names_its_option(option: str) -> None:
    with pytest.raises(BadTemplate, match=option):
        await launched(new({option: "/home/{user}"}))


@pytest.mark.parametrize("name", [r"CORP\alice", "alice@corp.example"])
async def test_names_of_active_directory(getent: Getent, name: str) -> None:
    know(getent, name, 70001, 70000)
    inputs = await launched(new(username=name))
    assert inputs.runs_as.user == "70001:70000"
    assert inputs.binds == {f"/home/{name}": {"bind": f"/home/{name}", "ro": False}}


# ---- what the container is told ----------------------------------------------------------------------------


async def test_as_root_the_image_becomes_the_user() -> None:
    inputs = await launched(new({"run_as_root": True, "umask": "027"}))
    assert inputs.runs_as == RunsAs(user="0", working_dir="/home/alice")
    assert (inputs.environment["NB_UID"], inputs.environment["NB_UMASK"]) == (1001, "027")


@pytest.mark.parametrize(
    ("options", "told"),
    [({"umask": "027"}, "run_as_root"), ({"umask": "8", "run_as_root": True}, "octal")],
)
async def test_a_umask_that_would_not_be_heeded_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(BadOption, match=told):
        await launched(new(options))


async def test_words_of_start_go_into_functions_too() -> None:
    spawner, log = make(SystemUserSpawner, {"extra_host_config": lambda _: {"shm_size": "1g", "init": True}})

    async def started(self: Any) -> Any:
        return await launch_inputs(self)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("asyncdockerspawner.spawners.docker.DockerSpawner.start", started)
        inputs: Any = await spawner.start(extra_host_config={"init": False})
    assert inputs.extra_host == {"shm_size": "1g", "init": False}
    assert len(log) == 1
