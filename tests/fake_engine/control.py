"""The `/_fake` routes: rules, log, state, and what happens to Engine and containers by itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from aiohttp import web

from tests.fake_engine import crowd, documents, images, lifetime, policy, restarts
from tests.fake_engine.answers import Refused, answer, flag
from tests.fake_engine.events import Loss
from tests.fake_engine.faults import Desk
from tests.fake_engine.state import EngineState

Step: TypeAlias = Callable[[], Awaitable[None]]
Offline: TypeAlias = Callable[[float, Step, Step], None]
"""For so many seconds; what to do when no new connection comes in, and before the first one does again."""


async def _nothing() -> None:
    """Containers live on."""


class Control:
    """What a test asks of the fake itself."""

    def __init__(
        self,
        engine: EngineState,
        desk: Desk,
        reset: Callable[[str], Awaitable[None]],
        offline: Offline,
    ) -> None:
        self._engine = engine
        self._desk = desk
        self._reset = reset
        self._offline = offline

    def routes(self) -> list[web.RouteDef]:
        """Method, path and handler of each."""
        return [
            web.post("/_fake/rules", self.add_rules),
            web.delete("/_fake/rules", self.drop_rules),
            web.get("/_fake/requests", self.requests),
            web.delete("/_fake/requests", self.drop_requests),
            web.get("/_fake/state", self.state),
            web.post("/_fake/reset", self.reset),
            web.post("/_fake/offline", self.offline),
            web.post("/_fake/restart", self.restart_engine),
            web.post("/_fake/events/cut", self.cut_events),
            web.post("/_fake/events/raw", self.emit_raw),
            web.post("/_fake/events/loss", self.lose_events),
            web.delete("/_fake/events/loss", self.deliver_events),
            web.post("/_fake/events/hold", self.hold_events),
            web.delete("/_fake/events/hold", self.let_events_go),
            web.post("/_fake/images", self.add_image),
            web.post("/_fake/pullable", self.add_pullable),
            web.post("/_fake/id-mapping/{name}", self.map_ids),
            web.post("/_fake/containers", self.populate),
            web.post("/_fake/containers/{ref}/die", self.die),
            web.post("/_fake/containers/{ref}/restart", self.restart),
            web.post("/_fake/containers/{ref}/changes", self.set_changes),
            web.post("/_fake/containers/{ref}/log", self.write_log),
        ]

    async def add_rules(self, request: web.Request) -> web.Response:
        """Put a list of rules into force."""
        return answer(self._desk.add(await request.json()), 201)

    async def drop_rules(self, _request: web.Request) -> web.Response:
        """Drop every rule."""
        self._desk.rules.clear()
        return answer(None)

    async def requests(self, _request: web.Request) -> web.Response:
        """Every request so far, those under way with `end` null."""
        return answer(self._desk.log)

    async def drop_requests(self, _request: web.Request) -> web.Response:
        """Empty the log."""
        self._desk.log.clear()
        return answer(None)

    async def state(self, _request: web.Request) -> web.Response:
        """Everything that the Engine holds."""
        engine = self._engine
        return answer(
            {
                "containers": [
                    engine.dialect.container(documents.inspect(each)) for each in engine.containers.values()
                ],
                "images": [tag for each in engine.images.values() for tag in each.tags],
                "volumes": list(engine.volumes.values()),
                "networks": [each["Name"] for each in engine.networks.values()],
                "pullable": sorted(engine.pullable),
                "event_streams": len(engine.events.subscribers),
                "events": list(engine.events.past),
                "in_flight": {key: count for key, count in self._desk.in_flight.items() if count},
            }
        )

    async def reset(self, request: web.Request) -> web.Response:
        """`{like}`: as if just started, with the answers of this Engine; event streams go on."""
        await self._reset((await request.json())["like"])
        return answer(None)

    async def offline(self, request: web.Request) -> web.Response:
        """Cut every connection, and refuse new ones for some seconds, as a restart does."""
        self._offline(float((await request.json())["seconds"]), _nothing, _nothing)
        return answer(None)

    async def restart_engine(self, request: web.Request) -> web.Response:
        """`{seconds, live_restore, graceful}`: the Engine is killed or ends, and is started again."""
        body = await request.json()
        live_restore = bool(body["live_restore"])
        self._offline(
            float(body["seconds"]),
            lambda: restarts.going(
                self._engine, live_restore=live_restore, graceful=bool(body.get("graceful"))
            ),
            lambda: restarts.coming(self._engine, live_restore=live_restore),
        )
        return answer(None)

    async def emit_raw(self, request: web.Request) -> web.Response:
        """The body as it is on every event stream."""
        return answer(self._engine.events.emit_raw(await request.text()))

    async def lose_events(self, request: web.Request) -> web.Response:
        """`{actions, times}`: events get lost; null for every action, or for ever."""
        body = await request.json()
        actions = body.get("actions")
        self._engine.events.loss = Loss(None if actions is None else frozenset(actions), body.get("times"))
        return answer(None, 201)

    async def deliver_events(self, _request: web.Request) -> web.Response:
        """No more are lost; gives how many were."""
        lost, self._engine.events.loss = self._engine.events.loss.lost, Loss()
        return answer(lost)

    async def hold_events(self, _request: web.Request) -> web.Response:
        """Events come late."""
        self._engine.events.hold()
        return answer(None, 201)

    async def let_events_go(self, _request: web.Request) -> web.Response:
        """They come now; gives how many."""
        return answer(self._engine.events.let_go())

    async def cut_events(self, _request: web.Request) -> web.Response:
        """Break off every event stream."""
        return answer(self._engine.events.cut())

    async def add_image(self, request: web.Request) -> web.Response:
        """`{ref, labels, config}`: an image in the Engine's store."""
        body = await request.json()
        made = images.make(self._engine, body["ref"], labels=body.get("labels"), **(body.get("config") or {}))
        return answer({"Id": made.id}, 201)

    async def add_pullable(self, request: web.Request) -> web.Response:
        """`{ref, pause, error, labels, config}`: an image that a pull finds."""
        body = await request.json()
        self._engine.pullable[body.pop("ref")] = body
        return answer(None, 201)

    async def map_ids(self, request: web.Request) -> web.Response:
        """It has this security option from now on."""
        self._engine.id_mapping = request.match_info["name"]
        return answer(None, 201)

    async def populate(self, request: web.Request) -> web.Response:
        """`{image, containers: [{name, labels, env, running, exit_code, port}], events}`; gives the ids."""
        body = await request.json()
        told = bool(body.get("events"))
        return answer(crowd.populate(self._engine, body["image"], body["containers"], told=told), 201)

    async def set_changes(self, request: web.Request) -> web.Response:
        """`[{Path, Kind}]`: what differs from the image."""
        container = self._engine.find(request.match_info["ref"])
        container.changes = {each["Path"]: int(each["Kind"]) for each in await request.json()}
        return answer(None)

    async def restart(self, request: web.Request) -> web.Response:
        """`{exit_code, pause}`: a container's process ends and is started again, as restart policies do."""
        body = await request.json()
        container = self._engine.find(request.match_info["ref"])
        if not container.running or container.waiting:
            raise Refused(409, f"Container {container.id} is not running")
        await lifetime.die(self._engine, container, int(body["exit_code"]), again=float(body["pause"]))
        if not body["pause"] and container.life is not None:
            await container.life
        return answer(None)

    async def die(self, request: web.Request) -> web.Response:
        """`{exit_code, oom}`: a container's process ends by itself."""
        body = await request.json() if request.can_read_body else {}
        container = self._engine.find(request.match_info["ref"])
        oom = bool(body.get("oom"))
        code = int(body.get("exit_code", 137 if oom else 1))
        again = policy.pause(container) if policy.starts_again(container, code) else None
        await lifetime.die(self._engine, container, code, oom=oom, again=again)
        return answer(None)

    async def write_log(self, request: web.Request) -> web.Response:
        """A container's process writes the body's lines; `?stderr=1` for the other stream."""
        container = self._engine.find(request.match_info["ref"])
        number = 2 if flag(request.query, "stderr") else 1
        for line in (await request.read()).splitlines():
            container.log.append((number, container.created, line + b"\n"))
        return answer(None)
