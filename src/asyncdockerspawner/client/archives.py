"""Files of containers, also of those that do not run. Source: Docker Engine API v1.41, "Archive"."""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Sequence

from asyncdockerspawner import errors
from asyncdockerspawner.client.connection import Connection, segment
from asyncdockerspawner.client.tar import File, content_in, entries_in

MOST_BYTES = 2**18
"""Of an archive that only its first entries are wanted of, no more is read."""
LARGEST_FILE = 2**19
"""A larger one is not read: it is a user's who has made it so, and reading it would keep others waiting."""
_AROUND = 2**14
"""What an archive has around a file."""
MOST_LINKS = 10
"""A longer way of symbolic links leads nowhere."""


class Archives:
    """Verbs on files inside containers; `ref` is an id or a name."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def put(self, ref: str, folder: str, archive: bytes) -> None:
        """Unpack a tar archive in a folder of the container.

        Missing folders on the way are made by the Engine with a mode of its choice: name them in the archive.
        Raises ReadOnlyFiles where the container, or the volume that the folder is in, may not be written to,
        and ObjectNotFound where there is no such folder. What is no folder, such as a symbolic link, is never
        replaced by one: that raises EngineRefused.
        """
        await self._connection.request(
            "PUT",
            f"containers/{segment(ref)}/archive",
            operation="put files",
            repeatable=True,
            subject=ref,
            params={"path": folder, "noOverwriteDirNonDir": "1"},
            headers={"Content-Type": "application/x-tar"},
            body=archive,
            decoded=False,
        )

    async def entries(self, ref: str, path: str, *, most: int) -> Sequence[tarfile.TarInfo]:
        """Return the first entries of what is at a path, itself first; what comes after them is cut off.

        There may be fewer than `most` also where large files lie before the others. Raises ObjectNotFound,
        and EngineRefused where nothing has come.
        """
        found = entries_in(await self._read(ref, path, MOST_BYTES, most))
        if not found:
            raise errors.EngineRefused("read files", ref, f"{path} cannot be read (nothing came)")
        return found[:most]

    async def file(self, ref: str, path: str) -> File | None:
        """Return a file, with the path that symbolic links lead to; None where there is none.

        Raises EngineRefused for one that is larger than LARGEST_FILE.
        """
        for _ in range(MOST_LINKS):
            try:
                data = await self._read(ref, path, LARGEST_FILE + _AROUND)
            except errors.ObjectNotFound as exc:
                if "no such container" in exc.message.lower():
                    raise
                return None
            found = entries_in(data)
            if not found or not found[0].issym():
                return _file(ref, path, data, found)
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), found[0].linkname))
        return None

    async def _read(self, ref: str, path: str, size: int, most: int = 0) -> bytearray:
        """Read an archive until it has `most` entries, or more than `size` bytes."""
        data = bytearray()
        async with self._connection.stream(
            "GET",
            f"containers/{segment(ref)}/archive",
            operation="read files",
            subject=ref,
            params={"path": path},
        ) as chunks:
            async for chunk in chunks:
                data += chunk
                if len(data) > size or (most and len(entries_in(data)) >= most):
                    break
        return data


def _file(ref: str, path: str, data: bytearray, found: Sequence[tarfile.TarInfo]) -> File | None:
    if found and not found[0].isreg():
        return None
    if found and found[0].size > LARGEST_FILE:
        raise errors.EngineRefused(
            "read files", ref, f"{path} cannot be read (it is larger than {LARGEST_FILE} bytes)"
        )
    try:
        content = content_in(data)
    except tarfile.TarError as exc:
        raise errors.EngineRefused("read files", ref, f"{path} cannot be read ({exc})") from exc
    entry = found[0]
    return File(path=path, content=content, uid=entry.uid, gid=entry.gid, mode=entry.mode & 0o7777)
