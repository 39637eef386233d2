"""The `/nodes` routes, and what happens to nodes."""

from __future__ import annotations

import json

from aiohttp import web

from tests.fake_engine import lifetime, listeners, volumes_networks
from tests.fake_engine.answers import Refused, answer, nothing
from tests.fake_engine.shapes import Json
from tests.fake_engine.state import EngineState
from tests.fake_engine.swarm import agent, documents, filters, networks, orchestrator
from tests.fake_engine.swarm.state import Node, Swarm

MANAGER, WORKER = "manager", "worker"
_WORDS = {
    "state", "availability", "labels", "engine_labels", "nano_cpus", "memory", "generic", "volume_drivers",
}  # fmt: skip


class Nodes:
    """Answers about nodes."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm

    def routes(self) -> list[web.RouteDef]:
        """Method, path and handler of each."""
        return [
            web.get("/nodes", self.index, allow_head=False),
            web.get("/nodes/{ref}", self.inspect, allow_head=False),
            web.post("/nodes/{ref}/update", self.update),
        ]

    def _find(self, request: web.Request) -> Node:
        self._swarm.check()
        return self._swarm.find_node(request.match_info["ref"])

    async def index(self, request: web.Request) -> web.Response:
        """`GET /nodes`."""
        self._swarm.check()
        found = filters.chosen(request, self._swarm.nodes.values(), filters.NODES)
        return answer([documents.node(each) for each in found])

    async def inspect(self, request: web.Request) -> web.Response:
        """`GET /nodes/REF`."""
        return answer(documents.node(self._find(request)))

    async def update(self, request: web.Request) -> web.Response:
        """`POST /nodes/REF/update`."""
        found, body = self._find(request), json.loads(await request.read())
        if request.query.get("version") != str(found.version):
            raise Refused(500, "rpc error: code = Unknown desc = update out of sequence")
        change(self._swarm, found, {"availability": body["Availability"], "labels": body.get("Labels") or {}})
        return nothing(200)


def init(swarm: Swarm) -> None:
    """Begin a swarm: this Engine is its manager, and there is a worker."""
    swarm.clear()
    swarm.mode = "manager"
    engine = swarm.engine
    there = EngineState(images=engine.images, pullable=engine.pullable, dialect=engine.dialect)
    there.tasks, there.address = engine.tasks, f"{listeners.SUBNET}.252"
    volumes_networks.furnish(there)
    for node in (
        Node(name=MANAGER, engine=engine, address=listeners.LOOPBACK, role="manager"),
        Node(name=WORKER, engine=there, address=there.address),
    ):
        swarm.nodes[node.id] = node
        swarm.touch(node)
    networks.make(swarm, networks.INGRESS, {"Ingress": True})


def change(swarm: Swarm, node: Node, wanted: Json) -> None:
    """Change what a node is like; tasks and schedules follow. Raises Refused."""
    if unknown := set(wanted) - _WORDS:
        raise Refused(400, f"a node has no {sorted(unknown)}; it has {sorted(_WORDS)}")
    told: dict[str, str] = {}
    for word in ("state", "availability"):
        if word in wanted and wanted[word] != getattr(node, word):
            told |= {f"{word}.old": getattr(node, word), f"{word}.new": wanted[word]}
    for word, value in wanted.items():
        setattr(node, word, value)
    swarm.touch(node)
    swarm.event("node", node, node.name, "update", **told)
    if told.get("state.new") == "down":
        _lose(swarm, node)
    elif told.get("availability.new") == "drain":
        orchestrator.leave_node(swarm, node, lost=False)


def _lose(swarm: Swarm, node: Node) -> None:
    """Its machine is off: what ran there is dead, and nobody has heard of that."""
    for task in swarm.on(node):
        if task.life is not None:
            task.life.cancel()
        # Those that were ending go on when it is back.
        task.life = None if agent.is_live(task) else agent.end(swarm, task)
    for container in node.engine.containers.values():
        if container.running:
            lifetime.found_dead(node.engine, container, 137)
    orchestrator.leave_node(swarm, node, lost=True)
