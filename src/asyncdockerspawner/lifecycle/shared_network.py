"""Servers that have no network of their own: who listens where, so that none is taken for another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from asyncdockerspawner import errors
from asyncdockerspawner.client import probe
from asyncdockerspawner.lifecycle.server import Server
from asyncdockerspawner.lifecycle.spawn import Spawn
from asyncdockerspawner.workloads import ports
from asyncdockerspawner.workloads.observed import Observed
from asyncdockerspawner.workloads.ports import SharedPort

TRIES = 3
"""How often a server is made again, as the port that was chosen for it is somebody else's."""


def shared_port(server: Server, network: str) -> SharedPort | None:
    """Return the port to listen on in a network of this mode; None if the server has the network to itself.

    What was settled stays; a port that was set is kept; else it is one that none of this Hub's servers has.
    """
    if not ports.is_shared(network):
        return None
    settled = server.shared_port
    if settled is not None and settled.network == network:
        return settled
    server.shared_port = None
    if not server.policy.port_to_choose:
        return SharedPort(network, server.port)
    taken = {each.port for _, each in _others(server) if each.network == network}
    taken |= server.spawn.lost_ports if server.spawn is not None else set()
    if network != "host" and server.port not in taken:
        # Whoever has made the other container expects the usual port, and may publish it.
        return SharedPort(network, server.port, chosen=True)
    return SharedPort(network, ports.free_port(taken), chosen=True)


@contextmanager
def claimed(server: Server) -> Iterator[SharedPort | None]:
    """Keep the port for this server until it has taken it itself; gives it as a label would tell it.

    Raises PortInUse where another one of this Hub's servers is about to take it.
    """
    mine, claims = server.shared_port, server.engine.claimed_ports
    if mine is None:
        yield None
        return
    if claims.setdefault(str(mine), server.object_name) != server.object_name:
        raise taken_by(mine, f"the server {claims[str(mine)]}, which is being started")
    try:
        yield replace(mine, chosen=False)
    finally:
        claims.pop(str(mine), None)


async def check_free(server: Server, spawn: Spawn) -> None:
    """See to it that nobody listens there before the server is started: whoever answers then is the server.

    Raises PortInUse, by name if it is one of this Hub's.
    """
    mine = server.shared_port
    if mine is None:
        return
    if spawn.resumed:
        observed = await server.workload.find(server.record.object_id)
        if observed is not None and observed.runs:
            return
    if holder := await _holder(server, mine):
        raise taken_by(mine, holder)
    if mine.network == "host" and await probe.listens(server.engine.settings.host, mine.port):
        raise taken_by(mine, "somebody who is no server of this Hub")


async def give_way(server: Server, spawn: Spawn) -> bool:
    """Remove a server whose port is somebody else's, so that it can be made with another one; False if not.

    A port that was set is not changed, nor that of a container which was found.
    """
    mine = server.shared_port
    if mine is None or not mine.chosen or spawn.made != server.record.object_id:
        return False
    server.hub.report(
        f"Port {mine.port} is somebody else's; the server is made again with another one", topic="port"
    )
    server.log.warning("%s: port %d is somebody else's; trying another one", server.object_name, mine.port)
    spawn.lost_ports.add(mine.port)
    await server.workload.remove(spawn.made, force=True)
    server.record.object_id = spawn.made = ""
    return True


def taken_by(port: SharedPort, holder: str) -> errors.PortInUse:
    """Return the error that tells who has a port, and what to do."""
    text = f"Port {port.port} of {port.place} is taken by {holder}."
    cure = "Leave `port` unset, and each new server gets a free one; or stop who has it."
    return errors.PortInUse(text, advice="" if port.chosen else cure)


async def _holder(server: Server, mine: SharedPort) -> str:
    """Name the server of this Hub that has the port, if there is one."""
    for ref, other in _others(server):
        if (other.network, other.port) != (mine.network, mine.port):
            continue
        # The table may be behind where the Engine's events are not heard.
        observed = await server.workload.find(ref)
        if observed is not None and observed.runs:
            return _named(observed)
    return ""


def _others(server: Server) -> Iterator[tuple[str, SharedPort]]:
    for each in server.watch.all():
        if each.shared_port is not None and each.id != server.record.object_id:
            yield each.id, each.shared_port


def _named(observed: Observed) -> str:
    owner = observed.owner
    if owner is None:
        return f"the container {observed.name}"
    server = f", server {owner.servername!r}" if owner.servername else ""
    return f"the server of user {owner.username!r}{server}"
