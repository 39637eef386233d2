"""The Engine of a test's own: its faults, and that nothing of it is left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.stub_containers import inspected, port_of, run_stub, serves
from tests.testbed.engine import ensure_engine
from tests.testbed.images import STUBBORN, ensure_stub_image, ensure_stubborn_image
from tests.testbed.own_engine import REMAPPED_TO, TEST_SECONDS, OwnEngine, Traces, own_engine, sweep
from tests.testbed.steps import lock, wait_until

pytestmark = pytest.mark.timeout(TEST_SECONDS)

ROOT = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def engine_that_leaves_nothing(folder: Path, *, live_restore: bool) -> Iterator[OwnEngine]:
    with own_engine(folder, live_restore=live_restore) as engine:
        assert len(engine.traces.remains()) > 3
        yield engine
    assert engine.traces.remains() == []


def test_killed_with_live_restore_its_containers_run_on(tmp_path: Path) -> None:
    with engine_that_leaves_nothing(tmp_path, live_restore=True) as engine:
        ref = run_stub(engine.http)
        before, port = inspected(engine.http, ref), port_of(engine.http, ref)
        assert before["NetworkSettings"]["IPAddress"].startswith(f"{engine.traces.subnet}.")
        assert wait_until(lambda: serves(port), 10)
        engine.kill()
        assert not engine.answers()
        assert not serves(port), "docker-proxy ends with dockerd"
        assert engine.start() < 30
        after = inspected(engine.http, ref)
        assert after["State"] == before["State"]
        assert port_of(engine.http, ref) == port
        assert wait_until(lambda: serves(port), 10)


def test_killed_without_live_restore_its_containers_are_stopped_at_the_next_start(tmp_path: Path) -> None:
    with engine_that_leaves_nothing(tmp_path, live_restore=False) as engine:
        ref = run_stub(engine.http)
        pid = inspected(engine.http, ref)["State"]["Pid"]
        engine.kill()
        assert Path("/proc", str(pid)).exists()
        engine.start()
        state = inspected(engine.http, ref)["State"]
        assert (state["Status"], state["ExitCode"]) == ("exited", 0)


def test_ids_in_its_containers_are_others_than_this_machines(tmp_path: Path) -> None:
    with own_engine(tmp_path, live_restore=False, userns_remap=True) as engine:
        ref = run_stub(engine.http)
        assert "name=userns" in engine.http.get("/info").json()["SecurityOptions"]
        pid = inspected(engine.http, ref)["State"]["Pid"]
        assert Path(f"/proc/{pid}").stat().st_uid == REMAPPED_TO
        port = port_of(engine.http, ref)
        assert wait_until(lambda: serves(port), 10)
    assert engine.traces.remains() == []
    with Path("/etc/subuid").open() as subordinate:
        assert str(REMAPPED_TO) not in subordinate.read()


def test_shut_down_its_containers_are_stopped_before(tmp_path: Path) -> None:
    with engine_that_leaves_nothing(tmp_path, live_restore=False) as engine:
        engine.load(ensure_stubborn_image(), ensure_engine())
        stopped = run_stub(engine.http)
        killed = run_stub(engine.http, STUBBORN)
        again = run_stub(engine.http, RestartPolicy={"Name": "unless-stopped"})
        engine.shut_down()
        assert not engine.answers()
        engine.start()
        assert inspected(engine.http, stopped)["State"]["ExitCode"] == 0
        assert inspected(engine.http, killed)["State"]["ExitCode"] == 137
        assert inspected(engine.http, again)["State"]["Running"] is True
        assert wait_until(lambda: serves(port_of(engine.http, again)), 10)


def test_paused_it_takes_connections_and_does_not_answer(tmp_path: Path) -> None:
    with engine_that_leaves_nothing(tmp_path, live_restore=False) as engine:
        engine.pause()
        with pytest.raises(httpx.ReadTimeout):
            engine.http.get("/_ping", timeout=0.5)
        engine.resume()
        assert engine.http.get("/_ping").text == "OK"


def fail_with_a_killed_engine(folder: Path, found: list[Traces]) -> None:
    with own_engine(folder, live_restore=True) as engine:
        found.append(engine.traces)
        run_stub(engine.http)
        engine.kill()
        raise ZeroDivisionError


def test_a_test_that_fails_leaves_nothing_and_nobody_else_is_disturbed(tmp_path: Path) -> None:
    ensure_stub_image()
    with ensure_engine().client() as first:
        bystander = run_stub(first)
        try:
            port = port_of(first, bystander)
            assert wait_until(lambda: serves(port), 10)
            found: list[Traces] = []
            with pytest.raises(ZeroDivisionError):
                fail_with_a_killed_engine(tmp_path, found)
            assert found[0].remains() == []
            assert serves(port)
            assert inspected(first, bystander)["State"]["Running"] is True
        finally:
            first.delete(f"/containers/{bystander}", params={"force": 1})


KILLED_RUN = """
import sys, time
from pathlib import Path
from tests.testbed.own_engine import own_engine
from tests.support.stub_containers import run_stub
with own_engine(Path(sys.argv[1]), live_restore=True) as engine:
    run_stub(engine.http)
    print("RUN", engine.traces.run, flush=True)
    time.sleep(60)
"""


def test_what_a_killed_run_has_left_is_swept(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED_RUN, str(tmp_path)]
    with contextlib.ExitStack() as stack:
        killed = stack.enter_context(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
        assert killed.stdout is not None
        run = Path(next(line for line in killed.stdout if line.startswith("RUN ")).split()[1])
        assert Traces.read(run) is None, "its owner lives"
        assert run.name not in sweep()
        # Another run of the tests would sweep it first.
        stack.enter_context(lock("own-engine"))
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
        traces = Traces.read(run)
        assert traces is not None
        assert len(traces.remains()) > 3
        assert run.name in sweep()
        assert traces.remains() == []
