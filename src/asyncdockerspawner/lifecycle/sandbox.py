"""A server in a sandbox that was made ahead: what its start does where the sandbox has ended."""

from __future__ import annotations

from asyncdockerspawner import errors
from asyncdockerspawner.lifecycle.server import Server
from asyncdockerspawner.lifecycle.spawn import Spawn


async def is_lost(server: Server, spawn: Spawn) -> bool:
    """Remove a server whose sandbox has ended under its start, so that it can be made without; else False."""
    sandbox = server.record.sandbox
    if not sandbox or not spawn.made or spawn.made != server.record.object_id:
        return False
    try:
        observed = await server.workload.find(sandbox)
        if observed is not None and observed.runs:
            return False
        await server.workload.remove(spawn.made, force=True)
    except errors.EngineError:
        # What the start has failed with says more.
        return False
    server.log.warning("%s: its sandbox has ended; it is made again without one", server.object_name)
    server.hub.report("The server is made again, as its network has ended", topic="sandbox")
    server.record.object_id = server.record.sandbox = spawn.made = ""
    spawn.sandbox_lost = True
    spawn.release_sandbox()
    return True
