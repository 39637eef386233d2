"""The `/tasks` routes."""

from __future__ import annotations

from aiohttp import web

from tests.fake_engine.answers import answer
from tests.fake_engine.swarm import documents, filters, logs
from tests.fake_engine.swarm.state import Swarm


class Tasks:
    """Answers about tasks."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm

    def routes(self) -> list[web.RouteDef]:
        """Method, path and handler of each."""
        return [
            web.get("/tasks", self.index, allow_head=False),
            web.get("/tasks/{ref}", self.inspect, allow_head=False),
            web.get("/tasks/{ref}/logs", self.logs, allow_head=False),
        ]

    async def index(self, request: web.Request) -> web.Response:
        """`GET /tasks`."""
        self._swarm.check()
        return answer([documents.task(self._swarm, each) for each in filters.tasks(self._swarm, request)])

    async def inspect(self, request: web.Request) -> web.Response:
        """`GET /tasks/ID`."""
        self._swarm.check()
        return answer(documents.task(self._swarm, self._swarm.find_task(request.match_info["ref"])))

    async def logs(self, request: web.Request) -> web.StreamResponse:
        """`GET /tasks/ID/logs`."""
        self._swarm.check()
        return await logs.stream(request, self._swarm, [self._swarm.find_task(request.match_info["ref"])])
