"""Options: what is mounted."""

from __future__ import annotations

import re

from traitlets import Any, Bool, Dict, HasTraits, List, TraitError, Unicode, default

from asyncdockerspawner.accounts.entries import LARGEST_ID
from asyncdockerspawner.names import naming
from asyncdockerspawner.spawners.options.per_spawn import PerSpawn
from asyncdockerspawner.workloads.furnishing import OF_THE_IMAGE

_IDS = re.compile(r"[0-9]{1,10}:[0-9]{1,10}")


def _are_ids(value: str) -> bool:
    return _IDS.fullmatch(value) is not None and all(int(each) <= LARGEST_ID for each in value.split(":"))


class VolumeOwner(Unicode[str | None, str | None]):
    """Who is to own a volume."""

    allow_none = True
    info_text = "'image', 'UID:GID' in numbers, or None"

    def validate(self, obj: HasTraits, value: Any) -> str:
        """Return the text."""
        if isinstance(value, str) and (value == OF_THE_IMAGE or _are_ids(value)):
            return value
        raise TraitError(f"it has to be {self.info_text}")


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

    volume_owner = PerSpawn(
        VolumeOwner(),
        OF_THE_IMAGE,
        help="""Who gets a user's fresh volumes, which are root's otherwise: nothing could be saved there.

        `"image"` is the user and group that the server runs as: `user` of `extra_create_kwargs`, else the
        image's, else `NB_UID` and `NB_GID` for images that begin as root. `"1000:100"` is a user id and a
        group id. None leaves all volumes as they are. May be a function of the spawner.

        It is done before a start, for volumes in `volumes` and `mounts` that this spawner has made for one
        user, as long as they are empty and root's; their permissions stay. Volumes that several users have,
        that were there before, or that hold files are never changed, nor are host paths. Whose a volume is
        is told by the templates in its name. In `mounts`, those with `labels`, `driver_config` or `subpath`
        are left to the Engine. Where `format_volume_name` or `escape` is a function of the site's, "image"
        changes nothing unless `delete_volumes_on_user_delete` is set too.
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
