"""What a service mounts: volumes by their names, paths of the nodes, and memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.keywords.binds import PROPAGATIONS, as_bind, is_volume, parted
from asyncdockerspawner.keywords.convert import items, pairs
from asyncdockerspawner.keywords.limits import byte_size
from asyncdockerspawner.keywords.mount import engine_mount

_ABSOLUTE = re.compile(r"/|[A-Za-z]:[\\/]|\\\\|\{\{")
_IGNORED = frozenset({"rw", "z", "Z", ""})
"""Words of a bind's mode that change nothing; a swarm has no relabelling for SELinux."""
_CONSISTENCIES = frozenset({"consistent", "cached", "delegated"})


def service_mounts(value: Any, option: str) -> list[JsonObject]:
    """Convert a list of mounts: dicts, or texts `source:target[:mode]` as in docker-py."""
    mounts = [_mount(each, f"{option}[{number}]") for number, each in enumerate(items(value, option))]
    return without_doubles(mounts, option)


def mounts_of_binds(binds: object, option: str) -> list[JsonObject]:
    """Convert `volumes`: a dict of source → {"bind", …}, or a list of texts `source:target[:mode]`."""
    if isinstance(binds, Mapping):
        found = [_of_bind(str(source), bind, f"{option}[{source!r}]") for source, bind in binds.items()]
    else:
        found = [_of_text(str(each), f"{option}[{each!r}]") for each in items(binds, option)]
    return without_doubles(found, option)


def memory_mounts(tmpfs: Any, option: str) -> list[JsonObject]:
    """Convert a HostConfig's `Tmpfs`: path → options as of the command `mount`."""
    return [
        _of_tmpfs(str(path), str(options or ""), f"{option}[{path!r}]")
        for path, options in pairs(tmpfs, option).items()
    ]


def shared_memory(size: Any, option: str) -> list[JsonObject]:
    """Return the mount that gives a service so many bytes of shared memory; it has no other way to it."""
    part = {"SizeBytes": byte_size(size, option=option)}
    return [{"Type": "tmpfs", "Target": "/dev/shm", "TmpfsOptions": part}]  # noqa: S108


def without_doubles(mounts: list[JsonObject], option: str) -> list[JsonObject]:
    """Return the mounts. Raises BadOption where two are at one path."""
    seen: set[str] = set()
    for mount in mounts:
        path = target_of(mount)
        if path in seen:
            raise BadOption(f"{option}: two mounts are at {path}; only one can be there.")
        seen.add(path)
    return mounts


def target_of(mount: Mapping[str, Any]) -> str:
    """Return where in the container a mount is: of two at one path, the Engine takes none."""
    path = str(mount.get("Target") or "")
    return path.rstrip("/") or path


def with_driver(mounts: Iterable[JsonObject], name: str, options: Mapping[str, Any]) -> list[JsonObject]:
    """Have named volumes made by a driver, where their mounts name none."""
    if not name and not options:
        return list(mounts)
    driver: JsonObject = {"Name": name or "local"}
    if options:
        driver["Options"] = {str(key): str(item) for key, item in options.items()}
    return [_driven(mount, driver) for mount in mounts]


def _driven(mount: JsonObject, driver: JsonObject) -> JsonObject:
    part = mount.get("VolumeOptions") or {}
    if mount.get("Type") != "volume" or not mount.get("Source") or part.get("DriverConfig"):
        return mount
    return {**mount, "VolumeOptions": {**part, "DriverConfig": driver}}


def _mount(value: Any, option: str) -> JsonObject:
    if isinstance(value, str):
        return _of_text(value, option)
    return _checked(engine_mount(value, option), option)


def _of_text(text: str, option: str) -> JsonObject:
    source, target, mode = parted(text)
    if not target:
        return _checked({"Type": "volume", "Target": source}, option)
    return _of_bind(source, {"bind": target, "mode": mode}, option)


def _of_bind(source: str, value: object, option: str) -> JsonObject:
    bind = as_bind(value, "rw", option)
    kind = "volume" if is_volume(source) else "bind"
    mount: JsonObject = {"Type": kind, "Source": source, "Target": bind["bind"]}
    words = [*str(bind["mode"] or "").split(","), str(bind.get("propagation") or "")]
    for word in words:
        if word == "ro":
            mount["ReadOnly"] = True
        elif word == "nocopy" and kind == "volume":
            mount["VolumeOptions"] = {"NoCopy": True}
        elif word in PROPAGATIONS and kind == "bind":
            mount["BindOptions"] = {"Propagation": word}
        elif word in _CONSISTENCIES:
            mount["Consistency"] = word
        elif word not in _IGNORED:
            raise BadOption(f"{option} has {word!r}, which the mount of a {_KINDS[kind]} does not have.")
    return _checked(mount, option)


_KINDS = {"volume": "volume", "bind": "host path"}


def _checked(mount: JsonObject, option: str) -> JsonObject:
    target, source = str(mount["Target"]), str(mount.get("Source") or "")
    if not _ABSOLUTE.match(target):
        raise BadOption(f"{option}: {target!r} in the container must be an absolute path.")
    if mount.get("Type") == "bind" and not _ABSOLUTE.match(source):
        raise BadOption(
            f"{option}: {source!r} must be an absolute path of the nodes, or the name of a volume, "
            "which has no slash."
        )
    return mount


def is_local_volume(mount: Mapping[str, Any]) -> bool:
    """Tell whether a mount, as the Engine has it, is of a volume that lives on one node.

    The Engine's own driver keeps it on its machine; with options it may mount what other nodes have
    too, such as NFS.
    """
    driver = (mount.get("VolumeOptions") or {}).get("DriverConfig") or {}
    plain = driver.get("Name") in {None, "", "local"} and not driver.get("Options")
    return plain and mount.get("Type") == "volume" and bool(mount.get("Source"))


def _of_tmpfs(path: str, options: str, option: str) -> JsonObject:
    mount: JsonObject = {"Type": "tmpfs", "Target": path}
    part: JsonObject = {}
    for each in options.split(","):
        word, _, value = each.strip().partition("=")
        if word == "size":
            part["SizeBytes"] = byte_size(value, option=f"{option}.size")
        elif word == "mode" and re.fullmatch("[0-7]+", value):
            part["Mode"] = int(value, 8)
        elif word == "ro":
            mount["ReadOnly"] = True
        elif word not in {"", "rw", "noexec", "nosuid", "nodev"}:
            raise BadOption(
                f"{option} has {each.strip()!r}: in a service, memory has a size, a mode, and ro or rw."
            )
    return _checked({**mount, **({"TmpfsOptions": part} if part else {})}, option)
