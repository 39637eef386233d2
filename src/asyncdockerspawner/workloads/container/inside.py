"""The inside of a container, as far as files go: who its server runs as, and what is put into it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from asyncdockerspawner import errors
from asyncdockerspawner.client.client import Client
from asyncdockerspawner.client.tar import File, Folder, packed
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.keywords.create import environment_of
from asyncdockerspawner.workloads.container import users
from asyncdockerspawner.workloads.container.users import Ids
from asyncdockerspawner.workloads.furnishing import USERS_FILE

GROUPS_FILE = "/etc/group"
LEAST_REMAPPED = 2**16
"""Below it are ids of the machine's own users; ids that are given to namespaces are above."""


class Mount(NamedTuple):
    """Something that is mounted in a container."""

    target: str
    volume: str
    """The volume's name; "" for anything else."""
    writable: bool


@dataclass(frozen=True, slots=True)
class Described:
    """What `GET /containers/REF/json` tells of it."""

    id: str
    image: str
    """Its image's id."""
    user: str
    """Who its process is started as."""
    environment: dict[str, str]
    mounts: Sequence[Mount]
    read_only: bool
    """Nothing outside of its mounts can be written."""
    labels: dict[str, str]
    has_ids_of_the_machine: bool
    """`userns_mode` is "host": userns-remap, should the Engine have it, is not for this container."""

    def mount_of(self, path: str) -> Mount | None:
        """Return what a path is in that is mounted; None where it is in the container's own files."""
        found = [each for each in self.mounts if is_below(path, each.target)]
        return max(found, key=lambda each: len(each.target), default=None)


def described(document: JsonObject) -> Described:
    """Read the document."""
    config, host = document.get("Config") or {}, document.get("HostConfig") or {}
    mounts = [
        Mount(
            target=str(each["Destination"]),
            volume=str(each.get("Name") or "") if each.get("Type") == "volume" else "",
            writable=bool(each.get("RW")),
        )
        for each in document.get("Mounts") or ()
    ]
    mounts += [Mount(str(target), "", writable=True) for target in host.get("Tmpfs") or ()]
    return Described(
        id=str(document["Id"]),
        image=str(document.get("Image") or ""),
        user=str(config.get("User") or ""),
        environment=environment_of(config.get("Env")),
        mounts=mounts,
        read_only=bool(host.get("ReadonlyRootfs")),
        labels=dict(config.get("Labels") or {}),
        has_ids_of_the_machine=host.get("UsernsMode") == "host",
    )


def is_below(path: str, folder: str) -> bool:
    """Tell whether a path is a folder, or in it."""
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


class Inside:
    """A container's files; what was asked once is not asked again."""

    def __init__(self, client: Client, known: Described) -> None:
        self.known = known
        self._archives = client.archives
        self._files: dict[str, File | None] = {}

    async def runs_as(self) -> Ids:
        """Return whom the server runs as. Raises UnknownUser for a name that is not known inside."""
        started_as = await self.ids_of(self.known.user)
        if started_as.uid:
            return started_as
        user = users.stands_for(self.known.user, self.known.environment)
        return started_as if user == self.known.user else await self.ids_of(user)

    async def ids_of(self, user: str) -> Ids:
        """Return whom a text means inside. Raises UnknownUser."""
        if (found := users.as_numbers(user)) is not None:
            return found
        group = user.partition(":")[2]
        needs_groups = bool(group) and not group.isdigit()
        groups = await self._text(GROUPS_FILE) if needs_groups else ""
        return users.resolve(user, await self._text(USERS_FILE), groups)

    async def check_that_ids_count(self) -> None:
        """Raise EngineRefused where what is put in would belong to others than it says.

        With userns-remap, an Engine takes ids for those that its other containers have, also for one that
        has its machine's; what is read has the machine's. Source: `daemon/archive_tarcopyoptions.go` of
        moby, where the ids' mapping is the daemon's alone.
        """
        if not self.known.has_ids_of_the_machine:
            return
        [top] = await self._archives.entries(self.known.id, "/", most=1)
        if top.uid >= LEAST_REMAPPED:
            raise errors.EngineRefused(
                "put files",
                self.known.id,
                'with `userns_mode` "host", an Engine with userns-remap gives what is put into a container '
                "to other ids than its server runs as",
            )

    async def file(self, path: str) -> File | None:
        """Return one of its files; None where there is none."""
        if path not in self._files:
            self._files[path] = await self._archives.file(self.known.id, path)
        return self._files[path]

    async def put(self, entries: Iterable[File | Folder], *, into: str) -> None:
        """Put files into a folder, with the folders on the way that are among `entries`.

        Where the container's own files are read-only, what is mounted in it may not be: the Engine looks at
        the folder alone that it is told to unpack in.
        """
        mount = self.known.mount_of(into) if self.known.read_only else None
        base = "/" if mount is None else mount.target
        below = [each for each in entries if each.path != base]
        await self._archives.put(self.known.id, base, packed(below, base))

    async def _text(self, path: str) -> str:
        found = await self.file(path)
        return "" if found is None else found.content.decode("utf-8", "surrogateescape")
