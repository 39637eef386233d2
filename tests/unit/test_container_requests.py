"""Which requests change a container, or tell how it is."""

from __future__ import annotations

from typing import Any

import pytest

from asyncdockerspawner.client.changes import ContainerRequest, Verb, container_request


@pytest.mark.parametrize(
    ("method", "path", "params", "found"),
    [
        ("POST", "containers/a/start", None, ContainerRequest(Verb.START, "a")),
        ("POST", "containers/a/restart", {"t": 1}, ContainerRequest(Verb.RESTART, "a")),
        ("POST", "containers/a/stop", {"t": 1}, ContainerRequest(Verb.STOP, "a")),
        ("POST", "containers/a/kill", None, ContainerRequest(Verb.STOP, "a")),
        ("POST", "containers/a/kill", {"signal": "sigkill"}, ContainerRequest(Verb.STOP, "a")),
        ("POST", "containers/a/kill", {"signal": 9}, ContainerRequest(Verb.STOP, "a")),
        ("POST", "containers/a/kill", {"signal": "SIGHUP"}, None),
        ("POST", "containers/%2Fa%20b/rename", {"name": "/c"}, ContainerRequest(Verb.RENAME, "a b", "c")),
        ("DELETE", "containers/a", {"force": True}, ContainerRequest(Verb.REMOVE, "a")),
        ("GET", "containers/a/json", None, ContainerRequest(Verb.INSPECT, "a")),
        ("GET", "containers/json", {"all": True}, None),
        ("POST", "containers/create", {"name": "a"}, None),
        ("GET", "containers/a/logs", None, None),
        ("POST", "networks/a/connect", None, None),
        ("DELETE", "volumes/a", None, None),
    ],
)
def test_a_request_is_read_by_its_path(
    method: str, path: str, params: dict[str, Any] | None, found: ContainerRequest | None
) -> None:
    assert container_request(method, path, params) == found
