"""Where the Hub reaches a server that runs as a service. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from asyncdockerspawner.errors import NoAddressYet, NoEndpoint
from asyncdockerspawner.workloads import ports
from asyncdockerspawner.workloads.observed import Addresses, Binding, Observed, Phase


def resolve(
    observed: Observed, *, port: int, network_name: str, use_internal_ip: bool, engine_host: str
) -> tuple[str, int]:
    """Find address and port of the server that listens on `port`; a manager is reached at `engine_host`.

    Raises NoAddressYet for one that the swarm has not started yet, NoEndpoint.
    """
    if observed.phase is Phase.PENDING:
        raise NoAddressYet("The Hub cannot reach the server: the swarm has not started it yet.")
    known = observed.addresses or Addresses()
    if use_internal_ip:
        return _internal(known.networks, network_name), port
    return _published(known.published, port, engine_host)


def _internal(networks: Mapping[str, str], network_name: str) -> str:
    names = [network_name] if network_name else sorted(networks)
    address = next((networks[name] for name in names if networks.get(name)), "")
    if address:
        return address
    if network_name in networks:
        raise NoAddressYet(
            "The Hub cannot reach the server: it has no address.",
            advice=f"The network {network_name!r} has given out none.",
        )
    found = ", ".join(repr(name) for name in sorted(networks)) or "none at all"
    raise NoEndpoint(
        "The Hub cannot reach the server: they share no network.",
        advice=f"`network_name` is {network_name!r}, the server's networks: {found}. Set it to an overlay "
        "network that the Hub is in too, or `use_internal_ip = False` to have its port published.",
    )


def _published(published: Mapping[str, Sequence[Binding]], port: int, engine_host: str) -> tuple[str, int]:
    bindings = published.get(f"{port}/tcp")
    if not bindings:
        # So it looks for a moment too where a task has ended just after it began to run: its node says first
        # that it runs, and finds no ports any more.
        raise NoAddressYet(
            "The Hub cannot reach the server: its port is not published.",
            advice=f"It is port {port}. Check that `extra_endpoint_spec` leaves it published, or set "
            "`use_internal_ip` and `network_name` where the Hub shares an overlay network with the servers.",
        )
    return ports.reachable(bindings[0].host, engine_host), int(bindings[0].port)
