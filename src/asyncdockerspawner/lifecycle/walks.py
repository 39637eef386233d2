"""The walks of a spawn: prepare, launch, halt, and the questions in between.

Promises: what a spawn created and did not hand over is removed, also when it is cancelled at any point;
what it found and resumed is never removed; nobody else's object is touched; the Engine, not our memory,
says whether a server runs.
"""

from __future__ import annotations

import asyncio
import time

from asyncdockerspawner import errors, labels, status
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.lifecycle import cleanup, ownership, readiness
from asyncdockerspawner.lifecycle.host import RUNNING, Host, Spawn, resolved
from asyncdockerspawner.workloads import Workload


async def prepare(host: Host) -> None:
    """Do what must be done before `start_timeout` begins, once per spawn: image, name, state."""
    if host.spawn is not None and host.spawn.live:
        return
    host.spawn = Spawn(labels.new_spawn_id(), live=True)
    try:
        await host.apply_choice()
        if not host.object_id:
            host.object_name = host.render_object_name()
        await resolved(host.pull_image(host.image))
        # On disk before anything is created: a Hub that is killed mid-start knows what it was making.
        host.keep_state()
    except BaseException:
        # Nothing has been created, so there is nothing to look for later.
        host.spawn = None
        raise


async def launch(host: Host) -> tuple[str, int]:
    """Create or resume the object, start it, and give the address at which its server answers."""
    await prepare(host)
    spawn = host.spawn
    assert spawn is not None  # noqa: S101 - prepare has just made it
    spawn.launching = asyncio.current_task()
    end = time.monotonic() + max(host.start_timeout - 1.0, 1.0)
    try:
        await host.engine.janitor.settled(host.object_name)
        await host.engine.exits.ready()
        await _obtain(host, spawn)
        with host.engine.exits.waiting(host.object_id) as ended:
            await resolved(host.start_object())
            ip, port = await readiness.address(host)
            await readiness.until_it_answers(host, ended, end)
    except BaseException:
        cleanup.abandon(host, spawn)
        raise
    finally:
        spawn.live = False
        spawn.launching = None
    spawn.phase = RUNNING
    return ip, port


async def halt(host: Host) -> None:
    """Stop the server and, with `remove`, its object. What cannot be done now is owed by the janitor."""
    spawn = host.spawn
    if spawn is not None and spawn.launching not in {None, asyncio.current_task()}:
        spawn.launching.cancel()
        await asyncio.wait([spawn.launching], timeout=cleanup.SWEEP_SECONDS)
    if not host.object_id and spawn is None:
        return
    try:
        async with asyncio.timeout(cleanup.SWEEP_SECONDS):
            await host.engine.janitor.settled(host.object_name)
        if host.object_id or await _found_by_name(host):
            await _end(host)
    except asyncio.CancelledError:
        cleanup.owe(host)
        raise
    # The Hub swallows what comes from here and forgets the server, so nothing may.
    except Exception as exc:  # noqa: BLE001
        host.log.error("Could not stop %s now, it will be tried again: %r", host.object_name, exc)
        cleanup.owe(host)


async def poll(host: Host) -> int | None:
    """Answer None while the server runs or may run, 0 or its exit code once it certainly does not."""
    if host.spawn is not None and host.spawn.live:
        return None
    if not host.object_id and host.spawn is None:
        return 0
    if host.engine.janitor.busy(host.object_name):
        # The Hub then calls stop(), which waits for the clean-up.
        return None
    try:
        document = await ownership.own_object(host)
    except errors.EngineError as exc:
        host.log.warning("Cannot ask about %s, taking it for running: %s", host.object_name, exc)
        return None
    except errors.NotOurs:
        return 0
    return status.poll_status(document)


async def locate(host: Host) -> tuple[str, int]:
    """Find a running server's address again after the Hub's restart, and complete its adoption."""
    document = await ownership.own_object(host)
    if document is None:
        raise errors.NoEndpoint(f"There is no {host.object_name} at the Engine.")
    ownership.adopt(host, document)
    ip, port = await resolved(host.get_ip_and_port())
    if host.spawn is not None:
        host.spawn.phase = RUNNING
    host.keep_state()
    return str(ip), int(port)


async def create(workload: Workload, name: str, body: JsonObject, spawn: Spawn | None) -> str:
    """Create the object so that a cancelled spawn still learns its id and can remove it."""
    task = asyncio.create_task(workload.create(name, body))
    if spawn is not None:
        spawn.creating = task
    return await asyncio.shield(task)


async def _obtain(host: Host, spawn: Spawn) -> None:
    if host.object_id:
        document = await ownership.own_object(host)
        if document is not None and not await _cleared(host, document):
            return _resume(host, spawn, document)
        host.object_id = ""
    try:
        await _create(host, spawn)
    except errors.NameConflict as conflict:
        document = await ownership.own_object(host)
        if document is not None and not await _cleared(host, document):
            return _resume(host, spawn, document)
        host.log.info("The name %s was taken (%s) and is free again", host.object_name, conflict.message)
        await _create(host, spawn)
    return None


async def _create(host: Host, spawn: Spawn) -> None:
    try:
        made = await resolved(host.create_object())
    except errors.ImageNotFound:
        # The usual spawn does not ask whether the image is there; the Engine has now said that it is not.
        host.engine.pulls.forget(host.image)
        if host.pull_policy == "skip":
            raise errors.ImageUnavailable(
                f"The image {host.image} is not on the Engine's machine and `pull_policy` is 'skip'."
            ) from None
        await resolved(host.pull_image(host.image))
        made = await resolved(host.create_object())
    host.object_id = spawn.made = str(made["Id"])


def _resume(host: Host, spawn: Spawn, document: JsonObject) -> None:
    spawn.resumed = True
    ownership.adopt(host, document)
    for entry in document["Config"].get("Env") or []:
        key, _, value = str(entry).partition("=")
        if key in {"JPY_API_TOKEN", "JUPYTERHUB_API_TOKEN"} and value:
            # The server inside goes on with the token it was created with.
            host.api_token = value
            break


async def _cleared(host: Host, document: JsonObject) -> bool:
    """Remove a leftover of a server that is to be made anew; False where it is to be resumed."""
    if not host.remove:
        return False
    host.log.warning("Removing %s, which an earlier server left behind", host.object_name)
    await host.workload.remove(str(document["Id"]), force=True)
    return True


async def _end(host: Host) -> None:
    await resolved(host.stop_object())
    if host.remove:
        await resolved(host.remove_object())
        host.object_id = ""


async def _found_by_name(host: Host) -> bool:
    """Find what a spawn made of which only the name is known, as after a Hub that was killed."""
    try:
        document = await ownership.own_object(host)
    except errors.NotOurs:
        return False
    if document is not None:
        ownership.adopt(host, document)
    return document is not None
