"""A container's state, as the Hub and its users are told of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from asyncdockerspawner.workloads.container.status import (
    ExitStatus,
    document_of,
    exit_status,
    is_being_removed,
    is_running,
    last_change,
    last_exit,
    never_started,
    poll_status,
    restarts,
)

NEVER = "0001-01-01T00:00:00Z"
STARTED = "2026-01-01T10:00:00Z"
ENDED = "2026-01-01T11:00:00Z"


def container(*, memory: int = 0, **state: Any) -> dict[str, Any]:
    return {"State": {"StartedAt": STARTED, **state}, "HostConfig": {"Memory": memory}}


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
    assert is_running(inspect)
    assert not never_started(inspect)
    assert exit_status(inspect) is None
    assert poll_status(inspect) is None


@pytest.mark.parametrize(
    ("inspect", "code"), [(CREATED, 0), (FAILED_START, 127), (EXITED, 3), (DEAD, 1), (None, 0), ({}, 0)]
)
def test_the_hub_is_told_the_exit_code_of_what_does_not_run(
    inspect: dict[str, Any] | None, code: int
) -> None:
    assert poll_status(inspect) == code


@pytest.mark.parametrize(
    "inspect", [CREATED, FAILED_START, {}, container(Status="configured", StartedAt=NEVER)]
)
def test_a_container_without_a_first_process_never_started(inspect: dict[str, Any]) -> None:
    assert never_started(inspect)


@pytest.mark.parametrize("inspect", [EXITED, DEAD])
def test_a_container_that_ended_did_start(inspect: dict[str, Any]) -> None:
    assert not never_started(inspect)


def test_a_fresh_container_has_no_exit_status() -> None:
    assert exit_status(CREATED) is None


def test_a_failed_start_has_an_exit_status_with_its_reason() -> None:
    assert exit_status(FAILED_START) == ExitStatus(code=127, error="no such file")


def test_a_start_that_failed_without_a_code_still_has_its_reason() -> None:
    found = exit_status(container(Status="created", ExitCode=0, Error="port is taken", StartedAt=NEVER))
    assert found == ExitStatus(code=0, error="port is taken")


def test_an_exit_status_holds_all_that_the_engine_says() -> None:
    inspect = container(memory=2**30, ExitCode=137, OOMKilled=True, Error="e", FinishedAt=ENDED)
    assert exit_status(inspect) == ExitStatus(
        code=137, oom_killed=True, error="e", finished_at=ENDED, memory_limit=2**30
    )


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (ExitStatus(code=0), "exited with code 0"),
        (ExitStatus(code=3), "exited with code 3"),
        (ExitStatus(code=125), "exited with code 125: the Engine could not run the container"),
        (ExitStatus(code=126), "exited with code 126: the command cannot be executed"),
        (ExitStatus(code=127), "exited with code 127: command not found"),
        (ExitStatus(code=127, error="exec: x"), "exited with code 127: command not found (exec: x)"),
        (ExitStatus(code=130), "was killed by signal 2"),
        (ExitStatus(code=137), "was killed by signal 9: stopped by force, or the machine ran out of memory"),
        (ExitStatus(code=139), "was killed by signal 11: segmentation fault"),
        (ExitStatus(code=143), "was killed by signal 15: asked to stop"),
        (ExitStatus(code=128), "exited with code 128"),
        (ExitStatus(code=255), "exited with code 255"),
        (ExitStatus(code=137, oom_killed=True), "was killed: out of memory"),
        (
            ExitStatus(code=137, oom_killed=True, memory_limit=2**30),
            "was killed: out of memory (limit 1 GiB)",
        ),
        (
            ExitStatus(code=0, oom_killed=True, memory_limit=3 * 2**29),
            "was killed: out of memory (limit 1.5 GiB)",
        ),
        (
            ExitStatus(code=1, oom_killed=True, memory_limit=512 * 2**20),
            "exited with code 1 after running out of memory (limit 512 MiB)",
        ),
        (
            ExitStatus(code=137, oom_killed=True, memory_limit=5000 * 2**40),
            "was killed: out of memory (limit 5000 TiB)",
        ),
    ],
)
def test_an_end_is_told_in_words(status: ExitStatus, sentence: str) -> None:
    assert str(status) == status.summary() == sentence


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (ExitStatus(code=137, oom_killed=True), "`mem_limit`"),
        (ExitStatus(code=127), "`cmd`"),
        (ExitStatus(code=126), "`cmd`"),
        (ExitStatus(code=1), ""),
    ],
)
def test_what_to_do_about_an_end_names_the_option(status: ExitStatus, advice: str) -> None:
    assert advice in status.advice
    assert bool(status.advice) is bool(advice)


def test_a_poll_gives_a_number_whose_text_tells_more() -> None:
    document = {
        "State": {
            "Status": "exited",
            "ExitCode": 137,
            "OOMKilled": True,
            "Error": "why",
            "StartedAt": "2026-01-01T00:00:00Z",
            "FinishedAt": "2026-01-02T00:00:00Z",
        }
    }
    found = poll_status(document)
    assert (found, json.dumps(found)) == (137, "137")
    assert str(found) == "ExitCode=137, OOMKilled, Error='why', FinishedAt=2026-01-02T00:00:00Z"
    del document["State"]["FinishedAt"], document["State"]["OOMKilled"]
    assert str(poll_status(document)) == "ExitCode=137, Error='why'"


@pytest.mark.parametrize(
    ("inspect", "going"),
    [
        (container(Status="removing", Running=False), True),
        (DEAD, True),
        (EXITED, False),
        (CREATED, False),
        ({}, False),
        ({**EXITED, "HostConfig": {"AutoRemove": True}}, True),
        ({**EXITED, "HostConfig": {"AutoRemove": False}}, False),
        ({**EXITED, "HostConfig": None}, False),
        # The Engine removes by itself only what has run.
        ({**CREATED, "HostConfig": {"AutoRemove": True}}, False),
        *(({**alive, "HostConfig": {"AutoRemove": True}}, False) for alive in ALIVE),
    ],
)
def test_a_container_on_its_way_out_is_told_from_one_that_stays(inspect: dict[str, Any], going: bool) -> None:
    assert is_being_removed(inspect) is going


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


def test_an_entry_of_a_list_gets_the_shape_of_an_inspected_container() -> None:
    assert document_of(ENTRY) == {
        "Id": "4f1d",
        "Name": "/jupyter-alice",
        "Config": {"Image": "lab:1", "Labels": {"a": "b"}},
        "HostConfig": {"NetworkMode": "host"},
        "State": {"Status": "running", "Running": True, "ExitCode": 0, "StartedAt": "1700000000"},
        "NetworkSettings": {
            "Networks": {"hub": {"IPAddress": "172.18.0.3"}},
            "Ports": {
                "8888/tcp": [
                    {"HostIp": "127.0.0.1", "HostPort": "32768"},
                    {"HostIp": "::", "HostPort": "32769"},
                ],
                "8888/udp": [{"HostIp": "", "HostPort": "5"}],
                "9999/tcp": [],
            },
        },
    }


@pytest.mark.parametrize("nothing", [{}, dict.fromkeys(ENTRY.keys() - {"Id"})])
def test_an_entry_that_tells_nothing_has_the_shape_all_the_same(nothing: dict[str, Any]) -> None:
    assert document_of({**nothing, "Id": "4f1d"}) == {
        "Id": "4f1d",
        "Name": "",
        "Config": {"Image": None, "Labels": {}},
        "HostConfig": {},
        "State": {"Status": "", "Running": False, "ExitCode": 0, "StartedAt": "once"},
        "NetworkSettings": {"Networks": {}, "Ports": {}},
    }


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
    document = document_of({**ENTRY, "State": state, "Status": text})
    assert (poll_status(document), never_started(document)) == (polled, fresh)
    assert is_running(document) is (polled is None)
    assert is_being_removed(document) is (state == "removing")


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
    assert last_change({"State": state}) == when


def test_the_last_end_of_a_container_that_is_started_again_is_told_by_the_event_or_the_document() -> None:
    between = {"RestartCount": 1, "State": {"Restarting": True, "Running": True, "ExitCode": 3}}
    assert restarts(between) == 1
    assert last_exit(between, None).summary() == "exited with code 3"
    again = {"RestartCount": 1, "State": {"Running": True, "ExitCode": 0}}
    assert last_exit(again, 3).summary() == "exited with code 3"
    assert restarts({}) == 0


def test_its_user_is_told_what_to_do_about_an_end_for_want_of_memory_and_of_no_other() -> None:
    assert "needs more memory" in ExitStatus(code=137, oom_killed=True).hint
    assert ExitStatus(code=137).hint == ""
