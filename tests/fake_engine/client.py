"""The test's side of the fake Engine: starts its process and talks to its control routes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.fake_engine.dialects import NEWEST
from tests.fake_engine.shapes import Json
from tests.fake_engine.swarm.client import FakeSwarm
from tests.testbed.plain_http import client_of
from tests.testbed.steps import wait_until

ROOT = Path(__file__).resolve().parents[2]
LONGEST_SOCKET = 100
"""Linux takes 107 bytes; pytest's folders may be longer."""
START_SECONDS = 60.0
UNTIL_CALLED = 120.0
"""Longer than a test is away."""


class FakeEngine:
    """A fake Engine in a process of its own. All methods block for some milliseconds, none needs a loop."""

    def __init__(self, process: subprocess.Popen[bytes], path: Path) -> None:
        self._process = process
        self.socket = path
        self.http = client_of(path, timeout=30)
        """For requests of one's own, to the Engine's API or the control routes."""
        self.swarm = FakeSwarm(self._control)
        """What a test asks about its swarm; it is in none before `swarm.become("manager")`."""

    @classmethod
    def start(cls, directory: Path, like: str = "") -> FakeEngine:
        """Start a process with a socket in this folder, and wait until it answers.

        It answers `like` one of `dialects.ENGINES`; else like the one that FAKE_ENGINE names, or the newest.
        """
        path = directory / "docker.sock"
        if len(bytes(path)) > LONGEST_SOCKET:
            path = Path(tempfile.mkdtemp(prefix="fake-engine-")) / "docker.sock"
        like = like or os.environ.get("FAKE_ENGINE") or NEWEST
        command = [sys.executable, "-m", "tests.fake_engine", str(path), "--leashed", f"--like={like}"]
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE)
        made = cls(process, path)
        try:
            made._wait_ready()
        except BaseException:
            made.stop()
            raise
        return made

    def _wait_ready(self) -> None:
        end = time.monotonic() + START_SECONDS
        while True:
            # Not httpx: it leaves a socket open where nobody listens yet.
            if self.online:
                break
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("the fake Engine does not answer")
            time.sleep(0.02)
        self.http.get("/_ping").raise_for_status()
        self.clear_requests()

    @property
    def url(self) -> str:
        """As in DOCKER_HOST."""
        return f"unix://{self.socket}"

    def rule(self, method: str = "*", path: str = "", **faults: Any) -> int:
        """Put one rule into force: see `faults.Rule` for its words. Earlier rules come first."""
        made = self._control("POST", "rules", [{"method": method, "path": path, **faults}])
        return int(made[0])

    def clear_rules(self) -> None:
        """Drop every rule."""
        self._control("DELETE", "rules")

    def requests(self, method: str | None = None, route: str | None = None) -> list[Json]:
        """What the Engine was asked, in order; `route` as in "/containers/{ref}/start"."""
        return [
            entry
            for entry in self._control("GET", "requests")
            if method in {None, entry["method"]} and route in {None, entry["route"].partition(" ")[2]}
        ]

    def clear_requests(self) -> None:
        """Empty the log."""
        self._control("DELETE", "requests")

    def state(self) -> Json:
        """Everything it holds: containers, images, volumes, networks, events, streams."""
        return dict(self._control("GET", "state"))

    def containers(self) -> list[Json]:
        """Every container as inspect shows it."""
        return list(self.state()["containers"])

    def die(self, ref: str, exit_code: int = 1, *, oom: bool = False) -> None:
        """End a container's process by itself."""
        self._control("POST", f"containers/{ref}/die", {"exit_code": exit_code, "oom": oom})

    def restart(self, ref: str, *, exit_code: int = 1, pause: float = 0) -> None:
        """End a container's process and start it again with other ports, as its restart policy would.

        Without a pause it runs again when this returns; else it is `restarting` for so many seconds.
        """
        self._control("POST", f"containers/{ref}/restart", {"exit_code": exit_code, "pause": pause})

    def set_changes(self, ref: str, changes: Sequence[Mapping[str, Any]]) -> None:
        """Let these files differ from the image: `{"Path", "Kind"}`, 0 changed, 1 added, 2 deleted."""
        self._control("POST", f"containers/{ref}/changes", list(changes))

    def populate(
        self,
        count: int,
        *,
        name: Callable[[int], str] = "crowd-{}".format,
        labels_of: Callable[[int], Mapping[str, str]] | None = None,
        env_of: Callable[[int], Sequence[str]] | None = None,
        port_of: Callable[[int], int] | None = None,
        running: bool = True,
        exit_code: int = 0,
        image: str = "stub:1",
        events: bool = False,
    ) -> list[str]:
        """Make many containers at once, without anybody at their ports; gives their ids.

        A function gets the number, from 0 on. Those that do not run have exited with `exit_code`. Published
        ports are only told, where `port_of` says one. `events`: their starts are told to the streams.
        """
        crowd = [
            {
                "name": name(number),
                "labels": dict(labels_of(number)) if labels_of else {},
                "env": list(env_of(number)) if env_of else [],
                "port": port_of(number) if port_of else None,
                "running": running,
                "exit_code": exit_code,
            }
            for number in range(count)
        ]
        body = {"image": image, "containers": crowd, "events": events}
        return [str(each) for each in self._control("POST", "containers", body)]

    def write_log(self, ref: str, text: str, *, stderr: bool = False) -> None:
        """Let a container's process write these lines."""
        path = f"/_fake/containers/{ref}/log"
        self.http.post(path, params={"stderr": int(stderr)}, content=text.encode()).raise_for_status()

    def add_image(self, ref: str, *, labels: dict[str, str] | None = None, **config: Any) -> str:
        """Put an image into its store, with `Config` words such as Cmd; gives its id."""
        made = self._control("POST", "images", {"ref": ref, "labels": labels, "config": config})
        return str(made["Id"])

    def add_pullable(self, ref: str, **plan: Any) -> None:
        """Let pulls find an image: `pause` between lines, `error` in the stream, `labels`, `config`."""
        self._control("POST", "pullable", {"ref": ref, **plan})

    def map_ids(self, name: str) -> None:
        """Have it say that it runs with userns-remap (`userns`), or `rootless`."""
        self._control("POST", f"id-mapping/{name}")

    def cut_events(self) -> int:
        """Break off every event stream; gives how many there were."""
        return int(self._control("POST", "events/cut"))

    def emit_raw(self, text: str) -> int:
        """Write this text as it is on every event stream, past all filters; gives how many there are."""
        answer = self.http.post("/_fake/events/raw", content=text.encode())
        return int(answer.raise_for_status().json())

    def drop_events(self, *actions: str, times: int | None = None) -> None:
        """Lose events without a word: of these actions, else all; so many of them, else every one."""
        self._control("POST", "events/loss", {"actions": list(actions) or None, "times": times})

    def deliver_events(self) -> int:
        """Lose no more events; gives how many were lost."""
        return int(self._control("DELETE", "events/loss"))

    @contextmanager
    def holding_events(self) -> Iterator[None]:
        """Within it, events are held back; behind it, all of them are told in their order."""
        self._control("POST", "events/hold")
        try:
            yield
        finally:
            self._control("DELETE", "events/hold")

    def offline(self, seconds: float = UNTIL_CALLED) -> None:
        """Cut every connection, refuse new ones for so long, return when it is away; containers live on."""
        self._leave("offline", {"seconds": seconds})

    @contextmanager
    def away(self) -> Iterator[None]:
        """Within it, every connection is cut and none is taken; containers live on."""
        self.offline()
        try:
            yield
        finally:
            self.come_back()

    def come_back(self) -> None:
        """End an absence; returns when it takes connections again."""
        self._process.send_signal(signal.SIGUSR1)
        self.wait_online()

    def restart_engine(
        self, seconds: float = UNTIL_CALLED, *, live_restore: bool, graceful: bool = False
    ) -> None:
        """Let the Engine be away for so long and come back; no event of before is kept.

        This returns when it is away. With live restore containers run on, and only their published ports are
        away too. Without it they have exited when it is back: a killed Engine ends them at its next start,
        unheard; a `graceful` one first tells every open stream of their ends. Restart policies then start
        some. AutoRemove removes in any case.
        """
        asked = {"seconds": seconds, "live_restore": live_restore, "graceful": graceful}
        self._leave("restart", asked)

    @property
    def online(self) -> bool:
        """Whether it takes connections."""
        with socket.socket(socket.AF_UNIX) as tried:
            return tried.connect_ex(str(self.socket)) == 0

    def wait_online(self) -> None:
        """Wait until it takes connections."""
        if not wait_until(lambda: self.online, START_SECONDS, every=0.01):
            raise RuntimeError("the fake Engine does not come back")

    def reset(self, like: str = "") -> None:
        """As if just started; it answers like another Engine until the next time, where one is given."""
        self._control("POST", "reset", {"like": like})

    def stop(self) -> None:
        """End the process."""
        self.http.close()
        self._process.terminate()
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.socket.unlink(missing_ok=True)

    def _leave(self, path: str, body: Json) -> None:
        with socket.socket(socket.AF_UNIX) as last:
            last.settimeout(START_SECONDS)
            last.connect(str(self.socket))
            self._control("POST", path, body)
            # Those that were open before are cut before this one.
            last.recv(1)

    def _control(self, method: str, path: str, body: object = None) -> Any:
        answer = self.http.request(method, f"/_fake/{path}", json=body)
        if answer.is_error:
            raise ValueError(f"the fake Engine refuses {path}: {answer.text}")
        return answer.json()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
