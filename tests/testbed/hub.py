"""A real JupyterHub with a real proxy, in a folder of its own, that a test can stop, kill and start again."""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.testbed.engine import ensure_engine
from tests.testbed.plain_http import NO_TLS
from tests.testbed.processes import Background, free_port
from tests.testbed.proxy import ensure_proxy
from tests.testbed.steps import TestbedError

SCOPES = (
    "admin:users",
    "admin:servers",
    "admin:groups",
    "admin:auth_state",
    "list:users",
    "list:groups",
    "list:services",
    "read:hub",
    "read:metrics",
    "access:servers",
    "tokens",
    "proxy",
    "shutdown",
)
CONFIG = """\
# Written by the test bed at each start of the Hub.
c = get_config()  # noqa
given = {given!r}

c.JupyterHub.bind_url = given["url"]
c.JupyterHub.hub_bind_url = given["hub_bind_url"]
c.JupyterHub.hub_connect_ip = given["host_address"]
c.ConfigurableHTTPProxy.should_start = given["internal_ssl"]
c.ConfigurableHTTPProxy.command = given["proxy"]
c.JupyterHub.internal_ssl = given["internal_ssl"]
c.JupyterHub.trusted_alt_names = ["IP:" + given["host_address"]]
c.ConfigurableHTTPProxy.api_url = given["proxy_api_url"]
c.ConfigurableHTTPProxy.auth_token = given["proxy_token"]
c.JupyterHub.db_url = given["db_url"]
c.JupyterHub.cookie_secret_file = given["cookie_secret_file"]
c.JupyterHub.cleanup_servers = given["cleanup_servers"]
c.JupyterHub.init_spawners_timeout = 5
c.JupyterHub.allow_named_servers = True
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.Authenticator.admin_users = {{"admin"}}
c.JupyterHub.services = [{{"name": "testbed", "api_token": given["token"]}}]
c.JupyterHub.load_roles = [{{"name": "testbed", "services": ["testbed"], "scopes": given["scopes"]}}]
c.JupyterHub.spawner_class = given["spawner_class"]

"""
LEAK = ("JUPYTERHUB_", "JPY_", "CONFIGPROXY_")


class HubProcess:
    """A Hub in `directory`: database, cookie secret, ports and tokens stay there; a restart is the same Hub.

    The proxy is started beside the Hub, not by it, and goes on while the Hub is stopped or killed. The Hub
    listens on the address that containers reach, the proxy on 127.0.0.1 only. `config` is Python text that
    follows ours. Start it from the main thread: its processes end with the thread that started them. One that
    is `preloaded` begins with its imports done, in this interpreter. `program` is what the interpreter runs.
    `host_address` is this machine's as containers see it; without one, as those of the tests' Engine do.
    With `internal_ssl`, whose certificates the Hub makes for it, the proxy is the Hub's own child.
    """

    program: Sequence[str] = ("-m", "jupyterhub")

    def __init__(
        self,
        directory: Path,
        *,
        config: str = "",
        spawner_class: str = "docker",
        cleanup_servers: bool = True,
        port: int | None = None,
        python: str = sys.executable,
        env: dict[str, str] | None = None,
        preloaded: bool = False,
        host_address: str = "",
        internal_ssl: bool = False,
    ) -> None:
        self.directory = directory
        self.internal_ssl = internal_ssl
        self.config = config
        self.spawner_class = spawner_class
        self.cleanup_servers = cleanup_servers
        self.host_address = host_address or ensure_engine().host_address()
        self._python = python
        self._preloaded = preloaded
        self._env = {key: value for key, value in os.environ.items() if not key.startswith(LEAK)} | (
            env or {}
        )
        self._hub: Background | None = None
        self._proxy: Background | None = None
        directory.mkdir(parents=True, exist_ok=True)
        self._kept = self._identity(port)
        self._client = httpx.Client(
            base_url=self.api_url,
            headers={"Authorization": f"token {self.token}"},
            timeout=60,
            trust_env=False,
            verify=NO_TLS,
        )

    @property
    def url(self) -> str:
        """The public address, through the proxy, without a slash at the end."""
        return f"http://127.0.0.1:{self._kept['port']}"

    @property
    def api_url(self) -> str:
        """The Hub's REST API, through the proxy."""
        return f"{self.url}/hub/api"

    @property
    def token(self) -> str:
        """The API token of a service that may do what an administrator may."""
        return str(self._kept["token"])

    @property
    def process(self) -> Any:
        """The Hub's `subprocess.Popen`."""
        return self._running().process

    def start(self, seconds: float = 180.0) -> float:
        """Start the proxy, if it does not run, and the Hub; wait for the API. The seconds it took."""
        begin = time.monotonic()
        self._start_proxy()
        if self._hub is not None and self._hub.alive:
            raise TestbedError("This Hub is already running.")
        file = self.directory / "jupyterhub_config.py"
        file.write_text(CONFIG.format(given=self._given()) + self.config)
        file.chmod(0o600)
        command = [self._python, *self.program, "--config", str(file)]
        self._hub = Background(
            "jupyterhub",
            command,
            self.directory / "hub.log",
            self._env,
            self.directory,
            preloaded=self._preloaded,
        )
        try:
            self._wait_for_answer(self._hub, begin + seconds)
        except BaseException:
            self._hub.kill()
            raise
        return time.monotonic() - begin

    def stop(self, seconds: float = 90.0) -> int:
        """SIGTERM to the Hub and wait: it stops the users' servers if `cleanup_servers`. Its exit status."""
        return self._running().stop(seconds)

    def kill(self) -> None:
        """SIGKILL to the Hub alone: proxy and users' servers go on."""
        self._running().kill()

    def restart(self) -> float:
        """Stop and start again; returns the seconds that the start took."""
        self.stop()
        return self.start()

    def close(self) -> None:
        """End what is still running: the Hub in order, then the proxy."""
        try:
            if self._hub is not None:
                self._hub.stop(90.0)
        finally:
            if self._proxy is not None:
                self._proxy.stop(10.0)
            self._client.close()

    def api(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A request to the REST API as the administrator; `path` begins with a slash."""
        return self._client.request(method, self.api_url + path, **options)

    def log_text(self) -> str:
        """All that the Hub has logged in this folder, over all its starts."""
        file = self.directory / "hub.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _running(self) -> Background:
        if self._hub is None:
            raise TestbedError("This Hub has not been started.")
        return self._hub

    def _identity(self, port: int | None) -> dict[str, Any]:
        file = self.directory / "identity.json"
        kept: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        for name in ("token", "proxy_token"):
            kept.setdefault(name, secrets.token_hex(32))
        kept["port"] = port or kept.get("port") or free_port()
        kept.setdefault("proxy_port", free_port())
        kept.setdefault("hub_port", free_port(self._bind_address()))
        file.touch(mode=0o600)
        file.write_text(json.dumps(kept))
        return kept

    def _bind_address(self) -> str:
        """The containers' view of this machine, where that address is ours; else (a Docker in a VM) all."""
        with socket.socket() as sock:
            try:
                sock.bind((self.host_address, 0))
            except OSError:
                return "0.0.0.0"  # noqa: S104
        return self.host_address

    def _given(self) -> dict[str, Any]:
        return {
            "url": self.url,
            "hub_bind_url": f"http://{self._bind_address()}:{self._kept['hub_port']}",
            "host_address": self.host_address,
            "proxy": ensure_proxy(),
            "proxy_api_url": f"http{'s' * self.internal_ssl}://127.0.0.1:{self._kept['proxy_port']}",
            "internal_ssl": self.internal_ssl,
            "proxy_token": self._kept["proxy_token"],
            "db_url": f"sqlite:///{self.directory.resolve()}/jupyterhub.sqlite",
            "cookie_secret_file": str(self.directory.resolve() / "cookie_secret"),
            "cleanup_servers": self.cleanup_servers,
            "token": self.token,
            "scopes": list(SCOPES),
            "spawner_class": self.spawner_class,
        }

    def _start_proxy(self) -> None:
        if self.internal_ssl or (self._proxy is not None and self._proxy.alive):
            return
        api_port = int(self._kept["proxy_port"])
        command = [
            *ensure_proxy(),
            "--ip=127.0.0.1",
            f"--port={self._kept['port']}",
            "--api-ip=127.0.0.1",
            f"--api-port={api_port}",
            f"--error-target=http://{self.host_address}:{self._kept['hub_port']}/hub/error",
        ]
        env = {**self._env, "CONFIGPROXY_AUTH_TOKEN": str(self._kept["proxy_token"])}
        log = self.directory / "proxy.log"
        self._proxy = Background("configurable-http-proxy", command, log, env, self.directory)
        self._proxy.wait_for_port("127.0.0.1", api_port, 120.0)

    def _wait_for_answer(self, hub: Background, end: float) -> None:
        begin = time.monotonic()
        while hub.alive and time.monotonic() < end:
            try:
                if self._client.get(f"{self.api_url}/", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        state = "is still starting" if hub.alive else f"ended with {hub.process.poll()}"
        waited = time.monotonic() - begin
        raise TestbedError(f"JupyterHub does not answer after {waited:.0f} s, it {state}; log:\n{hub.tail()}")
