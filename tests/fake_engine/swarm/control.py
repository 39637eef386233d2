"""The `/_fake/swarm` routes: what happens to the swarm by itself."""

from __future__ import annotations

from aiohttp import web

from tests.fake_engine import lifetime
from tests.fake_engine.answers import Refused, answer
from tests.fake_engine.shapes import Json
from tests.fake_engine.swarm import crowd, documents, nodes
from tests.fake_engine.swarm.state import REFUSALS, Swarm


class SwarmControl:
    """What a test asks of the fake about its swarm."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm

    def routes(self) -> list[web.RouteDef]:
        """Method, path and handler of each."""
        return [
            web.post("/_fake/swarm", self.set_mode),
            web.get("/_fake/swarm", self.state),
            web.post("/_fake/swarm/nodes/{ref}", self.change_node),
            web.post("/_fake/swarm/held", self.hold),
            web.post("/_fake/swarm/services", self.populate),
            web.post("/_fake/swarm/tasks/{ref}/die", self.die),
            web.post("/_fake/swarm/tasks/{ref}/forget", self.forget),
        ]

    async def set_mode(self, request: web.Request) -> web.Response:
        """`{mode}`: a manager, with a worker beside it; `worker`, `locked`, `leaderless` or `inactive`."""
        mode = (await request.json())["mode"]
        if mode not in {"manager", *REFUSALS}:
            raise Refused(400, f"a swarm has no mode {mode!r}")
        if mode == "manager" and not self._swarm.nodes:
            nodes.init(self._swarm)
        self._swarm.mode = mode
        return answer(None)

    async def state(self, _request: web.Request) -> web.Response:
        """Everything that the swarm holds."""
        swarm = self._swarm
        return answer(
            {
                "nodes": [documents.node(each) for each in swarm.nodes.values()],
                "services": [documents.service(each) for each in swarm.services.values()],
                "tasks": [documents.task(swarm, each) for each in swarm.tasks.values()],
                **{f"{kind}s": [each.spec for each in kept.values()] for kind, kept in swarm.files.items()},
                "volumes": {each.name: sorted(each.engine.volumes) for each in swarm.nodes.values()},
                "auth": {each.name: each.auth for each in swarm.services.values()},
            }
        )

    async def change_node(self, request: web.Request) -> web.Response:
        """`{state, availability, labels, …}`: what a node is like from now on."""
        nodes.change(self._swarm, self._swarm.find_node(request.match_info["ref"]), await request.json())
        return answer(None)

    async def hold(self, request: web.Request) -> web.Response:
        """`{state}`: tasks that come to it stay there; empty: they go on."""
        self._swarm.held = str((await request.json())["state"])
        self._swarm.touch()
        return answer(None)

    async def populate(self, request: web.Request) -> web.Response:
        """`{image, services: [{name, labels, env, network, port}]}`; gives the ids."""
        body = await request.json()
        return answer(crowd.populate(self._swarm, body["image"], body["services"]), 201)

    async def die(self, request: web.Request) -> web.Response:
        """`{exit_code, oom}`: the process of a service's task ends by itself."""
        body: Json = await request.json()
        service = self._swarm.find_service(request.match_info["ref"])
        for task in self._swarm.tasks_of(service):
            if task.container is not None and task.node is not None and task.container.running:
                code, oom = int(body["exit_code"]), bool(body.get("oom"))
                await lifetime.die(task.node.engine, task.container, code, oom=oom)
        return answer(None)

    async def forget(self, request: web.Request) -> web.Response:
        """A service's tasks are kept no longer, as `--task-history-limit 0` says of those that have ended."""
        service = self._swarm.find_service(request.match_info["ref"])
        for task in self._swarm.tasks_of(service):
            self._swarm.tasks.pop(task.id, None)
        return answer(None)
