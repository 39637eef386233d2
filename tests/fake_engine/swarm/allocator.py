"""Addresses for services and tasks; where there is none left, a task stays `new`, and nobody is told why."""

from __future__ import annotations

from tests.fake_engine.shapes import Json
from tests.fake_engine.swarm import overlay
from tests.fake_engine.swarm.state import Node, Service, Swarm, Task


def _overlays(swarm: Swarm, spec: Json) -> list[Json]:
    wanted = [swarm.engine.networks[each["Target"]] for each in spec.get("Networks") or ()]
    return [each for each in wanted if each["Driver"] == "overlay"]


def give_endpoint(swarm: Swarm, service: Service) -> bool:
    """Give a service its virtual addresses, where it has any; False where they are missing still."""
    asked = service.spec.get("EndpointSpec") or {}
    virtual = asked.get("Mode") != "dnsrr"
    wanted = _overlays(swarm, service.spec["TaskTemplate"]) if virtual else []
    if not wanted and not asked.get("Ports"):
        return True
    if service.endpoint.get("Ports") == asked.get("Ports") and len(_virtual(service)) == len(wanted):
        return True
    addresses = _all(wanted)
    if addresses is None:
        return False
    ports = {"Ports": asked["Ports"]} if asked.get("Ports") else {}
    pairs = zip(wanted, addresses, strict=True)
    told = [{"NetworkID": network["Id"], "Addr": address} for network, address in pairs]
    service.endpoint = {"Spec": asked, **ports, **({"VirtualIPs": told} if told else {})}
    swarm.touch(service)
    swarm.event("service", service, service.name, "update")
    return True


def _virtual(service: Service) -> list[Json]:
    return list(service.endpoint.get("VirtualIPs") or ())


def _all(networks: list[Json]) -> list[str] | None:
    """An address in each, or none at all."""
    taken = [(network, overlay.take(network)) for network in networks]
    if all(address for _, address in taken):
        return [address for _, address in taken]
    for network, address in taken:
        overlay.give_back(network, address)
    return None


def attach(swarm: Swarm, task: Task) -> bool:
    """Give a task its addresses; False where there are not enough."""
    if not give_endpoint(swarm, task.service):
        return False
    addresses = _all(_overlays(swarm, task.spec))
    if addresses is None:
        return False
    left = iter(addresses)
    for each in task.spec.get("Networks") or ():
        network = swarm.engine.networks[each["Target"]]
        own = {"Addresses": [next(left)]} if network["Driver"] == "overlay" else {}
        task.attachments.append({"Network": {"ID": network["Id"]}, **own})
    return True


def attach_node(node: Node, task: Task) -> bool:
    """Give a node its own address in each of a task's networks; False where there is none left."""
    for each in task.attachments:
        network = node.engine.networks.get(each["Network"]["ID"])
        if network is None or network["Driver"] != "overlay":
            continue
        balancers = network.setdefault("_balancers", {})
        if node.id not in balancers:
            address = overlay.take(network)
            if not address:
                return False
            balancers[node.id] = address
    return True


def detach(swarm: Swarm, task: Task) -> None:
    """Take a task's addresses back; what it tells of them stays."""
    for each in task.attachments:
        network = swarm.engine.networks.get(each["Network"]["ID"])
        for address in each.get("Addresses") or () if network is not None else ():
            overlay.give_back(network or {}, address)


def take_endpoint(swarm: Swarm, service: Service) -> None:
    """Take the virtual addresses of a removed service back."""
    for each in _virtual(service):
        if network := swarm.engine.networks.get(each["NetworkID"]):
            overlay.give_back(network, each["Addr"])
