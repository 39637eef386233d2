"""The event stream: a ring of the last 256 events and whoever listens."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from tests.fake_engine.answers import gone, has_labels, parse_filters
from tests.fake_engine.shapes import Json

RING = 256
"""As many as dockerd keeps (daemon/events/events.go)."""

Matcher = Callable[[Json, list[str]], bool]


@dataclass(slots=True)
class Loss:
    """Events that no stream carries, as with a reader that was too slow; the ring keeps them."""

    actions: frozenset[str] | None = frozenset()
    """None for all."""
    left: int | None = None
    """So many more; None for all."""
    lost: int = 0

    def takes(self, event: Json) -> bool:
        """Count an event that gets lost."""
        meant = self.actions is None or event["Action"].partition(":")[0] in self.actions
        if not meant or self.left == 0:
            return False
        self.left = None if self.left is None else self.left - 1
        self.lost += 1
        return True


class EventBus:
    """Hands every event to every subscriber."""

    def __init__(self) -> None:
        self.past: deque[Json] = deque(maxlen=RING)
        self.subscribers: dict[asyncio.Queue[Json | str], web.Request] = {}
        self.loss = Loss()
        self.held: list[Json] | None = None
        """Events that come late, where they are held back; the ring has them at once."""

    def emit(self, event: Json) -> None:
        """Stamp an event and hand it out."""
        stamp = time.time_ns()
        if self.past:
            stamp = max(stamp, self.past[-1]["timeNano"] + 1)
        told = {"scope": "local", **event, "time": stamp // 10**9, "timeNano": stamp}
        self.past.append(told)
        if self.loss.takes(told):
            return
        if self.held is not None:
            self.held.append(told)
            return
        for queue in self.subscribers:
            queue.put_nowait(told)

    def hold(self) -> None:
        """Hold back what happens from now on."""
        self.held = self.held or []

    def let_go(self) -> int:
        """Tell all that was held back; gives how much that was."""
        held, self.held = self.held or [], None
        for event in held:
            for queue in self.subscribers:
                queue.put_nowait(event)
        return len(held)

    def emit_raw(self, text: str) -> int:
        """Write this text as it is on every stream, past all filters; gives how many streams there are."""
        for queue in self.subscribers:
            queue.put_nowait(text)
        return len(self.subscribers)

    @property
    def drained(self) -> bool:
        """Whether everything has been sent."""
        return all(queue.empty() for queue in self.subscribers)

    def cut(self) -> int:
        """Break off every open stream; gives how many there were."""
        open_streams = list(self.subscribers.values())
        for request in open_streams:
            if request.transport is not None:
                request.transport.abort()
        return len(open_streams)


def _named(event: Json, wanted: list[str]) -> bool:
    actor = event["Actor"]
    known = {actor["ID"], actor["Attributes"].get("name"), actor["Attributes"].get("container")}
    return any(each in known or actor["ID"].startswith(each) for each in wanted)


_MATCHERS: Mapping[str, Matcher] = {
    "type": lambda event, wanted: event["Type"] in wanted,
    "event": lambda event, wanted: event["Action"].partition(":")[0] in wanted or event["Action"] in wanted,
    "label": lambda event, wanted: has_labels(event["Actor"]["Attributes"], wanted),
    "container": _named,
    "scope": lambda event, wanted: event["scope"] in wanted,
    "service": lambda event, wanted: event["Type"] == "service" and _named(event, wanted),
    "node": lambda event, wanted: event["Type"] == "node" and _named(event, wanted),
    "image": lambda event, wanted: event.get("from") in wanted,
}


def matches(event: Json, filters: Mapping[str, list[str]]) -> bool:
    """Tell whether the Engine would send this event; unknown filters are ignored, as there."""
    return all(word not in _MATCHERS or _MATCHERS[word](event, wanted) for word, wanted in filters.items())


async def stream(request: web.Request, bus: EventBus, shown: Callable[[Json], Json]) -> web.StreamResponse:
    """`GET /events`: what happened since `since`, then what happens, one JSON line each."""
    filters = parse_filters(request.query.get("filters"))
    since = _nanoseconds(request.query.get("since"))
    until = _nanoseconds(request.query.get("until"))
    queue: asyncio.Queue[Json | str] = asyncio.Queue()
    if since is not None:
        for event in bus.past:
            if event["timeNano"] >= since:
                queue.put_nowait(event)
    bus.subscribers[queue] = request
    try:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await _send(request, response, queue, (filters, shown), until)
    finally:
        bus.subscribers.pop(queue, None)
    return response


async def _send(
    request: web.Request,
    response: web.StreamResponse,
    queue: asyncio.Queue[Json | str],
    sieve: tuple[dict[str, list[str]], Callable[[Json], Json]],
    until: int | None,
) -> None:
    filters, shown = sieve
    while not gone(request):
        left = 0.5 if until is None else min(0.5, (until - time.time_ns()) / 10**9)
        try:
            event = await asyncio.wait_for(queue.get(), max(left, 0.001))
        except TimeoutError:
            if until is not None and time.time_ns() >= until:
                return
            continue
        if isinstance(event, str):
            await request["drip"](response, event.encode())
        elif matches(event, filters):
            await request["drip"](response, json.dumps(shown(event)).encode() + b"\n")


def _nanoseconds(text: str | None) -> int | None:
    if not text:
        return None
    seconds, _, fraction = text.partition(".")
    return int(seconds) * 10**9 + int((fraction + "0" * 9)[:9])
