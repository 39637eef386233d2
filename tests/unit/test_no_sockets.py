"""Tests without an Engine open no socket: the guard that these have refuses each way to one."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    raise AssertionError("nobody can ask")


WAYS: dict[str, Callable[[Path], Awaitable[Any]]] = {
    "asks an address": lambda _: asyncio.open_connection("127.0.0.1", 9),
    "asks at a path": lambda path: asyncio.open_unix_connection(path / "engine.sock"),
    "listens at an address": lambda _: asyncio.start_server(answer, "127.0.0.1", 0),
    "listens at a path": lambda path: asyncio.start_unix_server(answer, path / "engine.sock"),
}


@pytest.mark.parametrize("way", WAYS)
async def test_the_guard_refuses_a_connection_and_a_listener_of_the_event_loop(
    tmp_path: Path, way: str
) -> None:
    with pytest.raises(AssertionError, match="a socket was opened"):
        await WAYS[way](tmp_path)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX])
@pytest.mark.parametrize("verb", ["connect", "connect_ex", "bind"])
def test_the_guard_refuses_each_kind_of_socket(family: socket.AddressFamily, verb: str) -> None:
    with socket.socket(family) as opened, pytest.raises(AssertionError, match="a socket was opened"):
        getattr(opened, verb)(("127.0.0.1", 9))


def test_a_loop_of_its_own_is_nobodys_connection() -> None:
    asyncio.run(asyncio.sleep(0))
