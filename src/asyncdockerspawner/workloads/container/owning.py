"""The owner of a user's fresh volume, which the Engine makes root's.

It is set through a container that has the volume and does not run yet, by an archive with an entry for the
folder that the volume is mounted at. Later Engines than 20.10 overlook an entry for the very folder that they
unpack in, so that is one above it. Where none can be written to, or a symbolic link is there, another
container has the volume meanwhile.
"""

from __future__ import annotations

import asyncio
import posixpath
import tarfile
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager

from asyncdockerspawner import errors
from asyncdockerspawner.client.client import Client
from asyncdockerspawner.client.tar import Folder, packed
from asyncdockerspawner.client.translate import NO_ANSWER
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.container.inside import LEAST_REMAPPED, Inside, Mount, is_below
from asyncdockerspawner.workloads.container.users import ROOT, Ids, UnknownUser
from asyncdockerspawner.workloads.furnishing import OF_THE_IMAGE, Need, Refusal

ALONE = "/volume"
"""Where the other container has it."""


class Owning:
    """One volume of a container that is about to start, and who is to own it."""

    def __init__(
        self, client: Client, inside: Inside, owner: str, volume: str, remove: Callable[[str], object]
    ) -> None:
        self._client = client
        self._inside = inside
        self._owner = owner
        self._volume = volume
        self._remove = remove

    async def see_to(self) -> tuple[Need, Refusal | None]:
        """Give the volume its owner if it is root's and empty; tells what is left to be done."""
        mounts = [each for each in self._inside.known.mounts if each.volume == self._volume]
        mount = next((each for each in mounts if each.writable), None)
        if mount is None:
            return Need.NONE_HERE, None
        try:
            return await self._looked_at(mount), None
        except NO_ANSWER:
            raise
        except (errors.EngineError, UnknownUser) as exc:
            # What a filter does not let through, it will not let through the next time.
            need = Need.NONE if isinstance(exc, errors.Forbidden) else Need.LOOK
            return need, self._refusal(mount, exc)

    async def _looked_at(self, mount: Mount) -> Need:
        known = self._inside.known
        within = [each.target for each in known.mounts if is_below(each.target, mount.target)]
        within.remove(mount.target)
        if not known.read_only and not within:
            found = await self._client.archives.entries(known.id, mount.target, most=2)
            if found[0].isdir():
                return await self._set(known.id, mount.target, found, ())
        # What is mounted in it would be among its files here; what is there may be a link to where it is.
        async with self._alone() as other:
            ways = _ways(within, mount.target)
            found = await self._client.archives.entries(other, ALONE, most=2 + len(ways))
            return await self._set(other, ALONE, found, ways)

    async def _set(
        self, ref: str, path: str, found: Sequence[tarfile.TarInfo], ways: Collection[str]
    ) -> Need:
        """Set the owner, but for a volume that has one, or holds anything but the `ways` to its mounts.

        Where that is set now, the next start looks again: with each container, the Engine makes an empty
        volume's folder like the one that the image has in its place.
        """
        root, *held = found
        if any(each.name.partition("/")[2] not in ways for each in held):
            return Need.NONE
        if not await self._is_roots(ref, root):
            return Need.NONE
        ids = await self._ids()
        if ids == ROOT:
            return Need.NONE_HERE
        await self._inside.check_that_ids_count()
        folder = Folder(path=path, uid=ids.uid, gid=ids.gid, mode=root.mode & 0o7777, mtime=int(root.mtime))
        await self._client.archives.put(ref, "/", packed([folder], "/"))
        return Need.LOOK

    async def _is_roots(self, ref: str, folder: tarfile.TarInfo) -> bool:
        """Tell whether a folder is root's inside.

        With userns-remap, an Engine tells ids of its machine, though the ids that it takes are those inside.
        """
        owner = Ids(folder.uid, folder.gid)
        if owner == ROOT or min(owner.uid, owner.gid) < LEAST_REMAPPED:
            return owner == ROOT
        found = await self._client.archives.entries(ref, "/", most=1)
        return [owner] == [Ids(top.uid, top.gid) for top in found]

    async def _ids(self) -> Ids:
        if self._owner == OF_THE_IMAGE:
            return await self._inside.runs_as()
        return await self._inside.ids_of(self._owner)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[str]:
        """Have a container that has the volume alone and is never started; removed whatever happens."""
        making = asyncio.create_task(self._client.containers.create("", self._body()))
        try:
            yield await asyncio.shield(making)
        finally:
            removing = asyncio.create_task(self._removed(making))
            await asyncio.shield(removing)

    def _body(self) -> JsonObject:
        known = self._inside.known
        own = (labels.HUB, labels.USER, labels.SERVER, labels.SPAWN)
        mount = {"Type": "volume", "Source": self._volume, "Target": ALONE, "VolumeOptions": {"NoCopy": True}}
        return {
            "Image": known.image,
            "Cmd": ["-"],
            # Should this process be killed right now, the next one finds it as a leftover of the spawn.
            "Labels": {key: value for key, value in known.labels.items() if key in own},
            "HostConfig": {"Mounts": [mount], "NetworkMode": "none"},
        }

    async def _removed(self, making: asyncio.Task[str]) -> None:
        await asyncio.wait([making])
        if making.cancelled() or making.exception() is not None:
            return
        try:
            await self._client.containers.remove(making.result(), force=True)
        except errors.EngineError:
            # The volume has its owner all the same.
            self._remove(making.result())

    def _refusal(self, mount: Mount, exc: Exception) -> Refusal:
        said = exc.message if isinstance(exc, errors.EngineError) else str(exc)
        return Refusal(
            f"It may not be possible to save files in {mount.target}: it could not be made the server's own.",
            f"`volume_owner`: the volume {self._volume}, at {mount.target}, keeps its owner: {said}. Set its "
            "owner by hand, or `volume_owner = None`.",
        )


def _ways(within: Collection[str], target: str) -> set[str]:
    """Return the folders in a volume, relative to it, that the Engine makes to mount others there."""
    ways: set[str] = set()
    for each in within:
        way = posixpath.relpath(each, target)
        while way:
            ways.add(way)
            way = posixpath.dirname(way)
    return ways
