"""What sites and subclasses override and call: DockerSpawner's names with DockerSpawner's meanings.

Our own code calls all of these, and takes plain values, coroutines and any other awaitable from them. Each is
a few lines; what it does lies in the modules beside this one and on the floors below.
"""

from __future__ import annotations

import asyncio
import os
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from traitlets import Unicode

from asyncdockerspawner import docker_py, errors, lifecycle
from asyncdockerspawner.engine import registry
from asyncdockerspawner.engine.engine import Engine
from asyncdockerspawner.hub import errors as hub_errors
from asyncdockerspawner.hub.base import HubSpawner, username
from asyncdockerspawner.hub.link import HubLink
from asyncdockerspawner.images.allowed import chosen
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.keywords.binds import add_binds, mount_points, rendered_mounts
from asyncdockerspawner.keywords.mount import engine_mounts
from asyncdockerspawner.lifecycle.server import Place
from asyncdockerspawner.names import templating
from asyncdockerspawner.names.naming import namespace_of
from asyncdockerspawner.spawners import certificates, steps, volumes
from asyncdockerspawner.spawners.awaited import AwaitedOverrides
from asyncdockerspawner.spawners.certificates import SpawnCertificates
from asyncdockerspawner.spawners.launch_inputs import name_by_template
from asyncdockerspawner.spawners.options import Options
from asyncdockerspawner.spawners.policy import ContainerPlace, policy_of
from asyncdockerspawner.workloads.body import Body
from asyncdockerspawner.workloads.container import endpoint, read
from asyncdockerspawner.workloads.furnishing import Furnishing
from asyncdockerspawner.workloads.launch import RunsAs
from asyncdockerspawner.workloads.ports import SharedPort

STARTING = frozenset({"pull", "create_container", "create_service", "start"})
"""docker-py's methods that a start is made of."""


class ObjectName(Unicode[str, str]):
    """The name in the server's record; one that a hook or a subclass sets counts more than the template's."""

    def get(self, obj: Any, cls: type | None = None) -> str:
        """Return the name of the object, or of the one that would be made now."""
        return str(obj._user_server.object_name)

    def set(self, obj: Any, value: Any) -> None:
        """Set it, also to what it is already."""
        super().set(obj, value)
        obj._user_server.record.object_name = self._validate(obj, value)
        obj._user_server.name_is_given = True


class ObjectId(Unicode[str, str | None]):
    """The id in the server's record; None, which DockerSpawner's takes, is that there is none."""

    def get(self, obj: Any, cls: type | None = None) -> str:
        """Return the id, or an empty text."""
        return str(obj._user_server.record.object_id)

    def set(self, obj: Any, value: Any) -> None:
        """Write it to the record too."""
        super().set(obj, value)
        obj._user_server.record.object_id = self._validate(obj, value)

    def validate(self, obj: Any, value: Any) -> str:
        """Return the text."""
        return "" if value is None else str(super().validate(obj, value))


class Overridable(Options, HubSpawner):
    """The override points. `object` means the server's container."""

    object_id = ObjectId()
    object_name = ObjectName()
    object_id_key = "Id"

    _client = _executor = None
    """Subclasses written for DockerSpawner may keep their own here."""
    _escaped_name: str | None = None
    """So may they here."""
    _engine: Engine | None = None

    def __init__(self, **kwargs: Any) -> None:
        self._link = HubLink(self)
        self._certificates = SpawnCertificates()
        self._user_server = lifecycle.Server(
            overrides=AwaitedOverrides(self),
            hub=self._link,
            policy=lambda: self._policy(),  # noqa: PLW0108 - a class may have another
            place=self._place(),
        )
        super().__init__(**kwargs)

    def _policy(self) -> lifecycle.Policy:
        return policy_of(self)

    def _place(self) -> Place:
        return ContainerPlace(self)

    async def _body(self) -> Body:
        return await steps.object_body(self)

    async def _learn(self) -> None:
        """Have the values of this spawn that others are asked for."""
        await self._spawn_values.resolve()

    def _runs_as(self) -> RunsAs:
        return RunsAs()

    def _hosts(self) -> Iterator[str]:
        """Yield the names and addresses at which the Hub may reach the server, as far as they are known."""
        return certificates.hosts(self)

    async def _furnishing(self) -> Furnishing:
        """Return what the server is to find in its object at this start."""
        return Furnishing(certificates=await certificates.contents(self), volume_owner=self.volume_owner)

    @property
    def _managed(self) -> lifecycle.Server:
        """The server as `lifecycle` sees it, with the options as they are now."""
        return self._user_server.renew()

    @property
    def _shared_port(self) -> SharedPort | None:
        return self._user_server.shared_port

    @property
    def engine(self) -> Engine:
        """The Engine of this spawner, shared with all spawners of the same settings.

        Options may change until a server has been started; from then on it stays where it is. Its `docker` is
        an `aiodocker.Docker`.
        """
        spawn = self._user_server.spawn
        if self._engine is None or spawn is None or spawn.live:
            self._engine = registry.engine_for(docker_py.settings_of(self.client))
            self._engine.claims.hear(self._user_server)
        return self._engine

    def report(
        self, message: str, *, html: str | None = None, progress: int | None = None, topic: str = ""
    ) -> None:
        """Show a line to the user who waits; `progress` is of 100, `html` must be safe to show.

        A line of the same `topic` as the last one takes its place.
        """
        self._link.report(message, html=html, progress=progress, topic=topic)

    @property
    def client(self) -> Any:
        """docker-py's functions that ask nobody. An override decides which Engine is meant."""
        return docker_py.configured_client(self.client_kwargs, self.tls_config, os.environ)

    def docker(self, method: str, *args: Any, **kwargs: Any) -> asyncio.Future[Any]:
        """Call a method of docker-py's `APIClient`, with its words and answers, at this spawner's Engine."""
        task = docker_py.docker(self._managed, method, args, kwargs)
        # Of a start that is given up, nothing more is to come; what it clears away may.
        return lifecycle.as_step(self._managed, task) if method in STARTING else task

    def _docker(self, method: str, *args: Any, **kwargs: Any) -> Any:
        raise docker_py.needs_thread("_docker", method)

    @property
    def executor(self) -> Any:
        """There is none."""
        raise docker_py.needs_thread("executor")

    @property
    def container_id(self) -> str:
        """The object's id."""
        return self.object_id

    @property
    def container_name(self) -> str:
        """The object's name."""
        return self.object_name

    @property
    def internal_hostname(self) -> str:
        """The server's host name in the Engine's networks."""
        return self.object_name

    def _object_name_default(self) -> str:
        try:
            return name_by_template(self)
        except Exception:  # noqa: BLE001 - a template's, or a site's own code's
            # Pages and polls read the name too; the spawn itself is where it is reported.
            return ""

    def template_namespace(self) -> dict[str, str]:
        """Fields that every template may use."""
        fields, escaped = namespace_of(self, username(self), self.name), self.escaped_name
        return {**fields, "username": escaped, "safe_username": escaped}

    @property
    def escaped_name(self) -> str:
        """The user's name, escaped."""
        return self._escaped_name or str(self.escape(username(self)))

    def _render_templates(self, obj: Any, ns: Mapping[str, str] | None = None) -> Any:
        """Fill templates wherever there are texts in `obj`; what is no template of ours stays as it is."""
        return templating.render(obj, self.template_namespace() if ns is None else ns)

    def format_string(self, s: str) -> str:
        """Fill templates into one of the Hub's own options, such as `notebook_dir`."""
        return str(templating.render(s, self.template_namespace(), option="notebook_dir, default_url"))

    @property
    def volume_binds(self) -> dict[str, dict[str, Any]]:
        """Volume name or host path → {"bind", "mode", …}, rendered."""
        binds = self._volumes_to_binds(self.volumes, {})
        return self._volumes_to_binds(self.read_only_volumes, binds, mode="ro")

    def _volumes_to_binds(
        self, volumes: Mapping[str, Any], binds: dict[str, dict[str, Any]], mode: str = "rw"
    ) -> dict[str, dict[str, Any]]:
        """Add `volumes` to `binds`, rendered, and return them; with the mode `ro` none is writable."""
        return add_binds(volumes, binds, mode, self._volume_name)

    @property
    def volume_mount_points(self) -> list[str]:
        """Paths in the container where volumes are mounted."""
        return mount_points(self.volume_binds)

    @property
    def mount_binds(self) -> list[JsonObject]:
        """`mounts`, rendered, as the Engine takes them."""
        return engine_mounts(rendered_mounts(self.mounts, self._volume_name), "mounts")

    def _volume_name(self, template: str) -> str:
        return volumes.volume_name(self, template)

    def _get_allowed_images(self) -> Any:
        """Return name → image of what may be chosen, None, or "*"."""
        return self.allowed_images

    async def check_allowed(self, image: str) -> str:
        """Return the image that a user's choice means; choosing is denied by default.

        Raises ImageNotAllowed, which is an HTTPError too.
        """
        try:
            return chosen(image, await lifecycle.resolved(self._get_allowed_images()))
        except errors.ImageNotAllowed as exc:
            raise docker_py.in_both(hub_errors.as_hub_error(exc), exc) from exc

    def check_image_whitelist(self, *args: Any, **kwargs: Any) -> Any:
        """Former name of `check_allowed`."""
        owner = type(self).__name__
        told = f"{owner}.check_image_whitelist is deprecated in DockerSpawner 12.0, use {owner}.check_allowed"
        warnings.warn(told, DeprecationWarning, stacklevel=2)
        return self.check_allowed(*args, **kwargs)

    @docker_py.raises_docker_pys
    async def pull_image(self, image: str) -> None:
        """Bring the image to the Engine's machine, as `pull_policy` says."""
        await steps.pull(self, image)

    @docker_py.raises_docker_pys
    async def get_command(self) -> list[str]:
        """Return the words of the whole command; that of an image is asked of the Engine."""
        return await steps.command(self)

    def get_args(self) -> list[str]:
        """Words after the command; the Hub's own method."""
        return list(super().get_args())

    def get_env(self) -> dict[str, Any]:
        """Return the server's environment: the Hub's, and the image's reference."""
        env: dict[str, Any] = super().get_env() if self.user and self.hub else self._env_without_hub()
        env["JUPYTER_IMAGE_SPEC"] = self.image
        return env

    def _env_without_hub(self) -> dict[str, Any]:
        """Return what is configured: of the rest, sites' tests that make a spawner by itself have nothing."""
        return {key: value(self) if callable(value) else value for key, value in self.environment.items()}

    @docker_py.raises_docker_pys
    async def get_object(self) -> JsonObject | None:
        """Return the object's document by id where it is known, else by name; None where there is none."""
        found = await self._managed.workload.inspect(self.object_id or self.object_name)
        return await lifecycle.seen(self._managed, found)

    @docker_py.raises_docker_pys
    async def create_object(self) -> JsonObject:
        """Create the object from the values that stand now; gives at least its `Id`."""
        return await steps.create_object(self)

    @docker_py.raises_docker_pys
    async def start_object(self) -> None:
        """Start the object."""
        await steps.start_object(self)

    @docker_py.raises_docker_pys
    async def stop_object(self) -> None:
        """Stop the object with its own grace, or `stop_timeout`."""
        server = self._managed
        await server.workload.stop(self.object_id, grace=server.stop_timeout)

    @docker_py.raises_docker_pys
    async def remove_object(self) -> None:
        """Remove the object, and wait until it is gone."""
        await self._managed.workload.remove(self.object_id, force=True)

    @docker_py.raises_docker_pys
    async def post_start_exec(self) -> None:
        """Run `post_start_cmd` inside the object."""
        with lifecycle.step(self._managed):
            await lifecycle.post_start(self._managed)

    @docker_py.raises_docker_pys
    async def get_ip_and_port(self) -> tuple[str, int]:
        """Return the address at which the Hub reaches the server."""
        return await steps.address(self)

    def get_network_ip(self, network_settings: JsonObject) -> str:
        """Return the address that an inspected container's `NetworkSettings` have in `network_name`."""
        return endpoint.internal_address(read.networks(network_settings), self.network_name)
