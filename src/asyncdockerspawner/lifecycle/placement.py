"""A server's place in a swarm: waited for, and found anew when its node is lost."""

from __future__ import annotations

import asyncio
import time

from asyncdockerspawner import errors
from asyncdockerspawner.lifecycle import readiness
from asyncdockerspawner.lifecycle.policy import OnNodeLoss
from asyncdockerspawner.lifecycle.server import Server
from asyncdockerspawner.workloads.exit_status import NOT_RUN, ExitStatus
from asyncdockerspawner.workloads.observed import Observed, Phase, Placement

LOOK_SECONDS = 0.5
"""Between two looks at what a swarm makes of a service."""
NOBODY_ELSE_SECONDS = 1.0
"""Who waits longer for a node gives up the start slot: the nodes that others need are not short for that."""
LEAST_SECONDS = 1.0
"""So long is always waited for a node."""
TASK_TRIES = 20
"""So many looks until there is a new task."""


async def placed(server: Server) -> Observed:
    """Wait until the swarm runs the server's process. Raises ServerDied, NotPlaced."""
    begin, timeout = time.monotonic(), server.policy.placement_timeout
    while True:
        observed = await _look(server)
        if observed is not None:
            if observed.phase is not Phase.PENDING:
                note_node(server, observed)
                return observed
            _report(server, observed)
            waited = time.monotonic() - begin
            if waited > NOBODY_ELSE_SECONDS and server.spawn is not None:
                server.spawn.release_slot()
            place = observed.placement or Placement()
            # The swarm itself takes a moment, however short a time it is given.
            if not place.node and waited >= max(timeout, LEAST_SECONDS):
                raise errors.NotPlaced(
                    f"The swarm has found no place for the server within {timeout:.0f} s. "
                    f"It waits for {place.waits_for}.",
                    advice=f"{place.cure} `placement_timeout` gives it more time.".lstrip(),
                )
        await asyncio.sleep(LOOK_SECONDS)


async def _look(server: Server) -> Observed | None:
    """Return what the swarm says now; None where it does not answer, or with a fault. Raises ServerDied."""
    try:
        observed = await server.workload.find(server.record.object_id)
    except errors.EngineError as exc:
        if exc.status is not None and exc.status < 500:
            raise
        server.log.debug("Cannot ask about %s: %s", server.object_name, exc)
        return None
    if observed is None or not observed.runs:
        died = await readiness.death(server, observed)
        server.log.warning("%s: %s", server.object_name, died)
        raise died
    return observed


def _report(server: Server, observed: Observed) -> None:
    place = observed.placement or Placement()
    where = f" (node {place.node_name})" if place.node_name else ""
    server.hub.report(f"Waiting for {place.waits_for}{where}", progress=65, topic="placement")


def note_node(server: Server, observed: Observed | None) -> None:
    """Remember on which node the volumes of a server that runs are, of those that exist there alone."""
    place = observed.placement if observed is not None and observed.phase is Phase.RUNNING else None
    if place is None or not place.node:
        return
    named = [each for each in place.tied_to if not each.startswith("/")]
    server.record.volume_nodes = {**server.record.volume_nodes, **dict.fromkeys(named, place.node)}


def node_of(server: Server, volumes: list[str]) -> str:
    """Return the node on which these volumes are, by saved states of the user's servers; "" for any.

    Raises NotPlaced where they are on different ones.
    """
    known = volume_nodes(server)
    nodes = {known[name]: name for name in volumes if known.get(name)}
    if len(nodes) > 1:
        told = ", ".join(f"{name} on {node}" for node, name in nodes.items())
        raise errors.NotPlaced(
            "The server cannot be started: its files are on different machines.",
            advice=f"Volumes of the driver `local` exist on one node each: {told}. Copy them to one node and "
            "set `pin_to_volumes = False` meanwhile, or use a driver that all nodes share.",
        )
    return next(iter(nodes), "")


def volume_nodes(server: Server) -> dict[str, str]:
    """Return volume → node of all that saved states of the user's servers know to be on one alone."""
    known = dict[str, str]()
    for state in server.hub.rows().sister_states().values():
        known |= state.get("volume_nodes") or {}
    return known | server.record.volume_nodes


async def why_given_up(server: Server, observed: Observed) -> ExitStatus | None:
    """Tell why a server that ran is not waited for any more; None while it runs or may run again."""
    if not _waits_for_a_node(observed):
        server.waits_since = None
        return None
    if server.waits_since is None:
        server.waits_since = time.monotonic()
    timeout = server.policy.placement_timeout
    if time.monotonic() - server.waits_since < timeout:
        return None
    # The last list may be from before it got one.
    now = await server.workload.find(observed.id)
    if now is None or not _waits_for_a_node(now):
        return None
    place = now.placement or Placement()
    return ExitStatus(
        code=NOT_RUN,
        cause=f"has ended, and the swarm has found no place to go on with it within {timeout:.0f} s: "
        f"it waits for {place.waits_for}",
        cure=place.cure,
    )


def _waits_for_a_node(observed: Observed) -> bool:
    return observed.phase is Phase.PENDING and not (observed.placement or Placement()).node


def is_to_move(server: Server, observed: Observed) -> bool:
    """Tell whether a server that has ended with its node goes on at another one.

    Not so where its files are on that node alone, and where another spawner has made it.
    """
    if not observed.node_is_lost or observed.owner is None or server.unmoved == observed.id:
        return False
    return server.policy.on_node_loss is OnNodeLoss.MOVE and not _on_its_node_alone(server, observed)


def why_it_stays(server: Server, observed: Observed) -> str:
    """Tell why a server that has ended with its node does not go on elsewhere; nothing if nobody asked."""
    if not observed.node_is_lost or server.policy.on_node_loss is not OnNodeLoss.MOVE:
        return ""
    files = _on_its_node_alone(server, observed)
    return f"It stays there, as its files are on that node alone ({', '.join(files)})." if files else ""


def _on_its_node_alone(server: Server, observed: Observed) -> list[str]:
    """Return the volumes and paths of a server that no other node has."""
    tied_to = observed.placement.tied_to if observed.placement is not None else ()
    return [each for each in tied_to if not server.policy.is_on_all_nodes(each)]


async def move(server: Server, observed: Observed) -> None:
    """Have a server started at another node; the watch tells when it runs there, and where."""
    now = await server.workload.find(observed.id)
    if now is None or not now.node_is_lost:
        # An earlier try has done it, whose answer was lost.
        return
    service = server.workload.service
    if service is None or not await service.move(observed.id):
        server.unmoved = observed.id
        return
    node = observed.placement.node_name if observed.placement is not None else ""
    server.log.warning("%s goes on at another node, as node %s is lost", server.object_name, node)
    for _ in range(TASK_TRIES):
        found = await server.workload.find(observed.id)
        if found is None or not found.node_is_lost:
            return
        # The swarm makes the new task a moment later.
        await asyncio.sleep(LOOK_SECONDS)
