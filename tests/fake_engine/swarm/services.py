"""The `/services` routes."""

from __future__ import annotations

from aiohttp import web

from tests.fake_engine.answers import Refused, answer, flag, nothing
from tests.fake_engine.swarm import documents, filters, logs, orchestrator, spec
from tests.fake_engine.swarm.state import Service, Swarm


class Services:
    """Answers about services."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm

    def routes(self) -> list[web.RouteDef]:
        """Method, path and handler of each."""
        return [
            web.post("/services/create", self.create),
            web.get("/services", self.index, allow_head=False),
            web.get("/services/{ref}", self.inspect, allow_head=False),
            web.post("/services/{ref}/update", self.update),
            web.get("/services/{ref}/logs", self.logs, allow_head=False),
            web.delete("/services/{ref}", self.remove),
        ]

    def _find(self, request: web.Request) -> Service:
        self._swarm.check()
        return self._swarm.find_service(request.match_info["ref"])

    async def create(self, request: web.Request) -> web.Response:
        """`POST /services/create`."""
        body = spec.read_body(await request.read())
        self._swarm.check()
        asked = spec.kept(self._swarm, body)
        await request["linger"]()
        self._check_free(asked["Name"])
        made = orchestrator.create(self._swarm, asked, request.headers.get("X-Registry-Auth", ""))
        return answer({"ID": made.id}, 201)

    def _check_free(self, name: str) -> None:
        if any(each.name == name for each in self._swarm.services.values()):
            why = f"name conflicts with an existing object: service {name} already exists"
            raise Refused(409, f"rpc error: code = AlreadyExists desc = {why}")

    async def index(self, request: web.Request) -> web.Response:
        """`GET /services`."""
        self._swarm.check()
        found = filters.chosen(request, self._swarm.services.values(), filters.SERVICES)
        shown = [documents.service(each) for each in found]
        if flag(request.query, "status"):
            told = [{"ServiceStatus": documents.status(self._swarm, each)} for each in found]
            shown = [{**one, **two} for one, two in zip(shown, told, strict=True)]
        return answer(shown)

    async def inspect(self, request: web.Request) -> web.Response:
        """`GET /services/REF`."""
        return answer(documents.service(self._find(request)))

    async def update(self, request: web.Request) -> web.Response:
        """`POST /services/REF/update`."""
        body = spec.read_body(await request.read())
        version = request.query.get("version", "")
        if not version.isdigit():
            why = f'strconv.ParseUint: parsing "{version}": invalid syntax'
            raise Refused(400, f"invalid service version '{version}': {why}")
        asked = spec.kept(self._swarm, body) if self._swarm.mode == "manager" else {}
        found = self._find(request)
        await request["linger"]()
        if asked["Name"] != found.name:
            raise Refused(501, "rpc error: code = Unimplemented desc = renaming services is not supported")
        if int(version) != found.version:
            raise Refused(500, "rpc error: code = Unknown desc = update out of sequence")
        orchestrator.update(self._swarm, found, asked, request.headers.get("X-Registry-Auth"))
        return answer({"Warnings": None})

    async def logs(self, request: web.Request) -> web.StreamResponse:
        """`GET /services/REF/logs`."""
        found = self._find(request)
        return await logs.stream(request, self._swarm, self._swarm.tasks_of(found))

    async def remove(self, request: web.Request) -> web.Response:
        """`DELETE /services/REF`."""
        found = self._find(request)
        await request["linger"]()
        if found.id in self._swarm.services:
            orchestrator.remove(self._swarm, found)
        return nothing(200)
