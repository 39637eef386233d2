"""The test bed touches nothing that is not its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.testbed.engine import ensure_engine, our_pid, pid_file, stop_engine
from tests.testbed.images import ensure_stub_image, inspect_image
from tests.testbed.steps import TestbedError


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of this test's own, without the pid file of a real Engine."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("own_cache")
def test_a_pid_file_that_names_another_process_stops_nothing() -> None:
    pid_file().write_text(str(os.getpid()))
    assert our_pid() is None
    assert stop_engine() is False


def test_only_a_dockerd_with_our_pid_file_is_ours(own_cache: Path) -> None:
    process = own_cache / "proc" / "4711"
    process.mkdir(parents=True)
    pid_file().write_text("4711")
    (process / "cmdline").write_bytes(b"dockerd\0--pidfile=/elsewhere.pid\0")
    assert our_pid(own_cache / "proc") is None
    (process / "cmdline").write_bytes(f"/usr/sbin/dockerd\0--pidfile={pid_file()}\0".encode())
    assert our_pid(own_cache / "proc") == 4711


def test_an_engine_named_by_docker_host_is_never_started_by_us(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{own_cache}/nothing.sock")
    with pytest.raises(TestbedError, match="unset DOCKER_HOST"):
        ensure_engine()


def test_what_is_there_is_used_as_it_is() -> None:
    engine = ensure_engine()
    assert ensure_engine().started is False
    first = inspect_image(engine, ensure_stub_image())
    second = inspect_image(engine, ensure_stub_image())
    assert first is not None
    assert second is not None
    assert first["Id"] == second["Id"]
