"""A network of its own for a browser, in which nothing changes while a page loads.

Chromium gives up requests that wait for a connection (`net::ERR_NETWORK_CHANGED`) when the machine gets or
loses an address, as it does for each container that starts or ends: a page that loads just then stays half.
So it runs in a network namespace that has a loopback interface only, and this process carries to its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import functools
import os
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from pathlib import Path

from playwright.async_api import Browser, Playwright, ProxySettings

from tests.testbed.browser import ensure_chromium
from tests.testbed.carrier import Carrier, served

SECLUDED = """\
#!/bin/sh
# exec keeps the process id, by which the namespace is found
exec unshare --net -- sh -ec 'ip link set lo up; echo $$ > "$0.pid"; exec {program} "$@"' "$0" "$@"
"""
# As root, in a container or where /dev/shm is small, Chromium needs all three.
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
PORT = 1080
"""Of the proxy, inside."""
CLONE_NEWNET = 0x40000000
NO_AUTHENTICATION, CONNECT, IPV4, NAME = 0, 1, 1, 3


@contextlib.asynccontextmanager
async def chromium(playwright: Playwright, folder: Path) -> AsyncIterator[Browser]:
    """Chromium in a network of its own; in this one where nobody but root may make networks."""
    launch = functools.partial(playwright.chromium.launch, args=FLAGS)
    if os.geteuid() != 0:
        async with await launch(executable_path=ensure_chromium()) as browser:
            yield browser
        return
    program = folder / "browser"
    program.write_text(SECLUDED.format(program=ensure_chromium()))
    program.chmod(0o755)
    proxy: ProxySettings = {"server": f"socks5://127.0.0.1:{PORT}"}
    async with await launch(executable_path=program, proxy=proxy) as browser:
        process = int((folder / "browser.pid").read_text())
        listener = _listen_in(Path(f"/proc/{process}/ns/net"))
        way_out = WayOut("")
        async with served(way_out, await asyncio.start_server(way_out.take, sock=listener)):
            yield browser
            # Before its way out: it goes on asking.
            await browser.close()


class WayOut(Carrier):
    """A SOCKS 5 proxy (RFC 1928) for a client that is ours: no authentication, connections over TCP only."""

    async def connect(self, reader: StreamReader, writer: StreamWriter) -> tuple[StreamReader, StreamWriter]:
        """Connect to the host and port that the client names."""
        _, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        writer.write(bytes([5, NO_AUTHENTICATION]))
        _, command, _, kind = await reader.readexactly(4)
        if command != CONNECT or kind not in (IPV4, NAME):
            raise ConnectionRefusedError(f"SOCKS command {command} with an address of type {kind}")
        if kind == IPV4:
            host = socket.inet_ntoa(await reader.readexactly(4))
        else:
            (length,) = await reader.readexactly(1)
            host = (await reader.readexactly(length)).decode("ascii")
        port = int.from_bytes(await reader.readexactly(2), "big")
        there = await asyncio.open_connection(host, port)
        writer.write(bytes([5, 0, 0, IPV4]) + bytes(4 + 2))
        return there


def _listen_in(namespace: Path) -> socket.socket:
    """A listening socket in another network namespace: it stays there, while this thread comes back."""
    with open("/proc/thread-self/ns/net") as ours, namespace.open() as theirs:
        _enter(theirs.fileno())
        try:
            return socket.create_server(("127.0.0.1", PORT))
        finally:
            _enter(ours.fileno())


def _enter(descriptor: int) -> None:
    # os.setns is of Python 3.12 and newer
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
