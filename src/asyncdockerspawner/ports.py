"""A port for a server that shares the machine's own network."""

from __future__ import annotations

import random
import socket

LOWEST, HIGHEST = 20_000, 32_000
"""Below what Linux gives to outgoing connections, so that none of those takes it first."""
TRIES = 50


def free_port() -> int:
    """Give a port that is free on this machine, which may not be the Engine's; drawn by lot."""
    for _ in range(TRIES):
        port = random.randint(LOWEST, HIGHEST)  # noqa: S311 - no secret
        with socket.socket() as tried:
            try:
                tried.bind(("", port))
            except OSError:
                continue
            return port
    return random.randint(LOWEST, HIGHEST)  # noqa: S311 - no secret
