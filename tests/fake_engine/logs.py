"""`GET /containers/REF/logs` in the Engine's frames."""

from __future__ import annotations

import asyncio
import struct

from aiohttp import web

from tests.fake_engine.answers import Refused, flag, gone
from tests.fake_engine.state import Container

Line = tuple[int, str, bytes]


async def stream(request: web.Request, container: Container, *, typed: bool) -> web.StreamResponse:
    """Each line in a frame of its own: stream, three zeros, length (big endian); bare with a terminal.

    `typed`: the answer says of which type it is.
    """
    query = request.query
    wanted = {number for number, word in ((1, "stdout"), (2, "stderr")) if flag(query, word)}
    if not wanted:
        raise Refused(400, "Bad parameters: you must choose at least one stream")
    request["bare_content_type"] = not typed
    kind = "raw" if container.config["Tty"] else "multiplexed"
    response = web.StreamResponse(headers={"Content-Type": f"application/vnd.docker.{kind}-stream"})
    await response.prepare(request)
    sent = len(container.log)
    for line in tail([each for each in container.log if each[0] in wanted], query.get("tail", "all")):
        await request["drip"](response, _frame(container, line, flag(query, "timestamps")))
    while flag(query, "follow") and container.running and not gone(request):
        await asyncio.sleep(0.02)
        fresh, sent = container.log[sent:], len(container.log)
        for line in fresh:
            if line[0] in wanted:
                await request["drip"](response, _frame(container, line, flag(query, "timestamps")))
    return response


def tail(lines: list[Line], most: str) -> list[Line]:
    """The last so many lines; all of them where that is no number."""
    if not most.isdigit():
        return lines
    return lines[-int(most) :] if int(most) else []


def _frame(container: Container, line: Line, stamped: bool) -> bytes:
    number, stamp, text = line
    payload = stamp.encode() + b" " + text if stamped else text
    if container.config["Tty"]:
        return payload
    return struct.pack(">BxxxL", number, len(payload)) + payload
