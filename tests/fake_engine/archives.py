"""`/containers/REF/archive`: files of containers, with their volumes mounted, as tar archives."""

from __future__ import annotations

import base64
import io
import json
import posixpath
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from aiohttp import web

from tests.fake_engine import differences
from tests.fake_engine.answers import Refused, nothing
from tests.fake_engine.filesystem import DIR, FILE, LINK, ROOT, Node, Tree, empty, led_to, made_way, walk
from tests.fake_engine.shapes import Json
from tests.fake_engine.state import Container, EngineState

_TYPES = {DIR: tarfile.DIRTYPE, FILE: tarfile.REGTYPE, LINK: tarfile.SYMTYPE}
_GO_BITS = {DIR: 1 << 31, FILE: 0, LINK: 1 << 27}
_GO_SPECIAL = ((0o4000, 1 << 23), (0o2000, 1 << 22), (0o1000, 1 << 20))
"""Set-uid and the like, which Go has elsewhere than Unix."""
FOLDER_SIZE = 4096
FIRST_MAPPED = 100_000
"""Root's id on the machine of an Engine with userns-remap."""


@dataclass(frozen=True)
class Place:
    """Files that are mounted somewhere: a container's own, or a volume's."""

    at: PurePosixPath
    files: Tree
    writable: bool = True


class Archives:
    """Answers about files of containers."""

    def __init__(self, engine: EngineState) -> None:
        self._engine = engine

    def routes(self) -> list[web.RouteDef]:
        """Method, path and handler of each."""
        archive = "/containers/{ref:[^/]+}/archive"
        return [web.get(archive, self.get, allow_head=False), web.put(archive, self.put)]

    def _asked(self, request: web.Request) -> tuple[Container, PurePosixPath]:
        container = self._engine.find(request.match_info["ref"])
        if self._engine.dialect.new:
            _refuse_mounts_on_links(container)
        path = request.query.get("path", "")
        if not path:
            raise Refused(400, "bad parameter: pathcannot be empty")
        asked = PurePosixPath(posixpath.normpath(f"/{path.lstrip('/')}"))
        return container, led_to(container.files, asked.parent) / asked.name

    async def get(self, request: web.Request) -> web.StreamResponse:
        """`GET /containers/REF/archive`: what is at a path, symbolic links as they are."""
        container, path = self._asked(request)
        seen = _seen(_places(self._engine, container))
        node = seen.get(path)
        if node is None:
            raise _not_there(request, container)
        response = web.StreamResponse(
            headers={
                "Content-Type": "application/x-tar",
                "X-Docker-Container-Path-Stat": base64.b64encode(
                    json.dumps(_stat(path, node)).encode()
                ).decode(),
            }
        )
        await response.prepare(request)
        within = {each: found for each, found in seen.items() if each.is_relative_to(path)}
        for each, found in walk(within):
            name = str(PurePosixPath(path.name) / each.relative_to(path))
            await request["drip"](
                response,
                _header(name, _on_the_machine(found) if self._engine.id_mapping == "userns" else found),
            )
            if found.content:
                await request["drip"](
                    response, found.content + b"\0" * (-len(found.content) % tarfile.BLOCKSIZE)
                )
        await request["drip"](response, b"\0" * 1024)
        return response

    async def put(self, request: web.Request) -> web.Response:
        """`PUT /containers/REF/archive`: unpack in a folder."""
        container, path = self._asked(request)
        path, keeps = led_to(container.files, path), request.query.get("noOverwriteDirNonDir") == "1"
        places = _places(self._engine, container)
        node = _seen(places).get(path)
        if node is None:
            raise _not_there(request, container)
        if node.kind != DIR:
            raise self._refused("extraction point is not a directory")
        into = _place_of(places, path)
        if not into.writable:
            what = "container rootfs" if into.at == ROOT else "mounted volume"
            raise self._refused(f"{what} is marked read-only")
        raw = await request.read()
        await request["linger"]()
        for member, content in self._members(raw):
            self._unpack(container, places, path, member, content, keeps)
        return nothing(200)

    def _refused(self, message: str) -> Refused:
        return Refused(400 if self._engine.dialect.new else 500, message)

    def _members(self, raw: bytes) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
        try:
            with tarfile.open(fileobj=io.BytesIO(raw), mode="r:") as tar:
                for member in tar:
                    opened = tar.extractfile(member) if member.isreg() else None
                    yield member, opened.read() if opened else b""
        except tarfile.TarError as exc:
            raise Refused(500, "Error processing tar file(exit status 1): unexpected EOF") from exc

    def _unpack(  # noqa: PLR0917 - all of an entry
        self,
        container: Container,
        places: list[Place],
        into: PurePosixPath,
        member: tarfile.TarInfo,
        content: bytes,
        keeps: bool,
    ) -> None:
        # Python reads the name "/" as none.
        name = posixpath.normpath(member.name) if member.name else "/"
        # An old Engine overlooks ".", a new one "/" too: they have no entry for the folder itself.
        if name == "." or (name == "/" and self._engine.dialect.new):
            return
        if name.startswith("../") and self._engine.dialect.new:
            raise Refused(500, f'invalid entry name "{member.name}/"')
        path = ROOT / posixpath.normpath(f"{into}/{name}").lstrip("/")
        path = led_to(container.files, path.parent) / path.name
        place = _place_of(places, path)
        within = ROOT / path.relative_to(place.at)
        made = list(made_way(place.files, within))
        kind = next(each for each, letter in _TYPES.items() if letter == member.type)
        there = place.files.get(within)
        if keeps and there is not None and (there.kind == DIR) != (kind == DIR):
            what, other = ("directory", "non-directory")[:: 1 if there.kind == DIR else -1]
            failed = "Error processing tar file(exit status 1)"
            raise Refused(500, f'{failed}: cannot overwrite {what} "{path}" with {other} "{into}"')
        place.files[within] = Node(
            kind, member.uid, member.gid, member.mode & 0o7777, content, member.linkname, float(member.mtime)
        )
        if place.at == ROOT:
            for each in [*made, within]:
                differences.wrote(container, each)


def _refuse_mounts_on_links(container: Container) -> None:
    # Recorded of Debian's 28.5.2+dfsg4, which mounts what a container has before it looks at any file.
    for mount in container.mounts:
        target = PurePosixPath(mount["Destination"])
        for each in [*reversed(target.parents), target][1:]:
            node = container.files.get(each)
            if node is not None and node.kind == LINK and node.target.startswith("/"):
                at = each.relative_to(ROOT)
                raise Refused(500, f"mkdirat {at}: statat {at}: path escapes from parent")


def files_of(engine: EngineState, container: Container) -> Tree:
    """Give all files that the container sees."""
    return _seen(_places(engine, container))


def _places(engine: EngineState, container: Container) -> list[Place]:
    """Everything that is mounted, outermost first; where it is mounted, a folder is made."""
    read_only = bool(container.host_config.get("ReadonlyRootfs"))
    places = [Place(ROOT, container.files, not read_only)]
    for mount in sorted(container.mounts, key=lambda each: each["Destination"]):
        if mount["Type"] == "tmpfs":
            continue
        target = led_to(container.files, PurePosixPath(mount["Destination"]))
        outer = _place_of(places, target)
        within = ROOT / target.relative_to(outer.at)
        for each in [*made_way(outer.files, within), *([] if within in outer.files else [within])]:
            outer.files.setdefault(each, Node())
            if outer.at == ROOT:
                differences.wrote(container, each)
        places.append(Place(target, _files(engine, mount), bool(mount["RW"])))
    return places


def _files(engine: EngineState, mount: Json) -> Tree:
    if mount["Type"] == "volume":
        return engine.volume_files[mount["Name"]]
    return engine.host_files.setdefault(mount["Source"], empty())


def _place_of(places: list[Place], path: PurePosixPath) -> Place:
    return max((each for each in places if path.is_relative_to(each.at)), key=lambda each: len(each.at.parts))


def _seen(places: list[Place]) -> Tree:
    """Everything in one tree, each folder with what is mounted on it."""
    seen: Tree = {}
    for place in places:
        for path in [each for each in seen if each.is_relative_to(place.at)]:
            del seen[path]
        seen |= {place.at / path.relative_to(ROOT): node for path, node in place.files.items()}
    return seen


def _not_there(request: web.Request, container: Container) -> Refused:
    return Refused(404, f"Could not find the file {request.query['path']} in container {container.id}")


def _on_the_machine(node: Node) -> Node:
    """What is read has the machine's ids, what is put in the container's: so Engines with userns-remap do."""
    return replace(node, uid=node.uid + FIRST_MAPPED, gid=node.gid + FIRST_MAPPED)


def _stat(path: PurePosixPath, node: Node) -> Json:
    return {
        "name": path.name,
        "size": FOLDER_SIZE if node.kind == DIR else len(node.content or node.target),
        "mode": _GO_BITS[node.kind]
        | node.mode & 0o777
        | sum(new for old, new in _GO_SPECIAL if node.mode & old),
        "mtime": "1970-01-01T00:00:00Z",
        "linkTarget": str(path.parent / node.target) if node.kind == LINK else "",
    }


def _header(name: str, node: Node) -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.uid, member.gid, member.linkname = _TYPES[node.kind], node.uid, node.gid, node.target
    member.mode, member.mtime = node.mode, int(node.mtime)
    member.size = len(node.content)
    return member.tobuf(tarfile.PAX_FORMAT)
