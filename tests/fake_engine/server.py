"""The fake Engine's HTTP server on a Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterable
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Middleware

from tests.fake_engine import events, images, listeners, volumes_networks
from tests.fake_engine.answers import Handler, Refused, answer
from tests.fake_engine.archives import Archives
from tests.fake_engine.builds import Builds
from tests.fake_engine.containers import Containers
from tests.fake_engine.control import Control, Step
from tests.fake_engine.dialects import ENGINES, Dialect, written
from tests.fake_engine.faults import Desk
from tests.fake_engine.images import Images
from tests.fake_engine.shapes_system import INFO, VERSION
from tests.fake_engine.state import EngineState
from tests.fake_engine.swarm import info
from tests.fake_engine.swarm.control import SwarmControl
from tests.fake_engine.swarm.rooms import rooms as swarm_rooms
from tests.fake_engine.swarm.state import Swarm
from tests.fake_engine.volumes_networks import Networks, Volumes

BACKLOG = 1024
LAST_WORDS = 400
"""Looks at what is still to be sent, each some milliseconds after the other."""
_HEADERS = {
    "Docker-Experimental": "false",
    "Ostype": "linux",
    "Server": "Docker/fake (linux)",
}


class System:
    """Answers about the Engine itself."""

    def __init__(self, engine: EngineState, swarm: Swarm) -> None:
        self._engine = engine
        self._swarm = swarm

    def routes(self) -> list[web.RouteDef]:
        """Method, path and handler of each."""
        return [
            web.get("/_ping", self.ping),
            web.get("/version", self.version, allow_head=False),
            web.get("/info", self.info, allow_head=False),
            web.get("/events", self.events, allow_head=False),
        ]

    async def ping(self, _request: web.Request) -> web.Response:
        """`GET` and `HEAD /_ping`."""
        told = {"Swarm": info.header(self._swarm)} if self._engine.dialect.new else {}
        headers = {"Cache-Control": "no-cache, no-store, must-revalidate", **told}
        return web.Response(text="OK", headers=headers)

    async def version(self, _request: web.Request) -> web.Response:
        """`GET /version`."""
        return answer(self._engine.dialect.version_document(VERSION))

    async def info(self, _request: web.Request) -> web.Response:
        """`GET /info`."""
        counts = [each.running for each in self._engine.containers.values()]
        told = {
            **INFO,
            "Containers": len(counts),
            "ContainersRunning": sum(counts),
            "ContainersStopped": len(counts) - sum(counts),
            "Images": len(self._engine.images),
            "SecurityOptions": [
                *INFO["SecurityOptions"],
                *([f"name={self._engine.id_mapping}"] if self._engine.id_mapping else []),
            ],
            "Swarm": {**INFO["Swarm"], **info.section(self._swarm)},
        }
        return answer(self._engine.dialect.info(told))

    async def events(self, request: web.Request) -> web.StreamResponse:
        """`GET /events`."""
        return await events.stream(request, self._engine.events, self._engine.dialect.event)


def refusals(engine: EngineState) -> Middleware:
    """Refusals in the Engine's words; versions it does not speak; pages it does not have."""

    @web.middleware
    async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
        if "//" in request.path:  # Go's router cleans paths, so "/name" is no way to call a container
            return web.Response(status=301, headers={"Location": _clean(request)})
        try:
            _check_version(request, engine.dialect)
            return await handler(request)
        except Refused as refused:
            told = engine.dialect.refused(refused)
            return answer({"message": told.message}, told.status)
        except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
            return answer({"message": "page not found"}, 404)
        except ConnectionError:
            return web.Response(status=499)  # the client left in the middle of a stream

    return refuse


def _clean(request: web.Request) -> str:
    query = f"?{request.query_string}" if request.query_string else ""
    return re.sub("/+", "/", request.path) + query


def _check_version(request: web.Request, dialect: Dialect) -> None:
    found = re.match(r"/v(\d+)\.(\d+)/", request.path)
    if found is None:
        return
    asked = (int(found[1]), int(found[2]))
    if asked > dialect.api:
        most = written(dialect.api)
        raise Refused(
            400, f"client version {written(asked)} is too new. Maximum supported API version is {most}"
        )
    if asked < dialect.oldest_api:
        raise Refused(
            400,
            f"client version {written(asked)} is too old. Minimum supported API version is "
            f"{written(dialect.oldest_api)}, please upgrade your client to a newer version",
        )


class Server:
    """One fake Engine at one socket."""

    def __init__(self, socket: str, like: str) -> None:
        self._socket = socket
        self._like = like
        self._engine = EngineState()
        self._swarm = Swarm(self._engine)
        self._desk = Desk()
        self._runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=0.2)
        self._site: web.UnixSite | None = None
        self._protocols: set[Any] = set()
        self._back = asyncio.Event()

    def _app(self) -> web.Application:
        engine = self._engine
        app = web.Application(middlewares=[self._desk.middleware(), refusals(engine)], client_max_size=2**26)
        rooms: Iterable[Any] = (
            System(engine, self._swarm),
            Containers(engine),
            Archives(engine),
            Builds(engine),
            Images(engine),
            Volumes(engine),
            Networks(engine, self._swarm),
            *swarm_rooms(self._swarm),
        )
        for room in rooms:
            for route in room.routes():
                versioned = rf"/{{version:v\d+\.\d+}}{route.path}"
                again = web.RouteDef(route.method, versioned, route.handler, route.kwargs)
                app.router.add_routes([route, again])
        app.router.add_routes(Control(engine, self._desk, self._reset, self._go_offline).routes())
        app.router.add_routes(SwarmControl(self._swarm).routes())
        app.on_response_prepare.append(self._add_headers)
        return app

    async def run(self, until: asyncio.Event) -> None:
        """Serve until told to end."""
        await self._runner.setup()
        await self._reset()
        await self._open()
        await until.wait()
        await self._empty()
        await self._runner.cleanup()

    async def _open(self) -> None:
        self._site = web.UnixSite(self._runner, self._socket, backlog=BACKLOG)
        await self._site.start()

    async def _empty(self) -> None:
        for task in list(self._engine.tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        there = [each.engine for each in self._swarm.nodes.values()]
        for engine in (self._engine, *there):
            for container in engine.containers.values():
                listeners.close(container)

    async def _reset(self, like: str = "") -> None:
        await self._empty()
        engine = self._engine
        engine.dialect = ENGINES[like or self._like]
        for held in (
            engine.containers,
            engine.images,
            engine.volumes,
            engine.networks,
            engine.pullable,
            engine.volume_files,
            engine.host_files,
        ):
            held.clear()
        engine.events.past.clear()
        engine.events.loss = events.Loss()
        engine.events.held = None
        engine.away, engine.id_mapping = False, ""
        self._swarm.clear()
        images.furnish(engine)
        volumes_networks.furnish(engine)
        self._desk.forget()

    def come_back(self) -> None:
        """End an absence before its time."""
        self._back.set()

    def _go_offline(self, seconds: float, going: Step, coming: Step) -> None:
        task = asyncio.ensure_future(self._offline(seconds, going, coming))
        self._protocols.add(task)
        task.add_done_callback(self._protocols.discard)

    async def _offline(self, seconds: float, going: Step, coming: Step) -> None:
        self._back.clear()
        await asyncio.sleep(0.01)  # the answer to who asked for it
        if self._site is not None:
            await self._site.stop()
        await going()
        await self._last_words()
        assert self._runner.server is not None
        for protocol in list(self._runner.server.connections):
            if protocol.transport is not None:
                protocol.transport.abort()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._back.wait(), seconds)
        await coming()
        await self._open()

    async def _last_words(self) -> None:
        # Streams get what was told before their end; one that nobody reads is not waited for.
        for _ in range(LAST_WORDS):
            if self._engine.events.drained:
                break
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.005)

    async def _add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update({**_HEADERS, "Api-Version": written(self._engine.dialect.api)})
        if request.get("bare_content_type"):
            response.headers.popall("Content-Type", None)
