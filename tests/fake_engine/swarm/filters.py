"""Which of the swarm's objects a list shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from aiohttp import web

from tests.fake_engine.answers import Refused, has_labels, parse_filters
from tests.fake_engine.swarm.state import STATES, Node, Service, Swarm, SwarmFile, Task

Kept = TypeVar("Kept")
Matchers = Mapping[str, Callable[[Kept, list[str]], bool]]


def chosen(request: web.Request, kept: Iterable[Kept], matchers: Matchers[Kept]) -> list[Kept]:
    """Those that every filter lets through. Raises Refused."""
    wanted = parse_filters(request.query.get("filters"))
    for word in wanted:
        if word not in matchers:
            raise Refused(400, f"Invalid filter '{word}'")
    return [each for each in kept if all(matchers[word](each, wanted[word]) for word in wanted)]


def _begins(text: str, wanted: list[str]) -> bool:
    return any(text.startswith(each) for each in wanted)


SERVICES: Matchers[Service] = {
    "id": lambda each, wanted: _begins(each.id, wanted),
    "name": lambda each, wanted: _begins(each.name, wanted),
    "label": lambda each, wanted: has_labels(each.labels, wanted),
    "mode": lambda _each, wanted: "replicated" in wanted,
    "runtime": lambda _each, wanted: "container" in wanted,
}
NODES: Matchers[Node] = {
    "id": lambda each, wanted: _begins(each.id, wanted),
    "name": lambda each, wanted: _begins(each.name, wanted),
    "label": lambda each, wanted: has_labels(each.engine_labels, wanted),
    "node.label": lambda each, wanted: has_labels(each.labels, wanted),
    "role": lambda each, wanted: each.role in wanted,
    "membership": lambda _each, wanted: "accepted" in wanted,
}
FILES: Matchers[SwarmFile] = {
    "id": lambda each, wanted: _begins(each.id, wanted),
    "name": lambda each, wanted: _begins(str(each.spec["Name"]), wanted),
    "label": lambda each, wanted: has_labels(each.spec["Labels"], wanted),
}
SECRETS: Matchers[SwarmFile] = {**FILES, "names": lambda each, wanted: each.spec["Name"] in wanted}


def tasks(swarm: Swarm, request: web.Request) -> list[Task]:
    """Those that `GET /tasks` shows. Raises Refused: also for a service or a node that there is none of."""
    wanted = parse_filters(request.query.get("filters"))
    for state in wanted.get("desired-state", ()):
        if state not in STATES:
            raise Refused(500, f"Invalid desired-state filter: '{state}'")
    known = set(wanted) <= set(_TASKS) | {"service", "node"}
    services = {swarm.find_service(each).id for each in wanted.get("service", ()) if known}
    nodes = {swarm.find_node(each).id for each in wanted.get("node", ()) if known}
    return chosen(
        request,
        list(swarm.tasks.values()),
        {
            **_TASKS,
            "service": lambda each, _wanted: each.service.id in services,
            "node": lambda each, _wanted: each.node is not None and each.node.id in nodes,
        },
    )


_TASKS: Matchers[Task] = {
    "id": lambda each, wanted: _begins(each.id, wanted),
    "name": lambda each, wanted: _begins(each.name, wanted),
    "label": lambda each, wanted: has_labels(each.labels, wanted),
    "desired-state": lambda each, wanted: each.desired in wanted,
    "runtime": lambda _each, wanted: "container" in wanted,
    "_up-to-date": lambda each, _wanted: each.spec == each.service.spec["TaskTemplate"],
}
