"""Files and folders as the Engine takes and gives them: tar archives, in memory. Pure."""

from __future__ import annotations

import io
import posixpath
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file inside a container."""

    path: str
    """Absolute."""
    content: bytes = field(repr=False)
    """It may be a key."""
    uid: int = 0
    gid: int = 0
    mode: int = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder inside a container: its owner and mode, without what is in it."""

    path: str
    """Absolute."""
    uid: int = 0
    gid: int = 0
    mode: int = 0o755
    mtime: int = 0
    """Seconds since 1970."""


def packed(entries: Iterable[File | Folder], base: str) -> bytes:
    """Return an archive of what is below `base`, to be unpacked there; the same always gives the same bytes.

    A user id of any size is kept: what does not fit into the header stands in a record before it.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for each in entries:
            member = tarfile.TarInfo(posixpath.relpath(each.path, base))
            member.uid, member.gid, member.mode = each.uid, each.gid, each.mode
            if isinstance(each, Folder):
                member.type, member.mtime = tarfile.DIRTYPE, each.mtime
                tar.addfile(member)
            else:
                member.size = len(each.content)
                tar.addfile(member, io.BytesIO(each.content))
    return buffer.getvalue()


def entries_in(data: bytes | bytearray) -> list[tarfile.TarInfo]:
    """Return the entries of an archive, or of as much of one as has come."""
    found: list[tarfile.TarInfo] = []
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            found.extend(tar)
    except tarfile.TarError:
        # The rest has not come.
        pass
    return found


def content_in(data: bytes | bytearray) -> bytes:
    """Return what is in the only file of an archive. Raises tarfile.TarError where that is cut off."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        member = tar.next()
        opened = tar.extractfile(member) if member is not None else None
        content = opened.read() if opened is not None else b""
        if member is None or len(content) < member.size:
            raise tarfile.ReadError("the archive is cut off")
        return content
