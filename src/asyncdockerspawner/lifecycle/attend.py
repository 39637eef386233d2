"""What happens to a running server by itself: it ends, or it is reached elsewhere than before."""

from __future__ import annotations

import asyncio

from asyncdockerspawner import errors
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.lifecycle import readiness
from asyncdockerspawner.lifecycle.host import RUNNING, Host, resolved
from asyncdockerspawner.workloads.container import status


def follow(host: Host) -> None:
    """Have the Hub told at once when the server ends, and its route follow when the address changes."""
    one_by_one = asyncio.Lock()

    def changed(document: JsonObject | None) -> None:
        async def work() -> None:
            # A server that the Hub is just giving up gets no route any more.
            async with one_by_one:
                if document is None or not status.is_running(document):
                    await _ended(host, document)
                else:
                    await _moved(host)

        host.engine.janitor.start(work, what=f"tell the Hub of {host.object_name}")

    host.watch.follow(host.object_id, changed)


def unfollow(host: Host) -> None:
    """Leave the server alone: it is being stopped."""
    if host.object_id:
        host.watch.unfollow(host.object_id)


def _settled(host: Host) -> bool:
    """Whether the Hub takes the server for running, with nothing pending on either side.

    Told of an end before that, the Hub would stop to poll for good; and for about a second after a cancelled
    spawn it shows `ready`.
    """
    return (
        host.spawn is not None
        and host.spawn.phase == RUNNING
        and not host.spawn.live
        and host.hub_side.ready
        and not host.engine.janitor.busy(host.object_name)
    )


async def _ended(host: Host, document: JsonObject | None) -> None:
    if not _settled(host):
        return
    died = await readiness.death(host, document)
    host.log.warning("%s: %s", host.object_name, str(died))
    host.note_end(died.quoted(died.message))
    await host.hub_side.poll_and_notify()


async def _moved(host: Host) -> None:
    if not _settled(host):
        return
    try:
        ip, port = await resolved(host.get_ip_and_port())
    except (errors.NoEndpoint, errors.EngineError) as exc:
        host.log.warning("Cannot tell where %s is reached now: %s", host.object_name, exc)
        return
    await host.move_to(str(ip), int(port))
