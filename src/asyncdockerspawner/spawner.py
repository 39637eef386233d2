"""DockerSpawner: the Hub's contract, and the state that the Hub keeps for it."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from jupyterhub.spawner import Spawner
from jupyterhub.utils import maybe_future, url_escape_path, url_path_join
from traitlets import Unicode

from asyncdockerspawner import endpoint, errors, hub_errors, labels, lifecycle
from asyncdockerspawner.client import settings
from asyncdockerspawner.engine import registry
from asyncdockerspawner.engine.engine import Engine
from asyncdockerspawner.seams import Seams
from asyncdockerspawner.workloads import ContainerWorkload, Workload


class DockerSpawner(Seams, Spawner):
    """Starts each server in a container of its own, without ever keeping another user waiting."""

    object_type = "container"
    object_id_key = "Id"

    object_id = Unicode()
    object_name = Unicode()
    spawn: lifecycle.Spawn | None = None

    def _object_name_default(self) -> str:
        try:
            return self.render_object_name()
        except errors.SpawnRefused:
            # Pages and polls read the name too; the spawn itself is where a bad template is reported.
            return ""

    @property
    def engine(self) -> Engine:
        """The Engine of this spawner, shared with all spawners of the same settings."""
        return registry.engine_for(settings.resolve(self.client_kwargs, self.tls_config, os.environ))

    @property
    def workload(self) -> Workload:
        """A container."""
        return ContainerWorkload(self.engine.client)

    @property
    def owner(self) -> labels.Owner:
        """Who the server's objects belong to: Hub, user, server, creation."""
        return labels.Owner(
            hub_id=self.hub_id,
            username=self.user.name,
            servername=self.name,
            spawn_id=self.spawn.spawn_id if self.spawn else "",
        )

    @property
    def identity(self) -> Mapping[str, str]:
        """What the environment of this server says, also in a container that carries no label."""
        return {
            "JUPYTERHUB_USER": self.user.name,
            "JUPYTERHUB_SERVICE_PREFIX": self._server_prefix,
            "JUPYTERHUB_API_URL": self._hub_api_url,
        }

    @property
    def probe_url(self) -> str | None:
        """Where the server is asked for its first answer; None where only the Hub can ask (TLS)."""
        if self.internal_ssl or self._address is None:
            return None
        return self._url(*self._address, "api")

    @property
    def will_resume(self) -> bool:
        """A kept container is resumed, so the Hub keeps its tokens."""
        return not self.remove

    async def run_pre_spawn_hook(self) -> None:
        """Run the site's hook, then prepare; neither counts towards `start_timeout`."""
        await maybe_future(super().run_pre_spawn_hook())
        try:
            if self.internal_ssl:
                raise errors.BadOption("`internal_ssl` is not supported by this version of the spawner.")
            await lifecycle.prepare(self)
            await self._say_if_the_hub_is_out_of_reach()
        except errors.AsyncDockerSpawnerError as exc:
            raise hub_errors.as_hub_error(exc) from exc

    async def start(self) -> tuple[str, int]:
        """Start the server and give its address."""
        try:
            return await lifecycle.launch(self)
        except errors.AsyncDockerSpawnerError as exc:
            raise hub_errors.as_hub_error(exc) from exc

    async def stop(self, now: bool = False) -> None:
        """Stop the server; returns when it is stopped, or owed while the Engine is away."""
        await lifecycle.halt(self)
        self.clear_state()

    async def poll(self) -> int | None:
        """None while the server runs or starts, else its exit code. Never raises."""
        try:
            return await lifecycle.poll(self)
        except Exception:
            self.log.exception("Cannot tell whether %s runs; taking it for running", self._log_name)
            return None

    async def get_url(self) -> str:
        """Find the server again after the Hub's restart. Never raises: that would stop the whole Hub."""
        try:
            return self._url(*await lifecycle.locate(self))
        except Exception as exc:  # noqa: BLE001 - whatever it is, it must not stop the Hub
            self.log.error("Cannot find the address of %s again: %s", self._log_name, exc)
            return str(self.server.url)

    async def run_post_stop_hook(self) -> None:
        """Run the site's hook, then remove what the spawn left where `stop()` was not called."""
        try:
            await maybe_future(super().run_post_stop_hook())
        finally:
            await lifecycle.sweep(self)

    def get_state(self) -> dict[str, Any]:
        """DockerSpawner's keys, and what tells this spawn from others."""
        state: dict[str, Any] = super().get_state()
        if self.object_id or (self.spawn is not None and self.spawn.live):
            state["object_name"] = self.object_name
            if self.object_id:
                state["object_id"] = self.object_id
            if self.spawn is not None:
                state["spawn_id"] = self.spawn.spawn_id
                state["phase"] = self.spawn.phase
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up what a former Hub process, or DockerSpawner, has saved."""
        super().load_state(state)
        self.object_id = state.get("object_id") or state.get("container_id") or ""
        if state.get("object_name"):
            self.object_name = state["object_name"]
        if state.get("spawn_id"):
            self.spawn = lifecycle.Spawn(state["spawn_id"], phase=state.get("phase", lifecycle.RUNNING))

    def clear_state(self) -> None:
        """Forget the spawn; a kept container is remembered by its id and name."""
        super().clear_state()
        self.spawn = None
        self._address = None

    def keep_state(self) -> None:
        """Put the state where the Hub's next commit writes it to the database."""
        self.orm_spawner.state = self.get_state()

    def note_address(self, ip: str, port: int) -> None:
        """Remember where the server is to be asked for its first answer."""
        self._address = (ip, port)

    async def apply_choice(self) -> None:
        """Take the image that the user chose, if that is allowed."""
        choice = self.user_options.get("image")
        if not choice:
            return
        try:
            self.image = await lifecycle.resolved(self.check_allowed(choice))
        except errors.ImageNotAllowed:
            # The Hub repeats the last options where none are given, so a refused one would refuse for ever.
            kept = {key: value for key, value in self.user_options.items() if key != "image"}
            self.orm_spawner.user_options = kept
            raise

    _address: tuple[str, int] | None = None

    @property
    def _server_prefix(self) -> str:
        return str(url_path_join(self.user.base_url, url_escape_path(self.name), "/"))

    @property
    def _hub_api_url(self) -> str:
        if self.hub_connect_url is None:
            return str(self.hub.api_url)
        return str(url_path_join(self.hub_connect_url, urlsplit(self.hub.api_url).path))

    def _url(self, ip: str, port: int, path: str = "") -> str:
        host = f"[{ip}]" if ":" in ip else ip
        scheme = "https" if self.internal_ssl else "http"
        return f"{scheme}://{host}:{port}{self._server_prefix}{path}"

    async def _say_if_the_hub_is_out_of_reach(self) -> None:
        host = urlsplit(self._hub_api_url).hostname or ""
        if self.network_name == "host" or not _loopback(host) or self.network_name in self.engine.told:
            return
        self.engine.told.add(self.network_name)
        try:
            network = await self.engine.client.networks.inspect(self.network_name) or {}
        except errors.EngineError:
            # It is advice; a spawn does not fail for want of a detail in it.
            network = {}
        gateway = endpoint.host_address(network) or "this machine's address in the containers' network"
        self.log.warning(
            "Containers cannot reach the Hub at %s: servers will start but not let anybody in. Set "
            "c.JupyterHub.hub_ip = '0.0.0.0' (or %s) and c.JupyterHub.hub_connect_ip = '%s'.",
            host,
            gateway,
            gateway,
        )


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
