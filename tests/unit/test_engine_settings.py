"""Which Engine is meant: options, environment, default."""

from __future__ import annotations

from typing import Any

import pytest

from asyncdockerspawner.client.settings import EngineSettings, resolve
from asyncdockerspawner.errors import BadOption


@pytest.mark.parametrize(
    ("client_kwargs", "environ", "url"),
    [
        ({}, {}, "unix:///var/run/docker.sock"),
        ({}, {"DOCKER_HOST": "unix:///run/podman.sock"}, "unix:///run/podman.sock"),
        ({}, {"DOCKER_HOST": "tcp://10.0.0.1:2375"}, "http://10.0.0.1:2375"),
        ({}, {"DOCKER_HOST": "tcp://10.0.0.1:2376", "DOCKER_TLS_VERIFY": "1"}, "https://10.0.0.1:2376"),
        ({}, {"DOCKER_HOST": "tcp://[::1]"}, "http://[::1]:2375"),
        ({"base_url": "engine:1234"}, {"DOCKER_HOST": "tcp://10.0.0.1:2375"}, "http://engine:1234"),
        ({"base_url": "https://engine"}, {}, "https://engine:2376"),
        ({"base_url": "/tmp/docker.sock"}, {}, "unix:///tmp/docker.sock"),
    ],
)
def test_explicit_settings_win_over_environment_over_default(
    client_kwargs: dict[str, Any], environ: dict[str, str], url: str
) -> None:
    assert resolve(client_kwargs, {}, environ).url == url


def test_tls_material_comes_from_the_environment_before_tls_config() -> None:
    environ = {"DOCKER_TLS_VERIFY": "yes", "DOCKER_CERT_PATH": "/certs"}
    found = resolve({}, {"client_cert": ("c", "k"), "ca_cert": "a"}, environ)
    assert (found.ca, found.cert, found.key) == ("/certs/ca.pem", "/certs/cert.pem", "/certs/key.pem")


def test_tls_material_comes_from_tls_config_where_the_environment_is_silent() -> None:
    found = resolve({}, {"client_cert": ("c", "k"), "verify": False}, {})
    assert (found.cert, found.key, found.verify) == ("c", "k", False)


def test_tls_can_be_refused_explicitly() -> None:
    environ = {"DOCKER_HOST": "tcp://10.0.0.1:2375", "DOCKER_TLS_VERIFY": "1"}
    assert resolve({"tls": False}, {}, environ).url == "http://10.0.0.1:2375"


def test_explicit_tls_material_wins() -> None:
    found = resolve({"tls": {"client_cert": ("c", "k")}}, {}, {"DOCKER_TLS_VERIFY": "1"})
    assert found.cert == "c"


@pytest.mark.parametrize(
    ("client_kwargs", "tls_config", "named"),
    [
        ({"bogus": 1}, {}, "bogus"),
        ({"base_url": "ssh://me@engine"}, {}, "ssh://me@engine"),
        ({}, {"client_cert": "only-one"}, "client_cert"),
        ({"version": "20.10.24"}, {}, "20.10.24.*leave it out"),
        ({"version": "latest"}, {}, "latest"),
    ],
)
def test_what_cannot_be_used_is_named(
    client_kwargs: dict[str, Any], tls_config: dict[str, Any], named: str
) -> None:
    with pytest.raises(BadOption, match=named):
        resolve(client_kwargs, tls_config, {})


def test_versions_and_deadlines_are_taken_over() -> None:
    found = resolve({"version": "v1.41", "timeout": 5, "num_pools": 3}, {}, {})
    assert (found.api_version, found.timeout) == ("1.41", 5.0)
    assert resolve({"version": "auto"}, {}, {}) == EngineSettings()


@pytest.mark.parametrize(
    ("url", "host"), [("unix:///var/run/docker.sock", "localhost"), ("https://engine:2376", "engine")]
)
def test_the_engines_machine_has_a_name(url: str, host: str) -> None:
    assert EngineSettings(url=url).host == host
