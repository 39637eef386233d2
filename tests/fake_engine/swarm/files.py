"""The `/secrets` and `/configs` routes."""

from __future__ import annotations

import base64
import json
import re

from aiohttp import web

from tests.fake_engine.answers import Refused, answer, nothing
from tests.fake_engine.shapes import Json
from tests.fake_engine.swarm import filters
from tests.fake_engine.swarm.state import Swarm, SwarmFile

_NAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9_.-]{0,62}[a-zA-Z0-9])?\Z")
MOST_BYTES = {"secret": 512000, "config": 1024000}


class Files:
    """Answers about one kind, secrets or configs."""

    def __init__(self, swarm: Swarm, kind: str) -> None:
        self._swarm = swarm
        self._kind = kind

    def routes(self) -> list[web.RouteDef]:
        """Method, path and handler of each."""
        path = f"/{self._kind}s"
        return [
            web.post(f"{path}/create", self.create),
            web.get(path, self.index, allow_head=False),
            web.get(f"{path}/{{ref}}", self.inspect, allow_head=False),
            web.delete(f"{path}/{{ref}}", self.remove),
        ]

    def _find(self, request: web.Request) -> SwarmFile:
        self._swarm.check()
        return self._swarm.find_file(self._kind, request.match_info["ref"])

    def _shown(self, found: SwarmFile) -> Json:
        hidden = {"Data"} if self._kind == "secret" else set()
        return {**found.meta(), "Spec": {key: each for key, each in found.spec.items() if key not in hidden}}

    async def create(self, request: web.Request) -> web.Response:
        """`POST /secrets/create`."""
        body = json.loads(await request.read())
        self._swarm.check()
        name, kind = body.get("Name") or "", self._kind
        try:
            size = len(base64.b64decode(body.get("Data") or "", validate=True))
        except ValueError as exc:
            raise Refused(400, "illegal base64 data at input byte 0") from exc
        if not _NAME.match(name):
            raise _invalid(
                "invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end character "
                "must be [a-zA-Z0-9]"
            )
        if not 0 < size < MOST_BYTES[kind]:
            raise _invalid(f"{kind} data must be larger than 0 and less than {MOST_BYTES[kind]} bytes")
        await request["linger"]()
        if any(each.spec["Name"] == name for each in self._swarm.files[kind].values()):
            raise Refused(409, f"rpc error: code = AlreadyExists desc = {kind} {name} already exists")
        made = SwarmFile(spec={"Name": name, "Labels": body.get("Labels") or {}, "Data": body.get("Data")})
        self._swarm.files[kind][made.id] = made
        self._swarm.touch(made)
        self._swarm.event(kind, made, name, "create")
        return answer({"ID": made.id}, 201)

    async def index(self, request: web.Request) -> web.Response:
        """`GET /secrets`."""
        self._swarm.check()
        kept = self._swarm.files[self._kind].values()
        matchers = filters.SECRETS if self._kind == "secret" else filters.FILES
        return answer([self._shown(each) for each in filters.chosen(request, kept, matchers)])

    async def inspect(self, request: web.Request) -> web.Response:
        """`GET /secrets/REF`."""
        return answer(self._shown(self._find(request)))

    async def remove(self, request: web.Request) -> web.Response:
        """`DELETE /secrets/REF`."""
        found = self._find(request)
        await request["linger"]()
        users, name = self._users(found), found.spec["Name"]
        if users:
            services = "services" if len(users) > 1 else "service"
            raise _invalid(f"{self._kind} '{name}' is in use by the following {services}: {', '.join(users)}")
        if self._swarm.files[self._kind].pop(found.id, None) is not None:
            self._swarm.touch()
            self._swarm.event(self._kind, found, name, "remove")
        return nothing()

    def _users(self, found: SwarmFile) -> list[str]:
        word = self._kind.title()
        return [
            service.name
            for service in self._swarm.services.values()
            if any(
                each[f"{word}ID"] == found.id
                for each in service.spec["TaskTemplate"]["ContainerSpec"].get(f"{word}s") or ()
            )
        ]


def _invalid(why: str) -> Refused:
    return Refused(400, f"rpc error: code = InvalidArgument desc = {why}")
