"""A bridge of this machine for machines that are namespaces of it."""

from __future__ import annotations

import json
import shutil
from typing import Any

from tests.testbed.engine import environment
from tests.testbed.steps import TestbedError, run

SUBNETS = range(100, 250)
"""The third byte of 198.18.x.0/24; the lower ones are left to the networks of the swarm tests."""


class Bridge:
    """The bridge of one subnet, in which this machine is host 1."""

    def __init__(self, subnet: str) -> None:
        self.subnet = subnet
        """Three bytes of the addresses there."""
        self.name = f"swarm{subnet.rpartition('.')[2]}"
        # Frames from one port of the bridge to another pass the filter, whose policy is Docker's: DROP.
        self._rule = ["-i", self.name, "-o", self.name, "-j", "ACCEPT"]

    def make(self) -> None:
        """Make it. Raises where there is one of its name."""
        ip("link", "add", "name", self.name, "type", "bridge")
        ip("address", "add", f"{self.subnet}.1/24", "dev", self.name)
        ip("link", "set", self.name, "up")
        _iptables("-I", "FORWARD", *self._rule)

    def plug(self, address: str, process: int) -> None:
        """Give the network namespace of this process a card at the bridge, with this address."""
        port = self._port(address)
        ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", str(process))
        ip("link", "set", port, "master", self.name, "up")
        # This machine's program: the other one may have none.
        inside = ("nsenter", f"--target={process}", "--net", "--", "ip")
        run([*inside, "address", "add", f"{address}/24", "dev", "eth0"], env=environment())
        run([*inside, "link", "set", "eth0", "up"], env=environment())

    def cut(self, address: str) -> None:
        """Cut the card with this address off."""
        ip("link", "set", self._port(address), "down")

    def join(self, address: str) -> None:
        """Undo `cut`."""
        ip("link", "set", self._port(address), "up")

    def remove(self) -> None:
        """Remove it, if it is there."""
        if self._is_there():
            ip("link", "delete", self.name)
        while self._has_rule():
            _iptables("-D", "FORWARD", *self._rule)

    def remains(self) -> list[str]:
        """What of it there is: the link and the rule of the packet filter."""
        found = [f"link {self.name}"] * self._is_there()
        return found + [f"rule for {self.name}"] * self._has_rule()

    def _port(self, address: str) -> str:
        return f"{self.name}-{address.rpartition('.')[2]}"

    def _is_there(self) -> bool:
        return any(link["ifname"] == self.name for link in links())

    def _has_rule(self) -> bool:
        installed = shutil.which("iptables", path=environment()["PATH"])
        return installed is not None and f"-i {self.name} " in _iptables("-S", "FORWARD")


def ip(*words: str) -> str:
    """Run the program of this name."""
    return run(["ip", *words], env=environment(), advice="On Debian the package iproute2 is needed.")


def links() -> list[dict[str, Any]]:
    """Return the network interfaces, as `ip -json link` shows them.

    Not from /sys: that shows the machine's, also inside another network namespace.
    """
    # Where one comes or goes meanwhile, it says in words that the list may be incomplete.
    while not (said := ip("-json", "link")).startswith("["):
        pass
    found: list[dict[str, Any]] = json.loads(said)
    return found


def free_subnet() -> str:
    """Return three bytes of a subnet that nobody here has. Raises TestbedError where there is none."""
    addresses = ip("-4", "-oneline", "address")
    for third in SUBNETS:
        if f" 198.18.{third}." not in addresses:
            return f"198.18.{third}"
    raise TestbedError(
        "No network from 198.18.100.0/24 to 198.18.249.0/24 is free for an Engine of a test's own."
    )


def _iptables(*words: str) -> str:
    return run(["iptables", "--wait", *words], env=environment())
