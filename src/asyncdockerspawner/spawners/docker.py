"""DockerSpawner: the Hub's contract."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from jupyterhub.utils import maybe_future
from tornado import web
from traitlets import default

from asyncdockerspawner import docker_py, errors, lifecycle
from asyncdockerspawner.hub import errors as hub_errors
from asyncdockerspawner.hub import site_code
from asyncdockerspawner.hub.spawn_log import SpawnLog
from asyncdockerspawner.spawners import certificates, image_choice, volumes
from asyncdockerspawner.spawners.overrides import Overridable


def _followed(start: Callable[..., Any]) -> Callable[..., Any]:
    """Have what is done around our own `start` done around a subclass's, which may never come to ours."""

    async def run(self: DockerSpawner, *args: Any, **kwargs: Any) -> Any:
        with self._errors_of_a_start():
            return await lifecycle.attempt(self._managed, lambda: start(self, *args, **kwargs))

    if inspect.iscoroutinefunction(start):
        followed: Callable[..., Any] = functools.wraps(start)(run)
    else:

        @functools.wraps(start)
        def followed(self: DockerSpawner, *args: Any, **kwargs: Any) -> Any:
            # Called, it has begun, and so has a `gen.coroutine`.
            return asyncio.ensure_future(run(self, *args, **kwargs))

    _FOLLOWED.add(followed)
    return followed


_FOLLOWED: set[Callable[..., Any]] = set()
"""The `start`s of subclasses around which that is done."""


def _is_of_this_package(start: object) -> bool:
    return str(getattr(start, "__module__", "")).startswith("asyncdockerspawner.")


class DockerSpawner(Overridable):
    """Starts each server in a container of its own, without ever keeping another user waiting."""

    object_type = "container"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        start: Callable[..., Any] = cls.start
        if not _is_of_this_package(start) and start not in _FOLLOWED:
            setattr(cls, "start", _followed(start))  # noqa: B010 - a method, to mypy

    @property
    def will_resume(self) -> bool:
        """A kept container is resumed, so the Hub keeps its tokens."""
        return not self._managed.removes

    async def run_auth_state_hook(self, auth_state: Any) -> None:
        """Run the site's hook, before the spawn and before its form."""
        with hub_errors.for_the_hub(self.log, self._log_name), site_code.of_option("auth_state_hook"):
            await maybe_future(super().run_auth_state_hook(auth_state))

    async def apply_group_overrides(self) -> None:
        """Take what the site has configured for the user's groups."""
        with hub_errors.for_the_hub(self.log, self._log_name), site_code.of_option("group_overrides"):
            await maybe_future(super().apply_group_overrides())

    async def get_options_form(self) -> Any:
        """Return the form, by whatever makes it. Raises the Hub's errors."""
        with hub_errors.for_the_hub(self.log, self._log_name), site_code.of_option("options_form"):
            return await super().get_options_form()

    def _default_options_form(self) -> str:
        """Return the form for `allowed_images` as it reads now."""
        return image_choice.form(self)

    @default("options_form")
    def _options_form_of_each_visit(self) -> Any:
        return image_choice.form_of_this_visit

    @default("options_from_form")
    def _default_options_from_form(self) -> Any:
        return image_choice.options_from_form

    @default("apply_user_options")
    def _apply_user_options_by_default(self) -> Any:
        return image_choice.apply_user_options

    async def run_pre_spawn_hook(self) -> None:
        """Run the site's hook, then prepare; neither counts towards `start_timeout`."""
        self._link.spawn_log = SpawnLog()
        record = self._user_server.record
        if record.last_end:
            self.report(f"Before: {record.last_end}")
            record.last_end = ""
        with hub_errors.for_the_hub(self.log, self._log_name):
            await self._before_hook()
            with site_code.of_option("pre_spawn_hook"):
                await maybe_future(super().run_pre_spawn_hook())
            await lifecycle.prepare(self._managed)

    async def _before_hook(self) -> None:
        """Do what a site's hook is to find done: nothing."""

    async def create_certs(self) -> dict[str, str]:
        """Have the Hub make key and certificate, with all names by which the server is reached; its paths."""
        with hub_errors.for_the_hub(self.log, self._log_name):
            return await certificates.create(self, super().create_certs)

    async def move_certs(self, paths: dict[str, str]) -> dict[str, str]:
        """Return where the server finds them: they are put there right before it is started."""
        with hub_errors.for_the_hub(self.log, self._log_name):
            return certificates.move(self, paths)

    async def start(self) -> tuple[str, int]:
        """Start the server and return its address."""
        with self._errors_of_a_start():
            return await lifecycle.start(self._managed)

    @contextmanager
    def _errors_of_a_start(self) -> Iterator[None]:
        """Raise the Hub's errors; to a subclass's `start`, as what it may catch of DockerSpawner's too."""
        called_by_a_start = lifecycle.within_a_start(self._managed)
        try:
            with hub_errors.for_the_hub(self.log, self._log_name):
                yield
        except web.HTTPError as shown:
            exc = shown.__cause__
            if not called_by_a_start or not isinstance(exc, errors.AsyncDockerSpawnerError):
                raise
            raise docker_py.in_both(shown, exc) from exc
        finally:
            self._link.spawn_log.end()

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the events of this spawn, from its beginning to its end."""
        async for event in self._link.spawn_log.follow():
            yield event

    async def stop(self, now: bool = False) -> None:
        """Stop the server, `now` without grace; returns when it is stopped, or owed as the Engine is away."""
        await lifecycle.stop(self._managed, now=now)
        self.clear_state()

    async def delete_forever(self) -> None:
        """Remove what is left of a server, or of a user's, that the Hub forgets."""
        await lifecycle.delete_forever(self._managed, lambda: volumes.scopes(self))

    async def poll(self) -> int | None:
        """None while the server runs or starts, else its exit code. Never raises."""
        try:
            return await lifecycle.poll(self._managed)
        except Exception:
            self.log.exception("Cannot tell whether %s runs; taking it for running", self._log_name)
            return None

    async def get_url(self) -> str:
        """Find the server again after the Hub's restart. Never raises: that would stop the whole Hub."""
        try:
            address = await lifecycle.locate(self._managed)
            # A policy, of which this is a part, would be taken of thousands of servers at once.
            return self._user_server.url_at(*address, tls=bool(self.internal_ssl))
        except Exception as exc:  # noqa: BLE001 - whatever it is, it must not stop the Hub
            self.log.error("Cannot find the address of %s again: %s", self._log_name, exc)
            return str(self.server.url)

    async def run_post_stop_hook(self) -> None:
        """Run the site's hook, then remove what the spawn left where `stop()` was not called."""
        try:
            await maybe_future(super().run_post_stop_hook())
        finally:
            await lifecycle.sweep(self._managed)

    async def rename(self, old_name: str, new_name: str) -> None:
        """Take another name (JupyterHub 6): volumes stay the same, a kept container is made anew."""
        server = self._managed
        with hub_errors.for_the_hub(self.log, self._log_name):
            await maybe_future(super().rename(old_name, new_name))
            reuses = server.policy.on_drift is lifecycle.OnDrift.REUSE
            if server.record.object_id and not server.removes and reuses:
                raise errors.RenameRefused(
                    "The server cannot have another name: its container was made for the present one.",
                    advice="`on_drift` is 'reuse': choose 'warn' or 'recreate', or remove the container.",
                )
            await volumes.keep_names(self, new_name)
            server.record.former_names = [*server.record.former_names, old_name]
        server.hub.save(commit=True)

    def get_state(self) -> dict[str, Any]:
        """DockerSpawner's keys, and what tells this spawn from others."""
        state: dict[str, Any] = super().get_state()
        return state | self._user_server.state()

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up what a former Hub process, or DockerSpawner, has saved."""
        super().load_state(state)
        self._user_server.load(state)

    def clear_state(self) -> None:
        """Forget the spawn; a kept container is remembered by its id and name."""
        super().clear_state()
        lifecycle.leave(self._managed)
        self._spawn_values.forget()
        self._certificates.forget()
