"""The Docker Engine: the one that is there, else one that we install, start and can stop again."""

from __future__ import annotations

import ipaddress
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.testbed import apt
from tests.testbed.plain_http import NO_TLS, client_of
from tests.testbed.processes import outliving
from tests.testbed.steps import TestbedError, cache_dir, lock, say, step, wait_until

DEFAULT_URL = "unix:///var/run/docker.sock"
READY_WITHIN = 180.0
GONE_WITHIN = 120.0


@dataclass(frozen=True)
class EngineHandle:
    """An Engine that answers. `started` says whether this very call started it."""

    url: str
    version: str
    started: bool = False

    def client(self, timeout: float = 30.0) -> httpx.Client:
        """A plain HTTP client of this Engine, for the API without version prefix."""
        return _client(self.url, timeout)

    def host_address(self) -> str:
        """The address at which containers on the default bridge reach this machine."""
        with self.client() as client:
            answer = client.get("/networks/bridge")
        answer.raise_for_status()
        config = answer.json()["IPAM"]["Config"][0]
        # Until its first container some Engines tell no gateway; it is the first address of the subnet.
        gateway: str = config.get("Gateway") or _first_address(config["Subnet"])
        return gateway.partition("/")[0]


def engine_url() -> str:
    """`DOCKER_HOST`, else the default socket."""
    return os.environ.get("DOCKER_HOST") or DEFAULT_URL


def find_engine() -> EngineHandle | None:
    """The Engine that answers now, or None."""
    return find_engine_at(engine_url())


def find_engine_at(url: str) -> EngineHandle | None:
    """The Engine that answers at this address, or None."""
    try:
        _knock(url)
        with _client(url, 10.0) as client:
            answer = client.get("/version")
    except (httpx.TransportError, OSError):
        return None
    if answer.status_code != 200:
        return None
    return EngineHandle(url, str(answer.json().get("Version", "?")))


def ensure_engine() -> EngineHandle:
    """An Engine that answers; where there is none it is installed and started, if that is allowed here."""
    found = find_engine()
    if found is not None:
        return found
    _refuse_where_not_ours()
    with lock("engine"):
        found = find_engine()
        return found or _install_and_start()


def stop_engine() -> bool:
    """End the Engine that the test bed started; any other is left alone. Says whether it ended one."""
    pid = our_pid()
    if pid is None:
        say("* no Engine of the test bed's is running: none stopped")
        return False
    with step(f"stopping the test bed's Docker Engine (process {pid})"):
        os.kill(pid, signal.SIGTERM)
        if not wait_until(lambda: our_pid() is None, GONE_WITHIN):
            raise TestbedError(
                f"dockerd (process {pid}) did not end within {GONE_WITHIN:.0f} s; log: {log_file()}"
            )
    pid_file().unlink(missing_ok=True)
    return True


def our_pid(proc: Path = Path("/proc")) -> int | None:
    """The process of the Engine that we started."""
    return dockerd_of(pid_file(), proc)


def dockerd_of(pid_file: Path, proc: Path = Path("/proc")) -> int | None:
    """The dockerd that has written this file, if it runs: its command line must name it."""
    try:
        pid = int(pid_file.read_text())
        words = (proc / str(pid) / "cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    ours = Path(os.fsdecode(words[0])).name == "dockerd" and f"--pidfile={pid_file}".encode() in words
    return pid if ours else None


def pid_file() -> Path:
    """Written by dockerd itself."""
    return cache_dir() / "dockerd.pid"


def log_file() -> Path:
    """What dockerd says."""
    return cache_dir() / "dockerd.log"


def _refuse_where_not_ours() -> None:
    """Say why no Engine is started here, in the cases in which it is somebody else's matter."""
    url = engine_url()
    if url != DEFAULT_URL:
        raise TestbedError(f"No Docker Engine answers at DOCKER_HOST={url}. Start it, or unset DOCKER_HOST.")
    path = Path(url.removeprefix("unix://"))
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        raise TestbedError(
            f"You may not use {path}: become a member of its group (usually 'docker'), or be root."
        )
    if not apt.may_install():
        raise TestbedError(
            f"No Docker Engine answers at {url}, and only root on Debian or Ubuntu installs and starts one "
            "here by itself. Start your Docker, or set DOCKER_HOST."
        )


def _install_and_start() -> EngineHandle:
    say("* no Docker Engine answers at the default socket, so one is installed and started")
    missing = [
        package for program, package in _needed().items() if shutil.which(program, path=_path()) is None
    ]
    if missing:
        apt.install(*missing, purpose="the Docker Engine")
    if Path("/run/systemd/system").exists():
        # the package's service is started by systemd, and stays systemd's
        subprocess.run(["systemctl", "start", "docker"], check=False)
        if (
            wait_until(lambda: find_engine() is not None, READY_WITHIN)
            and (found := find_engine()) is not None
        ):
            return found
    return _start_by_hand()


def _needed() -> Mapping[str, str]:
    needed = {"dockerd": "docker.io", "iptables": "iptables"}
    if not any(Path("/sys/fs/cgroup").iterdir()):
        needed["cgroupfs-mount"] = "cgroupfs-mount"
    return needed


def _start_by_hand() -> EngineHandle:
    if "cgroupfs-mount" in _needed():
        subprocess.run(["cgroupfs-mount"], check=False, env=environment())
    with step(f"starting dockerd in the background (log: {log_file()})"):
        pid_file().unlink(missing_ok=True)
        command = ["dockerd", f"--pidfile={pid_file()}", f"--host={DEFAULT_URL}"]
        return start_dockerd(command, DEFAULT_URL, log_file())


def start_dockerd(command: Sequence[str], url: str, log: Path) -> EngineHandle:
    """Start this command in the background, which outlives us, and wait until it answers there."""
    process = outliving(command, log, environment())
    # All share it, whatever the niceness of the one who happens to start it.
    os.setpriority(os.PRIO_PROCESS, process.pid, 0)
    wait_until(lambda: find_engine_at(url) is not None or process.poll() is not None, READY_WITHIN)
    found = find_engine_at(url)
    if found is None:
        process.terminate()
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise TestbedError(f"dockerd did not answer within {READY_WITHIN:.0f} s:\n{tail}")
    return EngineHandle(found.url, found.version, started=True)


def _client(url: str, timeout: float) -> httpx.Client:
    scheme, _, rest = url.partition("://")
    if scheme == "unix":
        return client_of(rest, timeout)
    if scheme in {"tcp", "http"} and not os.environ.get("DOCKER_TLS_VERIFY"):
        return httpx.Client(base_url=f"http://{rest}", timeout=timeout, trust_env=False, verify=NO_TLS)
    raise TestbedError(f"The test bed speaks unix:// and tcp:// without TLS; DOCKER_HOST is {url}.")


def _knock(url: str) -> None:
    """Fail where nobody listens at a Unix socket: httpx would leave its own socket open there."""
    scheme, _, path = url.partition("://")
    if scheme == "unix":
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)


def _first_address(subnet: str) -> str:
    return str(next(ipaddress.ip_network(subnet).hosts()))


def environment() -> dict[str, str]:
    """Give the environment of this process, with the folders of system programs on PATH."""
    return {**os.environ, "PATH": _path()}


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
