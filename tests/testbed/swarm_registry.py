"""The registry of a swarm, which outlives who has started it."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import httpx

from tests.testbed import proc
from tests.testbed.engine import GONE_WITHIN
from tests.testbed.processes import outliving
from tests.testbed.registry import (
    PACKAGE,
    START_SECONDS,
    Account,
    Registry,
    registry_command,
    registry_environment,
)
from tests.testbed.steps import TestbedError, wait_until


def start(folder: Path, registry: Registry, account: Account) -> None:
    """Start what serves at the registry's address, for this account, and wait until it does."""
    place = _config(folder).parent
    place.mkdir()
    command = registry_command(registry.address, place, account)
    log = place / "registry.log"
    process = outliving(command, log, registry_environment())

    def serves() -> bool:
        with contextlib.suppress(httpx.TransportError):
            return registry.http.get("/v2/").status_code == 200
        return False

    wait_until(lambda: serves() or process.poll() is not None, START_SECONDS)
    if not serves():
        raise TestbedError(f"The swarm's registry does not serve; log: {log}")


def end(folder: Path) -> None:
    """End it, if it runs."""
    for pid in pids(folder):
        os.kill(pid, signal.SIGKILL)
    if not wait_until(lambda: not pids(folder), GONE_WITHIN, every=0.05):
        raise TestbedError(f"The swarm's registry does not end: {pids(folder)}")


def pids(folder: Path) -> list[int]:
    """The process that serves what is in this folder, if it runs."""
    return [pid for pid, words in proc.of_programs({PACKAGE}) if str(_config(folder)) in words]


def _config(folder: Path) -> Path:
    return folder / "registry" / "registry.yml"
