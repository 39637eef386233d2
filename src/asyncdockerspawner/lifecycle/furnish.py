"""What an object is given between its creation, or its being found again, and its start."""

from __future__ import annotations

from asyncdockerspawner.lifecycle.server import Server
from asyncdockerspawner.lifecycle.volumes import unsettled


async def furnish(server: Server) -> None:
    """Put into the object what its server is to find, at every start.

    Raises BadOption where the server could not do without it; what else is refused is told, and the start
    goes on.
    """
    furnishing = await server.after(server.policy.furnishing())
    volumes = await unsettled(server) if furnishing.volume_owner is not None else []
    if not (furnishing.certificates or furnishing.passwd_entry or volumes):
        return
    done = await server.workload.container.furnish(server.record.object_id, furnishing, volumes)
    for name in done.settled:
        server.engine.settled_volumes.add(name)
    for refusal in done.refused:
        server.log.warning("%s: %s", server.object_name, refusal.reason)
        server.hub.report(refusal.told)
