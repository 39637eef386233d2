"""`POST /build` with the classic builder's words, and what else is done with images that were built.

Nothing is run: of commands, only `exit N` and `sleep N` are carried out.
"""

from __future__ import annotations

import asyncio
import io
import json
import re
import tarfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from tests.fake_engine.answers import Refused, answer, flag, gone, has_labels, nothing, parse_filters
from tests.fake_engine.images import make
from tests.fake_engine.shapes import Json
from tests.fake_engine.state import EngineState, Image, new_id, with_tag
from tests.fake_engine.validation import check_reference

Say = Callable[[Json], Awaitable[None]]
KNOWN = {"FROM", "RUN", "COPY", "USER", "LABEL", "ENV", "WORKDIR", "EXPOSE", "ENTRYPOINT", "CMD"}
QUIET = {"FROM", "COPY"}
"""Instructions that take no container."""


@dataclass(eq=False)
class _Stage:
    config: Json
    labels: dict[str, str]
    id: str
    used: bool = False
    fresh: bool = False


@dataclass(eq=False)
class _Failed(Exception):
    message: str
    code: int | None = None


@dataclass(eq=False)
class _Build:
    engine: EngineState
    request: web.Request
    say: Say
    stages: dict[str, _Stage] = field(default_factory=dict)

    async def run(self, instructions: list[tuple[str, str]]) -> _Stage:
        stage: _Stage | None = None
        for number, (word, rest) in enumerate(instructions, 1):
            if word == "FROM" and stage is not None:
                await self._end(stage)
            await self._text(f"Step {number}/{len(instructions)} : {word} {rest}")
            await self._text("\n")
            if word == "FROM":
                stage = self._begin(rest)
            else:
                assert stage is not None
                await self._step(stage, word, rest)
            await self._text(f" ---> {stage.id[7:19]}\n")
        assert stage is not None
        await self._end(stage)
        return stage

    async def _text(self, text: str) -> None:
        await self.say({"stream": text})

    def _begin(self, rest: str) -> _Stage:
        base, _, name = re.sub(" AS ", " ", rest).partition(" ")
        known = self.stages.get(base)
        if known is not None:
            known.used = True
            stage = _Stage({**known.config}, {**known.labels}, known.id)
        else:
            image = self._base(base)
            stage = _Stage({**image.config}, {**(image.config["Labels"] or {})}, image.id)
        self.stages[name or "-"] = stage
        return stage

    def _base(self, ref: str) -> Image:
        check_reference(ref)
        image = self.engine.image(ref)
        if image is None or flag(self.request.query, "pull"):
            raise _Failed(
                f"pull access denied for {ref.partition(':')[0]}, repository does not exist or may require "
                "'docker login': denied: requested access to the resource is denied"
            )
        return image

    async def _step(self, stage: _Stage, word: str, rest: str) -> None:
        container = new_id()[:12]
        if word not in QUIET:
            await self._text(f" ---> Running in {container}\n")
        code = await self._carried_out(word, rest)
        if word not in QUIET:
            words = " ---> Removed" if self.engine.dialect.new else "Removing"
            await self._text(f"{words} intermediate container {container}\n")
        if code:
            raise _Failed(f"The command '/bin/sh -c {rest}' returned a non-zero code: {code}", code)
        if word == "LABEL":
            key, _, value = rest.partition("=")
            stage.labels[key] = value
        if word in {"CMD", "ENTRYPOINT"}:
            stage.config[word.title()] = json.loads(rest)
        stage.id, stage.fresh = f"sha256:{new_id()}", True

    async def _carried_out(self, word: str, rest: str) -> int:
        if word == "RUN" and (found := re.fullmatch(r"sleep (\S+)", rest)):
            ends = asyncio.get_running_loop().time() + float(found[1])
            while asyncio.get_running_loop().time() < ends:
                await asyncio.sleep(0.02)
                if gone(self.request):
                    raise ConnectionError("the client left")
        found = re.fullmatch(r"exit (\d+)", rest)
        return int(found[1]) if found and word == "RUN" else 0

    async def _end(self, stage: _Stage) -> None:
        await self.say({"aux": {"ID": stage.id}})

    def leave(self) -> None:
        """Put what each stage has come to into the books, without a name."""
        for stage in self.stages.values():
            if stage.fresh and not stage.used:
                config = {**stage.config, "Labels": stage.labels or None}
                make(self.engine, None, image_id=stage.id, labels=config.pop("Labels"), **config)


class Builds:
    """Answers about builds."""

    def __init__(self, engine: EngineState) -> None:
        self._engine = engine

    def routes(self) -> list[web.RouteDef]:
        """Method, path and handler of each."""
        return [
            web.post("/build", self.build),
            web.post("/images/prune", self.prune),
            web.post("/images/{ref:.+}/tag", self.tag),
        ]

    async def build(self, request: web.Request) -> web.StreamResponse:
        """`POST /build`: refusals before the first step are HTTP errors, all others are lines."""
        instructions = _instructions(await request.read())
        name = request.query.get("t", "")
        if name:
            _check_name(name, 500)
        labels: dict[str, str] = json.loads(request.query.get("labels") or "{}")
        instructions += [("LABEL", f"{key}={value}") for key, value in labels.items()]
        await request["linger"]()
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)

        async def say(line: Json) -> None:
            await request["drip"](response, json.dumps(line).encode() + b"\r\n")

        build = _Build(self._engine, request, say)
        try:
            done = await build.run(instructions)
        except (_Failed, Refused) as failed:
            code = {"code": failed.code} if isinstance(failed, _Failed) and failed.code else {}
            message = failed.message
            if isinstance(failed, Refused):
                message = self._engine.dialect.refused(failed).message
            await say({"errorDetail": {**code, "message": message}, "error": message})
            return response
        finally:
            build.leave()
        await say({"stream": f"Successfully built {done.id[7:19]}\n"})
        if name:
            self._name(self._engine.images[done.id], with_tag(name))
            await say({"stream": f"Successfully tagged {with_tag(name)}\n"})
        return response

    def _name(self, image: Image, name: str) -> None:
        for other in self._engine.images.values():
            other.tags = [tag for tag in other.tags if tag != name]
        image.tags.append(name)

    async def tag(self, request: web.Request) -> web.Response:
        """`POST /images/REF/tag`."""
        ref = request.match_info["ref"]
        image = self._engine.image(ref)
        if image is None:
            raise Refused(404, f"No such image: {with_tag(ref)}")
        name = f"{request.query.get('repo', '')}:{request.query.get('tag') or 'latest'}"
        _check_name(name, 400 if self._engine.dialect.new else 500)
        self._name(image, name)
        return nothing(201)

    async def prune(self, request: web.Request) -> web.Response:
        """`POST /images/prune`, of images without a name alone."""
        wanted = parse_filters(request.query.get("filters")).get("label", [])
        unnamed = [
            image
            for image in self._engine.images.values()
            if not image.tags and has_labels(image.config["Labels"] or {}, wanted)
        ]
        for image in unnamed:
            del self._engine.images[image.id]
        deleted = [{"Deleted": image.id} for image in unnamed]
        return answer({"ImagesDeleted": deleted or None, "SpaceReclaimed": 0})


def _check_name(name: str, status: int) -> None:
    try:
        check_reference(name)
    except Refused as refused:
        raise Refused(status, refused.message, refused.about) from refused


def _instructions(context: bytes) -> list[tuple[str, str]]:
    with tarfile.open(fileobj=io.BytesIO(context)) as tar:
        file = tar.extractfile("Dockerfile")
        assert file is not None
        lines = file.read().decode().splitlines()
    found = []
    for number, line in enumerate(lines, 1):
        word, _, rest = line.strip().partition(" ")
        if word not in KNOWN:
            raise Refused(400, f"dockerfile parse error line {number}: unknown instruction: {word}")
        found.append((word, rest))
    return found
