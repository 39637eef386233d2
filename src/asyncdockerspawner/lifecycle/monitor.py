"""A running server: whether it runs, where it is reached, and what happens to it by itself."""

from __future__ import annotations

import asyncio

from asyncdockerspawner import errors
from asyncdockerspawner.lifecycle import ownership, placement, readiness
from asyncdockerspawner.lifecycle.server import Server
from asyncdockerspawner.lifecycle.spawn import Phase
from asyncdockerspawner.workloads.exit_status import ExitCode
from asyncdockerspawner.workloads.observed import Observed, poll_status
from asyncdockerspawner.workloads.observed import Phase as Life


async def poll(server: Server) -> int | None:
    """Answer None while the server runs or may run, 0 or its exit code once it certainly does not.

    Asks nothing of the Engine while the watch is in step with it, but about a start that was cut off.
    """
    call = server.start_call
    if (server.spawn is not None and server.spawn.live) or (call is not None and not call.over):
        return None
    if not server.record.object_id and server.spawn is None:
        return 0
    if server.engine.janitor.busy(server.object_name):
        # The Hub then calls stop(), which waits for the clean-up.
        return None
    try:
        observed = await ownership.known_object(server)
        if observed and not observed.runs and (_starts(server) or observed.phase is Life.UNKNOWN):
            # A Hub that was killed may have asked for its start: the Engine answers when that is done.
            observed = await server.workload.find(observed.id)
        return poll_status(None) if observed is None else await _answer(server, observed)
    except errors.EngineError as exc:
        server.log.warning("Cannot ask about %s, taking it for running: %s", server.object_name, exc)
        return None


async def _answer(server: Server, observed: Observed) -> int | None:
    """Return what `poll` says of what is known; begins what is due with it."""
    if observed.phase is Life.RUNNING:
        # Nearly always, for every server every half minute.
        server.waits_since = None
        if server.hub.is_wrapped:
            await _found_again(server)
        return None
    if placement.is_to_move(server, observed):
        _begin_move(server, observed)
        return None
    given_up = None if _starts(server) else await placement.why_given_up(server, observed)
    if given_up is not None:
        server.record.last_end = f"The server {given_up.summary()}."
        server.log.warning("%s: %s %s", server.object_name, server.record.last_end, given_up.advice)
        return ExitCode(given_up)
    if observed.runs and server.hub.is_wrapped:
        await _found_again(server)
    return poll_status(observed)


def _starts(server: Server) -> bool:
    return server.spawn is not None and server.spawn.phase is Phase.STARTING


async def _found_again(server: Server) -> None:
    """Complete the adoption of a wrapped server: of what the Hub asks first, a wrapper passes on `poll`."""
    if server.spawn is None or server.watch.follows(server.record.object_id):
        return
    try:
        await server.hub.moved(*await locate(server), route=False)
    except errors.NoEndpoint as exc:
        server.log.warning("Cannot find the address of %s again: %s", server.object_name, exc)


async def locate(server: Server) -> tuple[str, int]:
    """Find a running server's address again after the Hub's restart, and complete its adoption."""
    observed = await ownership.known_object(server)
    if observed is None:
        raise errors.NoEndpoint(f"There is no {server.object_name} at the Engine.")
    if observed.shared_port is None and not observed.address_is_known:
        # A list does not tell the port of what DockerSpawner has made; `self.port` is to give it.
        observed = await server.after(server.overrides.find()) or observed
    ownership.adopt(server, observed)
    address = await server.after(server.overrides.address())
    if server.spawn is not None:
        server.spawn.phase = Phase.RUNNING
    follow(server)
    server.hub.save()
    return address


def follow(server: Server) -> None:
    """Have the Hub told at once when the server ends, and its route follow when the address changes."""
    one_by_one = asyncio.Lock()
    # It may be another spawner's, or a subclass's, that have noted none.
    placement.note_node(server, server.watch.known(server.record.object_id))

    def changed(observed: Observed | None) -> None:
        async def work() -> None:
            # A server that the Hub is just giving up gets no route any more.
            async with one_by_one:
                server.renew()
                if observed is not None and placement.is_to_move(server, observed):
                    _begin_move(server, observed)
                elif observed is None or not observed.runs:
                    await _ended(server, observed)
                elif observed.phase is not Life.PENDING:
                    await _moved(server)

        server.engine.janitor.start(work, what=f"tell the Hub of {server.object_name}")

    server.watch.follow(server.record.object_id, changed)


def unfollow(server: Server) -> None:
    """Leave the server alone: it is being stopped."""
    if server.record.object_id:
        placement.note_node(server, server.watch.known(server.record.object_id))
        server.watch.unfollow(server.record.object_id)


def _settled(server: Server) -> bool:
    """Whether the Hub takes the server for running, with nothing pending on either side.

    Told of an end before that, the Hub would stop to poll for good; and for about a second after a cancelled
    spawn it shows `ready`.
    """
    return (
        server.spawn is not None
        and server.spawn.phase is Phase.RUNNING
        and not server.spawn.live
        and server.hub.is_ready
        and not server.engine.janitor.busy(server.object_name)
    )


def _begin_move(server: Server, observed: Observed) -> None:
    """Have a server go on at another node. Until that is begun, `poll` takes it for running."""

    async def work() -> None:
        await placement.move(server.renew(), observed)

    def done(task: asyncio.Task[bool]) -> None:
        if task.cancelled() or task.result() or server.unmoved == observed.id:
            return
        # Else each poll would try it again, and take it for running.
        server.unmoved = observed.id

        async def tell() -> None:
            await _ended(server.renew(), observed)

        server.engine.janitor.start(tell, what=f"tell the Hub of {server.object_name}")

    server.engine.janitor.submit(
        server.object_name, work, what=f"move {server.object_name}", goal=("move", observed.id)
    ).add_done_callback(done)


async def _ended(server: Server, observed: Observed | None) -> None:
    if not _settled(server):
        return
    died = await readiness.death(server, observed)
    server.log.warning("%s: %s", server.object_name, str(died))
    stays = placement.why_it_stays(server, observed) if observed is not None else ""
    if stays:
        server.log.warning("%s: %s", server.object_name, stays)
    server.record.last_end = died.quoted(f"{died.message} {stays}".rstrip())
    await server.hub.ended()


async def _moved(server: Server) -> None:
    if not _settled(server):
        return
    try:
        ip, port = await server.after(server.overrides.address())
    except (errors.NoEndpoint, errors.EngineError) as exc:
        server.log.warning("Cannot tell where %s is reached now: %s", server.object_name, exc)
        return
    await server.hub.moved(ip, port)
