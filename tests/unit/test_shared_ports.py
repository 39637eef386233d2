"""Ports in networks that servers share."""

from __future__ import annotations

from typing import Any

import pytest

from asyncdockerspawner import DockerSpawner
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads import ports
from asyncdockerspawner.workloads.container import read
from asyncdockerspawner.workloads.ports import SharedPort
from tests.support.dockerspawner_14 import make


@pytest.mark.parametrize("shared", [SharedPort("host", 1), SharedPort("container:a", 65535)])
def test_where_a_server_listens_is_read_as_it_was_written(shared: SharedPort) -> None:
    assert ports.parsed(str(shared)) == shared


@pytest.mark.parametrize("text", ["", "8888", "host", "host:", "host:x", "bridge:1", "hostess:1"])
def test_what_is_no_such_place_is_none(text: str) -> None:
    assert ports.parsed(text) is None


def document(mode: str, env: list[str] | None = None, label: str = "") -> dict[str, Any]:
    marks = {labels.PORT: label} if label else {}
    return {"Id": "a", "HostConfig": {"NetworkMode": mode}, "Config": {"Env": env, "Labels": marks}}


URL = "JUPYTERHUB_SERVICE_URL=http://0.0.0.0:4711/user/a/"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (document("host", label="host:5"), SharedPort("host", 5)),
        # An event tells labels only.
        ({"Id": "a", "Config": {"Labels": {labels.PORT: "container:x:5"}}}, SharedPort("container:x", 5)),
        (document("host", [URL]), SharedPort("host", 4711)),
        (document("container:x", [URL]), SharedPort("container:x", 4711)),
        (document("host"), None),
        (document("bridge", [URL]), None),
        ({"Id": "a"}, None),
    ],
)
def test_a_container_tells_where_it_listens(found: dict[str, Any], expected: SharedPort | None) -> None:
    assert read.observed(found).shared_port == expected


class OfASubclass(DockerSpawner):
    """Has a port of its own by default."""

    def _port_default(self) -> int:
        return 9000


@pytest.mark.parametrize(
    ("spawner", "port", "to_choose"),
    [
        (make(DockerSpawner)[0], 8888, True),
        (make(DockerSpawner, {"port": 0})[0], 8888, True),
        (make(DockerSpawner, {"port": 8888})[0], 8888, False),
        (make(DockerSpawner, {"container_port": 9})[0], 9, False),
        (make(OfASubclass)[0], 9000, False),
    ],
)
def test_a_port_is_to_be_chosen_unless_somebody_has_set_it(
    spawner: DockerSpawner, port: int, to_choose: bool
) -> None:
    assert (spawner.port, spawner._managed.policy.port_to_choose) == (port, to_choose)
    spawner._managed.shared_port = SharedPort("host", 5)
    assert spawner.port == 5
    spawner.clear_state()
    assert (spawner.port, spawner._managed.policy.port_to_choose) == (port, to_choose)
    spawner.port = 7
    assert (spawner.port, spawner._managed.policy.port_to_choose) == (7, False)
