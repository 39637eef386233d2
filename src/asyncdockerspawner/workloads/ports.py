"""Ports of servers in a network that they share: the Engine's machine's own, or another container's."""

from __future__ import annotations

import random
import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

USUAL_PORT = 8888
"""Where servers listen that have their network to themselves."""
LOWEST, HIGHEST = 20_000, 32_000
"""Below what Linux gives to outgoing connections, so that none of those takes it first."""
TRIES = 50
_LOOPBACK = "127.0.0.1"
_EVERY_ADDRESS = {"", "0.0.0.0", "::"}  # noqa: S104 - read, never bound


@dataclass(frozen=True, slots=True)
class SharedPort:
    """Where a server listens in a network that others listen in too."""

    network: str
    """The container's network mode: `host`, or `container:` and a name or id."""
    port: int
    chosen: bool = False
    """By us and by lot: another one would do as well."""

    def __str__(self) -> str:
        return f"{self.network}:{self.port}"

    @property
    def place(self) -> str:
        """The network, in words."""
        if self.network == "host":
            return "the network of the Engine's machine"
        return f"the network of the container {self.network.partition(':')[2]}"


def parsed(text: str) -> SharedPort | None:
    """Read what `str` has written."""
    network, _, port = text.rpartition(":")
    return SharedPort(network, int(port)) if is_shared(network) and port.isdecimal() else None


def is_shared(network_mode: str) -> bool:
    """Tell whether a container of this network mode has no network of its own."""
    return network_mode == "host" or network_mode.startswith("container:")


def told_in(environment: Mapping[str, str]) -> int | None:
    """Return the port that a server of this environment was told to listen on; None where it says none."""
    try:
        return urlsplit(environment.get("JUPYTERHUB_SERVICE_URL", "")).port
    except ValueError:
        return None


def reachable(address: str, engine_host: str) -> str:
    """Return where a port is reached that is published at an address, or at every one.

    `engine_host` is the name under which the Hub reaches the Engine's machine.
    """
    chosen = engine_host if address in _EVERY_ADDRESS else address
    # Some resolvers try ::1 first for this word, where Docker's proxy may not listen.
    return _LOOPBACK if chosen == "localhost" else chosen


def free_port(taken: Collection[int] = ()) -> int:
    """Return a port that is free on this machine, which may not be the Engine's; drawn by lot."""
    left = [port for port in range(LOWEST, HIGHEST + 1) if port not in taken] or [LOWEST]
    for _ in range(TRIES):
        port = random.choice(left)  # noqa: S311 - no secret
        with socket.socket() as tried:
            try:
                tried.bind(("", port))
            except OSError:
                continue
            return port
    return random.choice(left)  # noqa: S311 - no secret
