"""Volumes and paths of the host, and where they appear inside the container."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.jsontypes import JsonObject

PROPAGATIONS = ("rprivate", "private", "rshared", "shared", "rslave", "slave")
# A path of a Windows Engine has a colon of its own, behind the drive's letter.
_ONE_PATH = re.compile(r"([A-Za-z]:[\\/])?[^:]*")
# In a written bind `v:/w` is volume v at /w, so only a backslash tells a drive.
_WRITTEN_BIND = re.compile(
    r"(?P<source>([A-Za-z]:\\)?[^:]*):(?P<path>([A-Za-z]:\\)?[^:]*)(:(?P<mode>.*))?", re.DOTALL
)


def add_binds(
    volumes: Mapping[str, Any], binds: dict[str, JsonObject], mode: str, format_name: Callable[[str], str]
) -> dict[str, JsonObject]:
    """Add `volumes` to `binds`, which is given back: source → `{"bind", "mode"[, "propagation"]}`.

    Sources and paths go through `format_name`. `mode` is that of entries that name none; with `ro` nothing is
    ever writable, whatever mode an entry names. A source that is there already is replaced.
    """
    option = "read_only_volumes" if mode == "ro" else "volumes"
    for source, target in volumes.items():
        bind = as_bind(target, mode, f"{option}[{source!r}]")
        if mode == "ro":
            bind["mode"] = _read_only(str(bind["mode"]))
        name = _rendered(source, format_name, option)
        binds[name] = {**bind, "bind": _rendered(bind["bind"], format_name, option)}
    return binds


def _read_only(mode: str) -> str:
    """Return a mode without writing; what else is in it stays (`z`, `nocopy`)."""
    words = [word for word in mode.split(",") if word not in {"rw", "ro", ""}]
    return ",".join(["ro", *words])


def is_volume(source: str) -> bool:
    """Tell a volume's name from a path of the Engine's machine."""
    return bool(source) and not re.search(r"[\\/]", source) and not source.startswith((".", "~"))


def _rendered(template: str, format_name: Callable[[str], str], option: str) -> str:
    # A server may be called "..": only the administrator may lead a path upwards.
    rendered = format_name(template)
    if _upwards(rendered) > _upwards(template):
        raise BadOption(f"{option}: {template!r} became {rendered!r}, which leads out of its folder.")
    return rendered


def _upwards(path: str) -> int:
    return re.split(r"[\\/]", path).count("..")


def rendered_mounts(
    mounts: Iterable[Mapping[str, Any]], format_name: Callable[[str], str]
) -> list[JsonObject]:
    """Fill templates into every text of each mount, also deeper down, as in the options of its driver."""
    return [{word: _rendered_deep(value, format_name) for word, value in mount.items()} for mount in mounts]


def _rendered_deep(value: Any, format_name: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return _rendered(value, format_name, "mounts")
    if isinstance(value, Mapping):
        return {key: _rendered_deep(item, format_name) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rendered_deep(item, format_name) for item in value]
    return value


def mount_points(binds: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the paths inside the container, sorted."""
    return sorted(str(bind["bind"]) for bind in binds.values())


def bind_strings(binds: object, *, option: str) -> list[str]:
    """Write binds as the Engine reads them: `source:path:mode[,propagation]`; a list is written already."""
    if isinstance(binds, Mapping):
        return [
            _bind_string(str(source), target, f"{option}[{source!r}]") for source, target in binds.items()
        ]
    if isinstance(binds, list | tuple) and all(isinstance(each, str) for each in binds):
        return list(binds)
    raise BadOption(f"{option} is {binds!r}, but it must be a dict or a list of 'source:path:mode' strings.")


def join_binds(base: Iterable[str], over: Sequence[str]) -> list[str]:
    """Add `over`'s binds to `base`'s; at a path that both want, only `over`'s can be mounted."""
    taken = {path_of(bind) for bind in over}
    return [*(bind for bind in base if path_of(bind) not in taken), *over]


def parted(bind: str) -> tuple[str, str, str]:
    """Part a written bind into source, path and mode; without a colon, all of it is the source."""
    match = _WRITTEN_BIND.match(bind)
    return (match["source"], match["path"], match["mode"] or "") if match else (bind, "", "")


def as_bind(target: object, default_mode: str, option: str) -> JsonObject:
    """Read what a volume is mounted at: a path, or a dict with `bind`, `mode` or `ro`, and `propagation`."""
    if isinstance(target, str):
        return {"bind": target, "mode": default_mode}
    if not isinstance(target, Mapping) or not isinstance(target.get("bind"), str):
        raise BadOption(f"{option} is {target!r}, but it must be a path or a dict with the key 'bind'.")
    if "ro" in target and "mode" in target:
        raise BadOption(f"{option} has both 'ro' and 'mode'; keep one of them.")
    mode = ("ro" if target["ro"] else "rw") if "ro" in target else target.get("mode", default_mode)
    bind = {"bind": target["bind"], "mode": mode}
    if "propagation" in target:
        bind["propagation"] = target["propagation"]
    return bind


def _bind_string(source: str, target: object, option: str) -> str:
    bind = as_bind(target, "rw", option)
    # A user's name may be part of either; a colon in it would move the Engine's borders between the fields.
    for path in (source, bind["bind"]):
        if not _ONE_PATH.fullmatch(path):
            raise BadOption(
                f"{option}: {path!r} has a colon, by which the Engine parts source, path and mode."
            )
    modes = [mode for mode in (bind["mode"], propagation_of(bind, option)) if mode]
    return ":".join([source, bind["bind"], *([",".join(modes)] if modes else [])])


def propagation_of(bind: JsonObject, option: str) -> str:
    """Return how mounts below a bind come and go, or nothing. Raises BadOption for an unknown word."""
    wanted = bind.get("propagation") or ""
    if wanted and wanted not in PROPAGATIONS:
        raise BadOption(f"{option} has the propagation {wanted!r}; there are {', '.join(PROPAGATIONS)}.")
    return str(wanted)


def path_of(bind: str) -> str:
    """Return the path in the container of a written bind."""
    match = _WRITTEN_BIND.match(bind)
    return match["path"].rstrip("/") if match else bind
