"""What is put into an object before it is started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

CERTIFICATES = "/jupyterhub-certs"
"""Where a server finds its key and certificates; a folder that images do not have and sites do not mount.

Its parent is part of every image and never a tmpfs.
"""
USERS_FILE = "/etc/passwd"
OF_THE_IMAGE = "image"
"""The owner of volumes that is whoever the server runs as."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Furnishing:
    """What a server is to find in its object, at every start."""

    certificates: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Path inside → content: for the user alone that the server runs as. One of them is its key."""
    passwd_entry: str = ""
    """A line of /etc/passwd for a user that the image may not have; empty for none."""
    volume_owner: str | None = None
    """Who gets the server's fresh volumes: "image", or `uid:gid`; None leaves them as they are."""


class Need(Enum):
    """What is left to be done about the owner of a volume."""

    NONE = "none"
    """It has one, or holds files."""
    NONE_HERE = "none here"
    """Servers that are made like this one need nothing: they run as root, or may not write."""
    LOOK = "look"
    """The next start looks again."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that an object could not be given, and that it is started without."""

    told: str
    """A sentence for its user."""
    reason: str
    """For the log: what was refused, and by whom."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Furnished:
    """What came of it."""

    volumes: Mapping[str, Need] = field(default_factory=dict)
    """Volume → what is left to be done about its owner."""
    refused: Sequence[Refusal] = ()
