"""DockerSpawner: the Hub's contract, and the state that the Hub keeps for it."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from jupyterhub.spawner import Spawner
from jupyterhub.utils import maybe_future, url_escape_path, url_path_join
from tornado import web

from asyncdockerspawner import docker_py, errors, lifecycle
from asyncdockerspawner.engine import registry
from asyncdockerspawner.engine.claims import Claim
from asyncdockerspawner.engine.engine import Engine
from asyncdockerspawner.engine.watch import Watch
from asyncdockerspawner.hub import errors as hub_errors
from asyncdockerspawner.hub import records, site_code
from asyncdockerspawner.hub.spawn_log import SpawnLog
from asyncdockerspawner.names import labels
from asyncdockerspawner.spawners.image_choice import ImageChoice
from asyncdockerspawner.spawners.saved_state import ServerState
from asyncdockerspawner.workloads.container.workload import ContainerWorkload, Steps
from asyncdockerspawner.workloads.protocol import Workload


def _followed(start: Callable[..., Any]) -> Callable[..., Any]:
    """Have what is done around our own `start` done around a subclass's, which may never come to ours."""

    async def run(self: DockerSpawner, *args: Any, **kwargs: Any) -> Any:
        try:
            with self._errors_of_a_start():
                return await lifecycle.attempt(self, lambda: start(self, *args, **kwargs))
        finally:
            self._spawn_log.end()

    if inspect.iscoroutinefunction(start):
        followed: Callable[..., Any] = functools.wraps(start)(run)
    else:

        @functools.wraps(start)
        def followed(self: DockerSpawner, *args: Any, **kwargs: Any) -> Any:
            # Called, it has begun, and so has a `gen.coroutine`.
            return asyncio.ensure_future(run(self, *args, **kwargs))

    followed._is_followed = True  # type: ignore[attr-defined]
    return followed


class DockerSpawner(ServerState, ImageChoice, Spawner):
    """Starts each server in a container of its own, without ever keeping another user waiting."""

    object_type = "container"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.start is not DockerSpawner.start and not hasattr(cls.start, "_is_followed"):
            cls.start = _followed(cls.start)  # type: ignore[method-assign]

    @property
    def engine(self) -> Engine:
        """The Engine of this spawner, shared with all spawners of the same settings.

        Options may change until a server has been started; from then on it stays where it is.
        """
        if self._engine is None or self.spawn is None or self.spawn.live:
            self._engine = registry.engine_for(docker_py.settings_of(self.client))
            self._engine.claims.hear(self)
        return self._engine

    @property
    def claim(self) -> Claim | None:
        """What this spawner is starting, whatever the Hub's database says of it."""
        if self.spawn is None or not self.spawn.live:
            return None
        return Claim(self.object_id, self.object_name, self.spawn.spawn_id)

    @property
    def watch(self) -> Watch:
        """What is known of this Hub's containers, shared by all its spawners."""
        watch = self.engine.watch(self.hub_id)
        if watch.on_synced is None and records.is_in_database(self.orm_spawner):
            session = records.session_of(self.orm_spawner)
            watch.on_synced = lifecycle.Reconciler(
                watch=watch,
                workload=self.workload,
                janitor=self.engine.janitor,
                claims=self.engine.claims,
                rows=partial(records.server_rows, session),
                naming=partial(records.rows_naming, session),
                orphan_policy=self.orphan_policy,
                log=self.log,
                strike_off=partial(records.strike_off_of, session),
                leftovers=lifecycle.Leftovers(
                    hub_id=self.hub_id,
                    volumes=self.engine.client.volumes if self.delete_volumes_on_user_delete else None,
                    users=partial(records.known_users, session),
                    log=self.log,
                ),
            ).begin
        return watch

    @property
    def workload(self) -> Workload:
        """A container."""
        known = self.engine.watch(self.hub_id).known
        return ContainerWorkload(self.engine.client, Steps(self.log, known, self.image))

    @property
    def owner(self) -> labels.Owner:
        """Who the server's objects belong to: Hub, user, server, creation."""
        return labels.Owner(
            hub_id=self.hub_id,
            username=self.username,
            servername=self.name,
            spawn_id=self.spawn.spawn_id if self.spawn else "",
        )

    @property
    def identity(self) -> Mapping[str, str]:
        """What the environment of this server says, also in a container that carries no label."""
        return {
            "JUPYTERHUB_USER": self.username,
            "JUPYTERHUB_SERVICE_PREFIX": self._server_prefix,
            "JUPYTERHUB_API_URL": self._hub_api_url,
        }

    @property
    def sister_states(self) -> Mapping[str, Mapping[str, Any]]:
        """Name → saved state of the user's other servers in the Hub's database."""
        rows = self.user.orm_user.orm_spawners
        return {name: row.state or {} for name, row in rows.items() if name != self.name}

    @property
    def user_exists(self) -> Callable[[], bool]:
        """Tells whether the Hub's database has a user of this name, also when this row is gone."""
        session, name = records.session_of(self.orm_spawner), self.user.name
        return lambda: bool(records.known_users(session, [name]))

    @property
    def volume_claims(self) -> Callable[[str, str | None], list[str]]:
        """Gives the other servers in the database that have a volume, also when this one's row is gone."""
        session = records.session_of(self.orm_spawner)
        return partial(records.volume_claims, session, self.user.name)

    @property
    def hub_side(self) -> Any:
        """The spawner that the Hub has for this server: this one, or one that wraps it."""
        found = (getattr(self.user, "spawners", None) or {}).get(self.name)
        return self if found is None or isinstance(found, DockerSpawner) else found

    @property
    def is_wrapped(self) -> bool:
        """Whether the Hub has another spawner for this server, such as wrapspawner's."""
        return self.hub_side is not self

    @property
    def object_claims(self) -> Callable[[str], list[str]]:
        """Gives the other servers in the database whose state names an object, as `user/server`."""
        if not records.is_in_database(self.orm_spawner):
            return lambda _: []
        session = records.session_of(self.orm_spawner)
        return partial(records.object_claims, session, self.username, self.name)

    @property
    def probe_url(self) -> str | None:
        """Where the server is asked for its first answer; None where only the Hub can ask (TLS)."""
        if self.internal_ssl or self._address is None:
            return None
        return self._url(*self._address)

    @property
    def will_resume(self) -> bool:
        """A kept container is resumed, so the Hub keeps its tokens."""
        return not self.removes

    def overrides(self, *names: str) -> bool:
        """Tell whether a subclass, or somebody for this spawner alone, has put something else for these."""
        return any(
            name in vars(self) or getattr(type(self), name) is not getattr(DockerSpawner, name)
            for name in names
        )

    async def run_auth_state_hook(self, auth_state: Any) -> None:
        """Run the site's hook, before the spawn and before its form."""
        with hub_errors.for_the_hub(self.log, self._log_name), site_code.of_option("auth_state_hook"):
            await maybe_future(super().run_auth_state_hook(auth_state))

    async def apply_group_overrides(self) -> None:
        """Take what the site has configured for the user's groups."""
        with hub_errors.for_the_hub(self.log, self._log_name), site_code.of_option("group_overrides"):
            await maybe_future(super().apply_group_overrides())

    async def run_pre_spawn_hook(self) -> None:
        """Run the site's hook, then prepare; neither counts towards `start_timeout`."""
        self._spawn_log = SpawnLog()
        if self.last_end:
            self.report(f"Before: {self.last_end}")
            self.last_end = ""
        with hub_errors.for_the_hub(self.log, self._log_name):
            with site_code.of_option("pre_spawn_hook"):
                await maybe_future(super().run_pre_spawn_hook())
            if self.internal_ssl:
                raise errors.BadOption("`internal_ssl` is not supported by this version of the spawner.")
            await lifecycle.prepare(self)

    async def start(self) -> tuple[str, int]:
        """Start the server and give its address."""
        try:
            with self._errors_of_a_start():
                return await lifecycle.launch(self)
        finally:
            self._spawn_log.end()

    @contextmanager
    def _errors_of_a_start(self) -> Iterator[None]:
        """Raise the Hub's errors; to a subclass's `start`, as what it may catch of DockerSpawner's too."""
        called_by_a_start = lifecycle.within_a_start(self)
        try:
            with hub_errors.for_the_hub(self.log, self._log_name):
                yield
        except web.HTTPError as shown:
            exc = shown.__cause__
            if not called_by_a_start or not isinstance(exc, errors.AsyncDockerSpawnerError):
                raise
            raise docker_py.in_both(shown, exc) from exc

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

    def note_address(self, ip: str, port: int) -> None:
        """Remember where the server is to be asked for its first answer."""
        self._address = (ip, port)

    async def move_to(self, ip: str, port: int, *, route: bool = True) -> None:
        """Have the Hub reach the server elsewhere, and its proxy where it has a `route` already."""
        server = self.hub_side.server
        if server is None or (server.ip, server.port) == (ip, port):
            return
        self.log.warning(
            "%s is now reached at %s:%d, not %s:%d", self._log_name, ip, port, server.ip, server.port
        )
        server.ip, server.port = ip, port
        records.commit(self.orm_spawner)
        self.note_address(ip, port)
        if route and (proxy := self.user.settings.get("proxy")):
            await proxy.add_user(self.user, self.name)

    _address: tuple[str, int] | None = None
    _engine: Engine | None = None

    @property
    def _server_prefix(self) -> str:
        # The Hub's record keeps the prefix that a running server has, also where its user is renamed.
        if (server := self.hub_side.server) is not None:
            return str(server.base_url)
        base_url = getattr(self.user, "base_url", None) or "/"
        return str(url_path_join(base_url, url_escape_path(self.name), "/"))

    @property
    def _hub_api_url(self) -> str:
        if self.hub is None:
            return ""
        if self.hub_connect_url is None:
            return str(self.hub.api_url)
        return str(url_path_join(self.hub_connect_url, urlsplit(self.hub.api_url).path))

    def _url(self, ip: str, port: int) -> str:
        host = f"[{ip}]" if ":" in ip else ip
        scheme = "https" if self.internal_ssl else "http"
        return f"{scheme}://{host}:{port}{self._server_prefix}"
