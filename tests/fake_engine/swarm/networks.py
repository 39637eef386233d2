"""Networks of the whole swarm: every node has them."""

from __future__ import annotations

from tests.fake_engine.answers import Refused
from tests.fake_engine.shapes import Json
from tests.fake_engine.state import now
from tests.fake_engine.swarm import overlay
from tests.fake_engine.swarm.state import Swarm, new_id

INGRESS = "ingress"
_FIRST_VXLAN = 4096


def make(swarm: Swarm, name: str, body: Json) -> Json:
    """Put an overlay network into the books of every node."""
    if swarm.mode != "manager":
        # Not 503: this is one of the ways in which the Engine asks itself.
        raise Refused(500, swarm.refusal())
    number = sum(each["Driver"] == "overlay" for each in swarm.engine.networks.values())
    network: Json = {
        "Name": name,
        "Id": new_id(),
        "Created": now(),
        "Scope": "swarm",
        "Driver": "overlay",
        "EnableIPv6": False,
        "IPAM": {
            "Driver": "default",
            "Options": None,
            "Config": overlay.ranges(number, (body.get("IPAM") or {}).get("Config")),
        },
        "Internal": bool(body.get("Internal")),
        "Attachable": bool(body.get("Attachable")),
        "Ingress": bool(body.get("Ingress")),
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {},
        "Options": {"com.docker.network.driver.overlay.vxlanid_list": str(_FIRST_VXLAN + number)},
        "Labels": body.get("Labels") or None,
        "_version": swarm.index,
    }
    for node in swarm.nodes.values():
        node.engine.networks[network["Id"]] = network
    swarm.touch()
    return network


def remove(swarm: Swarm, network: Json) -> None:
    """Take it out of the books. Raises Refused where a service or a task has it."""
    number = network["Id"]
    for service in swarm.services.values():
        if any(each["Target"] == number for each in service.spec["TaskTemplate"].get("Networks") or ()):
            why = f"network {number} is in use by service {service.id}"
            raise Refused(400, f"rpc error: code = FailedPrecondition desc = {why}")
    for task in swarm.tasks.values():
        if not task.ended and any(each["Network"]["ID"] == number for each in task.attachments):
            why = f"network {number} is in use by task {task.id}"
            raise Refused(400, f"rpc error: code = FailedPrecondition desc = {why}")
    for node in swarm.nodes.values():
        node.engine.networks.pop(number, None)
    swarm.touch()


def seen_by_manager(swarm: Swarm, network: Json) -> tuple[Json, Json]:
    """What else is in a network on this node, and which nodes it is on, once it is there itself."""
    own = next(iter(swarm.nodes.values()))
    address = network.get("_balancers", {}).get(own.id)
    if address is None:
        return {}, {}
    name = network["Name"]
    balancer = {
        "Name": f"{name}-endpoint",
        "EndpointID": new_id(),
        "MacAddress": "02:42:00:00:00:00",
        "IPv4Address": address,
        "IPv6Address": "",
    }
    peers = [{"Name": number[:12], "IP": swarm.nodes[number].address} for number in network["_balancers"]]
    return {f"lb-{name}": balancer}, {"Peers": peers}


def described(network: Json) -> Json:
    """A network as tasks tell of it."""
    labels = {"Labels": network["Labels"]} if network["Labels"] else {"Labels": {}}
    flags = {key: True for key in ("Internal", "Attachable", "Ingress") if network[key]}
    return {
        "ID": network["Id"],
        "Version": {"Index": network.get("_version", 0)},
        "CreatedAt": network["Created"],
        "UpdatedAt": network["Created"],
        "Spec": {
            "Name": network["Name"],
            **labels,
            "DriverConfiguration": {"Name": network["Driver"]},
            **flags,
            "Scope": "swarm",
        },
        "DriverState": {"Name": network["Driver"], "Options": network["Options"]},
        "IPAMOptions": {"Driver": {"Name": "default"}, "Configs": network["IPAM"]["Config"]},
    }
