"""The `/containers` routes."""

from __future__ import annotations

import asyncio
import secrets

from aiohttp import web

from tests.fake_engine import differences, documents, lifetime, listing, logs, making, restarts, validation
from tests.fake_engine.answers import Refused, answer, flag, gone, nothing
from tests.fake_engine.shapes import Json
from tests.fake_engine.state import Container, EngineState, Image, new_id, with_tag


class Containers:
    """Answers about containers."""

    def __init__(self, engine: EngineState) -> None:
        self._engine = engine

    def routes(self) -> list[web.RouteDef]:
        """Method, path and handler of each."""
        one = "/containers/{ref:[^/]+}"
        return [
            web.post("/containers/create", self.create),
            web.get("/containers/json", self.index, allow_head=False),
            web.get(f"{one}/json", self.inspect, allow_head=False),
            web.get(f"{one}/logs", self.logs, allow_head=False),
            web.post(f"{one}/start", self.start),
            web.post(f"{one}/stop", self.stop),
            web.post(f"{one}/kill", self.kill),
            web.post(f"{one}/wait", self.wait),
            web.post(f"{one}/restart", self.restart),
            web.post(f"{one}/rename", self.rename),
            web.get(f"{one}/changes", self.changes, allow_head=False),
            web.delete(one, self.remove),
        ]

    def _find(self, request: web.Request) -> Container:
        return self._engine.find(request.match_info["ref"])

    async def create(self, request: web.Request) -> web.Response:
        """`POST /containers/create`."""
        body = validation.read_body(request.content_type, await request.read())
        host = body.get("HostConfig") or {}
        validation.check_host_config(host)
        if not self._engine.dialect.new:
            validation.check_networks(body)
        name = request.query.get("name") or f"fake_{secrets.token_hex(4)}"
        name = name.removeprefix("/")
        await request["linger"]()
        image = self._image_for(body)
        validation.check_name(name)
        self._check_free(name)
        container = making.container(self._engine, name, image, body)
        self._engine.container_event(container, "create")
        return answer({"Id": container.id, "Warnings": []}, 201)

    def _image_for(self, body: Json) -> Image:
        ref = body.get("Image") or ""
        if not ref:
            raise Refused(400, "No command specified")
        validation.check_reference(ref)
        image = self._engine.image(ref)
        if image is None:
            raise Refused(404, f"No such image: {with_tag(ref)}")
        if not any(each.get(key) for each in (body, image.config) for key in ("Cmd", "Entrypoint")):
            raise Refused(400, "No command specified")
        return image

    def _check_free(self, name: str) -> None:
        holder = self._engine.by_name(name)
        if holder is not None:
            raise Refused(
                409,
                f'Conflict. The container name "/{name}" is already in use by container "{holder.id}". '
                "You have to remove (or rename) that container to be able to reuse that name.",
            )

    async def index(self, request: web.Request) -> web.Response:
        """`GET /containers/json`, the newest first."""
        return answer(listing.index(self._engine, request.query))

    async def inspect(self, request: web.Request) -> web.Response:
        """`GET /containers/REF/json`; waits for a start under way."""
        container = self._find(request)
        async with container.lock:
            if container.removed:
                raise Refused(404, f"No such container: {request.match_info['ref']}")
            return answer(self._engine.dialect.container(documents.inspect(container)))

    async def logs(self, request: web.Request) -> web.StreamResponse:
        """`GET /containers/REF/logs`."""
        return await logs.stream(request, self._find(request), typed=self._engine.dialect.new)

    async def start(self, request: web.Request) -> web.Response:
        """`POST /containers/REF/start`."""
        started = await lifetime.start(self._engine, self._find(request), request["linger"])
        return nothing(204 if started else 304)

    async def stop(self, request: web.Request) -> web.Response:
        """`POST /containers/REF/stop`."""
        container = self._find(request)
        grace = _grace(container, request.query.get("t"))
        stopped = await lifetime.stop(self._engine, container, grace, request["linger"])
        return nothing(204 if stopped else 304)

    async def restart(self, request: web.Request) -> web.Response:
        """`POST /containers/REF/restart`."""
        container = self._find(request)
        grace = _grace(container, request.query.get("t"))
        await restarts.of_container(self._engine, container, grace, request["linger"])
        return nothing()

    async def changes(self, request: web.Request) -> web.Response:
        """`GET /containers/REF/changes`."""
        return answer(differences.shown(self._find(request)))

    async def kill(self, request: web.Request) -> web.Response:
        """`POST /containers/REF/kill`."""
        ref = request.match_info["ref"]
        signal = _signal(request.query.get("signal") or "KILL", ref)
        try:
            container = self._find(request)
        except Refused as refused:
            raise Refused(404, f"Cannot kill container: {ref}: {refused.message}") from refused
        if not container.running:
            raise Refused(409, f"Cannot kill container: {ref}: Container {container.id} is not running")
        await request["linger"]()
        await lifetime.kill(self._engine, container, signal)
        return nothing()

    async def wait(self, request: web.Request) -> web.StreamResponse:
        """`POST /containers/REF/wait`: headers at once, the exit code when it is known."""
        container = self._find(request)
        condition = request.query.get("condition") or "not-running"
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        since = container.exits
        while not _awaited(container, condition, since) and not gone(request):
            await lifetime.exited(container, container.exits, 0.1)
            if condition == "removed" and not container.removed:
                await asyncio.sleep(0.01)
        if not gone(request):
            done = answer(
                self._engine.dialect.waited({"Error": None, "StatusCode": container.state["ExitCode"]})
            )
            await request["drip"](response, done.body)
        return response

    async def rename(self, request: web.Request) -> web.Response:
        """`POST /containers/REF/rename`."""
        container = self._find(request)
        name = request.query.get("name", "").removeprefix("/")
        if not name:
            raise Refused(400, "Neither old nor new names may be empty")
        if container.waiting and not self._engine.dialect.new:
            raise Refused(404, f"sandbox {new_id()} not found")
        if name == container.name:
            raise Refused(400, "Renaming a container with the same name as its current name")
        try:
            validation.check_name(name)
            self._check_free(name)
        except Refused as refused:
            told = refused.message.replace(f"({name})", f"(/{name})")
            raise Refused(refused.status, f"Error when allocating new name: {told}") from refused
        old, container.name = container.name, name
        self._engine.container_event(container, "rename", oldName=f"/{old}")
        return nothing()

    async def remove(self, request: web.Request) -> web.Response:
        """`DELETE /containers/REF`."""
        container = self._find(request)
        await lifetime.remove(self._engine, container, flag(request.query, "force"), request["linger"])
        if flag(request.query, "v"):
            for volume in container.anonymous:
                self._engine.volumes.pop(volume, None)
        return nothing()


def _grace(container: Container, asked: str | None) -> float:
    own = container.config.get("StopTimeout")
    return float(asked or (10 if own is None else own))


def _signal(word: str, ref: str) -> int:
    name = word.upper().removeprefix("SIG")
    if name.isdigit() and 0 < int(name) <= 64:
        return int(name)
    if name not in lifetime.SIGNALS:
        raise Refused(400, f"Invalid signal: {word}", ref)
    return lifetime.SIGNALS[name]


def _awaited(container: Container, condition: str, since: int) -> bool:
    if condition == "removed":
        return container.removed
    if condition == "next-exit":
        return container.removed or container.exits > since
    return not container.running
