"""A small server that speaks as an Engine does to a watch: events, the list, inspections."""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from asyncdockerspawner.engine.watch import Watch
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.container import read
from asyncdockerspawner.workloads.observed import Observed

OURS = {labels.HUB: "h"}


class Server:
    """Serves events, the list and inspections of `containers`.

    What is asked for may be `refused` with a status; or an answer, made up already, `held` back.
    """

    def __init__(self) -> None:
        self.containers: dict[str, JsonObject] = {}
        self.entries: dict[str, JsonObject] = {}
        self.streams: list[asyncio.Queue[bytes | None]] = []
        self.asked: list[str] = []
        self.filters: list[dict[str, list[str]]] = []
        self.refused: dict[str, int] = {}
        self.held: dict[str, asyncio.Event] = {}

    def put(self, ref: str, port: int = 0, *, owner: Any = OURS, **state: Any) -> None:
        word = "running" if port else "exited"
        ports = [{"PrivatePort": 8888, "PublicPort": port}] if port else []
        self.entries[ref] = {
            "Id": ref,
            "Names": [f"/n-{ref}"],
            "Labels": owner,
            "State": word,
            "Ports": ports,
        }
        bindings = {"8888/tcp": [{"HostIp": "", "HostPort": str(port)}]} if port else {}
        life = {"Status": word, "Running": bool(port), "ExitCode": 0, "StartedAt": "2026-01-01T10:00:00Z"}
        self.containers[ref] = {
            "Id": ref,
            "Name": f"/n-{ref}",
            "Config": {"Labels": owner, "Env": ["A=1"]},
            "State": {**life, **state},
            "NetworkSettings": {"Networks": {}, "Ports": bindings},
        }

    def observed(self, ref: str) -> Observed:
        """Give what an inspection tells."""
        return read.observed(self.containers[ref])

    def tell(self, action: str, ref: str, **told: str) -> None:
        actor = {"ID": ref, "Attributes": {"name": f"n-{ref}", **OURS, **told}}
        self.write(json.dumps({"Type": "container", "Action": action, "Actor": actor}).encode())

    def write(self, line: bytes) -> None:
        for queue in self.streams:
            queue.put_nowait(line + b"\n")

    def cut(self) -> None:
        while self.streams:
            self.streams.pop().put_nowait(None)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        kind = request.path.removeprefix("/v1.41").removeprefix("/containers")
        self.asked.append(kind)
        if kind in self.refused:
            return web.json_response({"message": "not now"}, status=self.refused[kind])
        return await {"/events": self.stream, "/json": self.list}.get(kind, self.inspect)(request)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.streams.append(queue)
        while (line := await queue.get()) is not None:
            await response.write(line)
        return response

    async def list(self, request: web.Request) -> web.Response:
        self.filters.append(json.loads(request.query["filters"]))
        entries = [self.entries[ref] for ref in self.containers]
        found = [each for each in entries if each["Labels"] == OURS or not self.filters[-1]["label"]]
        return await self.later("/json", found)

    async def inspect(self, request: web.Request) -> web.Response:
        ref = request.path.split("/")[-2]
        return await self.later(f"/{ref}/json", self.containers.get(ref))

    async def later(self, kind: str, answer: Any) -> web.Response:
        if kind in self.held:
            await self.held[kind].wait()
        return web.json_response(answer, status=404 if answer is None else 200)

    @contextmanager
    def holding(self, kind: str) -> Any:
        self.held[kind] = asyncio.Event()
        yield
        self.held.pop(kind).set()


async def heard(watch: Watch, server: Server) -> None:
    """Wait until the watch has heard all that the server has told so far."""
    with watch.waiting("mark") as mark:
        server.tell("die", "mark", **{labels.HUB: "other"})
        await mark.wait()
