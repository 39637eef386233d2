"""Fronts carry every byte, and only what they are told to do happens to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.testbed.counting_proxy import counting_proxy
from tests.testbed.throttle import front

UPLOAD = (
    b"POST /v1.41/images/load?quiet=1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n3;a=b\r\n\r\n\r\r\n0\r\n\r\n"
)
CREATE = b"POST /containers/create HTTP/1.1\r\ncontent-length: 24\r\n\r\nGET /no HTTP/1.1\r\n\r\n1234"
HIJACKED = (
    b"POST /exec/1/start HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nGET /no HTTP/1.1\r\n\r\n"
)


@pytest.fixture
async def echo() -> AsyncIterator[str]:
    """The address of a server that gives back what it gets, and ends when its client does."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    await asyncio.sleep(0.02)  # transports end in the loop's next turns


async def exchange(place: str, data: bytes) -> bytes:
    """Send all and read to the end."""
    if place.startswith("unix://"):
        reader, writer = await asyncio.open_unix_connection(place.removeprefix("unix://"))
    else:
        host, _, port = place.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(data)
        writer.write_eof()
        return await reader.read()
    finally:
        writer.close()


async def test_every_request_is_counted_and_carried_as_it_is(echo: str) -> None:
    sent = UPLOAD + CREATE + UPLOAD + HIJACKED
    async with counting_proxy(f"tcp://{echo}") as proxy:
        assert await exchange(proxy.url, sent) == sent
    assert proxy.requests == {
        ("POST", "/images/load"): 2,
        ("POST", "/containers/create"): 1,
        ("POST", "/exec/1/start"): 1,
    }
    assert proxy.lines == set()


async def test_a_front_carries_everything_at_its_rate(echo: str) -> None:
    sent = bytes(range(256)) * 1024
    begun = asyncio.get_running_loop().time()
    async with front(echo, rate=len(sent) * 4) as slow:
        both = await asyncio.gather(*(exchange(slow.address, sent) for _ in range(2)))
    # All connections together have one rate: no machine is so slow that this would be quicker.
    assert asyncio.get_running_loop().time() - begun >= 0.45
    assert both == [sent, sent]
    assert slow.carried == 2 * len(sent)


async def test_a_front_cuts_as_many_connections_as_it_is_told(echo: str) -> None:
    sent = bytes(300_000)
    async with front(echo) as cutting:
        cutting.cut(1, after=100_000)
        try:
            got = await exchange(cutting.address, sent)
        except ConnectionError:
            got = b""
        assert len(got) <= 100_000
        assert await exchange(cutting.address, sent) == sent


async def test_who_has_just_come_at_the_end_is_cut_off_too(echo: str) -> None:
    async with front(echo) as made:
        host, _, port = made.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
    async with asyncio.timeout(60):
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
    writer.close()
    assert not made.lines
