"""What an object is given between its creation, or its being found again, and its start."""

from __future__ import annotations

from collections.abc import Callable

from asyncdockerspawner.lifecycle.server import Server
from asyncdockerspawner.lifecycle.volumes import unsettled
from asyncdockerspawner.lifecycle.wanted import End, Wanted, want
from asyncdockerspawner.workloads.furnishing import Furnishing, Need


async def furnish(server: Server, ref: str = "") -> None:
    """Put into the object what its server is to find, at every start; `ref` is for one without an id yet.

    Raises BadOption where the server could not do without it; what else is refused is told, and the start
    goes on.
    """
    furnishing = await server.after(server.policy.furnishing())
    made_from = _made_from(server, furnishing)
    volumes = await unsettled(server, made_from) if furnishing.volume_owner is not None else []
    if not (furnishing.certificates or furnishing.passwd_entry or volumes):
        return
    container = server.workload.container
    done = await container.furnish(server.record.object_id or ref, furnishing, volumes, _removal(server))
    for name, need in done.volumes.items():
        known = server.engine.volumes.get(name)
        if known is not None and need is Need.NONE:
            known.settled = True
        elif known is not None and need is Need.NONE_HERE:
            known.right_for.add(made_from)
    for refusal in done.refused:
        server.log.warning("%s: %s", server.object_name, refusal.reason)
        server.hub.report(refusal.told)


def _made_from(server: Server, furnishing: Furnishing) -> str:
    """Return what tells whom the server runs as, without asking; the object's id where nothing else does."""
    spawn = server.spawn
    known = spawn.made_from if spawn is not None else ""
    return f"{furnishing.volume_owner} {known or server.record.object_id}"


def _removal(server: Server) -> Callable[[str], object]:
    """Return what has a container removed that was of use for a moment, however long that takes."""
    janitor, workload, owner = server.engine.janitor, server.workload, server.owner
    why = f"which had a volume of {server.object_name} for a moment"

    def remove(ref: str) -> object:
        wanted = Wanted(name=ref, owner=owner, object_id=ref, end=End.REMOVED, why=why)
        return want(janitor, workload, wanted)

    return remove
