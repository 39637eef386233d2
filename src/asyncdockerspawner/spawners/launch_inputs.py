"""From options to the values of one launch: functions called, templates rendered, nothing done yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from asyncdockerspawner import errors, lifecycle
from asyncdockerspawner.hub import site_code
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.keywords.binds import add_binds, is_volume, mount_points, rendered_mounts
from asyncdockerspawner.keywords.mount import engine_mounts
from asyncdockerspawner.names import labels, naming, templating, volume_owners
from asyncdockerspawner.spawners.options.deprecated import DeprecatedTraits
from asyncdockerspawner.spawners.options.image import ImageTraits
from asyncdockerspawner.spawners.options.lifetime import LifetimeTraits
from asyncdockerspawner.spawners.options.naming import NamingTraits
from asyncdockerspawner.spawners.options.network import NetworkTraits, ServerPort
from asyncdockerspawner.spawners.options.per_spawn import PerSpawnValues
from asyncdockerspawner.spawners.options.queue import QueueTraits
from asyncdockerspawner.spawners.options.runtime import RuntimeTraits
from asyncdockerspawner.spawners.options.storage import StorageTraits
from asyncdockerspawner.workloads.launch import LaunchInputs


class Values(
    PerSpawnValues,
    ImageTraits,
    NamingTraits,
    NetworkTraits,
    QueueTraits,
    StorageTraits,
    RuntimeTraits,
    LifetimeTraits,
    DeprecatedTraits,
):
    """What the options come to for this user and server; part of it is DockerSpawner's override points."""

    object_name: str
    volume_names: dict[str, str]
    """Volumes of a server that was renamed, by template: its data stays where it is."""
    former_names: Sequence[str]
    """What the server was called before."""
    mounted: Sequence[str]
    """Volumes and host paths that the server had when it was started last."""
    user: Any
    name: str

    _escaped_name: str | None = None
    """A subclass may keep its own here."""

    @property
    def username(self) -> str:
        """The user's name; a spawner without a user, as in sites' tests, has none."""
        return str(getattr(self.user, "name", ""))

    def template_namespace(self) -> dict[str, str]:
        """Fields that every template may use."""
        fields = self.namespace_of(self.username, self.name)
        return {**fields, "username": self.escaped_name, "safe_username": self.escaped_name}

    def namespace_of(self, username: str, servername: str) -> dict[str, str]:
        """Give the fields that another user or another server would have."""
        return naming.namespace(
            username=username,
            servername=servername,
            image=self.image,
            prefix=self.prefix,
            escape=self.escape,
        )

    @property
    def escaped_name(self) -> str:
        """The user's name, escaped."""
        return self._escaped_name or str(self.escape(self.username))

    def render_object_name(self) -> str:
        """Render `name_template`."""
        return str(self._rendered(self.name_template, "name_template"))

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
        """Add `volumes` to `binds`, rendered, and give them back; with the mode `ro` none is writable."""
        return add_binds(volumes, binds, mode, self._format_volume_name)

    @property
    def volume_mount_points(self) -> list[str]:
        """Paths in the container where volumes are mounted."""
        return mount_points(self.volume_binds)

    @property
    def mount_binds(self) -> list[JsonObject]:
        """`mounts`, rendered, as the Engine takes them."""
        return engine_mounts(rendered_mounts(self.mounts, self._format_volume_name), "mounts")

    def personal_volumes(self) -> dict[str, str]:
        """Volume name → whether it is this user's (`user`) or this server's (`server`) alone."""
        templates = self.source_templates("volume")
        named = [each for each in templates if is_volume(each)]
        return volume_owners.scopes(named, self, self._rendered_for)

    def source_templates(self, *types: str) -> list[str]:
        """Give the templates of what is mounted; of `mounts` those of these types."""
        mounted = [each for each in self.mounts if each.get("source")]
        wanted = [str(each["source"]) for each in mounted if each.get("type", "volume") in types]
        return [*self.volumes, *self.read_only_volumes, *wanted]

    @property
    def port_to_choose(self) -> bool:
        """Whether neither site nor hook nor subclass has set `port`."""
        trait = self.traits()["port"]
        return isinstance(trait, ServerPort) and not trait.is_set(self)

    @property
    def any_port(self) -> bool:
        """Whether `port` was set to 0, the Hub's word for any."""
        trait = self.traits()["port"]
        return isinstance(trait, ServerPort) and trait.configured(self) == 0

    async def launch_command(self) -> Sequence[str] | None:
        """Give the words of the server's command; None is the image's own."""
        raise NotImplementedError

    async def launch_inputs(self) -> LaunchInputs:
        """Take every value that decides what is created."""
        # The Hub reads limits in get_env(), and a site's get_env() may set what comes after it.
        await self.resolve_spawn_values()
        environment = await lifecycle.resolved(self.get_env())  # type: ignore[attr-defined]
        await self.resolve_spawn_values()
        return LaunchInputs(
            name=self.object_name,
            image=self.image,
            command=await self.launch_command(),
            environment=environment,
            labels=labels.ownership_labels_of(self.owner),  # type: ignore[attr-defined]
            port=self.port,
            publish_on=None if self.use_internal_ip else self.host_ip,
            network_name=self.network_name,
            binds=self.volume_binds,
            mounts=self.mount_binds,
            links=self.links,
            mount_points=self.volume_mount_points,
            mem_limit=self.mem_limit,
            cpu_limit=self.cpu_limit,
            extra_create=await self._extra("extra_create_kwargs"),
            extra_host=await self._extra("extra_host_config"),
        )

    def _format_volume_name(self, template: str) -> str:
        return self._rendered_for(template, self)

    def _rendered_for(self, template: str, spawner: Any) -> str:
        if spawner is self and template in self.volume_names:
            return str(self.volume_names[template])
        with site_code.of_option(f"format_volume_name({template!r})"):
            name = str(self.format_volume_name(template, spawner))
        # A function, or a hook, may have written the server's present name where no template shows it.
        return volume_owners.as_before(name, self._renamings(), self.mounted) if spawner is self else name

    def _renamings(self) -> Iterator[tuple[str, str]]:
        """Give the server's present and former names, as they are and escaped."""
        for former in self.former_names:
            yield self.name, former
            now, before = (self.namespace_of(self.user.name, name) for name in (self.name, former))
            yield now["servername"], before["servername"]

    async def _extra(self, option: str) -> Mapping[str, Any]:
        value = getattr(self, option)
        if callable(value):
            with site_code.of_option(option):
                value = await lifecycle.resolved(self._eval_if_callable(value))
        if not isinstance(value, Mapping):
            raise errors.BadOption(f"`{option}` has to give a dictionary, not {value!r}.")
        rendered: Mapping[str, Any] = self._rendered(value, option)
        return rendered

    def _rendered(self, value: Any, option: str) -> Any:
        try:
            return self._render_templates(value)
        except errors.BadTemplate as exc:
            raise errors.BadTemplate(f"{option}: {exc}") from exc
