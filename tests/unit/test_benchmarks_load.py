"""The load tool without a Hub: what it asks of one, what it tells, and that it cleans up in every case."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import respx

from benchmarks.load import __main__ as program
from benchmarks.load import run
from benchmarks.load.plan import Plan
from benchmarks.load.run import Loaded, load
from benchmarks.load.summary import plot, remains, summary
from tests.support.hub_api import HubAPI

PUBLIC = "http://127.0.0.1:8000"
WORDS = ["--url", PUBLIC, "--token", "secret", "--users", "3"]
PLAN = Plan(users=3, per_second=0, at_once=2, stay=0, timeout=60, prefix="load-")


async def told_to_end(number: signal.Signals) -> None:
    """Get a signal, and wait for what comes of it."""
    os.kill(os.getpid(), number)
    await asyncio.sleep(60)


class Hub:
    """A Hub's answers: it knows its users, and of some the server fails or cannot be removed."""

    def __init__(self, router: respx.Router) -> None:
        self.users = dict[str, bool]()
        self.portions = list[list[str]]()
        self.refuses: dict[int, httpx.Response] = {}
        """Its answers to portions of users by their place; what it has made before, it has made."""
        self.sees_servers = True
        self.first_start: signal.Signals | None = None
        self.first_removal: signal.Signals | None = None
        """The signal that this program gets then, and there is no answer."""
        self.failing = ""
        self.busy = 0
        self.kept = ""
        router.get("/hub/api/").respond(200, json={"version": "6.1.1"})
        router.post("/hub/api/users").mock(side_effect=self._made)
        router.post(path__regex=r"/hub/api/users/(?P<name>[^/]+)/server").mock(side_effect=self._started)
        router.delete(path__regex=r"/hub/api/users/(?P<name>[^/]+)/server").mock(side_effect=self._stopped)
        router.get(path__regex=r"/hub/api/users/(?P<name>[^/]+)").mock(side_effect=self._told)
        router.delete(path__regex=r"/hub/api/users/(?P<name>[^/]+)").mock(side_effect=self._deleted)
        router.get(path__regex=r"/user/.*").respond(404)

    def _made(self, request: httpx.Request) -> httpx.Response:
        names = json.loads(request.content)["usernames"]
        refused = self.refuses.get(len(self.portions))
        self.portions.append(names)
        if refused is None or refused.status_code != 403:
            self.users |= dict.fromkeys(names if refused is None else names[:1], False)
        return refused or httpx.Response(201, json=[])

    async def _started(self, request: httpx.Request, name: str) -> httpx.Response:
        if number := self.first_start:
            self.first_start = None
            await told_to_end(number)
        if self.failing and name.endswith(self.failing):
            return httpx.Response(500, json={"message": "no space"})
        self.users[name] = True
        return httpx.Response(201)

    def _stopped(self, request: httpx.Request, name: str) -> httpx.Response:
        self.users[name] = False
        return httpx.Response(204)

    def _told(self, request: httpx.Request, name: str) -> httpx.Response:
        if name not in self.users:
            return httpx.Response(404, json={"message": "no such user"})
        servers = {"servers": {"": {"ready": True}} if self.users[name] else {}}
        return httpx.Response(200, json=servers if self.sees_servers else {})

    async def _deleted(self, request: httpx.Request, name: str) -> httpx.Response:
        if number := self.first_removal:
            self.first_removal = None
            await told_to_end(number)
        if self.busy:
            self.busy -= 1
            return httpx.Response(400, json={"message": "is in the process of stopping"})
        if self.kept and name.endswith(self.kept):
            return httpx.Response(500)
        del self.users[name]
        return httpx.Response(204)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with respx.mock(base_url=PUBLIC, assert_all_called=False) as router:
        yield Hub(router)


async def loaded_by(hub: Hub) -> Loaded:
    loaded = Loaded(PLAN)
    async with HubAPI(PUBLIC, "secret", deadline=60, poll_every=0.001) as api:
        await load(api, loaded, lambda _: None)
    return loaded


async def test_all_come_answer_and_go(hub: Hub) -> None:
    loaded = await loaded_by(hub)
    assert (len(loaded.started), loaded.answered, len(loaded.stopped), hub.users) == (3, 3, 3, {})
    text = summary(loaded)
    assert text.startswith("JupyterHub 6.1.1: 3 users, all at once, 2 starts at a time at most\n")
    assert "faults: 0" in text
    assert "<polyline" in plot(loaded)
    assert json.loads(json.dumps(loaded.document()))["plan"]["users"] == 3


async def test_what_fails_is_told_and_the_others_go_on_and_all_are_removed(hub: Hub) -> None:
    hub.failing, hub.busy = "-1", 2
    loaded = await loaded_by(hub)
    assert (len(loaded.started), hub.users) == (2, {})
    assert "faults: 1\n  1 × server of load-" in summary(loaded)


async def test_who_cannot_be_removed_is_named(hub: Hub) -> None:
    hub.kept = "-2"
    loaded = await loaded_by(hub)
    assert loaded.left == list(hub.users)
    told = remains(loaded.left, PUBLIC)
    assert f"NOT seen to be removed, with their servers: 1: {loaded.left[0]}" in told
    assert f"delete the users of these names that are on {PUBLIC}/hub/admin" in told


async def test_users_are_removed_too_where_the_token_may_see_no_servers(hub: Hub) -> None:
    hub.sees_servers = False
    assert ((await loaded_by(hub)).left, hub.users) == ([], {})


async def test_many_are_removed_at_a_time_but_not_all(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "REMOVED_AT_ONCE", 2)
    under_way, most = 0, 0

    async def one(api: HubAPI, user: str) -> bool:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return True

    monkeypatch.setattr(run, "_is_removed", one)
    assert ((await loaded_by(hub)).left, most) == ([], 2)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_load_that_is_cut_off_says_so_when_all_are_removed(
    hub: Hub, number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.first_start = number
    assert program.main(WORDS) == 130
    assert (len(hub.portions[0]), hub.users) == (3, {})
    said = capsys.readouterr().err
    assert f"makes 3 users, {hub.portions[0][0]} to {hub.portions[0][-1]}" in said
    assert "cut off; none of its users and servers is left" in said
    assert "NOT" not in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_is_left_when_the_removal_is_cut_off_too_is_named(
    hub: Hub, number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.first_start = hub.first_removal = number
    assert program.main(WORDS) == 130
    said = capsys.readouterr().err
    (left,) = hub.users
    assert f"NOT seen to be removed, with their servers: 1: {left}\n" in said
    assert "none of its users" not in said


@pytest.mark.parametrize("status", [403, 500])
def test_who_is_made_before_the_hub_refuses_more_is_removed(
    hub: Hub, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "PORTION", 2)
    hub.refuses = {1: httpx.Response(status, json={"message": "too many"})}
    assert program.main(WORDS) == 1
    said = capsys.readouterr().err
    assert "the Hub refuses: too many" in said
    assert (len(hub.portions), hub.users, "NOT" in said) == (2, {}, False)


def test_who_is_left_when_the_hub_refuses_is_named(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "PORTION", 2)
    hub.refuses, hub.kept = {1: httpx.Response(403, json={"message": "too many"})}, "-1"
    assert program.main(WORDS) == 1
    assert f"servers: 1: {hub.portions[0][1]}\n" in capsys.readouterr().err


def test_users_come_as_quickly_as_is_said_and_have_names_of_their_own() -> None:
    plan = Plan(users=12, per_second=4, at_once=2, stay=0, timeout=60, prefix="load-")
    assert [plan.comes_at(number) for number in (0, 1, 8)] == [0, 0.25, 2]
    names = plan.names("ab12")
    assert (names[0], names[-1], len(set(names))) == ("load-ab12-00", "load-ab12-11", 12)


def test_a_load_in_which_nothing_started_is_told_too() -> None:
    text = summary(Loaded(PLAN, "6.1.1"))
    assert "servers that were ready: 0" in text
    assert "median" not in text


def test_a_token_may_come_from_the_environment_and_is_needed(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(program.TOKEN, raising=False)
    words = ["--url", PUBLIC, "--users", "2", "--out", str(tmp_path / "out")]
    assert program.main(words) == 2
    assert "no token" in capsys.readouterr().err
    monkeypatch.setenv(program.TOKEN, "secret")
    assert program.main(words) == 0
    assert "servers that were ready: 2" in capsys.readouterr().out
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["load.json", "load.svg"]
    assert "secret" not in (tmp_path / "out" / "load.json").read_text()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (httpx.Response(403, json={"message": "Action is not authorized"}), "needs the scopes admin:users"),
        (httpx.ConnectError("refused"), f"no Hub answers at {PUBLIC}"),
    ],
)
def test_a_hub_that_refuses_or_is_not_there_is_said(
    capsys: pytest.CaptureFixture[str], answer: httpx.Response | Exception, told: str
) -> None:
    with respx.mock(base_url=PUBLIC) as router:
        router.get("/hub/api/").mock(side_effect=[answer])
        assert program.main(["--url", PUBLIC, "--users", "2", "--token", "secret"]) == 1
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--users", "0"], ["--users", "5001"], ["--users", "5", "--stay", "-1"]])
def test_a_load_is_bounded(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        program.main(["--url", PUBLIC, "--token", "secret", *words])
    assert "must" in capsys.readouterr().err
