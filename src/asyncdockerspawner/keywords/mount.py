"""docker-py's keywords for a `Mount`, or the Engine's own keys, as an entry of `HostConfig.Mounts`."""

from __future__ import annotations

from typing import Any

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.keywords.binds import as_bind, is_volume, propagation_of
from asyncdockerspawner.keywords.convert import items, pairs, renamed
from asyncdockerspawner.keywords.limits import byte_size

_COMMON = {
    "target": "Target",
    "source": "Source",
    "type": "Type",
    "read_only": "ReadOnly",
    "consistency": "Consistency",
}
_BIND = {"propagation": "Propagation"}
_VOLUME = {
    "no_copy": "NoCopy",
    "labels": "Labels",
    "driver_config": "DriverConfig",
    "subpath": "Subpath",
}
_TMPFS = {"tmpfs_size": "SizeBytes", "tmpfs_mode": "Mode"}
_PARTS = {
    "bind": ("BindOptions", _BIND),
    "volume": ("VolumeOptions", _VOLUME),
    "tmpfs": ("TmpfsOptions", _TMPFS),
}
_DRIVER = {"name": "Name", "options": "Options"}
_RAW = {f"{kind}Options": f"{kind}Options" for kind in ("Bind", "Volume", "Tmpfs", "Image", "Cluster")}


def engine_mounts(value: Any, option: str) -> list[JsonObject]:
    """Convert a list of mounts."""
    return [engine_mount(each, f"{option}[{number}]") for number, each in enumerate(items(value, option))]


def engine_mount(keywords: Any, option: str) -> JsonObject:
    """Convert one mount. Raises BadOption for a keyword that its type does not have."""
    every = {**_COMMON, **_BIND, **_VOLUME, **_TMPFS}
    given = renamed(pairs(keywords, option), {**every, **_RAW}, option)
    kind = str(given.setdefault("Type", "volume"))
    if not given.get("Target"):
        raise BadOption(f"{option} has no target: the path in the container.")
    section, own = _PARTS.get(kind, ("", {}))
    mount: JsonObject = {}
    part: JsonObject = {}
    for key, item in given.items():
        if key in {*_COMMON.values(), *_RAW}:
            mount[key] = item
        elif not item:
            # docker-py's default of a keyword, written out: it may stand at any type.
            continue
        elif key in own.values():
            part[key] = _converted(key, item, option)
        else:
            keyword = next(keyword for keyword, name in every.items() if name == key)
            raise BadOption(f"{option} has {keyword!r}, which a mount of the type {kind!r} does not have.")
    if part:
        mount[section] = {**mount.get(section, {}), **part}
    return mount


def mount_of_bind(source: str, target: object, option: str) -> JsonObject | None:
    """Return a bind as a mount, whose source the Engine does not make.

    None for a volume, and for what only a bind can say: a relabelling for SELinux.
    """
    bind = as_bind(target, "rw", option)
    modes = {word for word in str(bind["mode"]).split(",") if word}
    if is_volume(source) or modes - {"rw", "ro"}:
        return None
    mount = {"Type": "bind", "Source": source, "Target": bind["bind"]}
    if "ro" in modes:
        mount["ReadOnly"] = True
    if propagation := propagation_of(bind, option):
        mount["BindOptions"] = {"Propagation": propagation}
    return mount


def _converted(key: str, value: Any, option: str) -> Any:
    if key == "SizeBytes":
        return byte_size(value, option=f"{option}.tmpfs_size")
    if key == "Mode":
        return _mode(value, f"{option}.tmpfs_mode")
    if key == "DriverConfig":
        return renamed(value, _DRIVER, f"{option}.driver_config")
    return value


def _mode(value: Any, option: str) -> int:
    # "700" could be meant as a shell's octal number or be one of a template's texts.
    if not isinstance(value, int):
        raise BadOption(f"{option} is {value!r}, but it must be a number: write 0o1777 for 1777.")
    return value
