"""The watch of a Hub's containers: one stream and one table for all, over a small server on a Unix socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from asyncdockerspawner import errors
from asyncdockerspawner.client.settings import EngineSettings
from asyncdockerspawner.engine import watch as room
from asyncdockerspawner.engine.engine import Engine
from asyncdockerspawner.engine.watch import Watch
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.container import source
from asyncdockerspawner.workloads.observed import Observed, poll_status
from tests.support.servers import answering
from tests.support.waiting import until
from tests.support.watch_server import Server, heard

pytestmark = pytest.mark.fake_engine


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(room, "REOPEN_PAUSES", (0.01,))
    made = Server()
    made.put("a", 1)
    return made


@pytest.fixture
async def engine(server: Server) -> AsyncIterator[Engine]:
    async with answering(server.answer) as url:
        engine = Engine(EngineSettings(url=url, api_version="1.41"))
        yield engine
        for event in server.held.values():
            event.set()
        server.cut()
        await engine.aclose()


@pytest.fixture
async def watch(engine: Engine) -> Watch:
    return engine.watch("h")


def runs(observed: Observed | None) -> bool:
    return observed is not None and observed.runs


def followed(watch: Watch, ref: str = "a") -> list[Observed | None]:
    told: list[Observed | None] = []
    watch.follow(ref, told.append)
    return told


async def test_it_subscribes_first_and_then_lists_by_the_hubs_label(watch: Watch, server: Server) -> None:
    assert runs(await watch.find("a", ""))
    assert server.asked == ["/events", "/json"]
    assert server.filters == [{"label": [f"{labels.HUB}=h"]}]


async def test_what_happens_during_a_list_is_told_again_after_it(watch: Watch, server: Server) -> None:
    with server.holding("/json"):
        watch.begin()
        await until(lambda: "/json" in server.asked)
        server.tell("destroy", "a")
        server.tell("start", "b")
        await heard(watch, server)
        assert watch.all() == []
    assert await watch.find("", "n-a") is None
    assert runs(await watch.find("", "n-b"))


@pytest.mark.parametrize(
    "hold",
    [
        Watch.waiting,
        lambda watch, ref: watch.starting(Observed(id=ref, name="n", hub_id="h")),
        lambda watch, ref: nullcontext(watch.follow(ref, lambda _: None)),
    ],
    ids=["waiting", "starting", "following"],
)
async def test_a_list_is_not_believed_about_a_held_container_but_the_engine_asked(
    watch: Watch, server: Server, hold: Callable[[Watch, str], AbstractContextManager[Any]]
) -> None:
    server.put("b", 2)
    server.put("same", 3)
    await watch.find("a", "")
    server.put("a", ExitCode=137, OOMKilled=True)
    server.put("b", ExitCode=1)
    with hold(watch, "a"), hold(watch, "same"), server.holding("/a/json"):
        server.cut()
        await until(lambda: "/a/json" in server.asked)
        assert (runs(watch.known("a")), runs(watch.known("b"))) == (True, False)
    await until(lambda: not runs(watch.known("a")))
    assert watch.known("a") == server.observed("a")
    assert not {"/b/json", "/same/json"} & set(server.asked)


@pytest.mark.parametrize(("port", "polled"), [(0, 3), (7, None)], ids=["ended", "restarted by its policy"])
async def test_a_death_is_looked_into_and_told_to_who_follows(
    watch: Watch, server: Server, port: int, polled: int | None
) -> None:
    server.put("b", 2)
    await watch.find("a", "")
    told = followed(watch)
    for each in "ba":
        server.put(each, port, ExitCode=3)
        server.tell("die", each)
    await until(lambda: told and watch.known("b") == server.observed("b"))
    assert told == [server.observed("a")]
    assert poll_status(watch.known("a")) == polled


async def test_who_follows_is_told_of_a_stop_once_it_is_not_a_restart(
    watch: Watch, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "RESTART_SECONDS", 0.2)
    server.put("b", 2)
    await watch.find("a", "")
    told = followed(watch)
    for each in "ba":
        server.put(each)
        server.tell("kill", each, signal="15")
        server.tell("die", each)
    # Of the one that nobody follows, the Engine is asked at once.
    await until(lambda: watch.known("b") == server.observed("b"))
    assert (told, runs(watch.known("a"))) == ([], True)
    await until(lambda: told)
    assert told == [server.observed("a")]


async def test_a_restart_from_outside_is_no_end(
    watch: Watch, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "RESTART_SECONDS", 0.1)
    await watch.find("a", "")
    told = followed(watch)
    server.put("a")
    server.tell("kill", "a", signal="15")
    server.tell("die", "a")
    await heard(watch, server)
    server.put("a", 9)
    server.tell("start", "a")
    await until(lambda: server.asked.count("/a/json") == 2)
    await until(lambda: len(told) == 2)
    assert told == 2 * [server.observed("a")]


async def test_a_removal_is_told_to_who_follows_and_to_nobody_else(watch: Watch, server: Server) -> None:
    server.put("b", 2)
    await watch.find("a", "")
    told, others = followed(watch, "a"), followed(watch, "b")
    watch.unfollow("b")
    for each in "ba":
        server.tell("destroy", each)
    await until(lambda: told)
    assert (told, others, watch.all()) == ([None], [], [])


async def test_a_start_at_another_address_is_told_to_who_follows(watch: Watch, server: Server) -> None:
    server.put("b", 2)
    await watch.find("a", "")
    told = followed(watch)
    for each in "ba":
        server.put(each, 9)
        server.tell("start", each)
    await until(lambda: told)
    assert told == [server.observed("a")]
    # Nobody has asked where the other one is; what was known of that is forgotten.
    known = watch.known("b")
    assert known is not None
    assert known.addresses is None
    assert server.asked.count("/b/json") == 0


async def test_who_begins_to_follow_what_does_not_run_is_told_soon(watch: Watch, server: Server) -> None:
    server.put("b")
    await watch.find("a", "")
    told = [followed(watch, each) for each in ("a", "b", "none")]
    await until(lambda: told[1] and told[2])
    assert told == [[], [server.observed("b")], [None]]


async def test_an_end_that_cannot_be_looked_into_is_for_the_next_list(watch: Watch, server: Server) -> None:
    await watch.find("a", "")
    told = followed(watch)
    server.put("a", ExitCode=3)
    server.refused["/a/json"] = 500
    server.tell("die", "a")
    await until(lambda: "/a/json" in server.asked)
    await heard(watch, server)
    assert (told, runs(watch.known("a"))) == ([], True)
    server.refused.clear()
    server.cut()
    await until(lambda: told)
    assert told == [server.observed("a")]


async def test_only_who_waits_for_that_container_is_woken_by_its_end(watch: Watch, server: Server) -> None:
    assert all(await asyncio.gather(*(watch.ready() for _ in range(10))))
    with watch.waiting("a") as a, watch.waiting("b") as b:
        server.tell("start", "b")
        server.tell("die", "a")
        await a.wait()
        assert not b.is_set()
    assert server.asked.count("/events") == 1


async def test_a_stream_that_ends_wakes_all_and_returns_with_a_list(watch: Watch, server: Server) -> None:
    await watch.find("a", "")
    with watch.waiting("a") as a, watch.waiting("x") as x:
        server.containers.clear()
        server.cut()
        await asyncio.gather(a.wait(), x.wait())
    await until(lambda: watch.live and watch.all() == [])
    assert (server.asked.count("/events"), server.asked.count("/json")) == (2, 2)


async def test_a_list_that_fails_ends_the_stream_which_is_opened_again(
    watch: Watch, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.refused["/json"] = 500
    watch.begin()
    await until(lambda: server.asked.count("/events") > 2)
    server.refused.clear()
    assert runs(await watch.find("a", ""))
    assert caplog.text.count("not now") == 1


async def test_without_a_stream_lists_have_to_do(watch: Watch, server: Server) -> None:
    server.refused["/events"] = 403
    assert not await watch.ready()
    assert runs(await watch.find("a", ""))
    server.containers.clear()
    await until(lambda: watch.all() == [])
    server.refused["/json"], server.asked = 500, []
    await until(lambda: server.asked.count("/json") > 1)
    server.refused.clear()
    await until(lambda: watch.live)


async def test_in_quiet_times_it_lists_now_and_then(
    watch: Watch, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "RESYNC_SECONDS", 0.01)
    await watch.find("a", "")
    server.put("a")
    await until(lambda: not runs(watch.known("a")))
    assert server.asked.count("/events") == 1


async def test_questions_wait_for_the_first_list_and_share_it(watch: Watch, server: Server) -> None:
    with server.holding("/json"):
        finds = [asyncio.create_task(watch.find("a", "")) for _ in range(20)]
        await until(lambda: "/json" in server.asked)
        assert not any(each.done() for each in finds)
    assert all(map(runs, await asyncio.gather(*finds)))
    assert server.asked == ["/events", "/json"]


async def test_a_question_is_refused_where_no_list_comes(
    watch: Watch, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "FIRST_LIST_SECONDS", 0.05)
    with server.holding("/json"):
        for ref in ("a", ""):
            with pytest.raises(errors.EngineUnavailable, match="has not answered yet"):
                await watch.find(ref, "n-a")


async def test_a_container_without_our_label_is_in_a_list_of_all(watch: Watch, server: Server) -> None:
    server.put("old", 5, owner=None)
    server.put("foreign", 6, owner={})
    finds = (watch.find(each, "", labelled=each == "a") for each in ("old", "a", "old"))
    assert all(map(runs, await asyncio.gather(*finds)))
    assert (server.asked, server.filters) == (["/events", "/json"], [{"label": []}])
    assert [each.id for each in watch.all()] == ["a", "old"]


async def test_an_id_that_no_list_has_told_of_is_asked_for(watch: Watch, server: Server) -> None:
    server.put("old", 5, owner=None)
    await watch.find("a", "")
    for _ in range(2):
        assert runs(await watch.find("old", ""))
    assert await watch.find("none", "n-a") is None
    assert await watch.find("", "n-none") is None
    assert server.asked[2:] == ["/old/json", "/none/json"]
    server.refused["/none/json"] = 500
    with pytest.raises(errors.EngineRefused):
        await watch.find("none", "")


async def test_a_container_to_be_started_is_there_before_its_events(watch: Watch, server: Server) -> None:
    await watch.find("a", "")
    with watch.starting(Observed(id="b", name="n-b", hub_id="h")) as exited:
        assert await watch.find("", "n-b") is not None
        server.tell("start", "b")
        await until(lambda: runs(watch.known("b")))
        server.put("b", ExitCode=1)
        server.tell("die", "b")
        await exited.wait()
        await until(lambda: not runs(watch.known("b")))


async def test_the_first_list_is_told_and_each_that_follows_a_long_absence(
    watch: Watch, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, told = 1.0, list[float]()
    monkeypatch.setattr(room, "time", SimpleNamespace(monotonic=lambda: now))
    watch.on_synced = lambda: told.append(now)
    await watch.find("a", "")
    for seconds in (1, source.RESYNC_SECONDS * 1.1 + room.LONG_OUTAGE_SECONDS, 100):
        lists, now = server.asked.count("/json"), now + seconds
        server.cut()
        await until(lambda: server.asked.count("/json") > lists and watch._replay is None)  # noqa: B023
    assert told == [1, now]


async def test_lines_that_cannot_be_read_are_counted_and_left_out(
    engine: Engine, watch: Watch, server: Server
) -> None:
    await watch.find("a", "")
    for line in (b"{", b"[]", b'{"Action": "die"}', b'{"Action": 1, "Actor": {"ID": "a"}}'):
        server.write(line)
    await heard(watch, server)
    assert engine.client.events.malformed == 4
    assert server.asked.count("/events") == 1


async def test_a_failure_of_our_own_is_logged_and_the_watch_goes_on(
    watch: Watch, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    nothing = list[None]()
    await watch.find("a", "")
    watch.follow("a", lambda _: nothing.pop())
    server.tell("destroy", "a")
    await until(lambda: server.asked.count("/json") == 2)
    assert "begins anew" in caplog.text


async def test_closed_it_leaves_no_task_and_begins_none(watch: Watch, server: Server) -> None:
    await watch.find("a", "")
    with server.holding("/a/json"):
        server.tell("die", "a")
        await until(lambda: "/a/json" in server.asked)
        await watch.aclose()
    watch.begin()
    watch._recheck("a")
    assert {"inspect a", "watch containers of h"}.isdisjoint(map(asyncio.Task.get_name, asyncio.all_tasks()))
    assert (watch.live, runs(watch.known("a"))) == (False, True)


async def test_without_an_engine_it_says_so() -> None:
    engine = Engine(EngineSettings(url="unix:///nowhere/docker.sock", api_version="1.41"))
    assert not await engine.watch("h").ready()
    await engine.aclose()
