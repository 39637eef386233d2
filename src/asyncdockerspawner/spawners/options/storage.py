"""Options: what is mounted."""

from __future__ import annotations

from traitlets import Any, Bool, Dict, HasTraits, List, default

from asyncdockerspawner.names import naming
from asyncdockerspawner.spawners.options.per_spawn import PerSpawn


class StorageTraits(HasTraits):
    """Volumes and host paths."""

    volumes = PerSpawn(
        Dict(),
        {},
        help="""What is mounted where: volume name or host path → path in the container.

        The path may also be a dictionary `{"bind": PATH, "mode": "rw" | "ro" | "z" | "Z", "propagation": …}`.
        Names and paths are templates with the fields of `name_template`. A name without a slash is a volume,
        which the Engine creates when it is first used; a host path that does not exist is created as an
        empty directory of root's. May be a function of the spawner.

            c.DockerSpawner.volumes = {"jupyterhub-user-{username}": "/home/jovyan/work"}
        """,
    ).tag(config=True)

    read_only_volumes = PerSpawn(
        Dict(),
        {},
        help="""As `volumes`, but read-only; a mode such as `z` that an entry names itself is added to that.

        An entry here replaces one of the same name in `volumes`. May be a function of the spawner.
        """,
    ).tag(config=True)

    mounts = PerSpawn(
        List(Dict()),
        [],
        help="""More mounts, as dictionaries of docker-py's words for a `Mount`: `target`, `source`, `type`
        (`volume`, which is the default, `bind`, `tmpfs`), `read_only`, `consistency`, `propagation`,
        `no_copy`, `labels`, `driver_config`, `tmpfs_size`, `tmpfs_mode`, `subpath`.

        Texts in them are templates like those of `volumes`. Unlike with `volumes`, a host path that does
        not exist is an error. May be a function of the spawner.
        """,
    ).tag(config=True)

    delete_volumes_on_user_delete = Bool(
        False,
        help="""Remove a user's volumes when the user, or a named server, is deleted from the Hub.

        Removed are volumes that were made for this very user (and server), never host paths and never a
        volume whose name another user's server could have. The container is removed in any case.
        """,
    ).tag(config=True)

    format_volume_name = Any(
        help="""How templates in `volumes` are rendered: a callable of the template and the spawner.

        The default fills in the fields of `name_template`.
        """
    ).tag(config=True)

    @default("format_volume_name")
    def _get_default_format_volume_name(self) -> object:
        return naming.default_format_volume_name
