"""docker-py's words for create_container in the Engine's keys."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.keywords.create import KEYS, KEYWORDS, create_config, env_strings, keywords_of

CHECK = {"Test": ["CMD-SHELL", "true"], "Interval": 10**9, "StartPeriod": 5}


@pytest.mark.parametrize(
    ("word", "value", "key", "expected"),
    [
        ("command", "start.sh --flag 'a b'", "Cmd", ["start.sh", "--flag", "a b"]),
        ("command", ["a b"], "Cmd", ["a b"]),
        ("entrypoint", "tini --", "Entrypoint", ["tini", "--"]),
        ("entrypoint", ["tini"], "Entrypoint", ["tini"]),
        ("user", 1000, "User", "1000"),
        ("user", "1000:100", "User", "1000:100"),
        (
            "ports",
            [8888, "53/udp", (54, "udp"), (55,)],
            "ExposedPorts",
            {"8888/tcp": {}, "53/udp": {}, "54/udp": {}, "55/tcp": {}},
        ),
        ("ports", {"8888/tcp": None, 9: {}}, "ExposedPorts", {"8888/tcp": {}, "9/tcp": {}}),
        ("ExposedPorts", {"8888/tcp": {}}, "ExposedPorts", {"8888/tcp": {}}),
        ("labels", {"a": "b", "c": 1, "d": None}, "Labels", {"a": "b", "c": "1", "d": ""}),
        ("labels", ["a"], "Labels", {"a": ""}),
        ("Labels", {"a": "b"}, "Labels", {"a": "b"}),
        ("hostname", "h", "Hostname", "h"),
        ("domainname", "d", "Domainname", "d"),
        ("working_dir", "/w", "WorkingDir", "/w"),
        ("environment", {"A": 1, "B": None, "C": ""}, "Env", ["A=1", "B", "C="]),
        ("environment", {"A": b"\xc3\xa9"}, "Env", ["A=é"]),
        ("environment", ["A=1", "B"], "Env", ["A=1", "B"]),
        ("Env", ["A=1"], "Env", ["A=1"]),
        ("volumes", "/v", "Volumes", {"/v": {}}),
        ("volumes", ["/v", "/w"], "Volumes", {"/v": {}, "/w": {}}),
        ("volumes", {"/v": {"bind": "/x"}}, "Volumes", {"/v": {}}),
        ("tty", True, "Tty", True),
        ("stdin_open", True, "OpenStdin", True),
        ("stop_signal", "SIGINT", "StopSignal", "SIGINT"),
        ("stop_timeout", "30", "StopTimeout", 30),
        ("mac_address", "02:42:ac:11:00:02", "MacAddress", "02:42:ac:11:00:02"),
        ("network_disabled", True, "NetworkDisabled", True),
        ("healthcheck", {"test": "true", "interval": 10**9, "start_period": 5}, "Healthcheck", CHECK),
        ("healthcheck", MappingProxyType({**CHECK, "Retries": None}), "Healthcheck", CHECK),
        ("healthcheck", {"test": ["NONE"]}, "Healthcheck", {"Test": ["NONE"]}),
        (
            "networking_config",
            {"EndpointsConfig": {"hub": {}}},
            "NetworkingConfig",
            {"EndpointsConfig": {"hub": {}}},
        ),
        ("image", "img", "Image", "img"),
        ("Shell", ["bash"], "Shell", ["bash"]),
    ],
)
def test_a_word_becomes_the_engines_key(word: str, value: Any, key: str, expected: Any) -> None:
    found = create_config({word: value})
    assert found.config == {key: expected}
    assert found.host == {}


@pytest.mark.parametrize("word", ["host_config", "HostConfig"])
def test_a_host_config_is_kept_apart(word: str) -> None:
    found = create_config({word: {"OomScoreAdj": 5, "shm_size": "1k"}, "tty": True})
    assert found.host == {"OomScoreAdj": 5, "ShmSize": 1024}
    assert found.config == {"Tty": True}


def test_a_runtime_goes_where_the_engine_reads_it() -> None:
    assert create_config({"runtime": "nvidia"}).host == {"Runtime": "nvidia"}
    assert create_config({"runtime": "nvidia", "host_config": {"Runtime": "crun"}}).host == {
        "Runtime": "crun"
    }


@pytest.mark.parametrize(
    "words", [{"detach": True}, {"use_config_proxy": False}, {"name": None, "platform": None}]
)
def test_words_without_meaning_here_leave_nothing(words: dict[str, Any]) -> None:
    found = create_config(words)
    assert (found.config, found.host) == ({}, {})


@pytest.mark.parametrize("word", sorted({*KEYWORDS, *KEYS}))
def test_none_unsets_every_word(word: str) -> None:
    found = create_config({word: None})
    assert set(found.config.values()) <= {None}
    assert found.host == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"comand": "x"}, "extra_create_kwargs has the unknown key 'comand'; did you mean 'command'?"),
        ({"mem_limit": "1g"}, "'mem_limit', which belongs in extra_host_config"),
        ({"ShmSize": 1}, "'ShmSize', which belongs in extra_host_config"),
        ({"cpuset": "0-3"}, "'cpuset', which belongs in extra_host_config as 'cpuset_cpus'."),
        ({"command": "it's"}, "extra_create_kwargs.command"),
        ({"command": 5}, "extra_create_kwargs.command"),
        ({"ports": 8888}, "extra_create_kwargs.ports"),
        ({"environment": 5}, "extra_create_kwargs.environment"),
        ({"healthcheck": {"tests": "x"}}, "did you mean 'test'?"),
        ({"host_config": {"ShmSise": 1}}, "extra_create_kwargs.host_config has the unknown key 'ShmSise'"),
        ({"host_config": 5}, "extra_create_kwargs.host_config"),
        ({"name": "mine"}, "name_template"),
        ({"platform": "linux/arm64"}, "digest"),
        ({"use_config_proxy": True}, "set environment"),
        ({"tty": True, "Tty": True}, "sets Tty twice"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_option(words: dict[str, Any], said: str) -> None:
    with pytest.raises(BadOption) as caught:
        create_config(words)
    assert said in str(caught.value)


def test_an_environment_is_written_as_names_and_values() -> None:
    assert env_strings({"A": "x=y", "NB_UID": 1000, "BARE": None}) == ["A=x=y", "NB_UID=1000", "BARE"]


BODY = {
    "Image": "image:1",
    "Cmd": ["start", "--x"],
    "Env": ["A=x=y", "BARE", "EMPTY="],
    "ExposedPorts": {"8888/tcp": {}},
    "Healthcheck": {"Test": ["CMD", "true"], "Interval": 5},
    "HostConfig": {"Memory": 1, "PortBindings": {"8888/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}},
    "Labels": {"a": "b"},
    "NetworkingConfig": {"EndpointsConfig": {"n": {}}},
    "OnBuild": ["x"],
    "StopTimeout": 3,
    "User": "1000",
    "Volumes": {"/v": {}, "/w": {}},
    "WorkingDir": "/w",
}


def test_a_body_is_given_in_the_words_that_come_to_it() -> None:
    words = keywords_of(BODY)
    assert {word for word in words if not word.islower()} == {"OnBuild"}
    assert words["environment"] == {"A": "x=y", "BARE": None, "EMPTY": ""}
    assert words["volumes"] == ["/v", "/w"]
    made = create_config(words)
    assert {**made.config, "HostConfig": made.host} == BODY
    assert keywords_of({"Image": "image:1"}) == {"image": "image:1"}
