"""A container as the Engine's documents, lists and events tell of it, read once for everybody."""

from __future__ import annotations

import json
from typing import Any

import pytest

from asyncdockerspawner.client.events import ContainerEvent
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.container import read
from asyncdockerspawner.workloads.container.read import listed, observed
from asyncdockerspawner.workloads.exit_status import ExitStatus
from asyncdockerspawner.workloads.observed import Addresses, Binding, Observed, Phase, poll_status
from asyncdockerspawner.workloads.ports import SharedPort
from asyncdockerspawner.workloads.source import Happened, Hint

NEVER = "0001-01-01T00:00:00Z"
STARTED = "2026-01-01T10:00:00Z"
ENDED = "2026-01-01T11:00:00Z"


def container(*, memory: int = 0, **state: Any) -> dict[str, Any]:
    return {"Id": "a", "State": {"StartedAt": STARTED, **state}, "HostConfig": {"Memory": memory}}


NOTHING = {"Id": "a"}
CREATED = container(Status="created", Running=False, ExitCode=0, StartedAt=NEVER, FinishedAt=NEVER)
FAILED_START = container(Status="created", Running=False, ExitCode=127, StartedAt=NEVER, Error="no such file")
EXITED = container(Status="exited", Running=False, ExitCode=3, FinishedAt=ENDED)
DEAD = container(Status="dead", Running=False, Dead=True, ExitCode=1)
ALIVE = [
    container(Status="running", Running=True),
    container(Status="paused", Running=True, Paused=True),
    container(Status="paused", Running=False, Paused=True),
    container(Status="restarting", Running=True, Restarting=True, ExitCode=1),
    container(Status="running", Running=True, StartedAt=NEVER),
]


@pytest.mark.parametrize("inspect", ALIVE)
def test_running_paused_and_restarting_containers_are_alive(inspect: dict[str, Any]) -> None:
    found = observed(inspect)
    assert found.runs
    assert not found.never_started
    assert found.exit_status is None
    assert poll_status(found) is None


@pytest.mark.parametrize(
    ("inspect", "code"), [(CREATED, 0), (FAILED_START, 127), (EXITED, 3), (DEAD, 1), (None, 0), (NOTHING, 0)]
)
def test_the_hub_is_told_the_exit_code_of_what_does_not_run(
    inspect: dict[str, Any] | None, code: int
) -> None:
    found = None if inspect is None else observed(inspect)
    assert poll_status(found) == code


@pytest.mark.parametrize(
    "inspect", [CREATED, FAILED_START, NOTHING, container(Status="configured", StartedAt=NEVER)]
)
def test_a_container_without_a_first_process_never_started(inspect: dict[str, Any]) -> None:
    assert observed(inspect).never_started


@pytest.mark.parametrize("inspect", [EXITED, DEAD])
def test_a_container_that_ended_did_start(inspect: dict[str, Any]) -> None:
    assert not observed(inspect).never_started


def test_a_fresh_container_has_no_exit_status() -> None:
    assert observed(CREATED).exit_status is None


def test_a_failed_start_has_an_exit_status_with_its_reason() -> None:
    assert observed(FAILED_START).exit_status == ExitStatus(code=127, error="no such file")


def test_a_start_that_failed_without_a_code_still_has_its_reason() -> None:
    found = observed(container(Status="created", ExitCode=0, Error="port is taken", StartedAt=NEVER))
    assert found.exit_status == ExitStatus(code=0, error="port is taken")


def test_an_exit_status_holds_all_that_the_engine_says() -> None:
    inspect = container(memory=2**30, ExitCode=137, OOMKilled=True, Error="e", FinishedAt=ENDED)
    assert observed(inspect).exit_status == ExitStatus(
        code=137, oom_killed=True, error="e", finished_at=ENDED, memory_limit=2**30
    )


def test_a_poll_gives_a_number_whose_text_tells_more() -> None:
    document: dict[str, Any] = {
        "Id": "a",
        "State": {
            "Status": "exited",
            "ExitCode": 137,
            "OOMKilled": True,
            "Error": "why",
            "StartedAt": "2026-01-01T00:00:00Z",
            "FinishedAt": "2026-01-02T00:00:00Z",
        },
    }
    found = poll_status(observed(document))
    assert (found, json.dumps(found)) == (137, "137")
    assert str(found) == "ExitCode=137, OOMKilled, Error='why', FinishedAt=2026-01-02T00:00:00Z"
    del document["State"]["FinishedAt"], document["State"]["OOMKilled"]
    assert str(poll_status(observed(document))) == "ExitCode=137, Error='why'"


@pytest.mark.parametrize(
    ("inspect", "going"),
    [
        (container(Status="removing", Running=False), True),
        (DEAD, True),
        (EXITED, False),
        (CREATED, False),
        (NOTHING, False),
        ({**EXITED, "HostConfig": {"AutoRemove": True}}, True),
        ({**EXITED, "HostConfig": {"AutoRemove": False}}, False),
        ({**EXITED, "HostConfig": None}, False),
        # The Engine removes by itself only what has run.
        ({**CREATED, "HostConfig": {"AutoRemove": True}}, False),
        *(({**alive, "HostConfig": {"AutoRemove": True}}, False) for alive in ALIVE),
    ],
)
def test_a_container_on_its_way_out_is_told_from_one_that_stays(inspect: dict[str, Any], going: bool) -> None:
    assert observed(inspect).is_being_removed is going


ENTRY: dict[str, Any] = {
    "Id": "4f1d",
    "Names": ["/jupyter-alice"],
    "Image": "lab:1",
    "State": "running",
    "Status": "Up 5 minutes",
    "Created": 1700000000,
    "Labels": {"a": "b"},
    "HostConfig": {"NetworkMode": "host"},
    "NetworkSettings": {"Networks": {"hub": {"IPAddress": "172.18.0.3"}}},
    "Ports": [
        {"IP": "127.0.0.1", "PrivatePort": 8888, "PublicPort": 32768, "Type": "tcp"},
        {"IP": "::", "PrivatePort": 8888, "PublicPort": 32769, "Type": "tcp"},
        {"PrivatePort": 8888, "PublicPort": 5, "Type": "udp"},
        {"PrivatePort": 9999},
    ],
}


def test_an_entry_of_a_list_is_read_as_an_inspected_container_is() -> None:
    assert listed(ENTRY) == Observed(
        id="4f1d",
        name="jupyter-alice",
        phase=Phase.RUNNING,
        image="lab:1",
        network_mode="host",
        addresses=Addresses(
            networks={"hub": "172.18.0.3"},
            published={
                "8888/tcp": [Binding("127.0.0.1", "32768"), Binding("::", "32769")],
                "8888/udp": [Binding("", "5")],
            },
        ),
    )


@pytest.mark.parametrize("nothing", [{}, dict.fromkeys(ENTRY.keys() - {"Id"})])
def test_an_entry_that_tells_nothing_is_read_all_the_same(nothing: dict[str, Any]) -> None:
    assert listed({**nothing, "Id": "4f1d"}) == Observed(
        id="4f1d", phase=Phase.ENDED, last_exit=ExitStatus(code=0), addresses=Addresses()
    )


@pytest.mark.parametrize(
    ("state", "text", "polled", "fresh"),
    [
        ("running", "Up 5 minutes", None, False),
        ("Running", "", None, False),
        ("paused", "Up 5 minutes (Paused)", None, False),
        ("restarting", "Restarting (1) 2 seconds ago", None, False),
        ("exited", "Exited (3) 2 hours ago", 3, False),
        ("exited", "Exited (-1) 2 hours ago", -1, False),
        ("stopped", "Exited (137) 2 hours ago", 137, False),
        ("exited", "", 0, False),
        ("removing", "Removal In Progress", 0, False),
        ("created", "Created", 0, True),
        ("configured", "Created", 0, True),
    ],
)
def test_a_list_tells_of_a_containers_life_as_an_inspection_does(
    state: str, text: str, polled: int | None, fresh: bool
) -> None:
    found = listed({**ENTRY, "State": state, "Status": text})
    assert (poll_status(found), found.never_started) == (polled, fresh)
    assert found.runs is (polled is None)
    assert found.is_being_removed is (state == "removing")


@pytest.mark.parametrize(
    ("state", "when"),
    [
        ({"StartedAt": "2023-11-14T22:13:20.123456789Z", "FinishedAt": NEVER}, 1_700_000_000_123_456_000),
        ({"StartedAt": NEVER, "FinishedAt": "2023-11-14T23:13:20.5+01:00"}, 1_700_000_000_500_000_000),
        ({"StartedAt": STARTED, "FinishedAt": "2023-11-14T22:13:20Z"}, 1_767_261_600_000_000_000),
        ({"StartedAt": NEVER, "FinishedAt": NEVER}, 0),
        ({"StartedAt": "once"}, 0),
        ({}, 0),
    ],
)
def test_the_last_change_is_the_later_of_start_and_end(state: dict[str, Any], when: int) -> None:
    assert observed({"Id": "a", "State": state}).last_change == when


def test_the_last_end_of_a_container_that_is_started_again_is_told_by_the_event_or_the_document() -> None:
    state = {"Restarting": True, "Running": True, "ExitCode": 3}
    between = observed({"Id": "a", "RestartCount": 1, "State": state})
    assert between.restarts == 1
    assert between.exit_before_restart(None).summary() == "exited with code 3"
    again = observed({"Id": "a", "RestartCount": 1, "State": {"Running": True, "ExitCode": 0}})
    assert again.exit_before_restart(3).summary() == "exited with code 3"
    assert observed(NOTHING).restarts == 0


OWNER = labels.Owner(hub_id="h", username="u", servername="", spawn_id="s")
OURS = labels.ownership_labels_of(OWNER)


@pytest.mark.parametrize(
    ("found", "auto_remove", "removal"),
    [
        (OURS, None, True),
        (OURS, False, True),
        ({**OURS, labels.KEEP: "true"}, None, False),
        ({**OURS, labels.KEEP: "true"}, True, False),
        # It is written with one word only.
        ({**OURS, labels.KEEP: "false"}, None, True),
        # What DockerSpawner has made says it in another way.
        ({}, True, True),
        ({}, False, False),
        ({}, None, None),
        ({labels.HUB: "h", labels.KEEP: "true"}, None, None),
    ],
)
def test_whether_it_was_made_to_be_removed_is_told_by_our_labels_else_by_the_engines_own_option(
    found: dict[str, str], auto_remove: bool | None, removal: bool | None
) -> None:
    inspect = {"Id": "a", "Config": {"Labels": found}, "HostConfig": {"AutoRemove": auto_remove}}
    assert observed(inspect).removal is removal
    of_a_list = listed({"Id": "a", "Labels": found, "HostConfig": {"NetworkMode": "x"}})
    assert of_a_list.removal is (removal if labels.USER in found else None)


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        (Observed(id="a" * 64, name="n"), False),
        (Observed(id="a" * 64, name="n", removal=True), False),
        (Observed(id="a" * 64, name="n", removal=False), True),
        (Observed(id="a" * 64, name=f"n-kept-{'a' * 12}", removal=True), True),
        (Observed(id="a" * 64, name=f"n-kept-{'b' * 12}", removal=True), False),
    ],
)
def test_what_was_put_aside_is_kept_whatever_it_was_made_for(found: Observed, kept: bool) -> None:
    assert found.is_kept is kept


def test_an_inspected_container_tells_all_that_is_decided_on() -> None:
    inspect = {
        "Id": "4f1d",
        "Name": "/jupyter-alice",
        "RestartCount": 2,
        "Config": {
            "Image": "lab:1",
            "Env": ["A=1=2", "B", "TOKEN=secret"],
            "Labels": {**OURS, labels.CONFIG_HASH: "image:1"},
            "WorkingDir": "/work",
            "User": "71001:71000",
        },
        "HostConfig": {"NetworkMode": "hub", "AutoRemove": True, "GroupAdd": ["27"]},
        "State": {"Status": "running", "Running": True, "StartedAt": STARTED},
        "Mounts": [{"Destination": "/data"}],
        "NetworkSettings": {"Networks": {"hub": {"IPAddress": "172.18.0.3"}}, "Ports": {}},
    }
    found = observed(inspect)
    assert found == Observed(
        id="4f1d",
        name="jupyter-alice",
        hub_id="h",
        owner=OWNER,
        phase=Phase.RUNNING,
        last_exit=ExitStatus(code=0),
        restarts=2,
        last_change=1_767_261_600_000_000_000,
        image="lab:1",
        environment={"A": "1=2", "B": "", "TOKEN": "secret"},
        network_mode="hub",
        addresses=Addresses(networks={"hub": "172.18.0.3"}),
        removal=True,
        auto_remove=True,
        config_hash="image:1",
        user="71001:71000",
        groups=("27",),
        working_dir="/work",
        mount_points=("/data",),
    )
    assert "secret" not in repr(found)


@pytest.mark.parametrize("url", ["http://0.0.0.0:x/", "http://0.0.0.0:70000/", "http://[::/", ""])
def test_an_address_that_cannot_be_read_tells_no_port(url: str) -> None:
    config = {"Env": [f"JUPYTERHUB_SERVICE_URL={url}"]}
    assert observed({"Id": "a", "Config": config, "HostConfig": {"NetworkMode": "host"}}).shared_port is None


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("create", Happened.CREATED),
        ("start", Happened.STARTED),
        ("restart", Happened.STARTED),
        ("unpause", Happened.STARTED),
        ("kill", Happened.SIGNALLED),
        ("die", Happened.ENDED),
        ("died", Happened.ENDED),
        ("destroy", Happened.REMOVED),
        ("remove", Happened.REMOVED),
        ("rename", Happened.RENAMED),
    ],
)
def test_both_engines_words_for_what_happens_are_read(action: str, kind: Happened) -> None:
    assert read.hint(ContainerEvent("a", action)) == Hint(kind=kind, observed=Observed(id="a"))


def test_an_event_tells_whose_it_is_and_how_it_ended() -> None:
    told = {**OURS, labels.KEEP: "true", labels.PORT: "host:5", labels.CONFIG_HASH: "x", "name": "/n"}
    hint = read.hint(ContainerEvent("a", "die", {**told, "exitCode": "3"}, 7))
    whose = Observed(
        id="a",
        name="n",
        hub_id="h",
        owner=OWNER,
        shared_port=SharedPort("host", 5),
        removal=False,
        config_hash="x",
    )
    assert hint == Hint(kind=Happened.ENDED, observed=whose, exit_code=3, time=7)


@pytest.mark.parametrize(("signal", "by_force"), [("9", True), ("15", False), (None, False)])
def test_a_signal_tells_whether_it_can_be_caught(signal: str | None, by_force: bool) -> None:
    told = {"signal": signal} if signal else {}
    assert read.hint(ContainerEvent("a", "kill", told)).by_force is by_force


def test_what_has_been_stopped_by_us_has_ended_nobody_knows_how() -> None:
    stopped = Observed(id="a", phase=Phase.ENDED)
    assert (stopped.exit_is_unknown, stopped.exit_status) == (True, ExitStatus(code=0))
    assert [observed(each).exit_is_unknown for each in (EXITED, CREATED, NOTHING)] == [False, False, True]


@pytest.mark.parametrize(
    ("document", "words"),
    [({"Config": {"Cmd": ["a", "b"]}}, ["a", "b"]), ({"Config": {"Cmd": None}}, []), ({"Config": None}, [])],
)
def test_an_image_tells_its_command(document: dict[str, Any], words: list[str]) -> None:
    assert read.command_of_image(document) == words


@pytest.mark.parametrize("settings", [{}, {"NetworkSettings": None}, {"NetworkSettings": {"Networks": None}}])
def test_what_has_no_networks_has_no_address_in_any(settings: dict[str, Any]) -> None:
    assert read.networks(read.network_settings({"Id": "a", **settings})) == {}


@pytest.mark.parametrize(
    ("image", "user", "environment"),
    [
        (
            {"Config": {"User": "1000:100", "Env": ["NB_UID=1000", "EMPTY="]}},
            "1000:100",
            {"NB_UID": "1000", "EMPTY": ""},
        ),
        ({"Config": {"User": "", "Env": None}}, "", {}),
        ({"Config": None}, "", {}),
    ],
)
def test_an_image_tells_whom_it_runs_as_and_its_environment(
    image: dict[str, Any], user: str, environment: dict[str, str]
) -> None:
    assert read.image_user(image) == (user, environment)
