"""Overlay networks: their addresses, which run out, and who has them."""

from __future__ import annotations

import ipaddress
import os

from tests.fake_engine.answers import Refused
from tests.fake_engine.shapes import Json
from tests.fake_engine.state import Container

FIRST = 216
"""Of the second bytes of overlay networks' addresses; lower ones are the bridges' (`listeners.SUBNET`)."""
TASK_LABEL = "com.docker.swarm.task.id"


def subnet_of(number: int) -> str:
    """The subnet of the network of this number: this machine's own addresses, so that they can be reached."""
    return f"127.{FIRST + number % 38}.{os.getpid() % 250}.0/24"


def ranges(number: int, asked: list[Json] | None) -> list[Json]:
    """`IPAM.Config` of the network of this number."""
    made = []
    for each in asked or [{}]:
        subnet = ipaddress.ip_network(each.get("Subnet") or subnet_of(number))
        made.append({"Subnet": str(subnet), "Gateway": each.get("Gateway") or str(next(subnet.hosts()))})
    return made


def take(network: Json) -> str:
    """Take a free address, with the width of its subnet; nothing where there is none."""
    taken = network.setdefault("_addresses", set())
    for each in network["IPAM"]["Config"]:
        subnet = ipaddress.ip_network(each["Subnet"])
        for host in subnet.hosts():
            address = f"{host}/{subnet.prefixlen}"
            if str(host) != each["Gateway"] and address not in taken:
                taken.add(address)
                return address
    return ""


def give_back(network: Json, address: str) -> None:
    """Let others have an address."""
    network.get("_addresses", set()).discard(address)


def join(network: Json, container: Container, endpoint: Json) -> None:
    """Give a starting container its address: that of its task, or one of its own."""
    own = (endpoint["IPAMConfig"] or {}).get("IPv4Address") if TASK_LABEL in container.labels else None
    if own is None:
        if not network["Attachable"]:
            name = network["Name"]
            why = f"rpc error: code = PermissionDenied desc = network {name} not manually attachable"
            raise Refused(403, f"Could not attach to network {name}: {why}")
        own = take(network)
        if not own:
            raise Refused(500, "attaching to network failed, make sure your network options are correct and "
                               "check manager logs: context deadline exceeded")  # fmt: skip
        network.setdefault("_attached", {})[container.id] = own
    address, _, width = own.partition("/")
    numbers = ":".join(f"{int(part):02x}" for part in address.split("."))
    endpoint.update(IPAddress=address, IPPrefixLen=int(width or 24), MacAddress=f"02:42:{numbers}")


def leave(network: Json, container: Container) -> None:
    """Take back what a container has that is no task's."""
    if own := network.get("_attached", {}).pop(container.id, None):
        give_back(network, own)


def some(number: int) -> str:
    """An address for one of a crowd, where nobody answers."""
    return f"127.{FIRST - 1}.{number // 250 % 250}.{number % 250 + 1}/16"
