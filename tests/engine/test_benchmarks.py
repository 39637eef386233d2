"""What the benchmarks drive: spawners in a process of their own, and an Engine that is far away."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import pytest

from benchmarks.contenders import Contender
from benchmarks.frame.case import Who
from benchmarks.relay import relay
from benchmarks.spawners.process import Gone, SpawnerProcess, spawner_process
from tests.fake_engine import FakeEngine
from tests.testbed.plain_http import async_client_of

ROUND_TRIP = 0.2


def ours_over(fake: FakeEngine) -> Contender:
    options = {"image": "stub:1", "prefix": "bench", "remove": True, "client_kwargs": {"base_url": fake.url}}
    return Contender(Who.OURS, Path(sys.executable), options)


async def test_spawners_in_a_process_start_are_polled_and_stop(fake: FakeEngine, tmp_path: Path) -> None:
    users = ["alice", "bob"]
    async with spawner_process(ours_over(fake), tmp_path) as servers:
        await servers.add(users)
        start = await servers.start(users)
        assert [container["Name"] for container in fake.containers()] == ["/bench-alice", "/bench-bob"]
        poll, stop = await servers.poll(users), await servers.stop(users)
        for batch in (start, poll, stop):
            assert (len(batch.seconds), batch.faults) == (2, ())
            assert batch.cost is not None
            assert (batch.cost.threads, batch.cost.memory_mib > 10) == (1, True)
        late = await servers.poll(["alice"])
        assert "alice does not run" in late.faults[0]
        await servers.start(["bob"], answered=False)
        await servers.forget(users)
        assert fake.containers() == []


async def test_a_stop_is_done_while_a_start_is_under_way(fake: FakeEngine, tmp_path: Path) -> None:
    fake.rule("POST", "/containers/create", nth=2, hang=True)
    async with spawner_process(ours_over(fake), tmp_path) as servers:
        await servers.add(["alice", "bob"])
        await servers.start(["alice"])
        coming = asyncio.create_task(servers.start(["bob"]))
        assert (await servers.stop(["alice"])).faults == ()
        assert not coming.done()
        coming.cancel()


async def _last(servers: SpawnerProcess) -> None:
    await servers.rest(3600)


async def test_a_process_that_has_ended_is_told(fake: FakeEngine, tmp_path: Path) -> None:
    async with spawner_process(ours_over(fake), tmp_path) as servers:
        waiting = asyncio.create_task(_last(servers))
        await asyncio.sleep(0)
        servers.kill()
        with pytest.raises(Gone, match="has ended"):
            await waiting
        with pytest.raises(Gone, match="has ended"):
            await servers.poll([])


async def test_an_environment_without_the_spawner_is_told(fake: FakeEngine, tmp_path: Path) -> None:
    contender = Contender(Who.PEER, Path(sys.executable))
    with pytest.raises(RuntimeError, match="No module named 'dockerspawner'"):
        async with spawner_process(contender, tmp_path):
            pass


async def test_an_engine_that_is_far_away_answers_a_round_trip_later(
    fake: FakeEngine, tmp_path: Path
) -> None:
    async with relay(fake.url, tmp_path, ROUND_TRIP) as far:
        async with async_client_of(far.url.removeprefix("unix://")) as client:
            times = [time.monotonic()]
            for _ in range(2):
                answer = await client.get("/containers/json")
                assert answer.json() == []
                times.append(time.monotonic())
        assert far.connections == 1
    # A connection takes a round trip too.
    assert times[1] - times[0] >= 2 * ROUND_TRIP
    assert times[2] - times[1] >= ROUND_TRIP
