"""Waiting for the first answer of a server that speaks TLS, with the certificate that the Hub has."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from certipy import Certipy

from asyncdockerspawner.client import probe
from asyncdockerspawner.client.probe import Seen
from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.hub.internal_tls import client_context
from tests.support.internal_ssl import pair_of, server_context
from tests.support.waiting import until

pytestmark = pytest.mark.fake_engine


@pytest.fixture(scope="module")
def settings(hub_with_tls: dict[str, Any]) -> dict[str, Any]:
    """A Hub's, beside which there is an authority that nobody trusts."""
    Certipy(store_dir=hub_with_tls["internal_certs_location"]).create_ca("stranger-ca")
    return hub_with_tls


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None) -> AsyncIterator[int]:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(headers={probe.VERSION_HEADER: "6.0.0"})

    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def seen_at(port: int, tls: ssl.SSLContext | None) -> Seen:
    question = probe.Question(f"https://127.0.0.1:{port}/", tls=tls)
    answer = asyncio.create_task(question.answer())
    await until(lambda: question.seen is not None)
    answer.cancel()
    await asyncio.wait([answer])
    assert question.seen is not None
    return question.seen


async def test_a_server_that_shows_its_certificate_is_asked_with_the_hubs(settings: dict[str, Any]) -> None:
    tls = client_context(settings)
    assert tls is client_context(settings)
    served = server_context(pair_of(settings, "one"), settings["internal_trust_bundles"]["notebooks-ca"])
    async with serving(served) as port:
        question = probe.Question(f"https://127.0.0.1:{port}/", tls=tls)
        assert await asyncio.wait_for(question.answer(), 20) == "6.0.0"
    assert question.seen is None


@pytest.mark.parametrize(
    ("served", "asked", "seen"),
    [
        (("wrong", ("DNS:elsewhere",), "notebooks-ca"), "hub", Seen.UNTRUSTED),
        (("stranger", ("IP:127.0.0.1",), "stranger-ca"), "hub", Seen.UNTRUSTED),
        (("mistrusting", ("IP:127.0.0.1",), "notebooks-ca"), "stranger", Seen.UNTRUSTED),
        (None, "hub", Seen.NO_TLS),
    ],
    ids=["another-name", "another-authority", "our-certificate-is-refused", "no-tls"],
)
async def test_what_stands_between_the_two_is_seen(
    settings: dict[str, Any], served: tuple[str, tuple[str, ...], str] | None, asked: str, seen: Seen
) -> None:
    tls = client_context(settings)
    trusted = settings["internal_trust_bundles"]["notebooks-ca"]
    context = None
    if served is not None:
        name, alt_names, authority = served
        context = server_context(pair_of(settings, name, *alt_names, authority=authority), trusted)
    if asked == "stranger":
        tls = ssl.create_default_context(cafile=settings["internal_ssl_ca"])
        tls.load_cert_chain(*pair_of(settings, "asking-stranger", authority="stranger-ca"))
    async with serving(context) as port:
        assert await seen_at(port, tls) is seen


Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(1024):
        pass
    writer.close()


@pytest.mark.parametrize(
    ("accept", "seen"),
    [(hang_up, Seen.NOTHING), (say_nothing, Seen.SILENCE)],
    ids=["dockers-proxy-before-it-listens", "stopped"],
)
async def test_who_accepts_and_speaks_no_tls_at_all_is_told_from_who_does(
    settings: dict[str, Any], accept: Accept, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "CONNECT_TIMEOUT", 0.3)
    listening = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with listening:
        assert await seen_at(listening.sockets[0].getsockname()[1], client_context(settings)) is seen


def test_a_hub_whose_own_certificate_cannot_be_read_says_so_in_one_sentence(
    settings: dict[str, Any],
) -> None:
    gone = {**settings, "internal_ssl_key": "/nowhere/hub-internal.key"}
    with pytest.raises(BadOption, match="the Hub's own certificate cannot be read") as caught:
        client_context(gone)
    assert "internal_certs_location" in str(caught.value)
    assert client_context({}) is None
