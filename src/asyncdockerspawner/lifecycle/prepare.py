"""What a start needs before anything is made: the choice, a name, the image, a start slot.

`prepare` sees to all of it before `start_timeout` begins to run. Subclasses change options in their own
`start`, so `complete` does again in there what has changed since, and what `prepare` has left.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from asyncdockerspawner import errors
from asyncdockerspawner.lifecycle import advice, start_slot
from asyncdockerspawner.lifecycle.server import Server
from asyncdockerspawner.lifecycle.spawn import ImageEnsured, ImageWanted, Spawn
from asyncdockerspawner.names import labels

PLACE_SECONDS = 1.0
"""An image that takes longer to be there than this costs its start its place in the queue."""
_NOT_TO_BE_HAD = (errors.ImageUnavailable, errors.ImageNotFound, errors.PullError)


async def prepare(server: Server) -> None:
    """Do what must be done before `start_timeout` begins, once per spawn, and put down what will be made.

    Where the class decides late, by a `start`, `client` or `pull_image` of its own, what is found here of
    choice, image and Engine refuses nothing: `complete` comes to it. The queue's limit is final.
    """
    if server.spawn is not None and server.spawn.live:
        return
    server.spawn = spawn = Spawn(labels.new_spawn_id(), live=True)
    try:
        with _left_to_the_start(server, spawn):
            await _settle(server, spawn, final=not server.policy.decides_late())
        with _left_to_the_start(server, spawn):
            await start_slot.acquire(server, spawn)
            await advice.warn_if_hub_is_unreachable(server)
        server.record.owed = False
        # The Hub commits it with its own, right before the start.
        server.hub.save()
    except BaseException:
        # Nothing has been created, so there is nothing to look for later.
        spawn.release_slot()
        server.spawn = None
        raise


async def complete(server: Server, spawn: Spawn) -> None:
    """Do, within the start, what has changed since `prepare` and what it has left."""
    await _settle(server, spawn, final=True)
    await start_slot.acquire(server, spawn)


@contextmanager
def _left_to_the_start(server: Server, spawn: Spawn) -> Iterator[None]:
    try:
        yield
    except errors.QueueTimeout:
        raise
    except Exception as exc:
        waits = spawn.choice is not None and exc is spawn.choice.error
        if not (server.policy.decides_late() or waits):
            raise
        server.log.info("%s: this is left to the start, which may change it: %r", server.object_name, exc)


async def _settle(server: Server, spawn: Spawn, *, final: bool) -> None:
    await server.after(server.overrides.choose(final=final))
    if not server.record.object_id:
        server.name_object()
    await _ensure_image(server, spawn, final=final)


async def _ensure_image(server: Server, spawn: Spawn, *, final: bool) -> None:
    auth = server.policy.registry_auth
    # A copy: it may be changed in place.
    wanted = ImageWanted(
        server.engine,
        server.policy.image,
        server.policy.pull_policy,
        auth if callable(auth) else copy.deepcopy(auth),
    )
    before = spawn.ensured
    if before is not None and _same(before, wanted):
        if before.error is None:
            if before.image != wanted.image:
                server.overrides.use_image(before.image)
                server.renew()
            return
        # A site's own code may need what its `start` has set, so that is asked again.
        ours = isinstance(before.error, errors.AsyncDockerSpawnerError)
        if (ours and not isinstance(before.error, errors.SiteCodeFailed)) or not server.policy.own_start():
            raise before.error
    if not final and server.engine.pulls.is_put_off(server.policy.image):
        return
    # Who waits for a pull keeps nobody from starting.
    leaving = asyncio.get_running_loop().call_later(PLACE_SECONDS, spawn.release_slot)
    try:
        await server.after(server.overrides.pull(server.policy.image))
    except Exception as exc:
        if not final and isinstance(exc, _NOT_TO_BE_HAD):
            server.engine.pulls.put_off(server.policy.image)
        spawn.ensured = ImageEnsured(wanted, server.policy.image, exc)
        raise
    finally:
        leaving.cancel()
    spawn.ensured = ImageEnsured(wanted, server.policy.image)


def _same(before: ImageEnsured, wanted: ImageWanted) -> bool:
    return wanted in (before.wanted, replace(before.wanted, image=before.image))
