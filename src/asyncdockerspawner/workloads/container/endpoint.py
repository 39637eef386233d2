"""Where the Hub reaches a server that runs in a container. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from asyncdockerspawner.errors import NoAddressYet, NoEndpoint
from asyncdockerspawner.workloads import ports
from asyncdockerspawner.workloads.observed import Addresses, Binding, Observed, Phase


def resolve(
    observed: Observed, *, port: int, network_name: str, use_internal_ip: bool, engine_host: str
) -> tuple[str, int]:
    """Find address and port of the server that listens on `port` inside its container.

    `engine_host` is the name under which the Hub reaches the Engine's machine.
    """
    if observed.network_mode == "host":
        # Nothing is published and no address is its own: the server listens on the machine itself.
        return ports.reachable("", engine_host), ports.told_in(observed.environment or {}) or port
    if not observed.has_own_network:
        raise inside_another(observed.network_mode)
    if observed.phase is Phase.RESTARTING:
        raise NoAddressYet(
            "The Hub cannot reach the server: it has ended, and is about to be started again.",
            advice="`restart_policy` in `extra_host_config` says so.",
        )
    known = observed.addresses or Addresses()
    if use_internal_ip:
        return internal_address(known.networks, network_name), port
    return _published(known, port, engine_host)


def inside_another(mode: str) -> NoEndpoint:
    """Return the error that nobody knows the address of a server in the network of another container."""
    return NoEndpoint(
        "The Hub cannot reach the server: it is in the network of another container.",
        advice=f"`network_mode` is {mode!r}, and where the Hub reaches that one is not known here. Override "
        "`get_ip_and_port` in a subclass of the spawner.",
    )


def internal_address(networks: Mapping[str, str], network_name: str) -> str:
    """Return the container's own address in a network. Raises NoEndpoint with the networks that it is in."""
    # What Docker calls "bridge", Podman's Docker interface takes as a word and answers as "podman".
    names = (network_name, "podman") if network_name == "bridge" else (network_name,)
    address = next((networks[name] for name in names if name in networks), None)
    if address is None:
        found = ", ".join(repr(name) for name in sorted(networks)) or "none at all"
        raise NoEndpoint(
            "The Hub cannot reach the server: it is in another network.",
            advice=f"The server is not in network {network_name!r}; its networks: {found}. Set "
            "`network_name` to the one that the Hub can reach.",
        )
    if not address:
        raise NoAddressYet(
            "The Hub cannot reach the server: it has no address.",
            advice=f"It has ended already, or the network {network_name!r} gives out none.",
        )
    return address


def _published(known: Addresses, port: int, engine_host: str) -> tuple[str, int]:
    bindings = known.published.get(f"{port}/tcp")
    if not bindings:
        raise NoEndpoint(
            "The Hub cannot reach the server: its port is not published on the Engine's machine.",
            advice=f"It is port {port}. Set `use_internal_ip` if the Hub shares a network with the servers, "
            "or check that `network_name` and `extra_host_config.port_bindings` leave the port published.",
        )
    # The Engine publishes twice where it has IPv6; IPv4 is what the Hub's proxy surely speaks.
    binding: Binding = next((each for each in bindings if ":" not in each.host), bindings[0])
    return ports.reachable(binding.host, engine_host), int(binding.port)
