"""Faults on request, and the log of requests: what a test may ask of the fake beyond the Engine's API."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any

from aiohttp import web

from tests.fake_engine.answers import Handler, Refused, answer, gone
from tests.fake_engine.shapes import Json

PIECES = 16
HANG_STEP = 0.05


@dataclass(slots=True)
class Rule:
    """Requests that match get these faults; the first rule that matches is the one."""

    id: int
    method: str = "*"
    path: str = ""
    """A regular expression, searched in the path without its API version."""
    nth: int | None = None
    """Only the nth request that matches, counted from 1."""
    times: int | None = None
    """At most so many requests."""
    delay_before: float = 0
    """Before the Engine looks at the request."""
    delay_during: float = 0
    """While it acts: a start holds its container's lock, a removal is "in progress"."""
    delay_after: float = 0
    """When it has acted, before its answer."""
    status: int | None = None
    """This answer instead of acting."""
    message: str = "fault on request"
    reset_before: bool = False
    """The connection is cut, nothing was done."""
    reset_after: bool = False
    """It is done, and the connection is cut without an answer."""
    cut_after: int | None = None
    """A stream is cut after so many lines."""
    garbage_body: bool = False
    """The answer's body breaks off in mid-word."""
    slow_drip: float = 0
    """Pause before each line of a stream, each sixteenth of another body."""
    hang: bool = False
    """Nothing is done, and there is no answer until the client gives up."""
    seen: int = 0
    used: int = 0

    def applies(self, method: str, path: str) -> bool:
        """Count a request, and tell whether it gets the faults."""
        if self.method not in {"*", method} or not re.search(self.path, path):
            return False
        self.seen += 1
        if self.nth is not None and self.seen != self.nth:
            return False
        if self.times is not None and self.used >= self.times:
            return False
        self.used += 1
        return True


_WORDS = {each.name for each in fields(Rule)} - {"id", "seen", "used"}
_NO_FAULT = Rule(id=0)


@dataclass(slots=True)
class Desk:
    """The rules in force, and what was asked."""

    rules: list[Rule] = field(default_factory=list)
    log: list[Json] = field(default_factory=list)
    in_flight: Counter[str] = field(default_factory=Counter)
    last_id: int = 0

    def add(self, wanted: list[Json]) -> list[int]:
        """Put rules into force; gives their numbers."""
        for each in wanted:
            unknown = set(each) - _WORDS
            if unknown:
                raise Refused(400, f"a rule has no {sorted(unknown)}; it has {sorted(_WORDS)}")
        made: list[int] = []
        for each in wanted:
            self.last_id += 1
            self.rules.append(Rule(id=self.last_id, **each))
            made.append(self.last_id)
        return made

    def find(self, method: str, path: str) -> Rule:
        """The rule for a request."""
        return next((rule for rule in self.rules if rule.applies(method, path)), _NO_FAULT)

    def forget(self) -> None:
        """Drop rules and log."""
        self.rules.clear()
        self.log.clear()

    def middleware(self) -> Any:
        """What every request to the Engine's API passes."""

        @web.middleware
        async def watched(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path.startswith("/_fake/"):
                return await handler(request)
            path = re.sub(r"^/v\d+\.\d+(?=/)", "", request.path)
            entry = await self._begin(request, path)
            try:
                response = await self._faulty(request, handler, self.find(request.method, path))
                entry["status"] = response.status
                return response
            finally:
                self._end(entry)

        return watched

    async def _begin(self, request: web.Request, path: str) -> Json:
        resource = request.match_info.route.resource
        route = f"{request.method} {resource.canonical if resource else path}"
        route = route.replace("/{version}", "")
        self.in_flight["*"] += 1
        self.in_flight[route] += 1
        together, same = self.in_flight["*"], self.in_flight[route]
        entry: Json = {
            "method": request.method,
            "path": path,
            "route": route,
            "query": dict(request.query),
            "body": await _readable(request),
            "headers": dict(request.headers),
            "start": time.monotonic(),
            "end": None,
            "status": None,
            "in_flight": together,
            "in_flight_route": same,
        }
        self.log.append(entry)
        return entry

    def _end(self, entry: Json) -> None:
        entry["end"] = time.monotonic()
        self.in_flight["*"] -= 1
        self.in_flight[entry["route"]] -= 1

    async def _faulty(self, request: web.Request, handler: Handler, rule: Rule) -> web.StreamResponse:
        _equip(request, rule)
        await asyncio.sleep(rule.delay_before)
        while rule.hang and not gone(request):  # noqa: ASYNC110 - aiohttp tells nobody of a hang-up
            await asyncio.sleep(HANG_STEP)
        if rule.hang or rule.reset_before:
            return _cut(request)
        if rule.status is None:
            response = await handler(request)
        else:
            response = answer({"message": rule.message}, rule.status)
        if rule.delay_after:
            await asyncio.sleep(rule.delay_after)
        if rule.reset_after:
            return _cut(request)
        return await _spoiled(request, response, rule)


def _equip(request: web.Request, rule: Rule) -> None:
    """Give handlers the faults that strike while they work."""
    lines = 0

    async def linger() -> None:
        await asyncio.sleep(rule.delay_during)

    async def drip(response: web.StreamResponse, line: bytes) -> None:
        nonlocal lines
        if rule.slow_drip:
            await asyncio.sleep(rule.slow_drip)
        if rule.cut_after is not None and lines >= rule.cut_after:
            _cut(request)
        if not gone(request):
            lines += 1
            await response.write(line)

    request["linger"] = linger
    request["drip"] = drip


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        # What was written before must arrive; abort() would drop it.
        request.transport.close()
    return web.Response(status=499)


async def _spoiled(request: web.Request, response: web.StreamResponse, rule: Rule) -> web.StreamResponse:
    if response.prepared or not isinstance(response, web.Response):
        return response
    body = bytes(response.body or b"") if isinstance(response.body, bytes) else b""
    if rule.garbage_body:
        half = b'{"Id": "' + body[: len(body) // 2].replace(b"\n", b"") + b"\xff"
        return web.Response(status=response.status, body=half, content_type="application/json")
    if rule.slow_drip and body:
        return await _dripped(request, response, body, rule.slow_drip)
    return response


async def _dripped(
    request: web.Request, response: web.Response, body: bytes, pause: float
) -> web.StreamResponse:
    slow = web.StreamResponse(status=response.status, headers={"Content-Type": response.content_type})
    slow.content_length = len(body)
    await slow.prepare(request)
    size = max(1, -(-len(body) // PIECES))
    for at in range(0, len(body), size):
        await asyncio.sleep(pause)
        if gone(request):
            break
        await slow.write(body[at : at + size])
    return slow


async def _readable(request: web.Request) -> Any:
    raw = await request.read()
    if not raw:
        return None
    try:
        return json.loads(raw)
    except ValueError:
        return f"<{len(raw)} bytes>"
