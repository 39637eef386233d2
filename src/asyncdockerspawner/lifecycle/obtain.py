"""Where a start gets its object from: one that was kept and still fits, else a new one."""

from __future__ import annotations

import asyncio

from asyncdockerspawner import errors
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.lifecycle import ownership, turns
from asyncdockerspawner.lifecycle.host import Host, Spawn, resolved
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.container import drift, endpoint, status
from asyncdockerspawner.workloads.protocol import Workload

LOST_SECONDS = 0.5
"""Before a create whose answer was lost is asked for again, should nothing have come of it."""
REMOVAL_TRIES = 50
REMOVAL_SECONDS = 0.1
"""How often, and how long apart, a create is tried while the Engine removes an old object of the name."""

KEPT_IDS = 20
"""So many other containers of a server are remembered."""


async def kept(host: Host) -> JsonObject | None:
    """Give the object that the saved state names, if this spawn is about it; else forget it.

    One of another name, as for another image, stays what and where it is.
    """
    if not host.object_id:
        return None
    try:
        document = await ownership.own_object(host)
    except errors.KeptForAnother as exc:
        # Both rows name it, and it speaks of the other one.
        host.log.warning("%s makes a new container: %s", host.owner.username, exc)
        document = None
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
        document = await _found_by_name(host)
        if document is not None and not await _cleared(host, document):
            _resume(host, spawn, document)
            # From now on it is known by its id, also to a Hub that is killed before the start is done.
            return host.keep_state(commit=True)
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
    host.shared_port = None
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


async def _found_by_name(host: Host) -> JsonObject | None:
    """Give the object of the server's name. One that is kept for another server goes out of the way."""
    try:
        return await ownership.own_object(host)
    except errors.KeptForAnother as exc:
        document = exc.document
        free = host.engine.claims.unclaimed([document], but_by=host)
        if host.workload.running(document) or not free:
            raise
        name = await _set_aside(host, document)
        host.log.warning("%s It does not run and is now called %s.", exc.advice, name)
        return None


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
    to_keep = ownership.removal_of(document) is False
    if document["Id"] == host.failed_id or (host.remove and not to_keep):
        host.log.warning("Removing %s, which an earlier server left behind", host.object_name)
        await host.workload.remove(str(document["Id"]), force=True)
        host.failed_id = ""
        return True
    if host.remove:
        # It may be all that its user has, whatever the site, or one start, has set since.
        await host.workload.stop(str(document["Id"]))
        await _put_away(host, document, "to be kept")
        return True
    if former := await _made_for_another(host, document):
        await host.workload.stop(str(document["Id"]))
        name = await _put_away(host, document, f"for {former}")
        files = (
            f" Files outside of its volumes are in {name}: ask the administrator for them." if name else ""
        )
        host.report(f"The former server was made for {former}, so a new one is made.{files}")
        return True
    return not status.is_running(document) and await _drifted_away(host, document)


async def _made_for_another(host: Host, document: JsonObject) -> str:
    """Say for whom an object was made whose user, or whose server, has had another name before."""
    former = ownership.made_for_another(document, host.identity)
    if not former:
        return ""
    try:
        body = await host.object_body()
    except errors.AsyncDockerSpawnerError:
        return former
    # A site's own environment may say something else of whom it is for, and would say so again.
    return ownership.made_for_another(
        document, {**host.identity, **ownership.environment_of({"Config": body})}
    )


async def _drifted_away(host: Host, document: JsonObject) -> bool:
    """Say in what a kept object differs from the configuration; clear it away if it may not be resumed."""
    parts = await _differences(host, document) if host.on_drift != "reuse" else []
    if not parts:
        return False
    told = ", ".join(parts)
    if host.on_drift != "recreate":
        host.log.warning(
            "%s was made with other settings (%s) and is started as it was made; `on_drift` can change that",
            host.object_name,
            told,
        )
        return False
    await _put_away(host, document, f"with other settings ({told})")
    return True


async def _differences(host: Host, document: JsonObject) -> list[str]:
    made_from = (document["Config"].get("Labels") or {}).get(labels.CONFIG_HASH)
    if made_from is None:
        return []
    host.shared_port = endpoint.shared_port_of(document)
    try:
        return drift.differences(made_from, drift.fingerprint(await host.object_body()))
    except errors.AsyncDockerSpawnerError as exc:
        host.log.warning("Cannot tell whether %s fits the configuration: %s", host.object_name, exc)
        return []


async def _put_away(host: Host, document: JsonObject, made: str) -> str:
    """Remove an old object, unless it may hold files of its user: then it keeps them under the name given."""
    container_id, former = str(document["Id"]), _name_of(document)
    changed = await host.workload.changes(container_id)
    if changed is not None and not drift.files_of_the_user(changed, document):
        host.log.warning("Replacing %s, which was made %s", former, made)
        await host.workload.remove(container_id, force=False)
        return ""
    name = await _set_aside(host, document)
    host.log.warning("%s was made %s; it has files of its user and is kept as %s", former, made, name)
    return name


async def _set_aside(host: Host, document: JsonObject) -> str:
    """Give an object that stays a name of its own."""
    name = labels.name_aside(_name_of(document), str(document["Id"]))
    if name != _name_of(document):
        await host.workload.rename(str(document["Id"]), name)
    return name


def _is_meant(host: Host, document: JsonObject) -> bool:
    meant = host.means(_name_of(document), str((document.get("Config") or {}).get("Image")))
    if not meant:
        host.log.info("%s stays: this spawn is not about it", _name_of(document))
        others = [each for each in host.kept_ids if each != document["Id"]]
        host.kept_ids = [*others[1 - KEPT_IDS :], str(document["Id"])]
    return meant


def _name_of(document: JsonObject) -> str:
    return str(document.get("Name")).lstrip("/")


def _forget(host: Host) -> None:
    """Take the name of a new object; on disk before anything is created under it."""
    host.object_id = ""
    before = host.object_name
    host.name_object()
    if before != host.object_name:
        host.keep_state(commit=True)
