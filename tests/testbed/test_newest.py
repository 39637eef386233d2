"""The newest Engine beside the machine's: neither meets the other, and nothing of it is left."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stub_containers import port_of, run_stub, serves
from tests.testbed import apt, newest
from tests.testbed.engine import EngineHandle, ensure_engine
from tests.testbed.images import ensure_stub_image
from tests.testbed.newest import command_beside, ensure_newest_engine, find_newest_engine, stop_newest_engine
from tests.testbed.steps import TestbedError, cache_dir, wait_until

ROOT = Path(__file__).resolve().parents[2]
ASK = "import httpx, sys; print(httpx.get(sys.argv[1], timeout=2).status_code)"
ENSURE = "from tests.testbed import newest; newest.ensure_newest_engine(); print('PID', newest.pid())"


@pytest.fixture(autouse=True)
def machines_own(monkeypatch: pytest.MonkeyPatch) -> EngineHandle:
    """The machine's own Engine, also where the tests themselves use the newer one."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    return ensure_engine()


@pytest.fixture
def own_cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cache of this test's own, in which the newer Engine is unpacked already."""
    ensure_newest_engine()
    unpacked = cache_dir("testbed", "newest")
    # Paths of sockets must stay short.
    with tempfile.TemporaryDirectory(prefix="c-") as folder:
        monkeypatch.setenv("XDG_CACHE_HOME", folder)
        own = cache_dir("testbed", "newest")
        for name in ("recipe", next(each for each in newest.SUITES if (unpacked / each).exists())):
            (own / name).symlink_to(unpacked / name)
        try:
            yield
        finally:
            stop_newest_engine()


def mounts_of_newest() -> list[str]:
    """What is mounted of it for all to see; the machine's own Engine mounts and unmounts meanwhile."""
    places = ("/usr", "/run/containerd", str(cache_dir("testbed", "newest")))
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [where for _, where, *_ in mounts if where.startswith(places)]


@pytest.mark.usefixtures("own_cache")
def test_it_has_its_own_network_and_takes_all_along_when_it_is_stopped() -> None:
    image = ensure_stub_image()
    mounts = mounts_of_newest()
    engine = ensure_newest_engine([image])
    assert int(engine.version.partition(".")[0]) > 20
    assert newest.suite() in newest.SUITES
    with engine.client() as http:
        port = port_of(http, run_stub(http))
    ask = command_beside(engine, [sys.executable, "-c", ASK, f"http://127.0.0.1:{port}/"])

    def answers() -> bool:
        return subprocess.run(ask, capture_output=True, text=True, check=False).stdout == "200\n"

    assert wait_until(answers, 20)
    assert not serves(port), "it is published in the network of its Engine only"
    assert stop_newest_engine() is True
    assert (newest.pid(), find_newest_engine(), stop_newest_engine()) == (None, None, False)
    assert mounts_of_newest() == mounts
    assert not newest.cgroups()


@pytest.mark.usefixtures("own_cache")
def test_two_that_bring_it_up_at_once_get_the_same() -> None:
    command = [sys.executable, "-c", ENSURE]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=100)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert {text.split("PID ")[1] for text in told} == {f"{newest.pid()}\n"}
    assert sum("starting it" in text for text in told) == 1


def test_a_command_is_run_with_the_newest_engine_as_docker_host() -> None:
    engine = ensure_newest_engine()
    words = ["sh", "-c", "echo HOST $DOCKER_HOST; exit 3"]
    command = [sys.executable, "-m", "tests.testbed", "run", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert f"HOST {engine.url}\n" in done.stdout


@pytest.mark.parametrize("why", ["DOCKER_HOST", "root", "Debian"])
def test_where_there_can_be_none_the_machines_own_is_used_and_it_is_said(
    why: str, machines_own: EngineHandle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    match why:
        case "DOCKER_HOST":
            monkeypatch.setenv("DOCKER_HOST", machines_own.url)
        case "root":
            monkeypatch.setattr(os, "geteuid", lambda: 1000)
        case "Debian":
            monkeypatch.setattr(apt, "os_release", lambda: {"ID": "fedora"})
    engine = ensure_newest_engine()
    assert engine.url == machines_own.url
    assert command_beside(engine, ["pytest"]) == ["pytest"]
    said = capsys.readouterr().out
    assert f"no newer Engine beside {machines_own.version}" in said
    assert why in said


def test_the_next_suite_is_taken_where_the_first_cannot_be_had(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(newest, "PACKAGES", ("iptables",))
    monkeypatch.setattr(newest, "SUITES", ("no-such-suite", "trixie"))
    newest.unpack()
    assert newest.suite() == "trixie"
    said = capsys.readouterr().out
    assert "failed" in said
    assert "unpacking the Docker Engine of Debian trixie" in said
    monkeypatch.setattr(newest, "SUITES", ("no-such-suite",))
    with pytest.raises(TestbedError, match="from Debian no-such-suite"):
        newest.unpack()
