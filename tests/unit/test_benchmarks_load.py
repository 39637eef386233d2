"""The load tool without a Hub: what it asks of one, what it tells, and that it cleans up in every case."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import respx

from benchmarks.load import __main__ as program
from benchmarks.load.plan import Plan
from benchmarks.load.run import Loaded, load
from benchmarks.load.summary import plot, summary
from tests.support.hub_api import HubAPI

PUBLIC = "http://127.0.0.1:8000"
PLAN = Plan(users=3, per_second=0, at_once=2, stay=0, timeout=60, prefix="load-")


class Hub:
    """A Hub's answers: it knows its users, and of some the server fails or cannot be removed."""

    def __init__(self, router: respx.Router) -> None:
        self.users = dict[str, bool]()
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
        self.users |= dict.fromkeys(json.loads(request.content)["usernames"], False)
        return httpx.Response(201, json=[])

    def _started(self, request: httpx.Request, name: str) -> httpx.Response:
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
        return httpx.Response(200, json={"servers": {"": {"ready": True}} if self.users[name] else {}})

    def _deleted(self, request: httpx.Request, name: str) -> httpx.Response:
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
    async with HubAPI(PUBLIC, "secret", deadline=60, poll_every=0.001) as api:
        return await load(api, PLAN, lambda _: None)


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
    assert f"NOT removed, remove them yourself: {loaded.left[0]}" in summary(loaded)


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
