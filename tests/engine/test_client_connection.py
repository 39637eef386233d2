"""The way to the Engine: version, deadlines, faults, an Engine that goes away and comes back."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from asyncdockerspawner import errors
from asyncdockerspawner.client import connection
from asyncdockerspawner.client.client import Client
from asyncdockerspawner.client.containers import Containers
from asyncdockerspawner.client.settings import resolve
from asyncdockerspawner.jsontypes import JsonObject
from tests.fake_engine import FakeEngine
from tests.support.clients import body, opened
from tests.support.servers import answering
from tests.support.site import Site
from tests.support.waiting import turns, until


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        ({"reset_before": True}, errors.EngineLost, "connection broke"),
        ({"reset_after": True}, errors.EngineLost, "connection broke"),
        ({"garbage_body": True}, errors.EngineLost, "cannot be read"),
        ({"slow_drip": 0.2}, errors.EngineTimeout, "deadline"),
        ({"hang": True}, errors.EngineTimeout, "deadline"),
        ({"delay_after": 3}, errors.EngineTimeout, "deadline"),
        ({"status": 500, "message": "out of cheese"}, errors.EngineRefused, "out of cheese"),
        ({"status": 503, "message": "not a swarm manager"}, errors.EngineRefused, "swarm"),
    ],
    ids=["reset-before", "reset-after", "garbage", "drip", "hang", "late", "500", "503"],
)
async def test_a_fault_is_told_in_time_and_the_next_call_works(
    fake: FakeEngine, fault: dict[str, object], kind: type[errors.EngineError], message: str
) -> None:
    async with opened(fake.url) as client:
        await client.system.info()
        fake.rule("POST", "^/containers/create", **fault)
        begun = time.monotonic()
        patient = client.connection.settings
        if kind is errors.EngineTimeout:
            client.connection.settings = replace(patient, timeout=0.5)
        with pytest.raises(kind, match=message) as caught:
            await client.containers.create("own", {"Image": "stub:1"})
        assert time.monotonic() - begun < 10
        assert (caught.value.operation, caught.value.subject) == ("create container", "own")
        client.connection.settings = patient
        fake.clear_rules()
        assert (await client.system.info())["NCPU"] >= 1


async def test_an_answer_that_was_lost_may_stand_for_work_that_was_done(fake: FakeEngine) -> None:
    fake.rule("POST", "^/containers/create", reset_after=True)
    async with opened(fake.url) as client:
        with pytest.raises(errors.EngineLost):
            await client.containers.create("own", {"Image": "stub:1"})
        assert await client.containers.inspect("own") is not None


LOST = pytest.mark.parametrize("fault", ["reset_before", "reset_after"])


@LOST
@pytest.mark.parametrize(
    ("call", "state"),
    [
        (Containers.inspect, "created"),
        (Containers.start, "running"),
        (Containers.stop, "created"),
        (Containers.remove, None),
    ],
)
async def test_what_may_be_repeated_is_asked_again_where_its_answer_was_lost(
    fake: FakeEngine, fault: str, call: Callable[[Containers, str], Awaitable[object]], state: str | None
) -> None:
    async with opened(fake.url) as client:
        made = await client.containers.create("own", {"Image": "stub:1"})
        fake.rule("*", made, times=2, **{fault: True})
        fake.clear_requests()
        await call(client.containers, made)
        assert len(fake.requests()) in {2, 3}  # a removal that was done is answered by a 404
        found = await client.containers.inspect(made)
        assert (found and found["State"]["Status"]) == state


async def test_an_answer_that_cannot_be_read_is_asked_for_again(fake: FakeEngine) -> None:
    async with opened(fake.url) as client:
        await client.system.info()
        fake.rule("GET", "^/info", times=2, garbage_body=True)
        assert (await client.system.info())["NCPU"] >= 1


@LOST
async def test_an_answer_that_is_lost_again_and_again_is_told(fake: FakeEngine, fault: str) -> None:
    async with opened(fake.url) as client:
        made = await client.containers.create("own", {"Image": "stub:1"})
        fake.rule("POST", "/start$", **{fault: True})
        fake.clear_requests()
        with pytest.raises(errors.EngineLost):
            await client.containers.start(made)
        assert len(fake.requests()) == 1 + len(connection.LOST_PAUSES)


@LOST
async def test_what_would_be_done_twice_is_never_asked_for_again(fake: FakeEngine, fault: str) -> None:
    async with opened(fake.url) as client:
        made = await client.containers.create("other", {"Image": "stub:1"})
        fake.rule("POST", "/(create|rename)$", **{fault: True})
        fake.clear_requests()
        with pytest.raises(errors.EngineLost):
            await client.containers.create("own", {"Image": "stub:1"})
        with pytest.raises(errors.EngineLost):
            await client.containers.rename(made, "new")
        assert [entry["path"].rpartition("/")[2] for entry in fake.requests()] == ["create", "rename"]


@pytest.mark.parametrize(
    ("text", "content_type", "kind", "message"),
    [
        ("boom", "text/plain", errors.EngineRefused, "boom"),
        ("<html>bad gateway</html>", "text/html", errors.EngineRefused, "bad gateway"),
        ('{"message": "boom"}', "text/plain", errors.EngineRefused, "boom"),
        ("boom", "application/json", errors.EngineLost, "cannot be read"),
        ('{"cause": "boom"}', "application/json", errors.EngineLost, "cannot be read"),
    ],
)
async def test_an_error_need_not_be_json(
    text: str, content_type: str, kind: type[errors.EngineError], message: str
) -> None:
    async def engine(_: web.Request) -> web.StreamResponse:
        return web.Response(status=500, body=text.encode(), headers={"Content-Type": content_type})

    async with answering(engine) as url, opened(url, version="1.41") as client:
        with pytest.raises(kind, match=message):
            await client.system.info()


@pytest.mark.parametrize("body", ['["boom"]', '"boom"', "null", "7", '{"message"', "{}"])
async def test_an_error_that_is_json_and_no_message_cannot_be_read(body: str) -> None:
    async def engine(_: web.Request) -> web.StreamResponse:
        return web.Response(status=500, body=body.encode(), headers={"Content-Type": "application/json"})

    async with answering(engine) as url, opened(url, version="1.41") as client:
        with pytest.raises(errors.EngineLost, match="cannot be read"):
            await client.system.info()


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ({"params": {"filters": {1}}}, TypeError),
        ({"headers": {"X-Registry-Auth": object()}}, TypeError),
        ({"headers": {"X-Registry-Auth": "a\nb"}}, ValueError),
        ({"params": object()}, AttributeError),
    ],
)
async def test_a_fault_of_our_own_is_none_of_the_engine_s_and_is_not_repeated(
    fake: FakeEngine, words: dict[str, Any], kind: type[Exception]
) -> None:
    async with opened(fake.url, version="1.41") as client:
        for ask in (client.connection.request, _streamed(client)):
            with pytest.raises(kind):
                await ask("GET", "info", operation="ask info", **words)
        assert fake.requests() == []
        assert (await client.system.info())["NCPU"] >= 1
    assert [entry["path"] for entry in fake.requests()] == ["/info"]


def _streamed(client: Client) -> Callable[..., Awaitable[None]]:
    async def ask(method: str, path: str, **words: Any) -> None:
        async with client.connection.stream(method, path, **words):
            pass

    return ask


@pytest.mark.parametrize("kind", [AttributeError, BrokenPipeError, KeyError, OSError, TypeError, ValueError])
async def test_a_fault_in_what_reads_a_pull_is_no_fault_of_the_pull(
    fake: FakeEngine, kind: type[Exception]
) -> None:
    def fails(_line: JsonObject) -> None:
        raise kind("ours")

    async with opened(fake.url) as client:
        with pytest.raises(kind, match="ours"):
            await client.images.pull("registry.test/pullable", "1", on_line=fails)


@pytest.mark.parametrize("asked", ["request", "stream"])
async def test_a_body_that_json_has_no_words_for_is_refused_before_it_is_sent(
    fake: FakeEngine, asked: str
) -> None:
    async with opened(fake.url) as client:
        ask = client.connection.request if asked == "request" else _streamed(client)
        with pytest.raises(errors.BadOption, match=r"^To create container, an option's value cannot be sent"):
            await ask("POST", "containers/create", operation="create container", body={"Env": object()})
    assert fake.requests() == []


async def test_a_whole_number_of_seconds_is_a_deadline_too(fake: FakeEngine) -> None:
    fake.rule("GET", "^/info", hang=True)
    async with opened(fake.url) as client:
        with pytest.raises(errors.EngineTimeout):
            await client.connection.request("GET", "info", operation="ask info", timeout=1)


async def test_a_short_absence_of_the_engine_goes_unnoticed(
    fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    slowly = 4
    monkeypatch.setattr(connection, "UNSENT_PAUSES", [slowly * pause for pause in connection.UNSENT_PAUSES])
    async with opened(fake.url) as client:
        await client.system.info()
        fake.offline(slowly * 0.15)
        assert (await client.containers.inspect("none")) is None


async def test_an_engine_that_is_away_is_told_and_found_again(fake: FakeEngine) -> None:
    async with opened(fake.url) as client:
        await client.system.info()
        with fake.away():
            await turns()  # until something is awaited, the loop does not see what has ended
            with pytest.raises(errors.EngineUnavailable, match="is it running"):
                await client.containers.create("own", {"Image": "stub:1"})
        await client.containers.create("own", {"Image": "stub:1"})
        assert await client.containers.inspect("own") is not None


async def test_whether_an_engine_is_back_is_asked_once_for_all(fake: FakeEngine) -> None:
    async with opened(fake.url, version="1.41") as client:
        with fake.away(), pytest.raises(errors.EngineUnavailable):
            await client.system.info()
        fake.clear_requests()
        await asyncio.gather(*(client.system.info() for _ in range(20)))
        await client.system.info()
    asked = [entry["path"] for entry in fake.requests()]
    assert (asked.count("/_ping"), asked.count("/info")) == (1, 21)


async def test_an_engine_that_hangs_is_asked_once_for_all(
    fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PING_TIMEOUT", 0.5)
    async with opened(fake.url, version="1.41", timeout=1) as client:
        fake.rule("*", "^/(info|_ping)", hang=True)
        with pytest.raises(errors.EngineTimeout):
            await client.system.info()
        # Whoever asks from now on hears soon that it does not answer, and nothing more is asked of it.
        client.connection.settings = replace(client.connection.settings, timeout=600)
        fake.clear_requests()
        asked = (client.system.info() for _ in range(20))
        told = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(each) for each in told} == {errors.EngineUnavailable}
        assert "does not answer" in str(told[0])
        assert [entry["path"] for entry in fake.requests()] == ["/_ping"]
        fake.clear_rules()
        assert (await client.system.info())["NCPU"] >= 1


async def test_an_engine_that_is_only_slow_at_one_thing_is_there_for_the_others(fake: FakeEngine) -> None:
    async with opened(fake.url, version="1.41", timeout=1) as client:
        fake.rule("GET", "^/info", hang=True)
        with pytest.raises(errors.EngineTimeout):
            await client.system.info()
        assert await client.containers.list({}) == []
        with pytest.raises(errors.EngineTimeout):
            await client.system.info()


@pytest.mark.parametrize("status", [403, 404, 500])
async def test_an_engine_that_refuses_a_ping_is_there(fake: FakeEngine, status: int) -> None:
    fake.rule("GET", "^/_ping", status=status)
    async with opened(fake.url, version="1.41") as client:
        with fake.away(), pytest.raises(errors.EngineUnavailable):
            await client.system.info()
        assert (await client.system.info())["NCPU"] >= 1


@pytest.mark.parametrize("noticed", [True, False])
async def test_the_first_request_after_a_restart_works_or_is_lost_and_never_hangs(
    fake: FakeEngine, noticed: bool
) -> None:
    async with opened(fake.url) as client:
        await client.system.info()
        with fake.away():
            pass
        if noticed:
            await turns()  # until something is awaited, the loop does not see what has ended
        async with asyncio.timeout(5):
            try:
                await client.containers.create("own", {"Image": "stub:1"})
            except errors.EngineLost:
                assert not noticed
            await client.containers.remove("own")
        assert await client.containers.inspect("own") is None


async def test_fifty_calls_learn_at_once_that_nobody_is_there(fake: FakeEngine) -> None:
    async with opened(f"{fake.url}.none") as client:
        for _ in range(2):
            begun = time.monotonic()
            calls = (client.system.info() for _ in range(50))
            told = await asyncio.gather(*calls, return_exceptions=True)
            assert {type(each) for each in told} == {errors.EngineUnavailable}
            # Not a speed limit: one after the other, they would take 25 s.
            assert time.monotonic() - begun < 10


@contextmanager
def nobodys_rights() -> Iterator[None]:
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


async def test_a_socket_without_permission_says_what_to_do(fake: FakeEngine) -> None:
    fake.socket.chmod(0)
    try:
        with nobodys_rights():
            async with opened(fake.url, version="1.41") as client:
                with pytest.raises(errors.EngineUnavailable, match=r"group .usually `docker`"):
                    await client.system.info()
    finally:
        fake.socket.chmod(0o700)


async def test_no_stream_and_no_crowd_keeps_a_short_call_waiting(site: Site) -> None:
    async with opened(site.url) as client:
        made = await client.containers.create(f"t{site.hub_id}-x", body(site))
        crowd = await asyncio.gather(*(client.containers.inspect(made) for _ in range(300)))
        assert all(one is not None for one in crowd)


async def test_closing_cuts_off_what_is_under_way(fake: FakeEngine) -> None:
    fake.rule("GET", "^/info", hang=True)
    async with opened(fake.url) as client:
        call = asyncio.create_task(client.system.info())
        await until(lambda: fake.requests("GET", "/info"))
        await client.close()
        for asked in (call, client.system.info()):
            with pytest.raises(errors.EngineUnavailable, match="has been closed"):
                await asked


def test_the_default_socket_is_the_last_resort() -> None:
    assert resolve({}, {}, {}).host == "localhost"
