"""What sites and subclasses override: DockerSpawner's names with DockerSpawner's meanings.

Our own code calls all of these, and takes plain values, coroutines and any other awaitable from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asyncdockerspawner import drift, endpoint, errors, labels, lifecycle, naming, status, templating
from asyncdockerspawner.engine.engine import Engine
from asyncdockerspawner.engine.watch import Watch
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.spec import container, mounts
from asyncdockerspawner.spec.inputs import LaunchInputs
from asyncdockerspawner.traits.image import ImageTraits
from asyncdockerspawner.traits.naming import NamingTraits
from asyncdockerspawner.traits.network import NetworkTraits
from asyncdockerspawner.traits.queue import QueueTraits
from asyncdockerspawner.traits.runtime import RuntimeTraits
from asyncdockerspawner.traits.storage import StorageTraits
from asyncdockerspawner.workloads import Workload


class Seams(ImageTraits, NamingTraits, NetworkTraits, QueueTraits, StorageTraits, RuntimeTraits):
    """The override points. `object` means the server's container."""

    object_id: str
    object_name: str
    volume_names: dict[str, str]
    """Volumes of a server that was renamed, by template: its data stays where it is."""
    spawn: lifecycle.Spawn | None
    user: Any
    name: str
    port: int
    mem_limit: Any
    cpu_limit: Any

    @property
    def engine(self) -> Engine:
        """The Engine of this spawner; `engine.docker` is its `aiodocker.Docker`."""
        raise NotImplementedError

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
    def escaped_name(self) -> str:
        """The user's name, escaped."""
        return self.template_namespace()["username"]

    @property
    def internal_hostname(self) -> str:
        """The server's host name in the Engine's networks."""
        return self.object_name

    def template_namespace(self) -> dict[str, str]:
        """Fields that every template may use."""
        return naming.namespace(
            username=self.user.name,
            servername=self.name,
            image=self.image,
            prefix=self.prefix,
            escape=self.escape,
        )

    def render_object_name(self) -> str:
        """Render `name_template`."""
        return naming.object_name(self.name_template, self.template_namespace())

    @property
    def volume_binds(self) -> dict[str, dict[str, Any]]:
        """Volume name or host path → {"bind", "mode", …}, rendered."""
        return mounts.volume_binds(
            self.volumes,
            self.read_only_volumes,
            self._format_volume_name,
        )

    @property
    def volume_mount_points(self) -> list[str]:
        """Paths in the container where volumes are mounted."""
        return mounts.mount_points(self.volume_binds)

    def check_allowed(self, image: str) -> Any:
        """Give the image that a user's choice means. Choice of images is denied by default."""
        raise errors.ImageNotAllowed(
            f"The image {image!r} cannot be chosen: this Hub does not let users choose an image. "
            "Start the server again to have the usual one."
        )

    async def pull_image(self, image: str) -> None:
        """Bring the image to the Engine's machine, as `pull_policy` says."""
        await self.engine.pulls.ensure(image, self.pull_policy)

    async def get_command(self) -> list[str] | None:
        """Words of the command; None is the image's own."""
        cmd = getattr(self, "cmd", None)
        args = list(await lifecycle.resolved(self.get_args()))
        if cmd:
            return [*cmd, *args]
        if not args:
            return None
        document = await self.engine.pulls.document(self.image)
        return [*(document["Config"].get("Cmd") or []), *args]

    def get_args(self) -> list[str]:
        """Words after the command; the Hub's own method, further along the method resolution order."""
        return list(super().get_args())  # type: ignore[misc]

    def get_env(self) -> dict[str, Any]:
        """Give the server's environment: the Hub's, and the image's reference."""
        env: dict[str, Any] = super().get_env()  # type: ignore[misc]
        env["JUPYTER_IMAGE_SPEC"] = self.image
        return env

    async def get_object(self) -> JsonObject | None:
        """Give the object's document by id where it is known, else by name; None where there is none."""
        return await self.workload.find(self.object_id or self.object_name)

    async def create_object(self) -> JsonObject:
        """Create the object from the values that stand now; gives at least its `Id`."""
        body = await self.object_body()
        kept = {} if self.remove else {labels.KEEP: "true"}
        body["Labels"] = {**body["Labels"], labels.CONFIG_HASH: drift.fingerprint(body), **kept}
        return {"Id": await lifecycle.create(self.workload, self.object_name, body, self.spawn)}

    async def object_body(self) -> JsonObject:
        """Give what the object is made from, as the Engine takes it, from the values that stand now."""
        return container.build_container(await self.launch_inputs())

    async def start_object(self) -> None:
        """Start the object."""
        await self.workload.start(self.object_id)

    async def stop_object(self) -> None:
        """Stop the object with its own grace."""
        await self.workload.stop(self.object_id)

    async def remove_object(self) -> None:
        """Remove the object, and wait until it is gone."""
        await self.workload.remove(self.object_id, force=True)

    async def get_ip_and_port(self) -> tuple[str, int]:
        """Give the address at which the Hub reaches the server."""
        document = self.watch.known(self.object_id) if self.watch.live else None
        # Until it has been asked about since its last start, the watch knows no address.
        if document is None or "NetworkSettings" not in document or not status.is_running(document):
            document = await lifecycle.resolved(self.get_object())
        if document is None:
            raise errors.NoEndpoint(f"There is no {self.object_name} at the Engine.")
        return endpoint.resolve(
            document,
            port=self.port,
            network_name=self.network_name,
            use_internal_ip=self.use_internal_ip,
            engine_host=self.engine.settings.host,
        )

    async def launch_inputs(self) -> LaunchInputs:
        """Take every value that decides what is created, callables called and templates rendered."""
        environment = await lifecycle.resolved(self.get_env())
        return LaunchInputs(
            name=self.object_name,
            image=self.image,
            command=await lifecycle.resolved(self.get_command()),
            environment=environment,
            labels=labels.ownership_labels_of(self.owner),
            port=self.port,
            publish_on=None if self.use_internal_ip else self.host_ip,
            network_name=self.network_name,
            binds=self.volume_binds,
            mount_points=self.volume_mount_points,
            mem_limit=self.mem_limit,
            cpu_limit=self.cpu_limit,
            extra_create=await self._extra("extra_create_kwargs"),
            extra_host=await self._extra("extra_host_config"),
        )

    def _format_volume_name(self, template: str) -> str:
        if template in self.volume_names:
            return self.volume_names[template]
        try:
            return str(self.format_volume_name(template, self))
        except errors.AsyncDockerSpawnerError:
            raise
        except Exception as exc:
            raise errors.BadOption(
                f"`format_volume_name` failed with {exc!r} for the template {template!r}."
            ) from exc

    async def _extra(self, option: str) -> Mapping[str, Any]:
        value = getattr(self, option)
        if callable(value):
            try:
                value = await lifecycle.resolved(value(self))
            except Exception as exc:
                raise errors.BadOption(f"`{option}`: the configured function failed with {exc!r}.") from exc
        if not isinstance(value, Mapping):
            raise errors.BadOption(f"`{option}` has to give a dictionary, not {value!r}.")
        rendered: Mapping[str, Any] = templating.render(value, self.template_namespace(), option=option)
        return rendered
