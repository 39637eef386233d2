"""Where the Hub reaches a server, read from the body of `GET /containers/ID/json`."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from asyncdockerspawner.errors import NoAddressYet, NoEndpoint
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.container import ports

_LOOPBACK = "127.0.0.1"
_EVERY_ADDRESS = {"", "0.0.0.0", "::"}  # noqa: S104 - read, never bound


def resolve(
    inspect: JsonObject, *, port: int, network_name: str, use_internal_ip: bool, engine_host: str
) -> tuple[str, int]:
    """Find address and port of the server that listens on `port` inside its container.

    `engine_host` is the name under which the Hub reaches the Engine's machine.
    """
    mode = _network_mode(inspect)
    if mode == "host":
        # Nothing is published and no address is its own: the server listens on the machine itself.
        return machine(engine_host), _own_port(inspect) or port
    if ports.is_shared(mode):
        raise inside_another(mode)
    if _between_two_lives(inspect):
        raise NoAddressYet(
            "The Hub cannot reach the server: it has ended, and is about to be started again.",
            advice="`restart_policy` in `extra_host_config` says so.",
        )
    networks = (inspect.get("NetworkSettings") or {}).get("Networks") or {}
    if use_internal_ip:
        return internal_address(networks, network_name), port
    return _published(inspect, port, engine_host)


def inside_another(mode: str) -> NoEndpoint:
    """Say that nobody knows the address of a server in the network of another container."""
    return NoEndpoint(
        "The Hub cannot reach the server: it is in the network of another container.",
        advice=f"`network_mode` is {mode!r}, and where the Hub reaches that one is not known here. Override "
        "`get_ip_and_port` in a subclass of the spawner.",
    )


def machine(engine_host: str) -> str:
    """Give the address of the Engine's machine, where servers on its own network listen."""
    return _reachable("", engine_host)


def shared_port_of(document: JsonObject) -> ports.SharedPort | None:
    """Tell where a container listens that has no network of its own; None if it has, or if nothing tells it.

    Our label says so; what DockerSpawner has made is told by its environment, which a list does not have.
    """
    config = document.get("Config") or {}
    if label := (config.get("Labels") or {}).get(labels.PORT):
        return ports.parsed(str(label))
    mode, port = _network_mode(document), _own_port(document)
    return ports.SharedPort(mode, port) if ports.is_shared(mode) and port else None


def host_address(network: JsonObject) -> str | None:
    """Give the Engine's machine's own address in a network, from `GET /networks/NAME`; None if it has none.

    Some Engines name no gateway for the default bridge; it is the first address of the subnet then.
    """
    for entry in (network.get("IPAM") or {}).get("Config") or []:
        if entry.get("Gateway"):
            return str(entry["Gateway"]).partition("/")[0]
        if entry.get("Subnet"):
            return str(next(ipaddress.ip_network(entry["Subnet"], strict=False).hosts()))
    return None


def is_complete(document: JsonObject) -> bool:
    """Tell whether the document has all that `resolve` reads; a list's entry has no environment."""
    if "NetworkSettings" not in document:
        return False
    if _between_two_lives(document):
        return False
    return has_own_network(document) or "Env" in (document.get("Config") or {})


def has_own_network(document: JsonObject) -> bool:
    """Tell whether the container shares its network with nobody."""
    return not ports.is_shared(_network_mode(document))


def _network_mode(document: JsonObject) -> str:
    networks = (document.get("NetworkSettings") or {}).get("Networks") or {}
    return "host" if "host" in networks else str((document.get("HostConfig") or {}).get("NetworkMode") or "")


def _between_two_lives(document: JsonObject) -> bool:
    return (document.get("State") or {}).get("Restarting") is True


def _own_port(document: JsonObject) -> int | None:
    """The port that a server was told to listen on."""
    for entry in (document.get("Config") or {}).get("Env") or []:
        name, _, value = str(entry).partition("=")
        if name == "JUPYTERHUB_SERVICE_URL":
            return urlsplit(value).port
    return None


def internal_address(networks: Mapping[str, Any], network_name: str) -> str:
    """Give the container's own address in a network. Raises NoEndpoint with the networks that it is in."""
    # What Docker calls "bridge", Podman's Docker interface takes as a word and answers as "podman".
    names = (network_name, "podman") if network_name == "bridge" else (network_name,)
    attached: Any = next((networks[name] for name in names if name in networks), None)
    if attached is None:
        found = ", ".join(repr(name) for name in sorted(networks)) or "none at all"
        raise NoEndpoint(
            "The Hub cannot reach the server: it is in another network.",
            advice=f"The server is not in network {network_name!r}; its networks: {found}. Set "
            "`network_name` to the one that the Hub can reach.",
        )
    address = attached.get("IPAddress") or attached.get("GlobalIPv6Address")
    if not address:
        raise NoAddressYet(
            "The Hub cannot reach the server: it has no address.",
            advice=f"It has ended already, or the network {network_name!r} gives out none.",
        )
    return str(address)


def _published(inspect: JsonObject, port: int, engine_host: str) -> tuple[str, int]:
    published = (inspect.get("NetworkSettings") or {}).get("Ports") or {}
    bindings: Sequence[Mapping[str, Any]] = published.get(f"{port}/tcp") or ()
    usable = [binding for binding in bindings if binding.get("HostPort")]
    if not usable:
        raise NoEndpoint(
            "The Hub cannot reach the server: its port is not published on the Engine's machine.",
            advice=f"It is port {port}. Set `use_internal_ip` if the Hub shares a network with the servers, "
            "or check that `network_name` and `extra_host_config.port_bindings` leave the port published.",
        )
    # The Engine publishes twice where it has IPv6; IPv4 is what the Hub's proxy surely speaks.
    binding = next((each for each in usable if ":" not in (each.get("HostIp") or "")), usable[0])
    return _reachable(binding.get("HostIp") or "", engine_host), int(binding["HostPort"])


def _reachable(address: str, engine_host: str) -> str:
    chosen = engine_host if address in _EVERY_ADDRESS else address
    # Some resolvers try ::1 first for this word, where Docker's proxy may not listen.
    return _LOOPBACK if chosen == "localhost" else chosen
