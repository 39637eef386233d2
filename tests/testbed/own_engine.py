"""A second Docker Engine for one test: it may be killed, frozen and restarted without disturbing anybody.

It has folders, a socket, a containerd, a bridge and a cgroup of its own, and it leaves the machine's packet
filter alone: a dockerd that starts with iptables flushes the chains of the one that is there already. Ports
published on 127.0.0.1 are served by docker-proxy and need none. Its containers reach this machine at the
bridge's address, and nothing beyond.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.testbed import proc
from tests.testbed.bridge import free_subnet, ip, links
from tests.testbed.certificates import Certificates
from tests.testbed.engine import EngineHandle, ensure_engine, environment
from tests.testbed.images import copy_image, ensure_stub_image
from tests.testbed.plain_http import client_of
from tests.testbed.processes import Background, free_port, ports_reserved
from tests.testbed.steps import TestbedError, lock, run, wait_until

PREFIX = "own-engine-"
"""Of the folders of sockets: their paths must stay short, so they are not in the test's own folder."""
PROGRAMS = {"dockerd", "containerd", "containerd-shim-runc-v2", "docker-proxy", "runc"}
READY_WITHIN = 180.0
"""A start without live restore first stops what ran before: ten seconds for a container deaf to SIGTERM."""
GONE_WITHIN = 60.0
TEST_SECONDS = 400.0
"""For a test that uses one: it may have to wait until two others are done with theirs."""
CGROUPS = Path("/sys/fs/cgroup")
REMAPPED_TO = 900_000_000
"""The user id on this machine that root has in containers of an Engine with userns-remap."""
REMAP = """
mount --bind "$1" /etc/subuid
mount --bind "$1" /etc/subgid
shift
exec "$@"
"""
"""What becomes containerd, once it has a mount namespace of its own."""
REMAPPED = ("nobody", "nogroup")
"""User and group that subordinate ids are given to, there."""
_TLS_FILES = {"cacert": "ca", "cert": "cert", "key": "key"}


class Traces:
    """Everything by which an own Engine can be recognised, written down before any of it exists."""

    def __init__(self, run: Path, data: Path, subnet: str) -> None:
        self.run = run
        self.data = data
        self.subnet = subnet
        """Three bytes of its containers' addresses."""
        self.bridge = f"own-{run.name.removeprefix(PREFIX)}"
        self.cgroup = run.name
        self._shim_sockets: set[Path] = set()

    @classmethod
    def lay(cls, data: Path) -> Traces:
        """Take a free network, and make its bridge."""
        with lock("own-engine"):
            subnet = free_subnet()
            run = Path(tempfile.mkdtemp(prefix=PREFIX))
            made = cls(run, data, subnet)
            owner = {
                "pid": os.getpid(),
                "began": proc.began(os.getpid()),
                "data": str(data),
                "subnet": subnet,
            }
            (run / "owner.json").write_text(json.dumps(owner))
            try:
                ip("link", "add", "name", made.bridge, "type", "bridge")
                ip("address", "add", f"{subnet}.1/24", "dev", made.bridge)
                ip("link", "set", made.bridge, "up")
            except TestbedError:
                made.erase()
                raise
        return made

    @classmethod
    def read(cls, run: Path) -> Traces | None:
        """Those of an Engine whose owner has been killed; None while the owner lives."""
        owner = json.loads((run / "owner.json").read_text())
        if proc.began(owner["pid"]) == owner["began"]:
            return None
        return cls(run, Path(owner["data"]), owner["subnet"])

    def erase(self) -> None:
        """End every process and take everything away. Raises where something stays."""
        self._shim_sockets |= self._sockets()
        if not wait_until(self._kill_processes, GONE_WITHIN, every=0.05):
            raise TestbedError(f"These processes of {self.run.name} do not end: {self._processes()}")
        for mount in sorted(self._mounts(), reverse=True):
            subprocess.run(["umount", "--lazy", mount], check=False, env=environment())
        for link in self._links():
            # A container's end of a pair takes the other one along: then there is nothing to delete.
            subprocess.run(
                ["ip", "link", "delete", link], check=False, capture_output=True, env=environment()
            )
        for path in self._shim_sockets:
            path.unlink(missing_ok=True)
        wait_until(self._remove_cgroups, GONE_WITHIN, every=0.05)
        shutil.rmtree(self.data, ignore_errors=True)
        shutil.rmtree(self.run, ignore_errors=True)
        left = self.remains()
        if left:
            raise TestbedError(f"The Engine of a test's own leaves behind: {', '.join(left)}")

    def remains(self) -> list[str]:
        """What of it there is: processes, mounts, links, cgroups, sockets and folders."""
        found = [f"process {pid}" for pid in self._processes()]
        found += [f"mount {path}" for path in self._mounts()]
        found += [f"link {name}" for name in self._links()]
        found += [str(path) for path in self._cgroups()]
        folders = {self.run, self.data, *self._shim_sockets, *self._sockets()}
        return found + [str(path) for path in sorted(folders) if path.exists()]

    def _kill_processes(self) -> bool:
        for pid in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not self._processes()

    def _processes(self) -> list[int]:
        inside = {
            int(pid)
            for cgroup in self._cgroups()
            for folder, _, _ in os.walk(cgroup)  # which takes no offence at folders that vanish
            for pid in proc.lines(Path(folder, "cgroup.procs"))
        }
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and self._is_ours(proc.words(entry / "cmdline")):
                inside.add(int(entry.name))
        # Dead children of others stay visible until their parent looks; init may take its time.
        return sorted(pid for pid in inside if proc.status(pid) not in {"", "Z"})

    def _is_ours(self, words: list[str]) -> bool:
        if not words or Path(words[0]).name not in PROGRAMS:
            return False
        return any(str(self.run) in word or word.startswith(f"{self.subnet}.") for word in words[1:])

    def _mounts(self) -> list[str]:
        paths = [line.split()[4].replace("\\040", " ") for line in proc.lines(Path("/proc/self/mountinfo"))]
        return [each for each in paths if {self.run, self.data} & {Path(each), *Path(each).parents}]

    def _links(self) -> list[str]:
        ours = [each["ifname"] for each in links() if self.bridge in {each["ifname"], each.get("master")}]
        return sorted(ours, key=self.bridge.__eq__)

    def _cgroups(self) -> list[Path]:
        # cgroup v1 has one tree for each controller, v2 a single one.
        return [path for path in {CGROUPS / self.cgroup, *CGROUPS.glob(f"*/{self.cgroup}")} if path.exists()]

    def _remove_cgroups(self) -> bool:
        for top in self._cgroups():
            for folder, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()
        return not self._cgroups()

    def _sockets(self) -> set[Path]:
        # Shims listen in containerd's common folder, whoever's they are.
        addresses = self.run.glob("containerd/io.containerd.runtime.v2.task/*/*/address")
        return {Path(line.removeprefix("unix://")) for path in addresses for line in proc.lines(path)}


class OwnEngine:
    """One dockerd with its containerd; it may be ended and started again as often as a test likes."""

    def __init__(
        self,
        directory: Path,
        traces: Traces,
        *,
        live_restore: bool,
        tls: Certificates | None = None,
        userns_remap: bool = False,
    ) -> None:
        self.live_restore = live_restore
        """Whether containers outlive dockerd; read at each start."""
        self.userns_remap = userns_remap
        """Whether ids in its containers are others than this machine's."""
        self.tls = tls
        """Where given, it listens on TCP too, to clients that show a certificate."""
        self.port = free_port() if tls else 0
        self.log = directory / "dockerd.log"
        self._containerd_log = directory / "containerd.log"
        self.traces = traces
        self.socket = traces.run / "docker.sock"
        self.http = client_of(self.socket)
        """For requests of one's own, without API version."""
        self._containerd: Background | None = None
        self._dockerd: Background | None = None

    @property
    def url(self) -> str:
        """As in DOCKER_HOST."""
        return f"unix://{self.socket}"

    @property
    def tcp_url(self) -> str:
        """Its address with TLS, as in DOCKER_HOST."""
        return f"tcp://127.0.0.1:{self.port}"

    @property
    def host_address(self) -> str:
        """The address at which its containers reach this machine."""
        return f"{self.traces.subnet}.1"

    @property
    def handle(self) -> EngineHandle:
        """As the other rooms of the test bed want an Engine."""
        return EngineHandle(self.url, str(self.http.get("/version").json()["Version"]))

    @property
    def pid(self) -> int:
        """Of dockerd."""
        if self._dockerd is None or not self._dockerd.alive:
            raise TestbedError("The Engine of the test's own does not run.")
        return self._dockerd.process.pid

    def start(self) -> float:
        """Start dockerd and wait until it answers; gives the seconds."""
        begin = time.monotonic()
        if self._containerd is None:
            self._containerd = self._background(
                "containerd", self._containerd_command(), self._containerd_log
            )
        # A dockerd that was killed leaves its pid file; the next one believes it while /proc has that pid.
        (self.traces.run / "dockerd.pid").unlink(missing_ok=True)
        self._dockerd = dockerd = self._background("dockerd", self._dockerd_command(), self.log)
        wait_until(lambda: self.answers() or not dockerd.alive, READY_WITHIN, every=0.02)
        if not self.answers():
            raise TestbedError(f"dockerd does not answer at {self.socket}; log:\n{dockerd.tail()}")
        return time.monotonic() - begin

    def answers(self) -> bool:
        """Whether it answers within a second."""
        # Not httpx first: it leaves a socket open where nobody listens.
        with socket.socket(socket.AF_UNIX) as tried:
            tried.settimeout(1)
            if tried.connect_ex(str(self.socket)) != 0:
                return False
        with client_of(self.socket, timeout=1) as http:
            try:
                return http.get("/_ping").status_code == 200
            except httpx.TransportError:
                return False

    def kill(self) -> None:
        """SIGKILL to dockerd: containers live on, their published ports answer no more."""
        if self._dockerd is not None:
            self._dockerd.kill()

    def shut_down(self) -> None:
        """SIGTERM to dockerd, as a service manager sends it; without live restore it stops all first."""
        if self._dockerd is not None and self._dockerd.alive:
            self.resume()
            self._dockerd.stop()

    def pause(self) -> None:
        """SIGSTOP to dockerd: connections are accepted by the kernel, and nobody answers."""
        os.kill(self.pid, signal.SIGSTOP)
        if not wait_until(self._is_stopped, GONE_WITHIN, every=0.01):
            raise TestbedError("The Engine of the test's own did not stop at SIGSTOP.")

    def _is_stopped(self) -> bool:
        # Each thread stops on its own, and one that has not yet still answers.
        return proc.states_of_threads(self.pid) == {"T"}

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def load(self, image: str, origin: EngineHandle) -> None:
        """Take over an image of another Engine, with its id."""
        copy_image(image, origin, self.handle)

    def stop(self) -> None:
        """End everything that it started and take away everything that it made."""
        self.http.close()
        for program in (self._dockerd, self._containerd):
            if program is not None:
                program.kill()
        self.traces.erase()

    def _background(self, name: str, command: list[str], log: Path) -> Background:
        return Background(name, command, log, environment(), self.traces.run)

    def _containerd_command(self) -> list[str]:
        # Its own even where the machine has one: names of containers' tasks would be shared with all of them.
        config = self.traces.run / "containerd.toml"
        config.write_text(
            "version = 2\n"
            f'root = "{self.traces.data}/containerd"\n'
            f'state = "{self.traces.run}/containerd"\n'
            'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
            f'[grpc]\n  address = "{self.traces.run}/containerd.sock"\n'
        )
        command = ["containerd", "--config", str(config)]
        if not self.userns_remap:
            return command
        ids = self.traces.run / "subordinate-ids"
        ids.write_text("".join(f"{name}:{REMAPPED_TO}:65536\n" for name in REMAPPED))
        return ["unshare", "--mount", "sh", "-ec", REMAP, "sh", str(ids), *command]

    def _beside_containerd(self) -> list[str]:
        """Return what runs a command where containerd has other /etc/subuid and /etc/subgid."""
        containerd, socket = self._containerd, self.traces.run / "containerd.sock"
        if containerd is None or not wait_until(socket.exists, READY_WITHIN, every=0.02):
            raise TestbedError(f"containerd does not listen at {socket}; log: {self._containerd_log}")
        return ["nsenter", f"--mount=/proc/{containerd.process.pid}/ns/mnt", "--"]

    def _dockerd_command(self) -> list[str]:
        run = self.traces.run
        (run / "daemon.json").write_text('{"max-download-attempts": 1}')  # for short tests of broken pulls
        return [
            *(self._beside_containerd() if self.userns_remap else []),
            "dockerd",
            f"--config-file={run}/daemon.json",
            f"--data-root={self.traces.data}/docker",
            f"--exec-root={run}/exec",
            f"--pidfile={run}/dockerd.pid",
            f"--host={self.url}",
            f"--containerd={run}/containerd.sock",
            f"--bridge={self.traces.bridge}",
            "--iptables=false",
            "--ip6tables=false",
            "--ip-forward=false",
            "--ip-masq=false",
            "--exec-opt=native.cgroupdriver=cgroupfs",
            f"--cgroup-parent=/{self.traces.cgroup}",
            *(["--live-restore"] if self.live_restore else []),
            *(self._tls_options(self.tls) if self.tls else []),
            *([f"--userns-remap={':'.join(REMAPPED)}"] if self.userns_remap else []),
        ]

    def _tls_options(self, tls: Certificates) -> list[str]:
        files = [f"--tls{name}={tls.server}/{file}.pem" for name, file in _TLS_FILES.items()]
        return [f"--host={self.tcp_url}", "--tlsverify", *files]


@contextlib.contextmanager
def own_engine(
    directory: Path, *, live_restore: bool, tls: Certificates | None = None, userns_remap: bool = False
) -> Iterator[OwnEngine]:
    """An Engine that answers and has the stub image; nothing of it is left afterwards but its logs, here."""
    if os.geteuid() != 0:
        raise TestbedError("An Engine of a test's own needs root: it makes a bridge and starts dockerd.")
    first = ensure_engine()  # docker is installed then
    image = ensure_stub_image()
    sweep()
    # One at a time on a machine: all begin with the same ports, and a killed one must find its own again.
    with lock("own-engine-in-use"), ports_reserved(), contextlib.ExitStack() as stack:
        traces = Traces.lay(_folder_of_all() if userns_remap else directory / "own-engine")
        engine = OwnEngine(directory, traces, live_restore=live_restore, tls=tls, userns_remap=userns_remap)
        stack.callback(engine.stop)
        engine.start()
        engine.load(image, first)
        yield engine


def _folder_of_all() -> Path:
    """Make a folder that everybody may pass through, which nobody may in a test's own."""
    made = Path(tempfile.mkdtemp(prefix=f"{PREFIX}data-"))
    made.chmod(0o711)
    return made


def own_version() -> str:
    """The version that an Engine of a test's own has: the machine's."""
    return run(["dockerd", "--version"], env=environment()).split()[2]


def sweep() -> list[str]:
    """Take away what runs that were killed have left; gives the names of their folders."""
    swept: list[str] = []
    with lock("own-engine"):
        for owner in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/owner.json"):
            # One that is just ending may have no file any more.
            with contextlib.suppress(FileNotFoundError):
                traces = Traces.read(owner.parent)
                if traces is not None:
                    traces.erase()
                    swept.append(owner.parent.name)
    return swept
