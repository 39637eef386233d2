"""Files inside containers, and in volumes, as an Engine gives them to tests."""

from __future__ import annotations

import io
import tarfile
from typing import NamedTuple

from tests.support.site import Site


class Entry(NamedTuple):
    """Owner, mode and content of a file or folder."""

    uid: int
    gid: int
    mode: int
    content: bytes = b""


def inside(site: Site, ref: str, path: str) -> dict[str, Entry]:
    """Return what is at a path of a container and below: name from its last part on → what it is."""
    answer = site.http.get(f"/containers/{ref}/archive", params={"path": path})
    if answer.status_code == 404:
        return {}
    found = {}
    with tarfile.open(fileobj=io.BytesIO(answer.raise_for_status().content)) as tar:
        for member in tar:
            opened = tar.extractfile(member) if member.isreg() else None
            content = opened.read() if opened else b""
            found[member.name] = Entry(member.uid, member.gid, member.mode & 0o7777, content)
    return found
