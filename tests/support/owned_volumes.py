"""Volumes of users, and who owns them, over the fake Engine and a real one."""

from __future__ import annotations

from tests.fake_engine import FakeEngine
from tests.support.files import Entry, inside
from tests.support.site import SHELL, Site

NEW = "/home/jovyan/new"
"""A path that the image does not have."""
JOVYAN = {"user": "jovyan"}
OWN = Entry(1000, 100, 0o755)
ROOTS = Entry(0, 0, 0o755)


def mine(site: Site, suffix: str = "") -> str:
    """The template of a volume of each user's."""
    return f"t{site.hub_id}-{{username}}{suffix}"


def folder(site: Site, ref: str, path: str = NEW) -> Entry:
    """The folder at a path of a container."""
    return inside(site, ref, path)[path.rpartition("/")[2]]


def seen_by_others(site: Site, volume: str) -> dict[str, Entry]:
    """What is in a volume, as another container has it."""
    host = {
        "Mounts": [{"Type": "volume", "Source": volume, "Target": "/v", "VolumeOptions": {"NoCopy": True}}]
    }
    body = {"Image": site.kind("stub")["image"], "Cmd": ["-"], "HostConfig": host}
    ref = site.http.post("/containers/create", json=body).raise_for_status().json()["Id"]
    try:
        return inside(site, ref, "/v")
    finally:
        site.remove(ref)


def can_write(site: Site, ref: str, path: str = NEW) -> bool:
    """Whether the server's user can make a file there; of the fake Engine's it is who owns the folder."""
    if site.fake is not None:
        return folder(site, ref, path)[:2] == OWN[:2]
    command = {"Cmd": [*SHELL, f"/bin/busybox touch {path}/written"], "AttachStdout": True}
    made = site.http.post(f"/containers/{ref}/exec", json=command).raise_for_status().json()["Id"]
    site.http.post(f"/exec/{made}/start", json={"Detach": False}).raise_for_status()
    return bool(site.http.get(f"/exec/{made}/json").json()["ExitCode"] == 0)


def fill(site: Site, name: str, labels: dict[str, str]) -> None:
    """Make a volume of root's that holds a file."""
    site.http.post("/volumes/create", json={"Name": name, "Labels": labels}).raise_for_status()
    # An empty volume gets what the image has where it is mounted.
    body = {"Image": site.kind("stub")["image"], "HostConfig": {"Binds": [f"{name}:/www"]}}
    ref = site.http.post("/containers/create", json=body).raise_for_status().json()["Id"]
    site.remove(ref)


def asked(fake: FakeEngine) -> list[str]:
    """The requests of a start, but for events and who speaks which version."""
    found = [str(each["route"]) for each in fake.requests()]
    # What is asked once in a process, or by the watch.
    others = ("/events", "/_ping", "/version", "/images/", "GET /containers/json", "/info")
    return [each for each in found if not any(word in each for word in others)]
