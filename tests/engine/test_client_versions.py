"""Which version of the Engine's API is spoken: with new Engines and old ones, and behind a filter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from asyncdockerspawner import errors
from asyncdockerspawner.client.api_version import NEWEST, text
from asyncdockerspawner.client.client import Client
from tests.fake_engine import FakeEngine
from tests.support.clients import opened
from tests.support.servers import answering
from tests.support.waiting import turns, until
from tests.testbed.socket_proxy import FORBIDDEN

VERSION = "/version"
KNOWN = f"v{text(NEWEST)}"


@dataclass
class VersionsServer:
    """Speaks a range of versions; where it is `filtered`, only questions about containers pass."""

    newest: str
    oldest: str = "1.24"
    filtered: bool = False
    paths: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.paths.append(request.path)
        headers = {"Api-Version": self.newest}
        asked = request.path.removeprefix("/v").partition("/")[0] if request.path.startswith("/v1") else ""
        if self.filtered and "/containers/" not in request.path:
            return web.Response(status=403, text=FORBIDDEN, content_type="text/html")
        if asked and number(asked) > number(self.newest):
            told = f"client version {asked} is too new. Maximum supported API version is {self.newest}"
            return web.json_response({"message": told}, status=400, headers=headers)
        if asked and number(asked) < number(self.oldest):
            told = (
                f"client version {asked} is too old. Minimum supported API version is {self.oldest}, "
                "please upgrade your client to a newer version"
            )
            return web.json_response({"message": told}, status=400, headers=headers)
        if request.path == VERSION:
            return web.json_response({"ApiVersion": self.newest, "MinAPIVersion": self.oldest})
        return web.json_response([] if request.path.endswith("/json") else {}, headers=headers)


def number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


@asynccontextmanager
async def speaking(server: VersionsServer, **client_kwargs: str) -> AsyncIterator[Client]:
    async with answering(server.answer) as url, opened(url, **client_kwargs) as client:
        yield client


async def test_fifty_first_calls_ask_for_the_version_once(fake: FakeEngine) -> None:
    fake.rule("GET", VERSION, delay_before=0.2)
    async with opened(fake.url) as client:
        await asyncio.gather(*(client.containers.inspect("none") for _ in range(50)))
    asked = [entry["path"] for entry in fake.requests()]
    assert (asked.count(VERSION), len(asked)) == (1, 51)


async def test_a_version_that_is_set_is_not_asked_for(fake: FakeEngine) -> None:
    async with opened(fake.url, version="1.41") as client:
        assert await client.connection.version() == (1, 41)
        await client.containers.inspect("none")
        async with client.events.containers():
            pass
    assert [entry["path"] for entry in fake.requests()] == ["/containers/none/json", "/events"]


@pytest.mark.parametrize(
    ("oldest", "newest", "spoken"),
    [
        ("1.12", "1.40", "v1.40"),
        ("1.12", "1.41", "v1.41"),
        ("1.24", "1.51", "v1.51"),  # Engine 28.5
        ("1.44", "1.52", "v1.52"),  # Engine 29
        ("1.44", "1.99", KNOWN),
        (text(NEWEST), "1.99", KNOWN),
    ],
)
async def test_the_newest_version_that_both_know_is_spoken(oldest: str, newest: str, spoken: str) -> None:
    engine = VersionsServer(newest, oldest)
    async with speaking(engine) as client:
        assert f"v{text(await client.connection.version())}" == spoken
        await client.system.info()
    assert engine.paths == [VERSION, f"/{spoken}/info"]


async def test_the_event_stream_tells_the_version_too(fake: FakeEngine) -> None:
    async with opened(fake.url) as client, client.events.containers():
        await client.system.info()
    assert [entry["path"] for entry in fake.requests()] == ["/events", "/info"]


async def test_of_an_engine_that_is_newer_than_known_the_oldest_version_counts_too() -> None:
    engine = VersionsServer("1.99", "1.90")
    async with speaking(engine) as client, client.events.containers():
        with pytest.raises(errors.EngineRefused, match=r"oldest is 1\.90, .*: update asyncdockerspawner"):
            await client.system.info()
    assert engine.paths == ["/events", VERSION]


async def test_an_engine_whose_event_stream_is_too_old_is_refused() -> None:
    async def engine(_: web.Request) -> web.StreamResponse:
        return web.Response(headers={"Api-Version": "1.39"})

    async with answering(engine) as url, opened(url) as client:
        with pytest.raises(errors.EngineRefused, match=r"newest is 1\.39, .*: update the Engine"):
            async with client.events.containers():
                pass


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ('{"ApiVersion": "1.39"}', errors.EngineRefused, r"newest is 1\.39, .*: update the Engine"),
        (
            '{"ApiVersion": "1.99", "MinAPIVersion": "1.98"}',
            errors.EngineRefused,
            r"oldest is 1\.98, .*: update asyncdockerspawner",
        ),
        ('["1.41"]', errors.EngineLost, "cannot be read"),
        ('{"Version": "1"}', errors.EngineLost, "cannot be read"),
        ('{"ApiVersion": "new"}', errors.EngineLost, "cannot be read"),
        ("hello", errors.EngineLost, "cannot be read"),
    ],
)
async def test_a_version_that_cannot_be_agreed_on_is_an_error(
    text: str, kind: type[errors.EngineError], message: str
) -> None:
    async def engine(_: web.Request) -> web.StreamResponse:
        return web.Response(text=text)

    async with answering(engine) as url, opened(url) as client:
        for _ in range(2):
            with pytest.raises(kind, match=message):
                await client.system.info()
            with pytest.raises(kind, match=message):
                await client.containers.logs("x", tail=1)


async def test_a_call_cancelled_while_it_asks_for_the_version_leaves_that_to_the_next(
    fake: FakeEngine,
) -> None:
    fake.rule("GET", VERSION, hang=True, times=1)
    async with opened(fake.url) as client:
        first = asyncio.create_task(client.system.info())
        await until(fake.requests)
        second = asyncio.create_task(client.system.info())
        await turns()
        first.cancel()
        assert (await second)["NCPU"] >= 1
    assert first.cancelled()


async def test_a_version_that_is_set_and_that_the_engine_does_not_speak_says_what_to_do() -> None:
    engine = VersionsServer("1.52", "1.44")
    async with speaking(engine, version="1.41") as client:
        for _ in range(2):
            with pytest.raises(
                errors.EngineRefused, match=r"too old.*Leave `version` out of `client_kwargs`"
            ):
                await client.system.info()
    assert engine.paths == ["/v1.41/info"] * 2


@pytest.mark.parametrize("newer", [True, False])
async def test_an_engine_that_is_updated_meanwhile_is_asked_again(newer: bool) -> None:
    old, new = ("1.41", "1.12"), ("1.52", "1.44")
    engine = VersionsServer(*(old if newer else new))
    async with speaking(engine) as client:
        await client.system.info()
        engine.newest, engine.oldest = new if newer else old
        engine.paths.clear()
        await asyncio.gather(*(client.system.info() for _ in range(20)))
        await client.containers.list({})
        assert engine.paths.count(VERSION) == 1
        assert engine.paths[-1] == f"/v{engine.newest}/containers/json"


@pytest.mark.parametrize(
    ("oldest", "newest", "spoken"),
    [("1.12", "1.41", "v1.41"), ("1.44", "1.52", "v1.52"), ("1.44", "1.99", KNOWN)],
)
async def test_where_the_version_may_not_be_asked_for_an_answer_tells_it(
    oldest: str, newest: str, spoken: str
) -> None:
    engine = VersionsServer(newest, oldest, filtered=True)
    async with speaking(engine) as client:
        await client.containers.list({})
        await client.containers.list({})
    assert engine.paths == [VERSION, f"/{KNOWN}/containers/json", *[f"/{spoken}/containers/json"] * 2]


async def test_no_common_version_is_told_also_where_the_version_may_not_be_asked_for() -> None:
    async with speaking(VersionsServer("1.99", "1.90", filtered=True)) as client:
        with pytest.raises(errors.EngineRefused, match=r"oldest is 1\.90, .*: update asyncdockerspawner"):
            await client.containers.list({})
