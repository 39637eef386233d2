"""What tasks have written, as the manager collects it from their nodes."""

from __future__ import annotations

import struct

from aiohttp import web

from tests.fake_engine.answers import Refused, flag
from tests.fake_engine.logs import tail
from tests.fake_engine.swarm.state import Swarm, Task

_AWAY = (
    "Error grabbing logs: rpc error: code = Unknown desc = warning: incomplete log stream. some logs could "
    "not be retrieved for the following reasons: node {} is not available\n"
)


async def stream(request: web.Request, swarm: Swarm, tasks: list[Task]) -> web.StreamResponse:
    """`GET /tasks/ID/logs`, in the Engine's frames; of a node that is away, stream 3 says so."""
    query = request.query
    wanted = {number for number, word in ((1, "stdout"), (2, "stderr")) if flag(query, word)}
    if not wanted:
        raise Refused(500, "Bad parameters: you must choose at least one stream")
    request["bare_content_type"] = True
    response = web.StreamResponse()
    await response.prepare(request)
    for task in tasks:
        if task.node is not None and task.node.state == "down":
            await request["drip"](response, _frame(3, _AWAY.format(task.node.id).encode()))
            continue
        lines = [] if task.container is None else [each for each in task.container.log if each[0] in wanted]
        for number, _, text in tail(lines, query.get("tail", "all")):
            await request["drip"](response, _frame(number, text))
    return response


def _frame(number: int, text: bytes) -> bytes:
    return struct.pack(">BxxxL", number, len(text)) + text
