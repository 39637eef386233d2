"""From options to the values of one launch: functions called, templates rendered, nothing done yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from asyncdockerspawner.lifecycle import resolved
from asyncdockerspawner.names import labels
from asyncdockerspawner.spawners import certificates
from asyncdockerspawner.spawners.site_values import dictionary, rendered
from asyncdockerspawner.workloads.furnishing import CERTIFICATES
from asyncdockerspawner.workloads.launch import LaunchInputs

if TYPE_CHECKING:
    from asyncdockerspawner.spawners.overrides import Overridable


async def launch_inputs(spawner: Overridable) -> LaunchInputs:
    """Take every value that decides what is created."""
    # The environment names them.
    await certificates.ensure(spawner)
    # The Hub reads limits in get_env(), and a site's get_env() may set what comes after it.
    await spawner._learn()
    environment = await resolved(spawner.get_env())
    await spawner._learn()
    return LaunchInputs(
        name=spawner.object_name,
        image=spawner.image,
        command=await launch_command(spawner),
        environment=environment,
        labels=labels.ownership_labels_of(spawner._managed.owner),
        port=spawner.port,
        publish_on=None if spawner.use_internal_ip else spawner.host_ip,
        network_name=spawner.network_name,
        binds=spawner.volume_binds,
        mounts=spawner.mount_binds,
        links=spawner.links,
        mount_points=spawner.volume_mount_points,
        mem_limit=spawner.mem_limit,
        cpu_limit=spawner.cpu_limit,
        extra_create=await dictionary(spawner, "extra_create_kwargs"),
        extra_host=await dictionary(spawner, "extra_host_config"),
        private_folder=CERTIFICATES if spawner.internal_ssl else "",
        healthcheck=_healthcheck(spawner),
        runs_as=spawner._runs_as(),
    )


async def launch_command(spawner: Overridable) -> Sequence[str] | None:
    """Return the words of the server's command; None is the image's own, of which nobody is asked."""
    own = not spawner.cmd and not await resolved(spawner.get_args())
    if own and not is_overridden(spawner, "get_command"):
        return None
    words: Sequence[str] | None = await resolved(spawner.get_command())
    return words


def object_name(spawner: Overridable) -> str:
    """Return the name of a new object: by a subclass's own default, else by `name_template`.

    Raises BadTemplate.
    """
    return str(spawner.trait_defaults("object_name") or name_by_template(spawner))


def name_by_template(spawner: Overridable) -> str:
    """Render `name_template`. Raises BadTemplate."""
    return str(rendered(spawner, spawner.name_template, "name_template"))


def _healthcheck(spawner: Overridable) -> Mapping[str, Any] | None:
    given = spawner.healthcheck
    if isinstance(given, Mapping):
        filled: Mapping[str, Any] = rendered(spawner, given, "healthcheck")
        return filled
    return None if given == "image" else {"test": ["NONE"]}


def is_overridden(spawner: Overridable, *names: str) -> bool:
    """Tell whether a site's class, or somebody for this spawner alone, has put something else for these."""
    return any(name in vars(spawner) or not _is_ours(type(spawner), name) for name in names)


def _is_ours(cls: type, name: str) -> bool:
    holder = next(each for each in cls.__mro__ if name in vars(each))
    return holder.__module__.startswith("asyncdockerspawner.")
