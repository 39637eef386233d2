"""Which servers can be in a sandbox, and how they and it are asked for."""

from __future__ import annotations

from typing import Any

import pytest

from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.container import read
from asyncdockerspawner.workloads.container.body import build_container
from asyncdockerspawner.workloads.container.sandbox import Shape, joined, shape_of, why_not
from asyncdockerspawner.workloads.launch import LaunchInputs

SANDBOX = "5" * 64
USUAL = Shape("bridge", "8888/tcp", "127.0.0.1")


def body(**options: Any) -> dict[str, Any]:
    """Return the body of a server with these options, as it is sent."""
    usual: dict[str, Any] = {
        "name": "jupyter-a",
        "image": "i",
        "command": None,
        "environment": {"A": "b"},
        "labels": {labels.HUB: "h"},
        "port": 8888,
        "publish_on": "127.0.0.1",
        "network_name": "bridge",
    }
    return build_container(LaunchInputs(**{**usual, **options}))


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({}, USUAL),
        ({"publish_on": ""}, Shape("bridge", "8888/tcp", "")),
        ({"publish_on": None, "network_name": "net"}, Shape("net", "8888/tcp", None)),
        ({"port": 9000}, Shape("bridge", "9000/tcp", "127.0.0.1")),
        ({"extra_host": {"sysctls": {"kernel.shmmax": "1"}}}, USUAL),
        ({"extra_host": {"runtime": "crun"}}, USUAL),
        (
            {"extra_host": {"restart_policy": {"Name": "on-failure"}}},
            Shape("bridge", "8888/tcp", "127.0.0.1"),
        ),
    ],
)
def test_a_usual_server_tells_what_it_wants(options: dict[str, Any], shape: Shape) -> None:
    assert why_not(body(**options)) == ""
    assert shape_of(body(**options)) == shape


@pytest.mark.parametrize(
    ("option", "options"),
    [
        ("hostname", {"extra_create": {"hostname": "me"}}),
        ("domainname", {"extra_create": {"domainname": "here"}}),
        ("mac_address", {"extra_create": {"mac_address": "02:42:ac:11:00:99"}}),
        ("network_disabled", {"extra_create": {"network_disabled": True}}),
        ("networking_config", {"extra_create": {"NetworkingConfig": {"EndpointsConfig": {"bridge": {}}}}}),
        ("links", {"links": {"db": "db"}}),
        ("dns", {"extra_host": {"dns": ["9.9.9.9"]}}),
        ("dns_opt", {"extra_host": {"dns_opt": ["ndots:1"]}}),
        ("dns_search", {"extra_host": {"dns_search": ["here"]}}),
        ("extra_hosts", {"extra_host": {"extra_hosts": {"a": "10.0.0.1"}}}),
        ("publish_all_ports", {"extra_host": {"publish_all_ports": True}}),
        ("userns_mode", {"extra_host": {"userns_mode": "host"}}),
        ("sysctls", {"extra_host": {"sysctls": {"net.core.somaxconn": "9"}}}),
        ("runtime", {"extra_host": {"runtime": "kata"}}),
        ("network_mode", {"network_name": "host"}),
        ("network_mode", {"network_name": "none"}),
        ("network_mode", {"network_name": ""}),
        ("network_mode", {"extra_host": {"network_mode": "container:other"}}),
        ("restart_policy", {"extra_host": {"restart_policy": {"Name": "unless-stopped"}}}),
        ("ports", {"extra_create": {"ports": [8888, 9000]}}),
        ("ports", {"extra_host": {"port_bindings": {9000: None}}}),
        ("port_bindings", {"extra_host": {"PortBindings": {"8888/tcp": [{"HostPort": "80"}]}}}),
        ("port_bindings", {"extra_host": {"PortBindings": {"8888/tcp": [{}, {}]}}}),
    ],
)
def test_an_option_of_its_own_for_the_network_is_named(option: str, options: dict[str, Any]) -> None:
    assert why_not(body(**options)) == option
    assert shape_of(body(**options)) is None


def test_a_server_in_a_sandbox_has_no_ports_and_names_it() -> None:
    usual = body()
    found = joined(usual, SANDBOX)
    assert "ExposedPorts" not in found
    assert "PortBindings" not in found["HostConfig"]
    assert found["HostConfig"]["NetworkMode"] == f"container:{SANDBOX}"
    assert found["Labels"] == {labels.HUB: "h", labels.SANDBOX: SANDBOX}
    # What is sent where there is none is as it was.
    assert usual == body()


def test_a_sandbox_has_the_network_and_no_rights() -> None:
    found = Shape("bridge", "8888/tcp", "127.0.0.1").body(image="p:1", hub_id="h")
    assert found["ExposedPorts"] == {"8888/tcp": {}}
    assert found["HostConfig"]["PortBindings"] == {"8888/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}
    assert found["HostConfig"]["CapDrop"] == ["ALL"]
    assert found["Labels"] == {
        labels.HUB: "h",
        labels.SANDBOX_FOR: "8888/tcp in bridge, published on 127.0.0.1",
    }
    inside = Shape("net", "8888/tcp", None).body(image="p:1", hub_id="h")
    assert "PortBindings" not in inside["HostConfig"]


def test_shapes_that_differ_have_different_labels() -> None:
    shapes = [Shape("n", "1/tcp", None), Shape("n", "1/tcp", ""), Shape("n", "1/tcp", "::1")]
    assert len({str(each) for each in shapes}) == len(shapes)


def test_what_is_in_a_sandbox_is_read_as_in_a_network_of_its_own() -> None:
    marks = {labels.HUB: "h", labels.SANDBOX: SANDBOX}
    mode = {"NetworkMode": f"container:{SANDBOX}"}
    environment = ["JUPYTERHUB_SERVICE_URL=http://0.0.0.0:8888/user/a/"]
    document = {"Id": "1", "Config": {"Labels": marks, "Env": environment}, "HostConfig": mode}
    for found in (read.observed(document), read.listed({"Id": "1", "Labels": marks, "HostConfig": mode})):
        assert (found.sandbox, found.sandbox_for) == (SANDBOX, "")
        assert found.has_own_network
        assert found.shared_port is None
    made = read.listed({"Id": "2", "Labels": {labels.SANDBOX_FOR: "any"}})
    assert (made.sandbox, made.sandbox_for) == ("", "any")
