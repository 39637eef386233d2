"""What is asked of both Engines about files inside containers."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from typing import Any

from tests.fake_engine.player import Player
from tests.fake_engine.scripts import script

Entries = list[tuple[str, bytes | None, int, int, int]]
"""Name, content (None for a folder), owner, group and mode of each."""


def archive(entries: Entries) -> bytes:
    """Pack them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content, uid, gid, mode in entries:
            member = tarfile.TarInfo(name)
            member.uid, member.gid, member.mode = uid, gid, mode
            if content is None:
                member.type = tarfile.DIRTYPE
            else:
                member.size = len(content)
            tar.addfile(member, io.BytesIO(content or b""))
    return buffer.getvalue()


async def put(p: Player, ref: str, path: str, entries: Entries, **more: str) -> None:
    """Put them into a folder."""
    typed = {"Content-Type": "application/x-tar"}
    route = f"/containers/{ref}/archive"
    await p.ask("PUT", route, params={"path": path, **more}, content=archive(entries), headers=typed)


async def get(p: Player, ref: str, path: str) -> None:
    """See what is at a path; of links the target, of files the size and content."""
    answer = await p.ask("GET", f"/containers/{ref}/archive", params={"path": path})
    if answer.is_error:
        return
    stat = json.loads(base64.b64decode(answer.headers["X-Docker-Container-Path-Stat"]))
    p.see("type", 0, answer.headers["Content-Type"])
    p.see("stat", 0, [stat[key] for key in ("name", "mode", "linkTarget")])
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
        p.see("entries", 0, [_entry(tar, member) for member in tar])


def _entry(tar: tarfile.TarFile, member: tarfile.TarInfo) -> list[Any]:
    opened = tar.extractfile(member) if member.isreg() else None
    content = opened.read().decode() if opened else ""
    return [
        member.name,
        member.type.decode(),
        oct(member.mode & 0o7777),
        member.uid,
        member.gid,
        member.linkname,
        content,
    ]


@script
async def files_of_containers(p: Player) -> None:
    binds = [f"{p.name('v')}:/home/jovyan/new", f"{p.name('i')}:/home/jovyan/new/inner"]
    binds += [f"{p.name('w')}:/home/jovyan/work", f"{p.name('r')}:/ro:ro", f"{p.name('c')}:/www"]
    binds += [f"{p.name('n')}:/data:nocopy"]
    ref = await p.create("a", HostConfig={"Binds": binds, "Tmpfs": {"/tm": ""}})
    for path in (
        "/etc/passwd",
        "/bin/sh",
        "/home",
        "/www",
        "/data",
        "/nope",
        "/nope/x",
        "/tm",
        "relative",
        "",
    ):
        await get(p, ref, path)
    for name in (".", "./", "/"):
        await put(p, ref, "/home/jovyan/new", [(name, None, 1000, 100, 0o755)])
        await get(p, ref, "/home/jovyan/new")
    await put(p, ref, "/home/jovyan", [("new", None, 3_000_000_000, 4_000_000, 0o2770)])
    await put(p, ref, "/home/jovyan", [("work", None, 7, 8, 0o750)])
    await get(p, ref, "/home/jovyan")
    await put(p, ref, "/", [("certs", None, 0, 0, 0o755), ("certs/key", b"k", 1000, 100, 0o400)])
    await put(p, ref, "/", [("made/by/engine", b"x", 5, 6, 0o600), ("etc/passwd", b"y", 0, 0, 0o644)])
    for path in ("/certs", "/made", "/etc/passwd"):
        await get(p, ref, path)
    for path in ("/nope", "/ro", "/etc/passwd", "/tm"):
        await put(p, ref, path, [("a", b"", 0, 0, 0o644)])
    for path, content in (("bin/sh", None), ("etc", b"z")):
        await put(p, ref, "/", [(path, content, 0, 0, 0o755)], noOverwriteDirNonDir="1")
    await p.ask("PUT", f"/containers/{ref}/archive", content=b"")
    await put(p, p.name("none"), "/", [])
    await get(p, p.name("none"), "/")
    changed = (await p.ask("GET", f"/containers/{ref}/changes")).json()
    p.see("changed", 0, sorted((each["Path"], each["Kind"]) for each in changed if each["Path"] != "/tm"))
    again = await p.create(
        "b", HostConfig={"Binds": [f"{p.name('v')}:/elsewhere", f"{p.name('w')}:/home/jovyan/work"]}
    )
    for path in ("/elsewhere", "/home/jovyan/work"):
        await get(p, again, path)


@script
async def files_of_read_only_containers(p: Player) -> None:
    own = {"Type": "volume", "Target": "/certs", "VolumeOptions": {"Labels": {"a": "b"}}}
    host = {
        "ReadonlyRootfs": True,
        "Binds": [f"{p.name('v')}:/data", f"{p.name('i')}:/data/in"],
        "Mounts": [own],
    }
    ref = await p.create("a", HostConfig=host)
    for path in ("/", "/etc", "/certs", "/data"):
        await put(p, ref, path, [("a", b"", 1, 2, 0o644), ("in", None, 3, 4, 0o700)])
    for path in ("/certs", "/data"):
        await get(p, ref, path)
    found = (await p.http.get(f"/containers/{ref}/json")).json()
    [volume] = [each["Name"] for each in found["Mounts"] if each["Destination"] == "/certs"]
    labels = (await p.http.get(f"/volumes/{volume}")).json()["Labels"]
    p.see("labels", 0, labels.get("a"))
    await p.ask("DELETE", f"/containers/{ref}", params={"v": 1})
    p.see("gone", (await p.http.get(f"/volumes/{volume}")).status_code)
