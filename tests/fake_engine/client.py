"""The test's side of the fake Engine: starts its process and talks to its control routes."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.fake_engine.shapes import Json

ROOT = Path(__file__).resolve().parents[2]
LONGEST_SOCKET = 100
"""Linux takes 107 bytes; pytest's folders may be longer."""
START_SECONDS = 20.0


class FakeEngine:
    """A fake Engine in a process of its own. All methods block for some milliseconds, none needs a loop."""

    def __init__(self, process: subprocess.Popen[bytes], path: Path) -> None:
        self._process = process
        self.socket = path
        self.http = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(path)), base_url="http://fake", timeout=30
        )
        """For requests of one's own, to the Engine's API or the control routes."""

    @classmethod
    def start(cls, directory: Path) -> FakeEngine:
        """Start a process with a socket in this folder, and wait until it answers."""
        path = directory / "docker.sock"
        if len(bytes(path)) > LONGEST_SOCKET:
            path = Path(tempfile.mkdtemp(prefix="fake-engine-")) / "docker.sock"
        command = [sys.executable, "-m", "tests.fake_engine", str(path), "--leashed"]
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
            with socket.socket(socket.AF_UNIX) as tried:
                if tried.connect_ex(str(self.socket)) == 0:
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

    def cut_events(self) -> int:
        """Break off every event stream; gives how many there were."""
        return int(self._control("POST", "events/cut"))

    def offline(self, seconds: float) -> None:
        """Cut every connection and refuse new ones for so long; containers live on."""
        self._control("POST", "offline", {"seconds": seconds})

    def reset(self) -> None:
        """As if just started."""
        self._control("POST", "reset")

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
