"""Where the Hub reaches a server that runs as a service."""

from __future__ import annotations

import pytest

from asyncdockerspawner.errors import NoAddressYet, NoEndpoint
from asyncdockerspawner.workloads.observed import Addresses, Binding, Observed, Phase
from asyncdockerspawner.workloads.service.endpoint import resolve


def at(phase: Phase = Phase.RUNNING, **addresses: object) -> Observed:
    return Observed(id="svc", phase=phase, addresses=Addresses(**addresses))  # type: ignore[arg-type]


def reached(
    observed: Observed, *, network: str = "", internal: bool = True, host: str = "mgr"
) -> tuple[str, int]:
    return resolve(observed, port=8888, network_name=network, use_internal_ip=internal, engine_host=host)


def test_it_is_reached_at_its_address_in_the_network_of_the_hub() -> None:
    both = at(networks={"a": "10.0.1.2", "b": "10.0.2.2"})
    assert reached(both, network="b") == ("10.0.2.2", 8888)


def test_without_a_named_network_any_one_is_good_enough() -> None:
    assert reached(at(networks={"a": "", "b": "10.0.2.2"})) == ("10.0.2.2", 8888)


def test_it_is_reached_at_its_node_where_its_port_is_published() -> None:
    published = {"8888/tcp": [Binding("198.18.0.12", "32768")]}
    assert reached(at(published=published), internal=False) == ("198.18.0.12", 32768)


def test_the_routing_mesh_is_reached_at_the_manager() -> None:
    published = {"8888/tcp": [Binding("", "30001")]}
    assert reached(at(published=published), internal=False) == ("mgr", 30001)
    assert reached(at(published=published), internal=False, host="localhost") == ("127.0.0.1", 30001)


def test_one_that_is_not_placed_yet_has_no_address_yet() -> None:
    with pytest.raises(NoAddressYet):
        reached(at(Phase.PENDING))


def test_one_that_has_got_no_address_yet_is_told_from_one_that_is_elsewhere() -> None:
    with pytest.raises(NoAddressYet, match="given out none"):
        reached(at(networks={"a": ""}), network="a")
    with pytest.raises(NoEndpoint, match=r"network_name.*'b'") as raised:
        reached(at(networks={"b": "10.0.2.2"}), network="a")
    assert not isinstance(raised.value, NoAddressYet)
    with pytest.raises(NoEndpoint, match="none at all"):
        reached(Observed(id="svc", phase=Phase.RUNNING))


def test_a_port_that_is_not_published_is_told_with_the_options_for_it() -> None:
    with pytest.raises(NoAddressYet, match="extra_endpoint_spec"):
        reached(at(), internal=False)
