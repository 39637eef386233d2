"""The way to the Engine: version, deadlines, faults, an Engine that goes away and comes back."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from aiohttp import web

from asyncdockerspawner import errors
from asyncdockerspawner.client import connection
from asyncdockerspawner.client.containers import Containers
from asyncdockerspawner.client.settings import resolve
from tests.engine.client_bed import answering, body, opened
from tests.engine.conftest import Site, until
from tests.fake_engine import FakeEngine

VERSION = "/version"


async def test_fifty_first_calls_ask_for_the_version_once(fake: FakeEngine) -> None:
    fake.rule("GET", VERSION, delay_before=0.2)
    async with opened(fake.url) as client:
        await asyncio.gather(*(client.containers.inspect("none") for _ in range(50)))
    asked = [entry["path"] for entry in fake.requests()]
    assert (asked.count(VERSION), len(asked)) == (1, 51)


async def test_a_version_that_is_set_is_not_asked_for(fake: FakeEngine) -> None:
    async with opened(fake.url, version="1.41") as client:
        await client.containers.inspect("none")
        async with client.events.containers():
            pass
    assert [entry["path"] for entry in fake.requests()] == ["/containers/none/json", "/events"]


@pytest.mark.parametrize(
    ("offered", "spoken"), [("1.40", "v1.40"), ("1.41", "v1.41"), ("1.47", "v1.47"), ("1.99", "v1.47")]
)
async def test_the_newest_version_that_both_know_is_spoken(offered: str, spoken: str) -> None:
    paths = list[str]()

    async def engine(request: web.Request) -> web.StreamResponse:
        paths.append(request.path)
        return web.json_response({"ApiVersion": offered})

    async with answering(engine) as url, opened(url) as client:
        await client.system.info()
    assert paths == ["/version", f"/{spoken}/info"]


async def test_the_event_stream_tells_the_version_too(fake: FakeEngine) -> None:
    async with opened(fake.url) as client, client.events.containers():
        await client.system.info()
    assert [entry["path"] for entry in fake.requests()] == ["/events", "/info"]


async def test_an_engine_whose_event_stream_is_too_old_is_refused() -> None:
    async def engine(_: web.Request) -> web.StreamResponse:
        return web.Response(headers={"Api-Version": "1.39"})

    async with answering(engine) as url, opened(url) as client:
        with pytest.raises(errors.EngineRefused, match=r"1\.39 is too old"):
            async with client.events.containers():
                pass


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ('{"ApiVersion": "1.39"}', errors.EngineRefused, "1.39 is too old; 1.40 is the oldest"),
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
        await asyncio.sleep(0.1)
        first.cancel()
        assert (await second)["NCPU"] >= 1
    assert first.cancelled()


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


async def test_a_whole_number_of_seconds_is_a_deadline_too(fake: FakeEngine) -> None:
    fake.rule("GET", "^/info", hang=True)
    async with opened(fake.url) as client:
        with pytest.raises(errors.EngineTimeout):
            await client.connection.request("GET", "info", operation="ask info", deadline=1)


async def test_a_short_absence_of_the_engine_goes_unnoticed(
    fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    slowly = 4
    monkeypatch.setattr(connection, "UNSENT_PAUSES", [slowly * pause for pause in connection.UNSENT_PAUSES])
    async with opened(fake.url) as client:
        await client.system.info()
        fake.offline(slowly * 0.15)
        assert (await client.containers.inspect("none")) is None


async def seen_by_the_loop() -> None:
    """Let the loop see which connections have ended: until something is awaited, it does not."""
    await asyncio.sleep(0.1)


async def test_an_engine_that_is_away_is_told_and_found_again(fake: FakeEngine) -> None:
    async with opened(fake.url) as client:
        await client.system.info()
        with fake.away():
            await seen_by_the_loop()
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


@pytest.mark.parametrize("noticed", [True, False])
async def test_the_first_request_after_a_restart_works_or_is_lost_and_never_hangs(
    fake: FakeEngine, noticed: bool
) -> None:
    async with opened(fake.url) as client:
        await client.system.info()
        with fake.away():
            pass
        if noticed:
            await seen_by_the_loop()
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
        with pytest.raises(errors.EngineLost):
            await call
        with pytest.raises(errors.EngineError):
            await client.system.info()


def test_the_default_socket_is_the_last_resort() -> None:
    assert resolve({}, {}, {}).host == "localhost"
