"""What tasks have written, as the manager collects it from their nodes."""

from __future__ import annotations

import asyncio
import struct

from aiohttp import web

from tests.fake_engine.answers import Refused, flag, gone
from tests.fake_engine.logs import tail
from tests.fake_engine.swarm.state import Swarm, Task


async def stream(request: web.Request, swarm: Swarm, tasks: list[Task]) -> web.StreamResponse:
    """`GET /tasks/ID/logs`, in the Engine's frames; a node that is away keeps it waiting."""
    query = request.query
    wanted = {number for number, word in ((1, "stdout"), (2, "stderr")) if flag(query, word)}
    if not wanted:
        raise Refused(500, "Bad parameters: you must choose at least one stream")
    request["bare_content_type"] = True
    response = web.StreamResponse()
    await response.prepare(request)
    for task in tasks:
        while task.node is not None and task.node.state == "down" and not gone(request):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        lines = [] if task.container is None else [each for each in task.container.log if each[0] in wanted]
        for number, _, text in tail(lines, query.get("tail", "all")):
            await request["drip"](response, struct.pack(">BxxxL", number, len(text)) + text)
    return response
