"""Folders of the system's users, and whose the files in them are."""

from __future__ import annotations

import os
from pathlib import Path


def folder(path: Path, uid: int, gid: int) -> Path:
    """Make a folder that its owner and its group alone may use, and whose files are the group's."""
    path.mkdir()
    os.chown(path, uid, gid)
    path.chmod(0o2770)
    return path


def owner_of(path: Path) -> tuple[int, int]:
    """Whose a file is: uid and gid."""
    found = path.stat()
    return found.st_uid, found.st_gid
