"""Every answer of the fake Engine beside the real one's: the same requests, played at both."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import socket
import tarfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
import pytest

from tests.fake_engine import FakeEngine, scripts_around, scripts_files, scripts_restarts
from tests.fake_engine.dialects import nearest
from tests.fake_engine.player import LABEL, Player, differences
from tests.fake_engine.scripts import SCRIPTS, Script, removed_by_many
from tests.support.waiting import until
from tests.testbed.engine import engine_url, ensure_engine
from tests.testbed.images import ensure_stub_image, import_image
from tests.testbed.plain_http import NO_TLS, async_client_of
from tests.testbed.steps import wait_until

assert scripts_around.__doc__  # it has entered its scripts into the table
assert scripts_files.__doc__
assert scripts_restarts.__doc__


@asynccontextmanager
async def at_the_fake(fake: FakeEngine, image: str, config: dict[str, Any]) -> AsyncIterator[Player]:
    """Play at the fake, which gets the real Engine's image and is like it."""
    fake.reset(like=nearest(ensure_engine().version))
    own = {key: config.get(key) for key in ("Cmd", "Entrypoint", "Env", "ExposedPorts")}
    # The test bed's server ends with 0 on SIGTERM, as the fake's do.
    fake.add_image(image, labels=config.get("Labels"), **own)
    async with async_client_of(fake.socket) as http:
        yield Player(http, image)


@asynccontextmanager
async def at_the_real_one(image: str) -> AsyncIterator[Player]:
    """Play at the real Engine; everything that carries this player's label is removed by id."""
    async with real_http() as http:
        player = Player(http, image)
        try:
            yield player
        finally:
            await remove_everything(player)


def real_http() -> httpx.AsyncClient:
    """A client of the Engine at DOCKER_HOST or the default socket."""
    url = engine_url()
    if url.startswith("unix://"):
        return async_client_of(url.removeprefix("unix://"))
    return httpx.AsyncClient(base_url=url.replace("tcp://", "http://"), timeout=60, verify=NO_TLS)


async def remove_everything(player: Player) -> None:
    http, query = player.http, {"filters": json.dumps({"label": [f"{LABEL}={player.tag}"]}), "all": "1"}
    for one in (await http.get("/containers/json", params=query)).json():
        await http.delete(f"/containers/{one['Id']}", params={"force": 1, "v": 1})
    for one in (await http.get("/networks", params=query)).json():
        await http.delete(f"/networks/{one['Id']}")
    for one in (await http.get("/volumes")).json()["Volumes"] or ():
        # What a bind has made carries no label.
        if one["Name"].startswith(player.tag) or (one["Labels"] or {}).get(LABEL) == player.tag:
            await http.delete(f"/volumes/{one['Name']}")


@pytest.mark.parametrize("play", SCRIPTS, ids=lambda play: play.__name__)
async def test_fake_answers_as_the_real_engine(play: Script, fake: FakeEngine) -> None:
    if play is scripts_around.images:
        with image_of_its_own() as own:
            await compare(play, fake, own)
    else:
        await compare(play, fake, ensure_stub_image())


@contextmanager
def image_of_its_own() -> Iterator[str]:
    """An empty image that nobody else uses, or gives another name."""
    engine = ensure_engine()
    name = f"t{uuid.uuid4().hex[:12]}:1"
    empty = io.BytesIO()
    tarfile.open(fileobj=empty, mode="w").close()
    import_image(engine, name, [empty.getvalue()], ["EXPOSE 8888", 'CMD ["/serve"]'])
    try:
        yield name
    finally:
        with engine.client() as client:
            client.delete(f"/images/{name}")


async def compare(play: Script, fake: FakeEngine, image: str) -> None:
    """Play at both with this image of the real one."""
    async with at_the_real_one(image) as real:
        config = (await real.http.get(f"/images/{image}/json")).json()["Config"]
        await play(real)
    async with at_the_fake(fake, image, config) as faked:
        if play is removed_by_many:
            # As at the real Engine, it lasts until all have asked for it.
            fake.rule("DELETE", "^/containers/", delay_during=1)
        await play(faked)
    found = differences([list(each) for each in faked.heard], [list(each) for each in real.heard])
    assert found == [], "fake != real"


def created(fake: FakeEngine, image: str = "stub:1") -> str:
    answer = fake.http.post("/containers/create", json={"Image": image})
    return str(answer.raise_for_status().json()["Id"])


def test_delays_status_and_order_of_rules(fake: FakeEngine) -> None:
    fake.rule("GET", "^/info$", delay_before=0.1, delay_after=0.1, times=1)
    fake.rule("GET", "^/info$", status=503, message="busy", nth=2)
    started = time.monotonic()
    assert fake.http.get("/v1.41/info").status_code == 200
    assert time.monotonic() - started >= 0.2
    # The first rule is used up, the second has then seen one request of the two that follow.
    answers = [fake.http.get("/info") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 503, 200]
    assert answers[1].json() == {"message": "busy"}
    with pytest.raises(ValueError, match="dealy_before"):
        fake.rule(dealy_before=1)


@pytest.mark.parametrize(("fault", "acted"), [("reset_before", False), ("reset_after", True)])
def test_resets(fake: FakeEngine, fault: str, acted: bool) -> None:
    fake.rule("POST", "/containers/create", **{fault: True}, times=1)
    with pytest.raises(httpx.TransportError):
        created(fake)
    assert bool(fake.containers()) is acted


def test_spoilt_bodies(fake: FakeEngine) -> None:
    fake.rule("GET", "^/version$", garbage_body=True, times=1)
    fake.rule("GET", "^/version$", slow_drip=0.02)
    with pytest.raises(ValueError, match=r"codec|JSON|delimiter|Unterminated"):
        fake.http.get("/version").json()
    started = time.monotonic()
    assert fake.http.get("/version").json()["Os"] == "linux"
    assert time.monotonic() - started >= 0.2


def test_hangs_until_the_client_gives_up(fake: FakeEngine) -> None:
    fake.rule("POST", "/containers/create", hang=True)
    with pytest.raises(httpx.ReadTimeout):
        fake.http.post("/containers/create", json={"Image": "stub:1"}, timeout=0.2)
    assert wait_until(lambda: fake.state()["in_flight"] == {}, 10)
    assert fake.containers() == []


def test_streams_are_cut(fake: FakeEngine) -> None:
    fake.rule("POST", "/images/create", cut_after=2)
    pull = {"fromImage": "registry.test/pullable", "tag": "1"}
    with fake.http.stream("POST", "/images/create", params=pull) as answer:
        lines = answer.iter_lines()
        assert "Pulling from pullable" in next(lines)
        assert "Pulling fs layer" in next(lines)
        with pytest.raises(httpx.TransportError):
            next(lines)
    assert "registry.test/pullable:1" not in fake.state()["images"]
    fake.clear_rules()
    assert "Downloaded newer" in fake.http.post("/images/create", params=pull).text
    broken = fake.http.post("/images/create", params={"fromImage": "registry.test/broken", "tag": "1"})
    assert "errorDetail" in broken.text.splitlines()[-1]
    unknown = fake.http.post("/images/create", params={"fromImage": "registry.test/none", "tag": "1"})
    assert (unknown.status_code, "manifest unknown" in unknown.text) == (404, True)


async def test_a_start_goes_on_without_its_client(fake: FakeEngine) -> None:
    ref = created(fake)
    fake.rule("POST", "/start$", delay_during=2)
    async with async_client_of(fake.socket) as http:
        start = asyncio.create_task(http.post(f"/containers/{ref}/start"))
        await until(lambda: fake.requests("POST", "/containers/{ref}/start"))
        start.cancel()
        await asyncio.gather(start, return_exceptions=True)
        # As at the real Engine, an inspect waits for the start, a list does not.
        assert (await http.get("/containers/json")).json() == []
        assert (await http.get(f"/containers/{ref}/json")).json()["State"]["Running"] is True


async def test_the_log_tells_what_was_in_flight_together(fake: FakeEngine) -> None:
    fake.rule("POST", "/containers/create", delay_before=1)
    async with async_client_of(fake.socket) as http:
        await asyncio.gather(
            *(http.post(f"/v1.41/containers/create?name=c{n}", json={"Image": "stub:1"}) for n in range(5))
        )
    log = fake.requests("POST", "/containers/create")
    assert sorted(entry["in_flight_route"] for entry in log) == [1, 2, 3, 4, 5]
    assert sorted(entry["query"]["name"] for entry in log) == [f"c{n}" for n in range(5)]
    assert {(entry["status"], entry["path"]) for entry in log} == {(201, "/containers/create")}
    assert all(entry["end"] - entry["start"] >= 1 and entry["body"] == {"Image": "stub:1"} for entry in log)
    fake.clear_requests()
    assert fake.requests() == []


@pytest.mark.parametrize(
    ("image", "state"),
    [
        ("dies:1", {"ExitCode": 3, "OOMKilled": False, "Status": "exited"}),
        ("dies-at-once:1", {"ExitCode": 1, "OOMKilled": False, "Status": "exited"}),
        ("oom:1", {"ExitCode": 137, "OOMKilled": True, "Status": "exited"}),
    ],
)
def test_images_that_die(fake: FakeEngine, image: str, state: dict[str, Any]) -> None:
    ref = created(fake, image)
    fake.http.post(f"/containers/{ref}/start")
    at_once = image == "dies-at-once:1"
    assert wait_until(lambda: not fake.containers()[0]["State"]["Running"], 0 if at_once else 10)
    assert fake.containers()[0]["State"].items() >= state.items()
    log = fake.http.get(f"/containers/{ref}/logs?stderr=1").content
    assert log.endswith(b"boom\n") is (image != "oom:1")
    events = [event for event in fake.state()["events"] if event["Type"] == "container"]
    oom = ["oom"] if state["OOMKilled"] else []
    assert [event["Action"] for event in events] == ["create", "start", *oom, "die"]
    lived = (events[-1]["timeNano"] - events[1]["timeNano"]) / 10**9
    assert at_once or lived > 0.04


def test_deaths_on_request_slow_stops_and_commands_of_the_image(fake: FakeEngine) -> None:
    ref = created(fake, "slowstop:1")
    fake.http.post(f"/containers/{ref}/start")
    started = time.monotonic()
    fake.http.post(f"/containers/{ref}/stop?t=1")
    assert time.monotonic() - started >= 1
    ref = created(fake, "nocmd:1")
    fake.http.post(f"/containers/{ref}/start")
    fake.die(ref, oom=True, exit_code=137)
    found = fake.http.get(f"/containers/{ref}/json").json()
    assert found["State"]["OOMKilled"] is True
    assert (found["Config"]["Cmd"], found["Config"]["Entrypoint"]) == (None, ["/entry"])


async def test_published_but_silent(fake: FakeEngine) -> None:
    host = {"PortBindings": {"8888/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}}
    body = {"Image": "silent:1", "HostConfig": host}
    ref = fake.http.post("/containers/create", json=body).json()["Id"]
    fake.http.post(f"/containers/{ref}/start")
    settings = fake.containers()[0]["NetworkSettings"]
    async with httpx.AsyncClient(verify=NO_TLS) as http:
        with pytest.raises(httpx.TransportError):
            await http.get(f"http://127.0.0.1:{settings['Ports']['8888/tcp'][0]['HostPort']}/")


def test_engine_away_and_event_streams_cut(fake: FakeEngine) -> None:
    with fake.http.stream("GET", "/events") as answer:
        assert fake.state()["event_streams"] == 1
        assert fake.cut_events() == 1
        with pytest.raises(httpx.TransportError):
            answer.read()
    ref = created(fake)
    with fake.away(), socket.socket(socket.AF_UNIX) as tried:
        assert tried.connect_ex(str(fake.socket)) in {errno.ECONNREFUSED, errno.ENOENT}
    assert fake.http.get(f"/containers/{ref}/json").status_code == 200
    fake.offline(0.3)
    assert wait_until(lambda: fake.online, 10)
    assert fake.http.get(f"/containers/{ref}/json").status_code == 200
