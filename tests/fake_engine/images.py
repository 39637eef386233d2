"""The `/images` routes, and what can be pulled."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import tarfile
from pathlib import PurePosixPath
from typing import Any

from aiohttp import web

from tests.fake_engine.answers import Refused, answer, flag, gone, has_labels, parse_filters
from tests.fake_engine.filesystem import LINK, Node
from tests.fake_engine.shapes import CONFIG, Json
from tests.fake_engine.state import EngineState, Image, new_id, now, seconds_of, with_tag
from tests.fake_engine.validation import check_reference

BEHAVIOURS: dict[str, dict[str, str]] = {
    "stub:1": {},
    "silent:1": {"fake.http": "0"},
    "dies:1": {"fake.exit": "3", "fake.exit_after": "0.05", "fake.stderr": "boom"},
    "dies-at-once:1": {"fake.exit": "1", "fake.exit_after": "0", "fake.stderr": "boom"},
    "oom:1": {"fake.exit": "137", "fake.exit_after": "0.05", "fake.oom": "1"},
    "slowstop:1": {"fake.slowstop": "1"},
    "nocmd:1": {},
}
"""The images that every fake Engine has; the label `fake.http` is "1" where it is not given."""
PULLABLE: dict[str, Json] = {
    "registry.test/pullable:1": {},
    "registry.test/slow:1": {"pause": 0.2},
    "registry.test/broken:1": {"error": "unexpected EOF"},
}


def make(
    engine: EngineState,
    ref: str | None,
    *,
    image_id: str | None = None,
    labels: dict[str, str] | None = None,
    **config: Any,
) -> Image:
    """Put an image into the Engine's store, as a pull or a build would; `ref` None: without a name."""
    tags = [] if ref is None else [with_tag(ref)]
    for other in engine.images.values():
        # A tag names one image; what had it before, goes on without.
        other.tags = [tag for tag in other.tags if tag not in tags]
    defaults = {"Cmd": ["serve"], "Env": ["PATH=/usr/bin:/bin"], "ExposedPorts": {"8888/tcp": {}}}
    image = Image(
        id=image_id or f"sha256:{new_id()}",
        tags=tags,
        config={**CONFIG, **defaults, "Labels": labels or None, **config},
        created=now(),
    )
    for folder in (labels or {}).get("fake.folders", "").split():
        image.files[PurePosixPath(folder)] = Node()
    for link in (labels or {}).get("fake.links", "").split():
        path, _, target = link.partition(":")
        for each in [each for each in image.files if each.is_relative_to(path)]:
            del image.files[each]
        image.files[PurePosixPath(path)] = Node(LINK, mode=0o777, target=target)
    engine.images[image.id] = image
    return image


def furnish(engine: EngineState) -> None:
    """Give a fresh Engine its images and its registry."""
    for ref, labels in BEHAVIOURS.items():
        command: Json = {"Cmd": None, "Entrypoint": ["/entry"]} if ref == "nocmd:1" else {}
        make(engine, ref, labels=labels, **command)
    engine.pullable.update(PULLABLE)


class Images:
    """Answers about images."""

    def __init__(self, engine: EngineState) -> None:
        self._engine = engine

    def routes(self) -> list[web.RouteDef]:
        """Method, path and handler of each."""
        return [
            web.post("/images/create", self.pull),
            web.post("/images/load", self.load),
            web.get("/images/json", self.index, allow_head=False),
            web.get("/images/{ref:.+}/json", self.inspect, allow_head=False),
            web.delete("/images/{ref:.+}", self.remove),
        ]

    async def inspect(self, request: web.Request) -> web.Response:
        """`GET /images/REF/json`."""
        ref = request.match_info["ref"]
        try:
            check_reference(ref)
        except Refused as refused:
            raise Refused(400, f"no such image: {ref}: {refused.message}", refused.about) from refused
        image = self._engine.image(ref)
        if image is None:
            raise Refused(404, f"no such image: {ref}: No such image: {with_tag(ref)}")
        return answer(self._engine.dialect.image(_document(image)))

    async def index(self, request: web.Request) -> web.Response:
        """`GET /images/json`."""
        filters = parse_filters(request.query.get("filters"))
        wanted = filters.get("reference")
        return answer(
            [
                self._engine.dialect.image_summary(_summary(image), self._users(image))
                for image in reversed(self._engine.images.values())
                if has_labels(image.config["Labels"] or {}, filters.get("label", []))
                and (wanted is None or any(with_tag(ref) in image.tags for ref in wanted))
                and not (image.tags and filters.get("dangling") == ["true"])
            ]
        )

    def _users(self, image: Image) -> int:
        return sum(each.image is image for each in self._engine.containers.values())

    async def remove(self, request: web.Request) -> web.Response:
        """`DELETE /images/REF`."""
        ref = request.match_info["ref"]
        image = self._engine.image(ref)
        if image is None:
            raise Refused(404, f"No such image: {with_tag(ref)}")
        if len(image.tags) > 1 and with_tag(ref) in image.tags:
            image.tags.remove(with_tag(ref))
            return answer([{"Untagged": with_tag(ref)}])
        user = next((each for each in self._engine.containers.values() if each.image is image), None)
        if user is not None and not flag(request.query, "force"):
            raise Refused(
                409,
                f'conflict: unable to remove repository reference "{ref}" (must force) - '
                f"container {user.id[:12]} is using its referenced image {image.id[7:19]}",
            )
        del self._engine.images[image.id]
        return answer([*({"Untagged": tag} for tag in image.tags), {"Deleted": image.id}])

    async def load(self, request: web.Request) -> web.StreamResponse:
        """`POST /images/load`: images as `docker save` writes them. What is in their layers is nobody's."""
        archive = await request.read()
        await request["linger"]()
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            files = {each.name: tar.extractfile(each) for each in tar if each.isfile()}
            read = {name: file.read() for name, file in files.items() if file is not None}
        for entry in json.loads(read["manifest.json"]):
            config = json.loads(read[entry["Config"]])["config"]
            number = f"sha256:{hashlib.sha256(read[entry['Config']]).hexdigest()}"
            for ref in entry["RepoTags"]:
                own = {"Cmd": None, "Env": None, "ExposedPorts": {}, **config}
                image = make(self._engine, ref, image_id=number, **own)
                image.config.pop("ExposedPorts")
                image.listens = False
                line = {"stream": f"Loaded image: {ref}\n"}
                await request["drip"](response, json.dumps(line).encode() + b"\r\n")
        return response

    async def pull(self, request: web.Request) -> web.StreamResponse:
        """`POST /images/create`: progress in JSON lines; refusals before the first are HTTP errors."""
        name, tag = request.query.get("fromImage", ""), request.query.get("tag", "")
        ref = f"{name}@{tag}" if ":" in tag else with_tag(f"{name}:{tag}" if tag else name)
        check_reference(ref)
        await request["linger"]()
        plan = self._plan(ref, name)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for line in self._lines(ref, tag or "latest", plan):
            if gone(request):
                return response  # the Engine stops pulling when its client leaves
            await request["drip"](response, json.dumps(line).encode() + b"\r\n")
            await asyncio.sleep(plan.get("pause") or 0)
        if not plan.get("error") and self._engine.image(ref) is None and not gone(request):
            make(self._engine, ref, labels=plan.get("labels"), **(plan.get("config") or {}))
        return response

    def _plan(self, ref: str, name: str) -> Json:
        plan = self._engine.pullable.get(ref)
        if plan is not None:
            return plan
        host = name.partition("/")[0]
        if host.endswith(":9"):
            why = f"dial tcp {host}: connect: connection refused"
            raise Refused(500, f'Get "http://{host}/v2/": {why}')
        if "." in host or ":" in host:
            raise Refused(404, f"manifest for {ref} not found: manifest unknown: manifest unknown")
        raise Refused(
            404,
            f"pull access denied for {name}, repository does not exist or may require 'docker login': "
            "denied: requested access to the resource is denied",
        )

    def _lines(self, ref: str, tag: str, plan: Json) -> list[Json]:
        short = ref.rpartition(":")[0].partition("/")[2] or ref
        layer = "0123456789ab"
        lines: list[Json] = [{"status": f"Pulling from {short}", "id": tag}]
        fresh = self._engine.image(ref) is None
        if fresh:
            lines.append({"status": "Pulling fs layer", "progressDetail": {}, "id": layer})
            lines += [
                {
                    "status": "Downloading",
                    "progressDetail": {"current": part * 100, "total": 300},
                    "progress": "[=>]",
                    "id": layer,
                }
                for part in (1, 2, 3)
            ]
        if plan.get("error"):
            return [*lines, {"errorDetail": {"message": plan["error"]}, "error": plan["error"]}]
        if fresh:
            lines.append({"status": "Pull complete", "progressDetail": {}, "id": layer})
        done = "Downloaded newer image for" if fresh else "Image is up to date for"
        return [*lines, {"status": f"Digest: sha256:{'0' * 64}"}, {"status": f"Status: {done} {ref}"}]


def _document(image: Image) -> Json:
    return {
        "Id": image.id,
        "RepoTags": image.tags,
        "RepoDigests": image.digests,
        "Parent": "",
        "Comment": "",
        "Created": image.created,
        "Container": "",
        "ContainerConfig": CONFIG,
        "DockerVersion": "20.10.24+dfsg1",
        "Author": "",
        "Config": image.config,
        "Architecture": "amd64",
        "Os": "linux",
        "Size": 1982298,
        "VirtualSize": 1982298,
        "GraphDriver": {"Data": {}, "Name": "overlay2"},
        "RootFS": {"Type": "layers", "Layers": [f"sha256:{'0' * 64}"]},
        "Metadata": {"LastTagTime": image.created},
    }


def _summary(image: Image) -> Json:
    return {
        "Containers": -1,
        "Created": seconds_of(image.created),
        "Id": image.id,
        "Labels": image.config["Labels"],
        "ParentId": "",
        "RepoDigests": image.digests or (None if image.tags else ["<none>@<none>"]),
        "RepoTags": image.tags or ["<none>:<none>"],
        "SharedSize": -1,
        "Size": 1982298,
        "VirtualSize": 1982298,
    }
