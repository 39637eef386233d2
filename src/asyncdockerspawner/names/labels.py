"""Whose an object at the Engine is, written on the object itself."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

PREFIX = "asyncdockerspawner."
HUB = f"{PREFIX}hub"
USER = f"{PREFIX}user"
SERVER = f"{PREFIX}server"
SPAWN = f"{PREFIX}spawn"
NAME = f"{PREFIX}name"
"""The name of a service, on its containers: a task does not tell it."""
CONFIG_HASH = f"{PREFIX}config-hash"
PORT = f"{PREFIX}port"
"""Where it listens in a network that it shares with others: `host:8888`, `container:NAME:8888`."""
KEEP = f"{PREFIX}keep"
"""On what was made to be kept when its server stops: it may be all that a user has."""

SANDBOX = f"{PREFIX}sandbox"
"""On a server that has its network in a sandbox which was made ahead: the sandbox's id."""
SANDBOX_FOR = f"{PREFIX}sandbox-for"
"""On a sandbox: network, port and address that a server has in it. It carries no user: it is for anybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The Hub, user, server and spawn that an object was created for."""

    hub_id: str
    username: str
    servername: str
    spawn_id: str


def ownership_labels(*, hub_id: str, username: str, servername: str, spawn_id: str) -> dict[str, str]:
    """Label an object with its owner; names go in as they are, unescaped."""
    return {HUB: hub_id, USER: username, SERVER: servername, SPAWN: spawn_id}


def ownership_labels_of(owner: Owner) -> dict[str, str]:
    """Write an owner as labels."""
    return ownership_labels(
        hub_id=owner.hub_id,
        username=owner.username,
        servername=owner.servername,
        spawn_id=owner.spawn_id,
    )


def kept_label(remove: bool) -> dict[str, str]:
    """Return the label of what stays when its server stops; none where it is to be removed then."""
    return {} if remove else {KEEP: "true"}


def owner_of(labels: Mapping[str, str] | None) -> Owner | None:
    """Read the owner back; None unless all of it is there."""
    found = labels or {}
    try:
        return Owner(hub_id=found[HUB], username=found[USER], servername=found[SERVER], spawn_id=found[SPAWN])
    except KeyError:
        return None


def new_spawn_id() -> str:
    """Name a new creation."""
    return uuid.uuid4().hex[:16]


def hub_id_from(cookie_secret: bytes) -> str:
    """Tell Hubs apart by what each of them keeps to itself over restarts."""
    # The prefix keeps this digest apart from whatever else is derived from the secret.
    return hashlib.sha256(b"asyncdockerspawner hub id\0" + cookie_secret).hexdigest()[:12]


def name_aside(name: str, object_id: str) -> str:
    """Name an object that makes room for another one of its name, and is kept for its user's files."""
    aside = f"-kept-{object_id[:12]}"
    return name if name.endswith(aside) else f"{name}{aside}"
