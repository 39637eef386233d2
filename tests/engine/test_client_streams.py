"""Streams: closed by their owner, in a pool of their own; the Engine over TCP and TLS."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from certipy import Certipy

from asyncdockerspawner import errors
from asyncdockerspawner.client.client import Client
from asyncdockerspawner.client.settings import resolve
from asyncdockerspawner.client.transport import resolver_for
from tests.fake_engine import FakeEngine
from tests.support.clients import body, held, opened
from tests.support.servers import answering, forwarding
from tests.support.site import Site
from tests.support.waiting import until
from tests.testbed.proc import own_tcp_sockets


async def test_streams_left_early_hold_no_connection(site: Site) -> None:
    async with opened(site.url) as client:
        made = await client.containers.create(f"t{site.hub_id}-x", body(site))
        await client.containers.start(made)
        for _ in range(50):
            async with client.events.containers():
                pass
            assert held(client) == 0
    if site.fake is not None:
        await nobody_listens(site.fake)


async def nobody_listens(fake: FakeEngine) -> None:
    async with asyncio.timeout(5):
        while fake.state()["event_streams"]:  # noqa: ASYNC110 - the fake is another process
            await asyncio.sleep(0.05)


@asynccontextmanager
async def follower(client: Client, ref: str) -> AsyncIterator[AsyncIterator[bytes]]:
    words = {"follow": True, "stdout": True, "stderr": True}
    path = f"containers/{ref}/logs"
    async with client.connection.stream("GET", path, operation="follow logs", params=words) as chunks:
        yield chunks


async def test_cancelled_readers_hold_no_connection(site: Site) -> None:
    async with opened(site.url) as client:
        made = await client.containers.create(f"t{site.hub_id}-x", body(site))
        await client.containers.start(made)
        reading = asyncio.Semaphore(0)

        async def read() -> None:
            async with follower(client, made) as chunks:
                reading.release()
                async for _ in chunks:
                    pass

        tasks = [asyncio.create_task(read()) for _ in range(50)]
        async with asyncio.timeout(20):
            for _ in tasks:
                await reading.acquire()
        assert held(client) == 50
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert all(task.cancelled() for task in tasks)
        assert held(client) == 0
        # At every moment of its opening as well.
        for number in range(50):
            task = asyncio.create_task(read())
            await asyncio.sleep(number * 0.0002)
            task.cancel()
            await asyncio.wait([task])
        assert held(client) == 0


async def test_a_hundred_open_streams_never_block_a_short_call(site: Site) -> None:
    async with opened(site.url) as client, AsyncExitStack() as streams:
        for _ in range(120):
            await streams.enter_async_context(client.events.containers())
        assert held(client) == 120
        calls = (client.system.version() for _ in range(20))
        assert len(await asyncio.wait_for(asyncio.gather(*calls), 10)) == 20
        await streams.aclose()
        assert held(client) == 0


async def test_what_happens_to_containers_is_told(site: Site) -> None:
    async with opened(site.url) as client:
        made = await client.containers.create(f"t{site.hub_id}-x", body(site))
        async with client.events.containers() as happenings:
            await client.containers.start(made)
            await client.containers.remove(made, force=True)
            seen = list[str]()
            async with asyncio.timeout(10):
                async for event in happenings:
                    if event.container_id == made:
                        seen.append(event.action)
                    if seen[-1:] == ["destroy"]:
                        break
    assert seen == ["start", "kill", "die", "destroy"]


@pytest.mark.parametrize(
    ("events", "told"),
    [
        ([{"Action": "die", "Actor": {"ID": "a"}}], [("a", "die")]),
        ([{"status": "died", "id": "a"}, {"status": "remove", "id": "a"}], [("a", "died"), ("a", "remove")]),
        ([{"Action": "exec_die", "Actor": {"ID": "a"}}, {"Action": "die"}, {}], []),
    ],
)
async def test_events_are_read_in_either_engines_words(
    events: list[dict[str, Any]], told: list[tuple[str, str]]
) -> None:
    async def stream(_: web.Request) -> web.StreamResponse:
        return web.Response(text="\n\n".join(map(json.dumps, events)) + "\n")

    async with (
        answering(stream) as url,
        opened(url, version="1.41") as client,
        client.events.containers() as happenings,
    ):
        assert [(each.container_id, each.action) async for each in happenings] == told


@pytest.mark.parametrize("text", ["{", "[]", '{"Actor": 1}', '{"Action": "die", "Actor": {"ID": 5}}', "\xff"])
async def test_events_that_cannot_be_read_are_left_out_and_counted(text: str) -> None:
    good = json.dumps({"Action": "die", "Actor": {"ID": "a"}})

    async def stream(_: web.Request) -> web.StreamResponse:
        return web.Response(body=f"{text}\n{good}\n".encode("latin-1"))

    async with answering(stream) as url, opened(url, version="1.41") as client:
        async with client.events.containers() as happenings:
            assert [each.container_id async for each in happenings] == ["a"]
        assert client.events.malformed == 1


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"reset_before": True}, errors.EngineLost),
        ({"hang": True}, errors.EngineTimeout),
        ({"status": 500}, errors.EngineRefused),
    ],
    ids=["reset", "hang", "500"],
)
async def test_a_stream_that_cannot_be_opened_is_an_error_in_time(
    fake: FakeEngine, fault: dict[str, Any], kind: type[errors.EngineError]
) -> None:
    fake.rule("GET", "^/events", **fault)
    async with opened(fake.url, timeout=0.5 if kind is errors.EngineTimeout else 60) as client:
        with pytest.raises(kind):
            async with client.events.containers():
                pass


async def test_a_stream_lasts_longer_than_a_call_may(fake: FakeEngine) -> None:
    async with opened(fake.url, timeout=2) as client:
        made = await client.containers.create("own", {"Image": "stub:1"})
        async with client.events.containers() as happenings:
            await asyncio.sleep(2.5)
            await client.containers.remove(made)
            assert (await anext(happenings)).action == "destroy"


async def test_a_stream_that_is_cut_is_an_error_of_ours(fake: FakeEngine) -> None:
    async with opened(fake.url) as client:
        async with client.events.containers() as happenings:
            with fake.away(), pytest.raises(errors.EngineLost, match="connection broke"):
                await anext(happenings)
        assert (await client.system.info())["NCPU"] >= 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_the_engine_is_reached_over_tcp_as_docker_host_says(site: Site, host: str) -> None:
    async with forwarding(site.url) as port:
        url = resolve({}, {}, {"DOCKER_HOST": f"tcp://{host}:{port}"}).url
        async with opened(url) as client:
            assert url == f"http://{host}:{port}"
            made = await client.containers.create(f"t{site.hub_id}-x", body(site))
            async with client.events.containers():
                assert await client.containers.start(made)
    # The fixture sees to it that no thread and no executor was used.
    assert site.names() == [f"t{site.hub_id}-x"]


async def test_a_name_is_resolved_by_aiodns_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiohttp.resolver.aiodns", None)
    with pytest.raises(errors.BadOption, match="install `aiodns`"):
        async with opened("tcp://engine.example:2375"):
            pass


async def test_for_an_address_nobody_is_asked() -> None:
    for address in ("127.0.0.1", "::1"):
        resolver = resolver_for(address)
        with pytest.raises(OSError, match="is not an IP address"):
            await resolver.resolve("engine.example")
        await resolver.close()


async def test_an_address_that_nobody_listens_at_is_unavailable() -> None:
    async with opened("tcp://127.0.0.1:9", version="1.41") as client:
        with pytest.raises(errors.EngineUnavailable, match="is it running"):
            await client.system.info()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Files of an authority, a server and a client as JupyterHub's own helper makes them."""
    maker = Certipy(store_dir=str(tmp_path_factory.mktemp("tls")))
    maker.create_ca("ca")
    made = {
        name: maker.create_signed_pair(name, "ca", alt_names=["IP:127.0.0.1"]) for name in ("server", "hub")
    }
    return {
        "ca": made["hub"]["files"]["ca"],
        "server": (made["server"]["files"]["cert"], made["server"]["files"]["key"]),
        "hub": (made["hub"]["files"]["cert"], made["hub"]["files"]["key"]),
    }


def secured(certificates: dict[str, Any]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates["server"])
    context.load_verify_locations(certificates["ca"])
    context.verify_mode = ssl.CERT_REQUIRED
    return context


async def test_both_sides_prove_who_they_are_over_tls(fake: FakeEngine, certificates: dict[str, Any]) -> None:
    async with forwarding(fake.url, secured(certificates)) as port:
        address = {"DOCKER_HOST": f"tcp://127.0.0.1:{port}"}
        right = {"client_cert": certificates["hub"], "ca_cert": certificates["ca"]}
        for words in (right, {"client_cert": certificates["hub"], "verify": False}):
            settings = resolve({}, words, address)
            client = Client(settings)
            assert settings.url.startswith("https://")
            assert (await client.system.info())["NCPU"] >= 1
            await client.close()
        unproved: list[tuple[dict[str, Any], str]] = [
            ({"client_cert": certificates["hub"]}, r"no TLS connection.*DOCKER_CERT_PATH"),
            # TLS 1.3 tells a client only after its first request that it is not welcome.
            ({"ca_cert": certificates["ca"]}, "the connection broke"),
        ]
        for words, message in unproved:
            stranger = Client(resolve({}, words, address))
            with pytest.raises(errors.EngineError, match=message):
                await stranger.system.info()
            await stranger.close()


async def test_a_stream_that_is_left_over_tls_does_not_wait_for_a_farewell(
    certificates: dict[str, Any],
) -> None:
    over = asyncio.Event()

    async def falls_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nTransfer-Encoding: chunked\r\n\r\n")
        # From now on it reads nothing, so that it never learns that the client takes its leave.
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await over.wait()
        writer.transport.abort()

    server = await asyncio.start_server(falls_silent, "127.0.0.1", 0, ssl=secured(certificates))
    port = server.sockets[0].getsockname()[1]
    listening = own_tcp_sockets()
    words = {"client_cert": certificates["hub"], "ca_cert": certificates["ca"]}
    async with opened(f"tcp://127.0.0.1:{port}", tls=words) as client, client.events.containers():
        assert own_tcp_sockets() == listening + 2
    await until(lambda: own_tcp_sockets() == listening + 1)
    over.set()
    server.close()
    await server.wait_closed()


async def test_tls_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    environ = {
        "DOCKER_HOST": "tcp://127.0.0.1:1",
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CERT_PATH": str(tmp_path),
    }
    with pytest.raises(errors.BadOption, match="DOCKER_CERT_PATH"):
        Client(resolve({}, {}, environ))
