"""Volumes that a container mounts: made where they are missing, anonymous ones remembered."""

from __future__ import annotations

from pathlib import PurePosixPath

from tests.fake_engine import filesystem
from tests.fake_engine.shapes import Json
from tests.fake_engine.state import EngineState, Image, new_id, now

VOLUMES = "/var/lib/docker/volumes"


def ensure(engine: EngineState, name: str, labels: dict[str, str] | None) -> Json:
    """The volume of this name, made if there is none."""
    if name not in engine.volumes:
        engine.volumes[name] = {
            "CreatedAt": f"{now()[:19]}Z",
            "Driver": "local",
            "Labels": labels,
            "Mountpoint": f"{VOLUMES}/{name}/_data",
            "Name": name,
            "Options": None,
            "Scope": "local",
        }
        engine.volume_files[name] = filesystem.empty()
        told = {"driver": "local"}
        engine.events.emit({"Type": "volume", "Action": "create", "Actor": {"ID": name, "Attributes": told}})
    return engine.volumes[name]


def mounts(engine: EngineState, image: Image, host: Json) -> tuple[list[Json], list[str]]:
    """`Mounts` of a new container, and the names of its anonymous volumes."""
    shown = [_bind(engine, bind) for bind in host.get("Binds") or () if ":" in bind]
    anonymous: list[str] = []
    for mount in host.get("Mounts") or ():
        shown.append(_mount(engine, mount))
        if shown[-1]["Type"] == "volume" and not mount.get("Source"):
            anonymous.append(shown[-1]["Name"])
    taken = {each["Destination"] for each in shown}
    for target in image.config["Volumes"] or ():
        if target not in taken:
            name = new_id()
            anonymous.append(name)
            shown.append(_volume(engine, name, target, "", True))
    for mount in shown:
        if mount["Type"] == "volume" and mount["Destination"] not in uncopied(host):
            _copy_up(engine, image, mount)
    return shown, anonymous


def uncopied(host: Json) -> set[str]:
    """Where a volume is mounted that shall not get what the image has there."""
    binds = [bind.split(":") for bind in host.get("Binds") or ()]
    return {
        *(bind[1] for bind in binds if len(bind) > 2 and "nocopy" in bind[2].split(",")),
        *(
            each["Target"]
            for each in host.get("Mounts") or ()
            if (each.get("VolumeOptions") or {}).get("NoCopy")
        ),
    }


def _copy_up(engine: EngineState, image: Image, mount: Json) -> None:
    """An empty volume gets what the image has where it is mounted, with the owner of that folder."""
    files = engine.volume_files[mount["Name"]]
    where = filesystem.led_to(image.files, PurePosixPath(mount["Destination"]))
    found = filesystem.below(image.files, where)
    if len(files) == 1 and found:
        files.update(found)


def _bind(engine: EngineState, bind: str) -> Json:
    source, target, *rest = bind.split(":")
    mode = rest[0] if rest else ""
    writable = "ro" not in mode.split(",")
    if source.startswith("/"):
        return _folder(source, target, mode, writable)
    return _volume(engine, source, target, mode or "z", writable)


def _mount(engine: EngineState, mount: Json) -> Json:
    target, writable = mount["Target"], not mount.get("ReadOnly")
    if mount["Type"] == "bind":
        return _folder(mount["Source"], target, "", writable)
    if mount["Type"] == "tmpfs":
        return {**_folder("", target, "", writable), "Type": "tmpfs", "Propagation": ""}
    name, labels = mount.get("Source"), (mount.get("VolumeOptions") or {}).get("Labels")
    if not name:
        name = new_id()
        if engine.dialect.new:
            labels = {**(labels or {}), "com.docker.volume.anonymous": ""}
    ensure(engine, name, labels)
    return _volume(engine, name, target, "z", writable)


def _folder(source: str, target: str, mode: str, writable: bool) -> Json:
    return {
        "Type": "bind",
        "Source": source,
        "Destination": target,
        "Mode": mode,
        "RW": writable,
        "Propagation": "rprivate",
    }


def _volume(engine: EngineState, name: str, target: str, mode: str, writable: bool) -> Json:
    return {
        "Type": "volume",
        "Name": name,
        "Source": ensure(engine, name, None)["Mountpoint"],
        "Destination": target,
        "Driver": "local",
        "Mode": mode,
        "RW": writable,
        "Propagation": "",
    }


def users(engine: EngineState, volume: str) -> list[str]:
    """The ids of the containers that mount this volume."""
    return [
        each.id
        for each in engine.containers.values()
        if any(mount.get("Name") == volume for mount in each.mounts)
    ]
