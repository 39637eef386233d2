"""What a kept container was made from, and whether it holds files of its user."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.workloads.furnishing import CERTIFICATES, USERS_FILE
from asyncdockerspawner.workloads.observed import Observed

_LIMITS = ("Memory", "MemorySwap", "MemoryReservation", "CpuPeriod", "CpuQuota", "NanoCpus")
_MOUNTS = ("Binds", "Mounts", "Tmpfs")
_HUB_VARIABLES = ("JUPYTERHUB_", "JPY_")
_HOMES = ("/home", "/root")


def fingerprint(body: JsonObject) -> str:
    """Digest what a container is made from, part by part, leaving out what differs at every spawn."""
    host = body.get("HostConfig") or {}
    parts = {
        "image": body.get("Image"),
        "command": body.get("Cmd"),
        "environment": sorted(_lasting(body.get("Env") or [])),
        "limits": _present(host, _LIMITS),
        "mounts": _present(host, _MOUNTS),
    }
    if body.get("User") or host.get("GroupAdd"):
        parts["user"] = [body.get("User"), _present(host, ("GroupAdd",))]
    return " ".join(f"{part}:{_digest(value)}" for part, value in parts.items())


def other_account(body: JsonObject, observed: Observed) -> str:
    """Return the user and groups that a container was made with, where a body has others; else nothing.

    A body that names no user leaves it to the image, which may be any.
    """
    user, groups = body.get("User"), set(map(str, (body.get("HostConfig") or {}).get("GroupAdd") or ()))
    if groups == set(observed.groups) and (not user or user == observed.user):
        return ""
    return " with the groups ".join(filter(None, [observed.user or "root", ", ".join(observed.groups)]))


def files_of_the_user(changed: Iterable[str], observed: Observed) -> list[str]:
    """Pick the changed paths that may be a user's: below a home or the working directory, outside mounts.

    Source of `changed`: `GET /containers/ID/changes`, which names every changed folder too.
    """
    home = (observed.environment or {}).get("HOME")
    homes = [PurePosixPath(each) for each in (*_HOMES, home, observed.working_dir or "/") if each]
    # Nor what is put in before each start.
    mounts = [PurePosixPath(each) for each in (*observed.mount_points, CERTIFICATES, USERS_FILE)]
    return [path for path in changed if _in_a_home(PurePosixPath(path), homes, mounts)]


def _in_a_home(path: PurePosixPath, homes: Sequence[PurePosixPath], mounts: Sequence[PurePosixPath]) -> bool:
    if not any(path != home and path.is_relative_to(home) for home in homes):
        return False
    # The Engine makes the folders that lead to a mount; they hold nothing else.
    return not any(path.is_relative_to(mount) or mount.is_relative_to(path) for mount in mounts)


def _lasting(env: Iterable[str]) -> Iterable[str]:
    for entry in env:
        name = entry.partition("=")[0].upper()
        if not name.startswith(_HUB_VARIABLES) and "TOKEN" not in name:
            yield entry


def _present(host: Mapping[str, Any], keys: Iterable[str]) -> JsonObject:
    # An absent key, null, zero and empty all mean "none" to the Engine.
    return {key: host[key] for key in keys if host.get(key)}


def _digest(value: Any) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]
