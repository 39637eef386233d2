"""docker-py's words for a container and for a mount come to what docker-py itself makes of them.

Its words for a HostConfig are in `test_keywords_against_docker_py_host_config.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from docker.errors import InvalidArgument
from docker.types import (
    ContainerConfig,
    DriverConfig,
    EndpointConfig,
    Healthcheck,
    HostConfig,
    Mount,
    NetworkingConfig,
)
from hypothesis import given
from hypothesis import strategies as st

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.keywords import create, mount
from asyncdockerspawner.keywords.create import create_config
from asyncdockerspawner.keywords.mount import engine_mount
from tests.support.docker_py import (
    CREATE_WORDS,
    MOUNT_WORDS,
    VERSION,
    Recorder,
    as_json,
    cases,
    created_by,
    mounted_by,
    without_zeros,
    written,
)

ENDPOINT = EndpointConfig(VERSION, aliases=["me"], links={"db": "d"}, ipv4_address="10.0.0.9")
PAIR = {"target": "/t", "source": "s"}

SAME: dict[str, list[Any]] = {
    "command": ["start 'a b' --c", ["a b", "c"], ("a", "b"), "", []],
    "detach": [False],
    "domainname": ["example.org", ""],
    "entrypoint": ["tini -- 'a b'", ["tini", "--"], "", []],
    "environment": [
        {"A": 1, "B": None, "C": "", "D": "x=y", "E": b"\xc3\xa9", "F": True},
        ["A=1", "B"],
        ("A=1",),
        {},
        [],
    ],
    "healthcheck": [{}],
    "host_config": [HostConfig(VERSION, shm_size="1g", binds={"v": "/v"}), {"ShmSize": 5}],
    "hostname": ["h", ""],
    "image": ["other:1"],
    "labels": [{"a": "b", "c": ""}, ["a", "b"]],
    "mac_address": ["02:42:ac:11:00:02"],
    "network_disabled": [True],
    "networking_config": [NetworkingConfig({"hub": ENDPOINT}), NetworkingConfig()],
    "ports": [[8888, "53", (54, "udp"), (55, "tcp"), (56,)], {"8888/tcp": {}, "53/udp": {}}, []],
    "stop_signal": ["SIGINT", ""],
    "stop_timeout": [30, 0],
    "tty": [True],
    "use_config_proxy": [False],
    "user": [0, 1000, "1000:100", "nobody", ""],
    "volumes": ["/a", ["/a", "/b"], {"/a": {}}, []],
    "working_dir": ["/w", ""],
}
"""Word → values of which both make the same document."""

ALIKE: dict[str, list[Any]] = {
    "healthcheck": [
        Healthcheck(test="true", interval=10**9),
        Healthcheck(test=["NONE"]),
        {"test": "true", "retries": 3, "timeout": 10**9, "start_period": 5},
        {"test": ["CMD", "a"]},
        {"Test": ["CMD-SHELL", "a"], "Interval": 5},
        {"test": []},
    ],
    "labels": [{"a": None}],
    "network_disabled": [False],
    # DockerSpawner's own way.
    "ports": [{"8888/tcp": None}],
    "stdin_open": [False],
    "tty": [False],
}
"""Word → values of which both make what is the same to the Engine (`SAME_TO_THE_ENGINE`)."""

OTHERWISE: list[tuple[str, Any, Any, Any, str]] = [
    (
        "detach",
        True,
        {"AttachStdout": False, "AttachStderr": False},
        {},
        "nothing is attached in either case: the keys tell the Engine about a client that stays",
    ),
    (
        "stdin_open",
        True,
        {"OpenStdin": True, "AttachStdin": True, "StdinOnce": True},
        {"OpenStdin": True},
        "the same: there is no client whose leaving could close the input",
    ),
    (
        "runtime",
        "nvidia",
        {"Runtime": "nvidia"},
        {"HostConfig": {"Runtime": "nvidia"}},
        "beside the HostConfig no Engine reads it",
    ),
    (
        "ports",
        ["53/udp"],
        {"ExposedPorts": {"53/udp/tcp": {}}},
        {"ExposedPorts": {"53/udp": {}}},
        "the Engine refuses the former",
    ),
    (
        "ports",
        {8888: {}},
        {"ExposedPorts": {"8888": {}}},
        {"ExposedPorts": {"8888/tcp": {}}},
        "the same to the Engine, and in one form with the computed port, which it is merged with",
    ),
    ("ports", (8888,), {"ExposedPorts": [8888]}, {"ExposedPorts": {"8888/tcp": {}}}, "the Engine refuses it"),
    ("volumes", ("/a",), {"Volumes": ["/a"]}, {"Volumes": {"/a": {}}}, "the Engine refuses the former"),
    ("labels", {"a": 1}, {"Labels": {"a": 1}}, {"Labels": {"a": "1"}}, "the Engine refuses the former"),
    ("labels", ("a",), {"Labels": ["a"]}, {"Labels": {"a": ""}}, "the Engine refuses the former"),
    (
        "healthcheck",
        {"test": "true", "start_interval": 5},
        {
            "Healthcheck": {
                "Test": ["CMD-SHELL", "true"],
                "Interval": None,
                "Timeout": None,
                "Retries": None,
                "StartPeriod": None,
            }
        },
        {"Healthcheck": {"Test": ["CMD-SHELL", "true"], "StartInterval": 5}},
        "Engines from API 1.44 on have it",
    ),
]
"""Word, value, what docker-py makes, what we make, and why."""

REFUSED: list[tuple[str, Any, str, str]] = [
    ("name", "mine", "set name_template", "the spawner would not find the container again"),
    ("platform", "linux/arm64", "digest", "the pull would have to ask for the same platform"),
    ("use_config_proxy", True, "set environment", "a file of the Hub's user is no part of the configuration"),
    ("healthcheck", {"tset": "true"}, "did you mean 'test'?", "docker-py drops it without a word"),
]
"""Word, value that docker-py takes, what our refusal says, and why we refuse."""


def ours(words: dict[str, Any]) -> Any:
    """Give our part of a create's body."""
    found = create_config(words)
    return as_json({**found.config, **({"HostConfig": found.host} if found.host else {})})


def test_every_word_of_a_create_is_in_the_tables() -> None:
    others = {word for word, *_ in (*OTHERWISE, *REFUSED)}
    assert {*SAME, *ALIKE, *others} == CREATE_WORDS
    assert {word for word in create.KEYWORDS if word.islower()} == CREATE_WORDS


@pytest.mark.parametrize(("word", "value"), cases(SAME))
def test_a_create_word_becomes_what_docker_py_makes_of_it(word: str, value: Any) -> None:
    assert written(ours({word: value})) == written(created_by({word: value}))


@pytest.mark.parametrize(("word", "value"), cases(ALIKE))
def test_a_create_word_becomes_the_same_to_the_engine(word: str, value: Any) -> None:
    found, theirs = ours({word: value}), created_by({word: value})
    assert written(found) != written(theirs)
    assert written(without_zeros(found)) == written(without_zeros(theirs))


@pytest.mark.parametrize(("word", "value", "theirs", "expected", "why"), OTHERWISE)
def test_a_create_word_differs_for_a_reason(
    word: str, value: Any, theirs: Any, expected: Any, why: str
) -> None:
    assert written(created_by({word: value})) == written(theirs)
    assert written(ours({word: value})) == written(expected), why


@pytest.mark.parametrize(("word", "value", "said", "why"), REFUSED)
def test_a_create_word_is_refused_for_a_reason(word: str, value: Any, said: str, why: str) -> None:
    created_by({word: value})
    with pytest.raises(BadOption) as caught:
        create_config({word: value})
    assert said in str(caught.value), why


def test_docker_py_would_put_the_hub_users_proxy_into_each_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxies = {"proxies": {"default": {"httpProxy": "http://proxy"}}}
    (tmp_path / "config.json").write_text(json.dumps(proxies))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with Recorder() as client:
        _, body = client.create({"use_config_proxy": True})
        parameters, _ = client.create({"name": "mine", "platform": "linux/arm64"})
    assert "http_proxy=http://proxy" in body["Env"]
    assert parameters == {"name": "mine", "platform": "linux/arm64"}


@given(st.lists(st.text(st.characters(codec="ascii"), max_size=5), max_size=4).map(" ".join))
def test_any_command_line_is_split_alike(line: str) -> None:
    try:
        theirs = ContainerConfig(VERSION, "image", line)["Cmd"]
    except ValueError:
        with pytest.raises(BadOption):
            create_config({"command": line})
        return
    assert ours({"command": line}) == {"Cmd": theirs}


MOUNTS: list[dict[str, Any]] = [
    {},
    {"type": "volume", "read_only": True},
    {"type": "bind"},
    {"type": "bind", "propagation": "rslave", "consistency": "cached"},
    {"type": "tmpfs", "source": None},
    {"type": "tmpfs", "source": "", "tmpfs_size": "64m", "tmpfs_mode": 0o1777},
    {"type": "tmpfs", "source": None, "tmpfs_size": 65536},
    {"type": "npipe"},
    {"no_copy": True, "labels": {"a": "b"}, "subpath": "users/alice"},
    {"driver_config": DriverConfig("local", {"o": "size=1g"})},
    {"driver_config": DriverConfig("nfs")},
    {"driver_config": {"Name": "local", "Options": {"o": "size=1g"}}},
    # Every word with its default written out.
    {
        "type": "bind",
        "read_only": False,
        "consistency": None,
        "propagation": None,
        "no_copy": False,
        "labels": None,
        "driver_config": None,
        "tmpfs_size": None,
        "tmpfs_mode": None,
        "subpath": None,
    },
    {"type": "bind", "consistency": "", "propagation": "", "labels": {}, "subpath": "", "tmpfs_size": 0},
    {"type": "volume", "no_copy": False, "labels": {}, "driver_config": {}, "tmpfs_mode": 0},
    {"type": "tmpfs", "no_copy": False, "propagation": "", "tmpfs_size": 0, "tmpfs_mode": 0},
]

MOUNTS_REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"type": "tmpfs", "subpath": "a"}, "'subpath'", "docker-py drops it without a word"),
    ({"type": "npipe", "propagation": "rslave"}, "'propagation'", "docker-py drops it without a word"),
]


def test_every_word_of_a_mount_is_in_the_tables() -> None:
    assert {word for mount in MOUNTS for word in {**PAIR, **mount}} == MOUNT_WORDS
    known = {*mount._COMMON, *mount._BIND, *mount._VOLUME, *mount._TMPFS}
    assert known == MOUNT_WORDS


@pytest.mark.parametrize("mount", MOUNTS)
def test_a_mount_becomes_what_docker_py_makes_of_it(mount: dict[str, Any]) -> None:
    words = {**PAIR, **mount}
    theirs = mounted_by(words)
    assert written(without_zeros(engine_mount(words, "mounts[0]"))) == written(without_zeros(theirs))


@pytest.mark.parametrize("mount", MOUNTS)
def test_a_mount_that_docker_py_has_made_passes_as_it_is(mount: dict[str, Any]) -> None:
    made = Mount(**{**PAIR, **mount})
    assert engine_mount(made, "mounts[0]") == {key: item for key, item in made.items() if item is not None}


@pytest.mark.parametrize(("mount", "said", "why"), MOUNTS_REFUSED)
def test_a_mount_is_refused_for_a_reason(mount: dict[str, Any], said: str, why: str) -> None:
    words = {**PAIR, **mount}
    mounted_by(words)
    with pytest.raises(BadOption) as caught:
        engine_mount(words, "mounts[0]")
    assert said in str(caught.value), why


@pytest.mark.parametrize(
    ("kind", "word", "value"),
    [
        ("bind", "no_copy", True),
        ("bind", "labels", {"a": "b"}),
        ("bind", "driver_config", DriverConfig("local")),
        ("bind", "subpath", "a"),
        ("bind", "tmpfs_size", 5),
        ("bind", "tmpfs_mode", 5),
        ("volume", "propagation", "rslave"),
        ("volume", "tmpfs_size", 5),
        ("volume", "tmpfs_mode", 5),
        ("tmpfs", "propagation", "rslave"),
        ("tmpfs", "no_copy", True),
        ("tmpfs", "labels", {"a": "b"}),
        ("tmpfs", "driver_config", DriverConfig("local")),
        ("tmpfs", "tmpfs_mode", "1777"),
    ],
)
def test_what_docker_py_refuses_of_a_mount_is_refused_too(kind: str, word: str, value: Any) -> None:
    words = {**PAIR, "type": kind, word: value}
    with pytest.raises(InvalidArgument):
        mounted_by(words)
    with pytest.raises(BadOption, match=word):
        engine_mount(words, "mounts[0]")
