"""The `/distribution` route: what a registry has."""

from __future__ import annotations

from aiohttp import web

from tests.fake_engine.answers import answer
from tests.fake_engine.state import EngineState
from tests.fake_engine.swarm import images


class Distribution:
    """Answers about images in registries; they need no swarm."""

    def __init__(self, engine: EngineState) -> None:
        self._engine = engine

    def routes(self) -> list[web.RouteDef]:
        """Method, path and handler."""
        return [web.get("/distribution/{ref:.+}/json", self.inspect, allow_head=False)]

    async def inspect(self, request: web.Request) -> web.Response:
        """`GET /distribution/REF/json`."""
        await request["linger"]()
        auth = request.headers.get("X-Registry-Auth", "")
        return answer(images.described(self._engine, request.match_info["ref"], auth))
