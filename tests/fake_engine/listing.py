"""`GET /containers/json`: which containers are shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from tests.fake_engine import documents
from tests.fake_engine.answers import Refused, flag, has_labels, parse_filters
from tests.fake_engine.shapes import Json
from tests.fake_engine.state import Container, EngineState

_STATUSES = {"created", "restarting", "running", "removing", "paused", "exited", "dead"}
_HEALTHS = {"starting", "healthy", "unhealthy", "none"}

Matcher = Callable[[EngineState, Container, list[str]], bool]


def index(engine: EngineState, query: Mapping[str, str]) -> list[Json]:
    """The answer's body, the newest first."""
    filters = parse_filters(query.get("filters"))
    _check(filters)
    most = int(query.get("limit") or 0)
    everything = flag(query, "all") or "status" in filters or most > 0
    shown = [
        each
        for each in reversed(engine.containers.values())
        if (everything or each.running)
        and all(_MATCHERS[word](engine, each, wanted) for word, wanted in filters.items())
    ]
    dialect = engine.dialect
    return [
        dialect.container_summary(documents.summary(each, engine))
        for each in (shown[:most] if most > 0 else shown)
    ]


def _check(filters: Mapping[str, list[str]]) -> None:
    for word, wanted in filters.items():
        if word not in _MATCHERS:
            raise Refused(400, f"Invalid filter '{word}'")
        for value in wanted:
            _check_value(word, value)


def _check_value(word: str, value: str) -> None:
    if word == "status" and value not in _STATUSES:
        raise Refused(400, f"Invalid filter 'status={value}'")
    if word == "health" and value not in _HEALTHS:
        raise Refused(400, f"Unrecognised filter value for health: {value}")
    if word == "exited" and not value.lstrip("-").isdigit():
        raise Refused(500, f'strconv.Atoi: parsing "{value}": invalid syntax')


def _name(_engine: EngineState, container: Container, wanted: list[str]) -> bool:
    return any(_found(pattern, name) for pattern in wanted for name in (f"/{container.name}", container.name))


def _found(pattern: str, name: str) -> bool:
    try:
        return bool(re.search(pattern, name))
    except re.error:
        return False  # as the Engine: what is no pattern, matches nothing


def _network(engine: EngineState, container: Container, wanted: list[str]) -> bool:
    ids = {each["Name"]: each["Id"] for each in engine.networks.values()}
    return any(
        each == name or ids.get(name, "").startswith(each) for each in wanted for name in container.networks
    )


_MATCHERS: Mapping[str, Matcher] = {
    "id": lambda _engine, one, wanted: any(one.id.startswith(each) for each in wanted),
    "name": _name,
    "label": lambda _engine, one, wanted: has_labels(one.labels, wanted),
    "status": lambda _engine, one, wanted: one.state["Status"] in wanted,
    "ancestor": lambda engine, one, wanted: any(engine.image(each) is one.image for each in wanted),
    "network": _network,
    "volume": lambda _engine, one, wanted: any(
        each in {mount.get("Name"), mount["Destination"]} for each in wanted for mount in one.mounts
    ),
    "exited": lambda _engine, one, wanted: (
        one.exits > 0 and not one.running and str(one.state["ExitCode"]) in wanted
    ),
    "health": lambda _engine, _one, wanted: "none" in wanted,
}
"""The fake has no health checks, and none of the Engine's other filters."""
