"""The facade's words against docker-py's own, and which Engine a client means."""

from __future__ import annotations

import inspect
import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docker
import pytest
from docker.types import EndpointConfig, HostConfig, NetworkingConfig

from asyncdockerspawner.client import output
from asyncdockerspawner.client.settings import EngineSettings, resolve
from asyncdockerspawner.docker_py import arguments, calls
from asyncdockerspawner.docker_py.pure import PureClient, configured_client, settings_of
from asyncdockerspawner.docker_py.table import REQUESTS
from asyncdockerspawner.errors import BadOption, ObjectNotFound

HERE = PureClient(EngineSettings())
ONE_REQUEST = sorted(REQUESTS)
MORE = sorted(set(calls.METHODS) - set(REQUESTS) - {"create_container", "create_host_config"})


def docker_pys(method: str) -> dict[str, Any]:
    """docker-py's words of a method, in order, with their defaults."""
    kinds = {"create_endpoint_config": EndpointConfig, "create_networking_config": NetworkingConfig}
    found = inspect.signature(kinds.get(method) or getattr(docker.APIClient, method)).parameters.values()
    named = [each for each in found if each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    hidden = {"self", "version"} if method in kinds else {"self"}
    return {each.name: each.default for each in named if each.name not in hidden}


@pytest.mark.parametrize("method", ONE_REQUEST)
def test_a_method_of_one_request_has_docker_pys_words(method: str) -> None:
    request = REQUESTS[method]
    required = dict.fromkeys(request.required, inspect.Parameter.empty)
    assert list({**required, **request.optional}.items()) == list(docker_pys(method).items())


@pytest.mark.parametrize("method", ONE_REQUEST)
def test_a_method_of_one_request_sends_all_of_its_words(method: str) -> None:
    request = REQUESTS[method]
    in_path = {word for word in request.required if f"{{{word}}}" in request.path}
    asked = {*request.required, *request.optional} - {"api_version"}
    assert in_path | {*request.query, *request.body} == asked


@pytest.mark.parametrize("method", MORE)
def test_every_other_method_has_docker_pys_words_too(method: str) -> None:
    function = calls._SPECIAL.get(method) or getattr(HERE, method)
    ours = {
        each.name: each.default
        for each in inspect.signature(function).parameters.values()
        if each.name != "server"
    }
    assert list(ours.items()) == list(docker_pys(method).items())


HOST_WORDS: dict[str, Any] = {
    "binds": {"/data": {"bind": "/d", "mode": "ro"}},
    "port_bindings": {8888: ("127.0.0.1",), "53/udp": 5353},
    "mem_limit": "1g",
    "cap_drop": ["ALL"],
    "devices": ["/dev/fuse:/dev/fuse:rwm"],
    "network_mode": "mine",
    "tmpfs": {"/run": "size=1m"},
    "auto_remove": True,
}


def test_a_host_config_is_docker_pys() -> None:
    assert HERE.create_host_config(**HOST_WORDS) == HostConfig(version="1.41", **HOST_WORDS)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"aliases": ["db"], "ipv4_address": "10.0.0.2", "mac_address": "02:42:ac:11:00:02"},
        {"links": {"one": "1", "two": "2"}, "ipv6_address": "fd00::2", "driver_opt": {"a": "b"}},
        {"link_local_ips": ["169.254.1.1"]},
    ],
)
def test_an_endpoint_config_is_docker_pys(given: dict[str, Any]) -> None:
    assert HERE.create_endpoint_config(**given) == EndpointConfig("1.41", **given)
    nets = {"mine": HERE.create_endpoint_config(**given)}
    assert HERE.create_networking_config(nets) == NetworkingConfig(nets)
    assert HERE.create_networking_config() == NetworkingConfig()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("unix:///run/docker.sock", "http+docker://localhost"),
        ("tcp://10.0.0.1:2375", "http://10.0.0.1:2375"),
        ("https://engine:2376", "https://engine:2376"),
    ],
)
def test_the_address_is_in_docker_pys_spelling(url: str, told: str) -> None:
    client = configured_client({"base_url": url}, {}, {})
    assert client.base_url == told
    with docker.APIClient(base_url=url.replace("tcp:", "http:"), version="1.41") as theirs:
        assert told == theirs.base_url


def test_ours_means_the_engine_that_it_was_made_for() -> None:
    found = resolve({"base_url": "unix:///run/podman.sock"}, {}, {})
    assert settings_of(PureClient(found)) is found


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("unix:///run/podman.sock", "unix:///run/podman.sock"),
        ("tcp://10.0.0.1:2375", "http://10.0.0.1:2375"),
    ],
)
def test_docker_pys_client_means_its_engine(monkeypatch: pytest.MonkeyPatch, base_url: str, url: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere:1")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    with docker.APIClient(base_url=base_url, version="1.41", timeout=7) as client:
        assert settings_of(client) == EngineSettings(url=url, timeout=7)


def test_docker_pys_client_brings_its_tls_files(tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ("ca.pem", "cert.pem", "key.pem")]
    for file in files:
        Path(file).touch()
    ca, cert, key = files
    tls = docker.tls.TLSConfig(client_cert=(cert, key), ca_cert=ca, verify=True)
    with docker.APIClient(base_url="https://engine:2376", tls=tls, version="1.41") as client:
        found = settings_of(client)
    assert found == EngineSettings(url="https://engine:2376", ca=ca, cert=cert, key=key)


@pytest.mark.parametrize(
    ("attributes", "meant"),
    [
        ({"verify": False}, {"verify": False}),
        ({"verify": "/ca", "cert": "/both.pem"}, {"ca": "/ca", "cert": "/both.pem", "key": "/both.pem"}),
        ({"verify": True, "cert": None, "timeout": None}, {}),
    ],
)
def test_a_clients_attributes_are_read_as_requests_reads_them(
    attributes: dict[str, Any], meant: dict[str, Any]
) -> None:
    client = SimpleNamespace(base_url="https://engine:2376", **attributes)
    assert settings_of(client) == EngineSettings(url="https://engine:2376", **meant)


@pytest.mark.parametrize(
    "client",
    [
        None,
        SimpleNamespace(base_url=""),
        SimpleNamespace(base_url=None),
        SimpleNamespace(base_url="http+docker://ssh", _custom_adapter=SimpleNamespace()),
        SimpleNamespace(base_url="http+docker://localnpipe"),
        SimpleNamespace(base_url="ssh://me@engine"),
    ],
)
def test_a_client_that_means_no_engine_of_ours_is_refused(client: Any) -> None:
    with pytest.raises(BadOption):
        settings_of(client)


def test_what_the_pure_client_does_not_have_is_an_attribute_that_it_does_not_have() -> None:
    assert not hasattr(HERE, "inspect_container")
    with pytest.raises(BadOption, match="create_host_config has the unknown key 'mem_limt'"):
        HERE.create_host_config(mem_limt="1g")


@pytest.mark.parametrize(
    ("value", "word", "name"),
    [
        ("x", "container", "x"),
        ("/x", "container", "x"),
        ({"Id": "abc"}, "container", "abc"),
        ({"ID": "abc"}, "net_id", "abc"),
        ({"Name": "data"}, "name", "data"),
        ("quay.io/a/b:1", "image", "quay.io/a/b:1"),
    ],
)
def test_names_come_as_text_or_as_a_document(value: Any, word: str, name: str) -> None:
    assert arguments.name_of(value, word) == name


@pytest.mark.parametrize("value", ["", None, {}, {"Id": ""}, 7])
def test_no_name_is_refused(value: Any) -> None:
    with pytest.raises(BadOption, match=r"^container is"):
        arguments.name_of(value, "container")


def test_a_path_leads_nowhere_else() -> None:
    assert arguments.path_part("quay.io/a/b:1", "image") == "quay.io%2Fa%2Fb%3A1"
    with pytest.raises(ObjectNotFound):
        arguments.path_part("a/../b", "name")


def test_filters_are_lists_of_texts() -> None:
    given = {"label": ["a=1", "b"], "name": "x", "dangling": True, "exited": 0}
    assert arguments.filter_lists(given) == {
        "label": ["a=1", "b"],
        "name": ["x"],
        "dangling": ["true"],
        "exited": ["0"],
    }
    assert arguments.filter_lists(None) is arguments.filter_lists({}) is None


def test_moments_are_seconds() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert (
        arguments.seconds(noon, "since")
        == arguments.seconds(noon.replace(tzinfo=None), "since")
        == noon.timestamp()
    )
    assert arguments.seconds(5, "since") == 5
    assert arguments.seconds(None, "since") is None
    with pytest.raises(BadOption, match="since is 'yesterday'"):
        arguments.seconds("yesterday", "since")


def frame(stream: int, payload: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


def test_output_is_joined_or_parted() -> None:
    raw = frame(1, b"a") + frame(2, b"b") + frame(1, b"c\r\n")
    assert output.joined(raw) == b"abc\r\n"
    assert output.parted(raw) == (b"ac\r\n", b"b")
    assert output.joined(b"from a terminal") == b"from a terminal"
    assert output.parted(b"") == (b"", b"")


def test_answers_are_plain_json() -> None:
    mount = docker.types.Mount("/x", "v")
    assert json.dumps(HERE.create_host_config(mounts=[mount]))
