"""Where a server is reached: DockerSpawner's table, with its gaps closed."""

from __future__ import annotations

from typing import Any

import pytest

from asyncdockerspawner.client.networks import host_address
from asyncdockerspawner.errors import NoAddressYet, NoEndpoint
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.container.endpoint import resolve
from asyncdockerspawner.workloads.container.read import listed, observed
from asyncdockerspawner.workloads.observed import Observed
from asyncdockerspawner.workloads.ports import SharedPort

ANY = "0.0.0.0"  # noqa: S104 - read, never bound


def container(
    *, networks: dict[str, Any] | None = None, ports: dict[str, Any] | None = None, mode: str = "bridge"
) -> dict[str, Any]:
    return {
        "Id": "a",
        "HostConfig": {"NetworkMode": mode},
        "NetworkSettings": {"Networks": networks, "Ports": ports},
    }


def published(*bindings: tuple[str | None, str]) -> dict[str, Any]:
    found = [{"HostIp": address, "HostPort": port} for address, port in bindings]
    return container(ports={"8888/tcp": found, "9999/tcp": [{"HostIp": "9.9.9.9", "HostPort": "1"}]})


def address_of(
    found: dict[str, Any] | Observed,
    *,
    network_name: str = "bridge",
    use_internal_ip: bool = False,
    engine_host: str = "localhost",
) -> tuple[str, int]:
    return resolve(
        found if isinstance(found, Observed) else observed(found),
        port=8888,
        network_name=network_name,
        use_internal_ip=use_internal_ip,
        engine_host=engine_host,
    )


@pytest.mark.parametrize(
    ("bindings", "engine_host", "expected"),
    [
        ([("127.0.0.1", "32768")], "localhost", ("127.0.0.1", 32768)),
        ([("10.0.0.5", "32768")], "engine", ("10.0.0.5", 32768)),
        ([("10.0.0.5", "1"), ("10.0.0.6", "2")], "engine", ("10.0.0.5", 1)),
        ([(ANY, "1")], "engine", ("engine", 1)),
        ([(ANY, "1")], "localhost", ("127.0.0.1", 1)),
        ([("::", "1")], "engine", ("engine", 1)),
        ([("::", "2"), (ANY, "1")], "engine", ("engine", 1)),
        ([("fd00::1", "2"), ("10.0.0.5", "1")], "engine", ("10.0.0.5", 1)),
        ([("fd00::1", "2")], "engine", ("fd00::1", 2)),
        ([("", "1")], "engine", ("engine", 1)),
        ([(None, "1")], "engine", ("engine", 1)),
        ([("localhost", "1")], "engine", ("127.0.0.1", 1)),
        ([("127.0.0.1", ""), ("127.0.0.1", "5")], "engine", ("127.0.0.1", 5)),
    ],
)
def test_a_published_port_is_reached_at_its_first_usable_binding(
    bindings: list[tuple[str | None, str]], engine_host: str, expected: tuple[str, int]
) -> None:
    assert address_of(published(*bindings), engine_host=engine_host) == expected


@pytest.mark.parametrize(
    "inspect",
    [
        {"Id": "a"},
        container(ports=None),
        container(ports={"8888/tcp": None}),
        container(ports={"9999/tcp": [{"HostIp": ANY, "HostPort": "1"}]}),
        published(("127.0.0.1", "")),
    ],
)
def test_an_unpublished_port_is_refused_with_the_options_that_decide_it(inspect: dict[str, Any]) -> None:
    with pytest.raises(NoEndpoint) as caught:
        address_of(inspect)
    for word in ("8888", "use_internal_ip", "network_name", "extra_host_config.port_bindings"):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("networks", "network_name", "expected"),
    [
        ({"hub": {"IPAddress": "172.18.0.3"}, "bridge": {"IPAddress": "172.17.0.2"}}, "hub", "172.18.0.3"),
        ({"podman": {"IPAddress": "10.88.0.2"}}, "bridge", "10.88.0.2"),
        (
            {"podman": {"IPAddress": "10.88.0.2"}, "bridge": {"IPAddress": "172.17.0.2"}},
            "bridge",
            "172.17.0.2",
        ),
        ({"v6": {"IPAddress": "", "GlobalIPv6Address": "fd00::2"}}, "v6", "fd00::2"),
    ],
)
def test_an_internal_address_is_the_one_in_the_named_network(
    networks: dict[str, Any], network_name: str, expected: str
) -> None:
    found = address_of(container(networks=networks), network_name=network_name, use_internal_ip=True)
    assert found == (expected, 8888)


@pytest.mark.parametrize(
    ("networks", "listed"),
    [
        ({"b": {"IPAddress": "1.1.1.1"}, "a": {}}, "'a', 'b'"),
        ({"podman": {}}, "'podman'"),
        (None, "none at all"),
    ],
)
def test_a_missing_network_is_refused_with_those_that_are_there(
    networks: dict[str, Any] | None, listed: str
) -> None:
    with pytest.raises(NoEndpoint, match=listed) as caught:
        address_of(container(networks=networks), network_name="hub", use_internal_ip=True)
    assert "'hub'" in str(caught.value)


@pytest.mark.parametrize("attached", [{"IPAddress": ""}, {}])
def test_an_empty_address_is_refused(attached: dict[str, Any]) -> None:
    with pytest.raises(NoAddressYet, match=r"no address.*the network 'hub'"):
        address_of(container(networks={"hub": attached}), network_name="hub", use_internal_ip=True)


@pytest.mark.parametrize("internal", [True, False])
@pytest.mark.parametrize(
    ("engine_host", "expected"),
    [("localhost", "127.0.0.1"), ("127.0.0.1", "127.0.0.1"), ("engine.example", "engine.example")],
)
def test_a_server_in_the_hosts_network_is_reached_on_the_engines_machine(
    engine_host: str, expected: str, internal: bool
) -> None:
    for inspect in (container(mode="host"), container(networks={"host": {"IPAddress": ""}})):
        found = address_of(inspect, network_name="host", use_internal_ip=internal, engine_host=engine_host)
        assert found == (expected, 8888)


@pytest.mark.parametrize(
    ("ranges", "address"),
    [
        ([{"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"}], "172.17.0.1"),
        ([{"Gateway": "10.0.0.1/24"}], "10.0.0.1"),
        ([{"Subnet": "172.18.0.0/16"}], "172.18.0.1"),
        ([{}], None),
        (None, None),
    ],
)
def test_the_machines_own_address_in_a_network_is_its_gateway(
    ranges: list[dict[str, str]] | None, address: str | None
) -> None:
    assert host_address({"IPAM": {"Config": ranges}}) == address


@pytest.mark.parametrize(
    ("environment", "port"),
    [
        (["A=1", "JUPYTERHUB_SERVICE_URL=http://127.0.0.1:4711/user/a/", "B"], 4711),
        (["JUPYTERHUB_SERVICE_URL=http://127.0.0.1/user/a/"], 8888),
        (["JUPYTERHUB_SERVICE_URL"], 8888),
        (["A=1"], 8888),
        ([], 8888),
        (None, 8888),
    ],
)
def test_a_server_in_the_hosts_network_is_reached_at_the_port_it_was_told(
    environment: list[str] | None, port: int
) -> None:
    inspect = {**container(mode="host"), "Config": {"Env": environment}}
    assert address_of(inspect, network_name="host") == ("127.0.0.1", port)


@pytest.mark.parametrize(
    ("document", "complete"),
    [
        ({"Id": "a"}, False),
        ({"Id": "a", "Config": {"Env": []}, "HostConfig": {"NetworkMode": "bridge"}}, False),
        (container(), True),
        (container(mode="host"), False),
        ({**container(mode="host"), "Config": None}, False),
        ({**container(mode="host"), "Config": {"Env": None}}, True),
        (container(networks={"host": {}}), False),
    ],
)
def test_an_address_is_known_if_all_that_it_is_read_from_is_told(
    document: dict[str, Any], complete: bool
) -> None:
    assert observed(document).address_is_known is complete


LISTED: dict[str, Any] = {
    "Id": "a",
    "HostConfig": {"NetworkMode": "hub"},
    "Ports": [
        {"IP": "::", "PrivatePort": 8888, "PublicPort": 2, "Type": "tcp"},
        {"IP": ANY, "PrivatePort": 8888, "PublicPort": 1, "Type": "tcp"},
        {"IP": ANY, "PrivatePort": 8888, "PublicPort": 3, "Type": "udp"},
    ],
    "NetworkSettings": {"Networks": {"hub": {"IPAddress": "172.18.0.3"}}},
}


@pytest.mark.parametrize(
    ("entry", "internal", "expected"),
    [
        (LISTED, False, ("engine", 1)),
        (LISTED, True, ("172.18.0.3", 8888)),
        ({**LISTED, "HostConfig": {"NetworkMode": "host"}}, True, ("engine", 8888)),
    ],
)
def test_a_container_that_is_only_known_from_a_list_is_reached_as_an_inspected_one(
    entry: dict[str, Any], internal: bool, expected: tuple[str, int]
) -> None:
    found = address_of(listed(entry), network_name="hub", use_internal_ip=internal, engine_host="engine")
    assert found == expected


@pytest.mark.parametrize("internal", [True, False])
def test_a_list_that_tells_of_no_port_and_no_network_gives_no_address(internal: bool) -> None:
    entry = {**LISTED, "Ports": [{"PrivatePort": 8888, "Type": "tcp"}], "NetworkSettings": None}
    with pytest.raises(NoEndpoint):
        address_of(listed(entry), network_name="hub", use_internal_ip=internal)


def test_a_server_in_another_containers_network_is_reached_nobody_knows_where() -> None:
    with pytest.raises(NoEndpoint, match="in the network of another container") as caught:
        address_of(container(mode="container:vpn"))
    assert "get_ip_and_port" in caught.value.advice


def test_a_container_between_two_lives_has_no_address_yet() -> None:
    waiting = {**published(("127.0.0.1", "1")), "State": {"Restarting": True, "Running": True}}
    assert not observed(waiting).address_is_known
    with pytest.raises(NoAddressYet, match="about to be started again"):
        address_of(waiting)


def test_the_port_on_a_shared_network_is_read_from_the_label_or_the_environment() -> None:
    environment = ["JUPYTERHUB_SERVICE_URL=http://0.0.0.0:23456/user/a/"]
    host = {**container(mode="host"), "Config": {"Env": environment}}
    assert observed(host).shared_port == SharedPort("host", 23456)
    labelled = {**host, "Config": {"Labels": {labels.PORT: "host:23457"}, "Env": environment}}
    assert observed(labelled).shared_port == SharedPort("host", 23457)
    assert observed({**container(), "Config": {"Env": environment}}).shared_port is None
