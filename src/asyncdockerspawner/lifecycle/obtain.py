"""Where a start gets its object from: one that was kept and still fits, else a new one."""

from __future__ import annotations

import asyncio

from asyncdockerspawner import drift, errors, labels, status
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.lifecycle import ownership, turns
from asyncdockerspawner.lifecycle.host import Host, Spawn, resolved
from asyncdockerspawner.workloads import Workload

LOST_SECONDS = 0.5
"""Before a create whose answer was lost is asked for again, should nothing have come of it."""
REMOVAL_TRIES = 50
REMOVAL_SECONDS = 0.1
"""How often, and how long apart, a create is tried while the Engine removes an old object of the name."""


async def kept(host: Host) -> JsonObject | None:
    """Give the object that the saved state names, if this spawn is about it; else forget it.

    One of another name, as for another image, stays what and where it is.
    """
    if not host.object_id:
        return None
    document = await ownership.own_object(host)
    if document is None or not _is_meant(host, document):
        _forget(host)
        return None
    return document


async def obtain(host: Host, spawn: Spawn, kept: JsonObject | None) -> None:
    """Take the object that was kept, or find it by its name, or create it."""
    if kept is not None:
        if not await _cleared(host, kept):
            return _resume(host, spawn, kept)
        _forget(host)
    try:
        await _create(host, spawn)
    except errors.NameConflict as conflict:
        document = await ownership.own_object(host)
        if document is not None and not await _cleared(host, document):
            return _resume(host, spawn, document)
        host.log.info("The name %s was taken (%s) and is free again", host.object_name, conflict.message)
        await _create_when_free(host, spawn)
    return None


async def create(workload: Workload, name: str, body: JsonObject, spawn: Spawn | None) -> str:
    """Create the object so that a cancelled spawn still learns its id and can remove it."""
    task = asyncio.create_task(_surely_created(workload, name, body, spawn))
    if spawn is not None:
        spawn.creating = task
    made = await asyncio.shield(task)
    if spawn is not None:
        spawn.made = made
    return made


async def _surely_created(workload: Workload, name: str, body: JsonObject, spawn: Spawn | None) -> str:
    """Create; where the answer is lost, find out what came of it."""
    try:
        return await workload.create(name, body)
    except (errors.EngineLost, errors.EngineTimeout) as exc:
        if spawn is not None:
            spawn.create_lost = True
        owner = labels.owner_of(body.get("Labels"))
        if owner is None:
            raise
        if found := await ownership.created_by(workload, name, owner):
            return found
        if isinstance(exc, errors.EngineTimeout):
            # The Engine may create it any moment; a second request would get in its way.
            raise
    await asyncio.sleep(LOST_SECONDS)
    try:
        return await workload.create(name, body)
    except errors.NameConflict:
        if found := await ownership.created_by(workload, name, owner):
            return found
        raise


async def _create(host: Host, spawn: Spawn) -> None:
    host.report("Creating the server's container", progress=40)
    try:
        made = await resolved(host.create_object())
    except errors.ImageNotFound:
        # The usual spawn does not ask whether the image is there; the Engine has now said that it is not.
        host.engine.pulls.forget(host.image)
        if host.pull_policy == "skip":
            raise errors.ImageUnavailable(
                f"The image {host.image} is not on the Engine's machine, and is not pulled.",
                advice="`pull_policy` is 'skip': pull it there, or choose 'ifnotpresent'.",
            ) from None
        # Who waits for a pull keeps nobody from starting.
        spawn.leave_gate()
        await resolved(host.pull_image(host.image))
        await turns.take(host, spawn)
        made = await resolved(host.create_object())
    host.object_id = spawn.made = str(made[host.object_id_key])
    host.removal = host.remove
    for network in host.extra_networks:
        # Before the start, so that the server finds all of them.
        await host.workload.connect(host.object_id, network)


async def _create_when_free(host: Host, spawn: Spawn) -> None:
    """Create, however long the Engine takes to remove what has the name; `start_timeout` bounds it."""
    for _ in range(REMOVAL_TRIES):
        try:
            return await _create(host, spawn)
        except errors.NameConflict as conflict:
            holder = await host.workload.find(conflict.holder or host.object_name)
            if holder is not None and not status.is_being_removed(holder):
                raise
        await asyncio.sleep(REMOVAL_SECONDS)
    return await _create(host, spawn)


def _resume(host: Host, spawn: Spawn, document: JsonObject) -> None:
    spawn.resumed = True
    host.log.info(
        "Found %s (id %s, image %s), which is started again",
        host.object_name,
        str(document["Id"])[:12],
        document["Config"].get("Image"),
    )
    ownership.adopt(host, document)
    for entry in document["Config"].get("Env") or []:
        key, _, value = str(entry).partition("=")
        if key in {"JPY_API_TOKEN", "JUPYTERHUB_API_TOKEN"} and value:
            # The server inside goes on with the token it was created with.
            host.api_token = host.hub_side.api_token = value
            break


async def _cleared(host: Host, document: JsonObject) -> bool:
    """Clear an old object away where the server is to be made anew; False where it is to be resumed."""
    if status.is_being_removed(document):
        return True
    if host.remove or document["Id"] == host.failed_id:
        host.log.warning("Removing %s, which an earlier server left behind", host.object_name)
        await host.workload.remove(str(document["Id"]), force=True)
        host.failed_id = ""
        return True
    return not status.is_running(document) and await _drifted_away(host, document)


async def _drifted_away(host: Host, document: JsonObject) -> bool:
    """Say in what a kept object differs from the configuration; clear it away if it may not be resumed."""
    parts = ["the server's name"] if host.renamed else []
    if host.on_drift != "reuse":
        parts += await _differences(host, document)
    if not parts:
        return False
    told = ", ".join(parts)
    if host.on_drift != "recreate" and not host.renamed:
        host.log.warning(
            "%s was made with other settings (%s) and is started as it was made; `on_drift` can change that",
            host.object_name,
            told,
        )
        return False
    await _put_away(host, document, told)
    return True


async def _differences(host: Host, document: JsonObject) -> list[str]:
    made_from = (document["Config"].get("Labels") or {}).get(labels.CONFIG_HASH)
    if made_from is None:
        return []
    try:
        return drift.differences(made_from, drift.fingerprint(await host.object_body()))
    except errors.AsyncDockerSpawnerError as exc:
        host.log.warning("Cannot tell whether %s fits the configuration: %s", host.object_name, exc)
        return []


async def _put_away(host: Host, document: JsonObject, told: str) -> None:
    """Remove an old object, unless it may hold files of its user: then it keeps them under another name."""
    container_id = str(document["Id"])
    changed = await host.workload.changes(container_id)
    if changed is not None and not drift.files_of_the_user(changed, document):
        host.log.warning("Replacing %s, which was made with other settings (%s)", host.object_name, told)
        return await host.workload.remove(container_id, force=False)
    name = f"{str(document['Name']).lstrip('/')}-kept-{container_id[:12]}"
    host.log.warning(
        "%s was made with other settings (%s); it has files of its user and is kept as %s",
        host.object_name,
        told,
        name,
    )
    return await host.workload.rename(container_id, name)


def _is_meant(host: Host, document: JsonObject) -> bool:
    meant = host.means(_name_of(document), str((document.get("Config") or {}).get("Image")))
    if not meant:
        host.log.info("%s stays: this spawn is not about it", _name_of(document))
    return meant


def _name_of(document: JsonObject) -> str:
    return str(document.get("Name")).lstrip("/")


def _forget(host: Host) -> None:
    """Take the name of a new object; on disk before anything is created under it."""
    host.object_id = ""
    host.renamed = False
    before = host.object_name
    host.name_object()
    if before != host.object_name:
        host.keep_state(commit=True)
