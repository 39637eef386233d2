"""One machine of the swarm: network, mounts, processes and host name of its own, with a dockerd.

All of it hangs on one process, the first of its process namespace: with that, every other one there ends, and
with the last of them network and mounts are gone. Nothing of it needs an orderly end.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.testbed import proc
from tests.testbed.bridge import Bridge
from tests.testbed.engine import GONE_WITHIN, EngineHandle, environment, find_engine_at, start_dockerd
from tests.testbed.images import copy_image, recipe_hash
from tests.testbed.processes import outliving
from tests.testbed.steps import TestbedError, wait_until

BOOT = """
ip link set lo up
hostname "$2"
mount -t tmpfs tmpfs /run  # where sockets are: the machine's Engine and containerd are not to be found there
mkfifo "$1/never"
: < "$1/never" &  # no program, whose libraries are soon to be found in another /usr
if [ -n "$3" ]; then mount --bind "$3" /usr; fi  # which may lack all but what dockerd needs
: > "$1/booted"
wait
"""
"""The first process, which also takes leave of those that have lost their parent."""
MARK = "swarm-node"
"""The word by which the first process, and what waits for it, are known."""
BOOT_SECONDS = 60.0
PROGRAMS = {"unshare", "sh", "nsenter", "dockerd", "containerd"}
CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class SwarmNode:
    """A machine with all its files in `folder`; `usr` is the /usr that it has in place of this machine's."""

    name: str
    folder: Path
    address: str
    usr: Path | None = None

    @property
    def url(self) -> str:
        """As in DOCKER_HOST."""
        return f"unix://{self.folder}/docker.sock"

    @property
    def log(self) -> Path:
        """What dockerd says."""
        return self.folder / "dockerd.log"

    @property
    def cgroup(self) -> str:
        """The cgroup that its containers are in."""
        return f"swarm-{recipe_hash(str(self.folder))[:8]}"

    @property
    def handle(self) -> EngineHandle:
        """Its Engine, as the other rooms of the test bed want it."""
        found = find_engine_at(self.url)
        if found is None:
            raise TestbedError(f"The dockerd of {self.name} does not answer; log: {self.log}")
        return found

    def client(self, timeout: float = 60.0) -> httpx.Client:
        """A plain HTTP client of its Engine."""
        return EngineHandle(self.url, "?").client(timeout)

    def load(self, image: str, origin: EngineHandle) -> None:
        """Take over an image of another Engine, with its id."""
        copy_image(image, origin, self.handle)

    def command(self, *words: str) -> list[str]:
        """The command that runs another on this machine."""
        first = self.first()
        if first is None:
            raise TestbedError(f"The machine {self.name} does not run.")
        return ["nsenter", f"--target={first}", "--net", "--mount", "--uts", "--pid", "--", *words]

    def boot(self, bridge: Bridge) -> None:
        """Make the machine, and its network card at the bridge."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        namespaces = ["--net", "--mount", "--uts", "--pid", "--fork", "--mount-proc"]
        boot = ["sh", "-ec", BOOT, MARK, str(self.folder), self.name, str(self.usr or "")]
        started = outliving(["unshare", *namespaces, *boot], self.folder / "boot.log", environment())
        booted = self.folder / "booted"
        wait_until(lambda: booted.exists() or started.poll() is not None, BOOT_SECONDS, every=0.02)
        first = self.first()
        if first is None or not booted.exists():
            told = (self.folder / "boot.log").read_text()
            raise TestbedError(f"The machine {self.name} did not boot: {told}")
        bridge.plug(self.address, first)

    def start(self, insecure: str, settings: Mapping[str, Any] | None = None) -> EngineHandle:
        """Start dockerd with these settings of daemon.json, and wait until it answers.

        `insecure` is the network whose registries have no TLS.
        """
        folder = self.folder
        # A dockerd that was killed leaves its pid file; the next one believes it while /proc has that pid.
        (folder / "dockerd.pid").unlink(missing_ok=True)
        (folder / "daemon.json").write_text(json.dumps(settings or {}))  # not the machine's
        daemon = [
            "dockerd",
            f"--config-file={folder}/daemon.json",
            f"--data-root={folder}/data",
            f"--exec-root={folder}/exec",
            f"--pidfile={folder}/dockerd.pid",
            f"--host={self.url}",
            "--host=unix:///run/docker.sock",
            "--exec-opt=native.cgroupdriver=cgroupfs",
            f"--cgroup-parent=/{self.cgroup}",
            f"--insecure-registry={insecure}",
        ]
        return start_dockerd(self.command(*daemon), self.url, self.log)

    def kill(self) -> None:
        """SIGKILL to dockerd alone: what its containers do goes on until the next one starts."""
        self._end_dockerd(signal.SIGKILL)

    def shut_down(self) -> None:
        """SIGTERM to dockerd, as a service manager sends it: it stops its containers first."""
        self._end_dockerd(signal.SIGTERM)

    def answers(self) -> bool:
        """Whether its dockerd answers."""
        return find_engine_at(self.url) is not None

    def first(self) -> int | None:
        """The first process of this machine, if that runs."""
        booted = [pid for pid, words in self._booted() if Path(words[0]).name == "sh"]
        return booted[0] if booted else None

    def erase(self) -> None:
        """End every process of it and take everything away."""
        if not wait_until(self._end_all, GONE_WITHIN, every=0.05):
            raise TestbedError(f"These processes of {self.name} do not end: {self._processes()}")
        if not wait_until(self._remove_cgroups, GONE_WITHIN, every=0.05):
            raise TestbedError(f"The cgroups of {self.name} are not empty: {self._cgroups()}")
        shutil.rmtree(self.folder, ignore_errors=True)

    def remains(self) -> list[str]:
        """What of it there is: processes, cgroups and its folder."""
        found = [f"process {pid} {words[0]}" for pid, words in self._processes()]
        found += [str(path) for path in self._cgroups()]
        return found + [str(self.folder)] * self.folder.exists()

    def _end_dockerd(self, number: int) -> None:
        # Not what has entered the machine to start it, and waits for its end.
        pids = [pid for pid, words in self._processes() if Path(words[0]).name == "dockerd"]
        for pid in pids:
            os.kill(pid, number)
        if not wait_until(lambda: not any(map(proc.began, pids)), GONE_WITHIN, every=0.02):
            raise TestbedError(f"The dockerd of {self.name} does not end; log: {self.log}")

    def _end_all(self) -> bool:
        for pid, _ in self._booted():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not self._processes()

    def _booted(self) -> list[tuple[int, list[str]]]:
        return [(pid, words) for pid, words in self._processes() if MARK in words]

    def _processes(self) -> list[tuple[int, list[str]]]:
        """The first process, what waits for it, and every dockerd with its containerd."""
        return [
            (pid, words)
            for pid, words in proc.of_programs(PROGRAMS)
            if any(word.rpartition("=")[2].startswith(f"{self.folder}/") for word in words)
            or {MARK, str(self.folder)} <= set(words)
        ]

    def _cgroups(self) -> list[Path]:
        # cgroup v1 has one tree for each controller, v2 a single one
        return [path for path in {CGROUPS / self.cgroup, *CGROUPS.glob(f"*/{self.cgroup}")} if path.exists()]

    def _remove_cgroups(self) -> bool:
        for top in self._cgroups():
            for folder, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()
        return not self._cgroups()
