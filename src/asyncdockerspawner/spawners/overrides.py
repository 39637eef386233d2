"""What sites and subclasses override: DockerSpawner's names with DockerSpawner's meanings.

Our own code calls all of these, and takes plain values, coroutines and any other awaitable from them.
"""

from __future__ import annotations

import asyncio
import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from asyncdockerspawner import docker_py, errors, lifecycle
from asyncdockerspawner.engine.engine import Engine
from asyncdockerspawner.engine.watch import Watch
from asyncdockerspawner.hub import errors as hub_errors
from asyncdockerspawner.images import credentials
from asyncdockerspawner.images.allowed import chosen
from asyncdockerspawner.images.credentials import Credentials
from asyncdockerspawner.images.pulls import PullPolicy
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.keywords import create
from asyncdockerspawner.names import labels
from asyncdockerspawner.spawners.launch_inputs import Values
from asyncdockerspawner.workloads.container import drift, endpoint, status
from asyncdockerspawner.workloads.container.body import build_container, network_of
from asyncdockerspawner.workloads.protocol import Workload

STARTING = frozenset({"pull", "create_container", "start"})
"""docker-py's methods that a start is made of."""
PULLED = 30
"""Of 100, where a spawn is when its image is there."""


class Seams(Values):
    """The override points. `object` means the server's container."""

    hub: Any
    environment: Mapping[str, Any]
    object_id: str
    object_name: str
    spawn: lifecycle.Spawn | None
    report: Any
    overrides: Callable[..., bool]

    @property
    def engine(self) -> Engine:
        """The Engine of this spawner; `engine.docker` is its `aiodocker.Docker`."""
        raise NotImplementedError

    @property
    def client(self) -> Any:
        """docker-py's functions that ask nobody. An override decides which Engine is meant."""
        return docker_py.configured_client(self.client_kwargs, self.tls_config, os.environ)

    def docker(self, method: str, *args: Any, **kwargs: Any) -> asyncio.Future[Any]:
        """Call a method of docker-py's `APIClient`, with its words and answers, at this spawner's Engine."""
        task = docker_py.docker(self, method, args, kwargs)  # type: ignore[arg-type]
        # Of a start that is given up, nothing more is to come; what it clears away may.
        return lifecycle.as_step(self, task) if method in STARTING else task  # type: ignore[arg-type]

    def _docker(self, method: str, *args: Any, **kwargs: Any) -> Any:
        raise docker_py.needs_thread("_docker", method)

    @property
    def executor(self) -> Any:
        """There is none."""
        raise docker_py.needs_thread("executor")

    _client = _executor = None
    """Subclasses written for DockerSpawner may keep their own here."""

    @property
    def watch(self) -> Watch:
        """What is known of this Hub's containers."""
        raise NotImplementedError

    @property
    def workload(self) -> Workload:
        """What the server runs as."""
        raise NotImplementedError

    @property
    def owner(self) -> labels.Owner:
        """Who the server's objects belong to."""
        raise NotImplementedError

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

    def _get_allowed_images(self) -> Any:
        """Give name → image of what may be chosen, None, or "*"."""
        return self.allowed_images

    async def check_allowed(self, image: str) -> str:
        """Give the image that a user's choice means; choosing is denied by default.

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
        begin, lines = time.monotonic(), 0

        def told(text: str, fraction: float) -> None:
            nonlocal lines
            lines += 1
            self.report(f"Pulling {image}: {text}", progress=round(PULLED * fraction), topic="pull")

        with lifecycle.step(self):  # type: ignore[arg-type]
            await self.engine.pulls.ensure(
                image,
                PullPolicy(self.pull_policy),
                credentials=self.registry_credentials,
                timeout=self.pull_timeout,
                told=told,
            )
        if lines:
            self.report(f"{image} is there, after {time.monotonic() - begin:.0f} s", progress=PULLED)

    async def registry_credentials(self, registry: str) -> Credentials | None:
        """Give what a registry is to be shown: from `registry_auth`, else docker's own configuration."""
        given = self.registry_auth
        if callable(given):
            try:
                entry = await lifecycle.resolved(given(self, registry))
            except Exception as exc:  # noqa: BLE001 - it is a site's
                # Not the exception's text: it may hold what the function was about to give.
                raise errors.BadOption(
                    f"`registry_auth`: the configured function failed with {type(exc).__name__}."
                ) from None
            found = credentials.from_entry(entry, registry)
        else:
            found = credentials.from_option(given, registry)
        return found or await self.engine.docker_config.credentials_for(registry)

    @docker_py.raises_docker_pys
    async def get_command(self) -> list[str]:
        """Give the words of the whole command; that of an image is asked of the Engine."""
        command = getattr(self, "cmd", None)
        if not command:
            # Where it is not there, this is what has it pulled.
            document = await lifecycle.resolved(self.docker("inspect_image", self.image))
            command = document["Config"].get("Cmd") or []
        return [*command, *await lifecycle.resolved(self.get_args())]

    async def launch_command(self) -> Sequence[str] | None:
        """Give the words of the server's command; None is the image's own, of which nobody is asked."""
        own = not getattr(self, "cmd", None) and not await lifecycle.resolved(self.get_args())
        if own and not self.overrides("get_command"):
            return None
        words: Sequence[str] | None = await lifecycle.resolved(self.get_command())
        return words

    def get_args(self) -> list[str]:
        """Words after the command; the Hub's own method, further along the method resolution order."""
        return list(super().get_args())  # type: ignore[misc]

    def get_env(self) -> dict[str, Any]:
        """Give the server's environment: the Hub's, and the image's reference."""
        env: dict[str, Any] = super().get_env() if self.user and self.hub else self._env_without_hub()  # type: ignore[misc]
        env["JUPYTER_IMAGE_SPEC"] = self.image
        return env

    def _env_without_hub(self) -> dict[str, Any]:
        """Give what is configured: of the rest, sites' tests that make a spawner by itself have nothing."""
        return {key: value(self) if callable(value) else value for key, value in self.environment.items()}

    @docker_py.raises_docker_pys
    async def get_object(self) -> JsonObject | None:
        """Give the object's document by id where it is known, else by name; None where there is none."""
        found = await self.workload.find(self.object_id or self.object_name)
        return lifecycle.seen(self, found)  # type: ignore[arg-type]

    @docker_py.raises_docker_pys
    async def create_object(self) -> JsonObject:
        """Create the object from the values that stand now; gives at least its `Id`."""
        with lifecycle.step(self):  # type: ignore[arg-type]
            await lifecycle.claim(self)  # type: ignore[arg-type]
            return await self._created()

    async def _created(self) -> JsonObject:
        body = await self.object_body()
        kept = {} if self.remove else {labels.KEEP: "true"}
        body["Labels"] = {**body["Labels"], labels.CONFIG_HASH: drift.fingerprint(body), **kept}
        await lifecycle.ensure_volumes(self, body)  # type: ignore[arg-type]
        if self.overrides("docker"):
            # Whoever looks into what is created finds it in docker-py's words.
            words = create.words_of(body)
            answer = self.docker("create_container", name=self.container_name, **words)
            return dict(await lifecycle.resolved(answer))
        made = await lifecycle.create(self.workload, self.container_name, body, self.spawn)
        return {self.object_id_key: made}

    object_id_key = "Id"
    _now = False
    """Whether the stop under way is to be without grace."""

    @property
    def stop_grace(self) -> int | None:
        """Seconds that the stop under way leaves the server to end by itself; None is its own."""
        return 0 if self._now else self.stop_timeout

    async def object_body(self) -> JsonObject:
        """Give what the object is made from, as the Engine takes it, from the values that stand now."""
        inputs = await self.launch_inputs()
        body = build_container(inputs)
        self.shared_port = lifecycle.shared_port(self, network_of(body))  # type: ignore[arg-type]
        if self.shared_port is None:
            return body
        told_by_us = not (self.use_internal_hostname or self.overrides("get_ip_and_port"))
        if self.shared_port.network != "host" and told_by_us:
            raise endpoint.inside_another(self.shared_port.network)
        if self.port != inputs.port:
            # Only the whole body tells the network: what has been told another port is told anew.
            environment = await lifecycle.resolved(self.get_env())
            command = await self.launch_command()
            inputs = replace(inputs, port=self.port, environment=environment, command=command)
            body = build_container(inputs)
        body["Labels"][labels.PORT] = str(self.shared_port)
        return body

    @docker_py.raises_docker_pys
    async def start_object(self) -> None:
        """Start the object."""
        with lifecycle.step(self):  # type: ignore[arg-type]
            await lifecycle.claim(self)  # type: ignore[arg-type]
            await self.workload.start(self.object_id)

    @docker_py.raises_docker_pys
    async def stop_object(self) -> None:
        """Stop the object with its own grace, or `stop_timeout`."""
        await self.workload.stop(self.object_id, grace=self.stop_grace)

    @docker_py.raises_docker_pys
    async def remove_object(self) -> None:
        """Remove the object, and wait until it is gone."""
        await self.workload.remove(self.object_id, force=True)

    @docker_py.raises_docker_pys
    async def post_start_exec(self) -> None:
        """Run `post_start_cmd` inside the object."""
        with lifecycle.step(self):  # type: ignore[arg-type]
            await lifecycle.post_start(self)  # type: ignore[arg-type]

    @docker_py.raises_docker_pys
    async def get_ip_and_port(self) -> tuple[str, int]:
        """Give the address at which the Hub reaches the server."""
        if self.use_internal_hostname:
            return self.internal_hostname, self.port
        document = self.watch.known(self.object_id) if self.watch.live else None
        # Until it has been asked about since its last start, the watch knows no address.
        if document is None or not endpoint.is_complete(document) or not status.is_running(document):
            document = await lifecycle.resolved(self.get_object())
        if document is None:
            raise errors.NoEndpoint(f"There is no {self.object_name} at the Engine.")
        if self.use_internal_ip and endpoint.has_own_network(document):
            ip = await lifecycle.resolved(self.get_network_ip(document.get("NetworkSettings") or {}))
            return str(ip), self.port
        return endpoint.resolve(
            document,
            port=self.port,
            network_name=self.network_name,
            use_internal_ip=self.use_internal_ip,
            engine_host=self.engine.settings.host,
        )

    def get_network_ip(self, network_settings: JsonObject) -> str:
        """Give the address that an inspected container's `NetworkSettings` have in `network_name`."""
        return endpoint.internal_address(network_settings.get("Networks") or {}, self.network_name)
