"""What answers at a fake container's ports: an HTTP server, or nobody behind Docker's proxy."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from functools import partial
from urllib.parse import urlsplit

from tests.fake_engine.answers import Refused
from tests.fake_engine.shapes import Json
from tests.fake_engine.state import Container, new_id

LOOPBACK = "127.0.0.1"
SUBNET = f"127.{16 + os.getpid() % 200}.{os.getpid() // 200 % 250}"
"""Containers' addresses: the machine's own, so that they can be reached, and other ones in each process."""
TRIES = 20

_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\n\r\n"
_TLS = b"\x16"
"""What somebody says first who expects TLS."""
_PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"


async def publish(container: Container, given_out: set[int], at: str = LOOPBACK) -> None:
    """Open the ports that a starting container publishes, and its own address. Raises Refused."""
    speaks = container.speaks
    ports: Json = dict.fromkeys(sorted(container.config.get("ExposedPorts") or ()))
    for port, bindings in (container.host_config["PortBindings"] or {}).items():
        asked: list[Json] = bindings or [{}]
        ports[port] = [await _bind(container, binding, speaks, (given_out, at)) for binding in asked]
    mode = container.host_config["NetworkMode"]
    if mode in {"host", "none"} or mode.startswith("container:"):
        ports = {}
    container.ports = ports
    if speaks:
        await _listen_inside(container, ports)


async def _bind(container: Container, binding: Json, speaks: bool, there: tuple[set[int], str]) -> Json:
    given_out, at = there
    asked = int(binding.get("HostPort") or 0)
    host = binding.get("HostIp") or "0.0.0.0"  # noqa: S104 - told, never bound
    try:
        server = await _listen(container, asked, speaks, at)
    except OSError as exc:
        close(container)
        # The Engine knows the ports that it gave out itself; the others, its proxy stumbles over.
        why = (
            f"Bind for {host}:{asked} failed: port is already allocated"
            if asked in given_out
            else f"Error starting userland proxy: listen tcp4 {host}:{asked}: bind: address already in use"
        )
        raise Refused(
            500,
            "driver failed programming external connectivity on endpoint "
            f"{container.name} ({new_id()}): {why}",
        ) from exc
    container.listeners.append(server)
    return {"HostIp": host, "HostPort": str(_port(server))}


async def _listen(container: Container, asked: int, speaks: bool, at: str) -> asyncio.Server:
    for _ in range(TRIES):
        tls = container.tls if speaks else None
        handler = _serve if speaks else partial(_pass_on, container)
        server = await asyncio.start_server(handler, at, asked, ssl=tls)
        if asked or _port(server) not in container.had_ports:
            container.had_ports.add(_port(server))
            return server
        server.close()
    raise OSError(f"the kernel gives no port but {sorted(container.had_ports)}")


def _port(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])


async def _listen_inside(container: Container, ports: Json) -> None:
    addresses = {each["IPAddress"] for each in container.networks.values() if each["IPAddress"]}
    for address in addresses:
        for port in ports:
            # Another fake Engine may have this address: then only the published port answers.
            with contextlib.suppress(OSError):
                inside = int(port.partition("/")[0])
                listening = await asyncio.start_server(_serve, address, inside, ssl=container.tls)
                container.listeners.append(listening)


async def in_another(container: Container, holder: Container) -> None:
    """Listen in the network of another container, at its address and its ports."""
    if not container.speaks:
        return
    container.answers = True
    addresses = {each["IPAddress"] for each in holder.networks.values() if each["IPAddress"]}
    for address in addresses:
        for port in holder.ports:
            with contextlib.suppress(OSError):
                inside = int(port.partition("/")[0])
                container.listeners.append(await asyncio.start_server(_serve, address, inside))


async def on_the_machine(container: Container) -> bool:
    """Listen where the environment says, as a server on the machine's network does; False if it is taken."""
    port = urlsplit(container.variable("JUPYTERHUB_SERVICE_URL")).port
    prefix = container.variable("JUPYTERHUB_SERVICE_PREFIX")
    if container.host_config["NetworkMode"] != "host" or port is None or container.trait("http") == "0":
        return True
    try:
        server = await asyncio.start_server(partial(_serve_below, prefix), LOOPBACK, port, ssl=container.tls)
    except OSError:
        return False
    container.listeners.append(server)
    return True


def close(container: Container) -> None:
    """Nobody answers any more."""
    for server in container.listeners:
        server.close()
    container.listeners.clear()
    for kept in container.reserved:
        kept.close()
    container.reserved.clear()
    container.answers = False
    for guest in container.guests:
        # Its network is gone.
        close(guest)
    container.guests.clear()


def suspend(container: Container) -> None:
    """Nobody answers at the published ports, as Docker's proxy ends with the Engine; inside all goes on."""
    for server in list(container.listeners):
        if server.sockets[0].getsockname()[0] != LOOPBACK:
            continue
        port = _port(server)
        server.close()
        container.listeners.remove(server)
        kept = socket.socket()
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        container.reserved.append(kept)
        kept.bind((LOOPBACK, port))


async def resume(container: Container) -> None:
    """Answer again, at the same ports."""
    speaks = container.speaks
    handler, tls = (_serve, container.tls) if speaks else (partial(_pass_on, container), None)
    container.listeners += [
        await asyncio.start_server(handler, sock=kept, ssl=tls) for kept in container.reserved
    ]
    container.reserved.clear()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        if await reader.readexactly(1) == _TLS:
            writer.write(_BAD_REQUEST)
        else:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(_PAGE)
        await writer.drain()
    writer.close()


async def _serve_below(prefix: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Know one's own prefix only, as a single-user server does."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        request = await reader.readuntil(b"\r\n\r\n")
        writer.write(_PAGE if request.split()[1].startswith(prefix.encode()) else _NOT_FOUND)
        await writer.drain()
    writer.close()


async def _pass_on(container: Container, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as another container in its network does; itself, it does not listen."""
    if any(guest.answers for guest in container.guests):
        await _serve(reader, writer)
        return
    # Docker's proxy accepts before it has found out that nobody listens inside.
    writer.close()
