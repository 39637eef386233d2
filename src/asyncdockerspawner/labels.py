"""Whose an object at the Engine is, written on the object itself."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from asyncdockerspawner.jsontypes import JsonObject

PREFIX = "asyncdockerspawner."
HUB = f"{PREFIX}hub"
USER = f"{PREFIX}user"
SERVER = f"{PREFIX}server"
SPAWN = f"{PREFIX}spawn"
CONFIG_HASH = f"{PREFIX}config-hash"

_LIMITS = ("Memory", "MemorySwap", "MemoryReservation", "CpuPeriod", "CpuQuota", "NanoCpus")
_MOUNTS = ("Binds", "Mounts", "Tmpfs")
_HUB_VARIABLES = ("JUPYTERHUB_", "JPY_")


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


def owner_of(labels: Mapping[str, str] | None) -> Owner | None:
    """Read the owner back; None unless all of it is there."""
    try:
        return Owner(
            hub_id=(labels or {})[HUB],
            username=(labels or {})[USER],
            servername=(labels or {})[SERVER],
            spawn_id=(labels or {})[SPAWN],
        )
    except KeyError:
        return None


def config_hash(body: JsonObject) -> str:
    """Digest what a container is made from, leaving out what differs at every spawn.

    Two bodies of one digest may run each other's server; one that differs has drifted from the
    configuration.
    """
    host = body.get("HostConfig") or {}
    essence = {
        "image": body.get("Image"),
        "cmd": body.get("Cmd"),
        "env": sorted(_lasting(body.get("Env") or [])),
        "limits": _present(host, _LIMITS),
        "mounts": _present(host, _MOUNTS),
    }
    canonical = json.dumps(essence, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def new_spawn_id() -> str:
    """Name a new creation."""
    return uuid.uuid4().hex[:16]


def hub_id_from(cookie_secret: bytes) -> str:
    """Tell Hubs apart by what each of them keeps to itself over restarts."""
    # The prefix keeps this digest apart from whatever else is derived from the secret.
    return hashlib.sha256(b"asyncdockerspawner hub id\0" + cookie_secret).hexdigest()[:12]


def _lasting(env: Iterable[str]) -> Iterable[str]:
    for entry in env:
        name = entry.partition("=")[0].upper()
        if not name.startswith(_HUB_VARIABLES) and "TOKEN" not in name:
            yield entry


def _present(host: Mapping[str, Any], keys: Iterable[str]) -> JsonObject:
    # An absent key, null, zero and empty all mean "none" to the Engine.
    return {key: host[key] for key in keys if host.get(key)}
