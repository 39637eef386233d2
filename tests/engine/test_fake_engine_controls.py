"""What a test may do to the fake Engine, beside what happens to a real one where there is such a thing."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fake_engine import FakeEngine
from tests.fake_engine.dialects import nearest
from tests.fake_engine.documents import human
from tests.fake_engine.scripts import DEAF, PUBLISHED
from tests.testbed.images import ensure_stub_image
from tests.testbed.own_engine import TEST_SECONDS, own_engine, own_version
from tests.testbed.plain_http import NO_TLS
from tests.testbed.steps import wait_until

pytestmark = pytest.mark.timeout(TEST_SECONDS)

CONTAINERS_ONLY = json.dumps({"type": ["container"]})


def run(http: httpx.Client, name: str, *, start: bool = True, image: str = "stub:1", **body: Any) -> str:
    asked = {"Image": image, **body, "HostConfig": {**PUBLISHED, **body.get("HostConfig", {})}}
    made = http.post("/containers/create", params={"name": name}, json=asked)
    ref = str(made.raise_for_status().json()["Id"])
    if start:
        http.post(f"/containers/{ref}/start").raise_for_status()
    return ref


def look(http: httpx.Client, ref: str) -> dict[str, Any]:
    return dict(http.get(f"/containers/{ref}/json").raise_for_status().json())


def port_of(http: httpx.Client, ref: str) -> int:
    return int(look(http, ref)["NetworkSettings"]["Ports"]["8888/tcp"][0]["HostPort"])


def knock(port: int) -> int:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port))


def told(event: dict[str, Any]) -> tuple[str, str]:
    return event["Actor"]["Attributes"]["name"], event["Action"]


def read_to_the_end(answer: httpx.Response) -> list[dict[str, Any]]:
    """The events of a stream that will be cut."""
    heard: list[dict[str, Any]] = []
    with pytest.raises(httpx.TransportError):  # noqa: PT012 - it is the reading that fails
        for line in answer.iter_lines():
            heard.append(json.loads(line))  # noqa: PERF401 - kept although the stream breaks off
    return heard


@contextlib.contextmanager
def streaming(fake: FakeEngine) -> Iterator[Iterator[str]]:
    with fake.http.stream("GET", "/events", params={"filters": CONTAINERS_ONLY}) as answer:
        yield answer.iter_lines()


# Restarts of one container


def test_a_restart_by_itself_dies_starts_and_has_another_port(fake: FakeEngine) -> None:
    ref = run(fake.http, "c1")
    before = port_of(fake.http, ref)
    with streaming(fake) as lines:
        fake.restart(ref, exit_code=7)
        events = [json.loads(next(lines)) for _ in range(2)]
    assert [event["Action"] for event in events] == ["die", "start"]
    assert events[0]["Actor"]["Attributes"]["exitCode"] == "7"
    assert port_of(fake.http, ref) != before
    assert httpx.get(f"http://127.0.0.1:{port_of(fake.http, ref)}/", verify=NO_TLS).status_code == 200
    assert knock(before) == errno.ECONNREFUSED
    assert look(fake.http, ref)["RestartCount"] == 1
    later = [_restarted(fake, ref) for _ in range(20)]
    assert len({before, *later}) == 21


def _restarted(fake: FakeEngine, ref: str) -> int:
    fake.restart(ref)
    return port_of(fake.http, ref)


def test_a_restart_with_a_pause_shows_the_container_restarting(fake: FakeEngine) -> None:
    ref = run(fake.http, "c1")
    fake.restart(ref, pause=2)
    found = look(fake.http, ref)
    assert found["State"].items() >= {"Status": "restarting", "Running": True, "ExitCode": 1}.items()
    assert found["NetworkSettings"]["Ports"] == {}
    with pytest.raises(ValueError, match="is not running"):
        fake.restart(ref)
    assert wait_until(lambda: look(fake.http, ref)["State"]["Status"] == "running", 10, every=0.05)


# Restarts of the Engine

FLEET: dict[str, dict[str, Any]] = {
    "plain": {},
    "deaf": {**DEAF, "StopTimeout": 1},
    "passing": {"HostConfig": {"AutoRemove": True}},
    "always": {"HostConfig": {"RestartPolicy": {"Name": "always"}}},
    "unless": {"HostConfig": {"RestartPolicy": {"Name": "unless-stopped"}}},
    "failure": {"HostConfig": {"RestartPolicy": {"Name": "on-failure"}}},
    "deaf-failure": {**DEAF, "StopTimeout": 1, "HostConfig": {"RestartPolicy": {"Name": "on-failure"}}},
    "always-stopped": {"HostConfig": {"RestartPolicy": {"Name": "always"}}},
    "unless-stopped": {"HostConfig": {"RestartPolicy": {"Name": "unless-stopped"}}},
}
LIFE = 2.0
"""Seconds that the one which dies lives at the fake."""
DIES: dict[str, Any] = {"Labels": {"fake.exit": "137", "fake.exit_after": str(LIFE)}}


def fleet(http: httpx.Client, image: str) -> str:
    """One container of each kind; gives the id of the last, which dies while the Engine is away."""
    for name, body in FLEET.items():
        ref = run(http, name, image=image, **{"StopTimeout": 5, **body})
        if name.endswith("-stopped"):
            http.post(f"/containers/{ref}/stop").raise_for_status()
    run(http, "created", image=image, start=False)
    return run(http, "dies", image=image, **DIES)


def outcome(http: httpx.Client, heard: list[dict[str, Any]]) -> dict[str, Any]:
    """How all containers are, what was heard of them before, and what the Engine that came back remembers."""
    found: dict[str, Any] = {}
    for one in http.get("/containers/json", params={"all": 1}).json():
        inspected = look(http, one["Id"])
        address = one["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        published = inspected["NetworkSettings"]["Ports"]
        words = [one["State"], inspected["State"]["ExitCode"], inspected["RestartCount"]]
        found[one["Names"][0]] = [*words, bool(one["Ports"]), bool(published), bool(address)]
    query = {"since": "1", "until": str(int(time.time()) + 1), "filters": CONTAINERS_ONLY}
    past = [json.loads(line) for line in http.get("/events", params=query).text.splitlines()]
    for word, events in (("heard", heard), ("remembered", past)):
        for name, action in map(told, events):
            found.setdefault(f"{word} of {name}", []).append(action)
    return found


def at_the_real_one(folder: Path, *, live_restore: bool, graceful: bool) -> dict[str, Any]:
    image = ensure_stub_image()
    with own_engine(folder, live_restore=live_restore) as engine:
        pid = look(engine.http, fleet(engine.http, image))["State"]["Pid"]
        with engine.http.stream("GET", "/events", params={"filters": CONTAINERS_ONLY}) as answer:
            if not live_restore:
                os.kill(pid, signal.SIGKILL)
                assert wait_until(lambda: not look(engine.http, "dies")["State"]["Running"], 10)
            (engine.shut_down if graceful else engine.kill)()
            heard = read_to_the_end(answer)
        if live_restore:
            os.kill(pid, signal.SIGKILL)
            assert wait_until(lambda: not Path(f"/proc/{pid}").exists(), 10)
        engine.start()
        return outcome(engine.http, heard)


def at_the_fake(fake: FakeEngine, *, live_restore: bool, graceful: bool) -> dict[str, Any]:
    fleet(fake.http, "stub:1")
    with fake.http.stream("GET", "/events", params={"filters": CONTAINERS_ONLY}) as answer:
        if not live_restore:
            assert wait_until(lambda: not look(fake.http, "dies")["State"]["Running"], 10)
        fake.restart_engine(live_restore=live_restore, graceful=graceful)
        heard = read_to_the_end(answer)
    assert not fake.online
    if live_restore:
        time.sleep(LIFE + 1)
    fake.come_back()
    return outcome(fake.http, heard)


@pytest.mark.parametrize("live_restore", [False, True])
@pytest.mark.parametrize("graceful", [False, True])
def test_an_engine_that_restarts(
    fake: FakeEngine, tmp_path: Path, live_restore: bool, graceful: bool
) -> None:
    fake.reset(like=nearest(own_version()))
    faked = at_the_fake(fake, live_restore=live_restore, graceful=graceful)
    assert faked == at_the_real_one(tmp_path, live_restore=live_restore, graceful=graceful)
    assert faked["/dies"][:2] == ["exited", 137]
    assert faked["/plain"][0] == ("running" if live_restore else "exited")
    assert ("heard of plain" in faked) is (graceful and not live_restore)


def test_with_live_restore_published_ports_are_away_as_long_as_the_engine(fake: FakeEngine) -> None:
    ref = run(fake.http, "c1")
    port, before = port_of(fake.http, ref), look(fake.http, ref)
    fake.restart_engine(live_restore=True)
    assert knock(port) == errno.ECONNREFUSED
    fake.come_back()
    assert look(fake.http, ref) == before
    assert httpx.get(f"http://127.0.0.1:{port}/", verify=NO_TLS).status_code == 200


# Events that are spoilt or lost


def test_raw_text_reaches_every_stream(fake: FakeEngine) -> None:
    with streaming(fake) as lines:
        assert fake.emit_raw('{"Type": "container", "Acti\n') == 1
        fake.emit_raw("\x00garbage")
        fake.emit_raw("\n[]\n")
        run(fake.http, "c1", start=False)
        heard = [next(lines) for _ in range(4)]
    assert heard[:3] == ['{"Type": "container", "Acti', "\x00garbage", "[]"]
    assert json.loads(heard[3])["Action"] == "create"
    assert fake.state()["events"][-1]["Action"] == "create"


def test_events_get_lost_without_a_word(fake: FakeEngine) -> None:
    with streaming(fake) as lines:
        fake.drop_events("die", "destroy", times=2)
        for name in ("c1", "c2"):
            ref = run(fake.http, name)
            fake.die(ref)
            fake.http.delete(f"/containers/{ref}").raise_for_status()
        heard = [told(json.loads(next(lines))) for _ in range(6)]
        both = [("c1", "create"), ("c1", "start"), ("c2", "create"), ("c2", "start")]
        assert heard == [*both, ("c2", "die"), ("c2", "destroy")]
        assert fake.deliver_events() == 2
        fake.drop_events()
        run(fake.http, "c3")
        assert fake.deliver_events() >= 2
        run(fake.http, "c4", start=False)
        assert told(json.loads(next(lines))) == ("c4", "create")
    assert len(fake.containers()) == 2


# Many containers, changed files, images that move on


def test_a_thousand_containers_in_a_moment(fake: FakeEngine) -> None:
    began = time.monotonic()
    ids = fake.populate(
        1000,
        name="server-{:04}".format,
        labels_of=lambda number: {"number": str(number), "half": str(number % 2)},
        env_of=lambda number: [f"JUPYTERHUB_USER=u{number}"],
        port_of=lambda number: 20_000 + number,
    )
    assert time.monotonic() - began < 5
    filters = {"filters": json.dumps({"label": ["half=1"], "status": ["running"]})}
    shown = fake.http.get("/containers/json", params=filters).json()
    assert [one["Id"] for one in reversed(shown)] == ids[1::2]
    last = shown[0]
    assert (last["Names"], last["Labels"]["number"], last["State"]) == (["/server-0999"], "999", "running")
    assert last["Ports"] == [{"IP": "127.0.0.1", "PrivatePort": 8888, "PublicPort": 20_999, "Type": "tcp"}]
    found = look(fake.http, ids[7])
    assert "JUPYTERHUB_USER=u7" in found["Config"]["Env"]
    assert found["NetworkSettings"]["Networks"]["bridge"]["IPAddress"] != ""
    assert fake.state()["events"] == []
    # They can be stopped and removed like any other.
    fake.http.post(f"/containers/{ids[7]}/stop").raise_for_status()
    fake.http.delete(f"/containers/{ids[7]}").raise_for_status()
    assert len(fake.containers()) == 999


def test_a_crowd_may_have_ended_and_may_be_told(fake: FakeEngine) -> None:
    with streaming(fake) as lines:
        running = fake.populate(1, events=True)
        ended = fake.populate(1, name=lambda _: "ended", running=False, exit_code=4, events=True)
        heard = [told(json.loads(next(lines))) for _ in range(5)]
    assert heard == [
        ("crowd-0", "create"),
        ("crowd-0", "start"),
        *(("ended", each) for each in ("create", "start", "die")),
    ]
    assert look(fake.http, running[0])["State"]["Running"] is True
    assert look(fake.http, ended[0])["State"].items() >= {"Status": "exited", "ExitCode": 4}.items()
    with pytest.raises(ValueError, match="two containers of one name"):
        fake.populate(1)
    assert len(fake.containers()) == 2


def test_changed_files_are_what_a_test_says(fake: FakeEngine) -> None:
    ref = run(fake.http, "c1")
    assert fake.http.get(f"/containers/{ref}/changes").json() is None
    changes = [{"Path": "/home", "Kind": 0}, {"Path": "/home/mine", "Kind": 1}]
    fake.set_changes(ref, changes)
    assert fake.http.get(f"/containers/{ref}/changes").json() == changes
    fake.set_changes(ref, [])
    assert fake.http.get(f"/containers/{ref}/changes").json() is None


def test_an_image_whose_tag_has_moved_is_shown_by_its_id(fake: FakeEngine) -> None:
    first = fake.add_image("moving:1")
    run(fake.http, "c1", image="moving:1")
    second = fake.add_image("moving:1")
    (shown,) = fake.http.get("/containers/json").json()
    assert (shown["Image"], shown["ImageID"]) == (first, first)
    assert fake.http.get("/images/moving:1/json").json()["Id"] == second


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (150, "2 minutes"),
        (3600, "About an hour"),
        (3 * 3600, "3 hours"),
        (3 * 86400, "3 days"),
    ],
)
def test_times_in_a_status_are_said_as_docker_says_them(seconds: int, words: str) -> None:
    assert human(seconds) == words
