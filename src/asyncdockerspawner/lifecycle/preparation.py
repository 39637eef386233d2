"""What a start needs before anything is made: the choice, a name, the image, a turn.

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
from asyncdockerspawner.lifecycle import advice, turns
from asyncdockerspawner.lifecycle.host import Host, ImageEnsured, ImageWanted, Spawn, resolved
from asyncdockerspawner.names import labels

PLACE_SECONDS = 1.0
"""An image that takes longer to be there than this costs its start the place in the start gate."""
_NOT_TO_BE_HAD = (errors.ImageUnavailable, errors.ImageNotFound, errors.PullError)


async def prepare(host: Host) -> None:
    """Do what must be done before `start_timeout` begins, once per spawn, and put down what will be made.

    Where the class decides late, by a `start`, `client` or `pull_image` of its own, what is found here of
    choice, image and Engine refuses nothing: `complete` comes to it. The queue's limit is final.
    """
    if host.spawn is not None and host.spawn.live:
        return
    host.spawn = spawn = Spawn(labels.new_spawn_id(), live=True)
    try:
        with _left_to_the_start(host, spawn):
            await _settle(host, spawn, final=not host.decides_late)
        with _left_to_the_start(host, spawn):
            await turns.take(host, spawn)
            await advice.say_if_the_hub_is_out_of_reach(host)
        host.owed = False
        # The Hub commits it with its own, right before the start.
        host.keep_state()
    except BaseException:
        # Nothing has been created, so there is nothing to look for later.
        spawn.leave_gate()
        host.spawn = None
        raise


async def complete(host: Host, spawn: Spawn) -> None:
    """Do, within the start, what has changed since `prepare` and what it has left."""
    await _settle(host, spawn, final=True)
    await turns.take(host, spawn)


@contextmanager
def _left_to_the_start(host: Host, spawn: Spawn) -> Iterator[None]:
    try:
        yield
    except errors.QueueTimeout:
        raise
    except Exception as exc:
        waits = spawn.choice is not None and exc is spawn.choice.error
        if not (host.decides_late or waits):
            raise
        host.log.info("%s: this is left to the start, which may change it: %r", host.object_name, exc)


async def _settle(host: Host, spawn: Spawn, *, final: bool) -> None:
    await host.apply_choice(final=final)
    if not host.object_id:
        host.name_object()
    await _ensure_image(host, spawn, final=final)


async def _ensure_image(host: Host, spawn: Spawn, *, final: bool) -> None:
    auth = host.registry_auth
    # A copy: it may be changed in place.
    wanted = ImageWanted(
        host.engine, host.image, host.pull_policy, auth if callable(auth) else copy.deepcopy(auth)
    )
    before = spawn.ensured
    if before is not None and _same(before, wanted):
        if before.error is None:
            host.image = before.image
            return
        # A site's own code may need what its `start` has set, so that is asked again.
        ours = isinstance(before.error, errors.AsyncDockerSpawnerError)
        if (ours and not isinstance(before.error, errors.SiteCodeFailed)) or not host.overrides("start"):
            raise before.error
    if not final and host.engine.pulls.is_put_off(host.image):
        return
    # Who waits for a pull keeps nobody from starting.
    leaving = asyncio.get_running_loop().call_later(PLACE_SECONDS, spawn.leave_gate)
    try:
        await resolved(host.pull_image(host.image))
    except Exception as exc:
        if not final and isinstance(exc, _NOT_TO_BE_HAD):
            host.engine.pulls.put_off(host.image)
        spawn.ensured = ImageEnsured(wanted, host.image, exc)
        raise
    finally:
        leaving.cancel()
    spawn.ensured = ImageEnsured(wanted, host.image)


def _same(before: ImageEnsured, wanted: ImageWanted) -> bool:
    return wanted in (before.wanted, replace(before.wanted, image=before.image))
