"""DockerSpawner: the Hub's contract, and the state that the Hub keeps for it."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from jupyterhub.spawner import Spawner
from jupyterhub.utils import maybe_future, url_escape_path, url_path_join
from traitlets import Unicode

from asyncdockerspawner import endpoint, errors, hub_errors, hub_records, labels, lifecycle
from asyncdockerspawner.client import settings
from asyncdockerspawner.engine import registry
from asyncdockerspawner.engine.engine import Engine
from asyncdockerspawner.engine.watch import Watch
from asyncdockerspawner.progress import SpawnLog
from asyncdockerspawner.seams import Seams
from asyncdockerspawner.workloads import ContainerWorkload, Workload


class DockerSpawner(Seams, Spawner):
    """Starts each server in a container of its own, without ever keeping another user waiting."""

    object_type = "container"

    object_id = Unicode()
    object_name = Unicode()
    spawn: lifecycle.Spawn | None = None
    owed = False
    """A stop was asked for and could not be done yet."""
    failed_id = ""
    """A container of a failed start that is kept."""
    renamed = False
    """The kept container was made for the server's former name."""
    last_end = ""
    """Why the last server ended, where it did so by itself."""

    def __init__(self, **kwargs: Any) -> None:
        self.volume_names: dict[str, str] = {}
        self.own_volumes: dict[str, str] = {}
        self._spawn_log = SpawnLog()
        super().__init__(**kwargs)

    def _object_name_default(self) -> str:
        try:
            return self.render_object_name()
        except errors.SpawnRefused:
            # Pages and polls read the name too; the spawn itself is where a bad template is reported.
            return ""

    @property
    def engine(self) -> Engine:
        """The Engine of this spawner, shared with all spawners of the same settings.

        Options may change until a server has been started; from then on it stays where it is.
        """
        if self._engine is None or self.spawn is None or self.spawn.live:
            wanted = settings.resolve(self.client_kwargs, self.tls_config, os.environ)
            self._engine = registry.engine_for(wanted)
        return self._engine

    @property
    def watch(self) -> Watch:
        """What is known of this Hub's containers, shared by all its spawners."""
        watch = self.engine.watch(self.hub_id)
        if watch.on_synced is None:
            watch.on_synced = lifecycle.Reconciler(
                watch=watch,
                workload=self.workload,
                janitor=self.engine.janitor,
                rows=partial(hub_records.server_rows, hub_records.session_of(self.orm_spawner)),
                orphan_policy=self.orphan_policy,
                log=self.log,
            ).begin
        return watch

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
        self._spawn_log = SpawnLog()
        if self.last_end:
            self.report(f"Before: {self.last_end}")
            self.last_end = ""
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
        finally:
            self._spawn_log.end()

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """Give the events of this spawn, from its beginning to its end."""
        async for event in self._spawn_log.follow():
            yield event

    def report(
        self, message: str, *, html: str | None = None, progress: int | None = None, topic: str = ""
    ) -> None:
        """Show a line to the user who waits; `progress` is of 100, `html` must be safe to show.

        A line of the same `topic` as the last one takes its place.
        """
        self._spawn_log.say(message, html=html, progress=progress, topic=topic)

    async def stop(self, now: bool = False) -> None:
        """Stop the server, `now` without grace; returns when it is stopped, or owed as the Engine is away."""
        self._now = now
        try:
            await lifecycle.halt(self)
        finally:
            self._now = False
        self.clear_state()

    async def delete_forever(self) -> None:
        """Remove what is left of a server, or of a user's, that the Hub forgets."""
        await lifecycle.delete_forever(self)

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

    async def rename(self, old_name: str, new_name: str) -> None:
        """Take another name (JupyterHub 6): volumes stay the same, a kept container is made anew."""
        await maybe_future(super().rename(old_name, new_name))
        if self.object_id and not self.remove and self.on_drift == "reuse":
            raise hub_errors.as_hub_error(
                errors.RenameRefused(
                    "The server's container was made for its present name, and `on_drift` is 'reuse'."
                )
            )
        templates = (*self.volumes, *self.read_only_volumes)
        self.volume_names = {template: self._format_volume_name(template) for template in templates}
        self.renamed = bool(self.object_id)
        self.keep_state(commit=True)

    def get_state(self) -> dict[str, Any]:
        """DockerSpawner's keys, and what tells this spawn from others."""
        state: dict[str, Any] = super().get_state()
        if self.object_id or self.owed or (self.spawn is not None and self.spawn.live):
            state["object_name"] = self.object_name
            if self.object_id:
                state["object_id"] = self.object_id
            if self.spawn is not None:
                state["spawn_id"] = self.spawn.spawn_id
                state["phase"] = self.spawn.phase
        kept = {key: getattr(self, key) for key in _KEPT if getattr(self, key)}
        return {**state, **kept}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up what a former Hub process, or DockerSpawner, has saved."""
        super().load_state(state)
        self.object_id = state.get("object_id") or state.get("container_id") or ""
        if state.get("object_name"):
            self.object_name = state["object_name"]
        if state.get("spawn_id"):
            self.spawn = lifecycle.Spawn(state["spawn_id"], phase=state.get("phase", lifecycle.RUNNING))
        for key in _KEPT:
            setattr(self, key, state.get(key) or getattr(type(self), key, {}))

    def clear_state(self) -> None:
        """Forget the spawn; a kept container is remembered by its id and name."""
        super().clear_state()
        lifecycle.unfollow(self)
        self.forget_spawn_values()
        if self.spawn is not None:
            self.spawn.leave_gate()
        self.spawn = None
        self._address = None

    def keep_state(self, *, commit: bool = False) -> None:
        """Put the state where the Hub's next commit writes it to the database; or commit it now."""
        self.orm_spawner.state = self.get_state()
        if commit:
            hub_records.session_of(self.orm_spawner).commit()

    def note_address(self, ip: str, port: int) -> None:
        """Remember where the server is to be asked for its first answer."""
        self._address = (ip, port)

    def note_end(self, text: str) -> None:
        """Remember why the server ended, for its user to see."""
        self.last_end = text

    async def move_to(self, ip: str, port: int) -> None:
        """Have the Hub and its proxy reach the server elsewhere."""
        server = self.server
        if server is None or (server.ip, server.port) == (ip, port):
            return
        self.log.warning(
            "%s is now reached at %s:%d, not %s:%d", self._log_name, ip, port, server.ip, server.port
        )
        server.ip, server.port = ip, port
        hub_records.session_of(self.orm_spawner).commit()
        self.note_address(ip, port)
        if proxy := self.user.settings.get("proxy"):
            await proxy.add_user(self.user, self.name)

    async def apply_choice(self) -> None:
        """Have this spawn's values, and take the image that the user chose, if that is allowed."""
        await self.resolve_spawn_values()
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
    _engine: Engine | None = None

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


_KEPT = ("owed", "failed_id", "renamed", "last_end", "volume_names", "own_volumes")
"""Attributes that outlive a spawn in the saved state, under their own names."""


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
