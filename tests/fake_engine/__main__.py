"""`python -m tests.fake_engine SOCKET`: serve until SIGTERM; with `--leashed`, until stdin ends too.

SIGUSR1 ends an absence.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys

from tests.fake_engine.dialects import ENGINES, NEWEST
from tests.fake_engine.server import Server


async def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m tests.fake_engine", description=__doc__)
    parser.add_argument("socket", help="where to listen: the path of a Unix socket")
    parser.add_argument("--leashed", action="store_true", help="end when stdin ends: with the parent")
    parser.add_argument("--like", choices=ENGINES, default=NEWEST, help="the Engine whose answers it gives")
    chosen = parser.parse_args()
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)
    if chosen.leashed:
        leash = sys.stdin.fileno()
        loop.add_reader(leash, lambda: end.set() if not os.read(leash, 1024) else None)
    server = Server(chosen.socket, chosen.like)
    loop.add_signal_handler(signal.SIGUSR1, server.come_back)
    await server.run(end)
    if chosen.leashed:
        loop.remove_reader(leash)


if __name__ == "__main__":
    asyncio.run(main())
