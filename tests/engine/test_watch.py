"""The shared watch of containers' ends, over the fake Engine and a real one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from asyncdockerspawner.client.settings import resolve
from asyncdockerspawner.engine import watch as room
from asyncdockerspawner.engine.engine import Engine
from tests.fake_engine import FakeEngine
from tests.support.clients import body
from tests.support.site import Site
from tests.support.waiting import until


@asynccontextmanager
async def engine_at(url: str) -> AsyncIterator[Engine]:
    engine = Engine(resolve({"base_url": url}, {}, {}))
    try:
        yield engine
    finally:
        await engine.aclose()


async def test_the_end_of_a_container_wakes_who_waits_for_it(site: Site) -> None:
    async with engine_at(site.url) as engine:
        verbs = engine.client.containers
        made = [await verbs.create(f"t{site.hub_id}-{name}", body(site)) for name in "ab"]
        assert await engine.watch("test").ready()
        with (
            engine.watch("test").waiting(made[0]) as first,
            engine.watch("test").waiting(made[0]) as also,
            engine.watch("test").waiting(made[1]) as other,
        ):
            for ref in made:
                await verbs.start(ref)
            assert not first.is_set()
            await verbs.stop(made[0])
            await asyncio.wait_for(asyncio.gather(first.wait(), also.wait()), 5)
            assert not other.is_set()


async def test_a_stream_that_does_not_open_is_not_waited_for_long(
    fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "SUBSCRIBE_SECONDS", 0.3)
    fake.rule("GET", "^/events", hang=True)
    async with engine_at(fake.url) as engine:
        async with asyncio.timeout(10):
            assert not await engine.watch("test").ready()


async def test_after_an_absence_of_the_engine_waiters_look_again_and_the_stream_comes_back(
    fake: FakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    async with engine_at(fake.url) as engine:
        made = await engine.client.containers.create("own", {"Image": "stub:1"})
        assert await engine.watch("test").ready()
        with engine.watch("test").waiting(made) as end:
            with fake.away():
                await asyncio.wait_for(end.wait(), 5)
            await until(lambda: engine.watch("test").live)
            assert await engine.watch("test").ready()
            await engine.client.containers.start(made)
            end.clear()
            fake.die(made)
            await asyncio.wait_for(end.wait(), 5)
    assert "event stream broke" in caplog.text


async def test_a_closed_engine_watches_nothing(fake: FakeEngine) -> None:
    async with engine_at(fake.url) as engine:
        assert await engine.watch("test").ready()
        await engine.aclose()
        assert not await engine.watch("test").ready()
