"""Options: what is mounted."""

from __future__ import annotations

from traitlets import Any, Dict, HasTraits, default

from asyncdockerspawner import naming


class StorageTraits(HasTraits):
    """Volumes and host paths."""

    volumes = Dict(
        help="""What is mounted where: volume name or host path → path in the container.

        The path may also be a dictionary `{"bind": PATH, "mode": "rw" | "ro" | "z" | "Z", "propagation": …}`.
        Names and paths are templates with the fields of `name_template`. A name without a slash is a volume,
        which the Engine creates when it is first used; a host path that does not exist is created as an
        empty directory of root's.

            c.DockerSpawner.volumes = {"jupyterhub-user-{username}": "/home/jovyan/work"}
        """
    ).tag(config=True)

    read_only_volumes = Dict(
        help="""As `volumes`, but read-only unless an entry gives a mode of its own.

        An entry here replaces one of the same name in `volumes`.
        """
    ).tag(config=True)

    format_volume_name = Any(
        help="""How templates in `volumes` are rendered: a callable of the template and the spawner.

        The default fills in the fields of `name_template`.
        """
    ).tag(config=True)

    @default("format_volume_name")
    def _format_volume_name_default(self) -> object:
        return naming.default_format_volume_name
