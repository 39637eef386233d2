"""Whose object is it? Decided by id where it is known, else by labels, else by the environment inside."""

from __future__ import annotations

from asyncdockerspawner import errors, labels, status
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.lifecycle.host import Host, Whose, resolved
from asyncdockerspawner.workloads import Workload


async def own_object(host: Whose) -> JsonObject | None:
    """Give the object of this server, or None. Raises NotOurs for somebody else's under its name."""
    return checked(host, await resolved(host.get_object()))


def checked(host: Whose, document: JsonObject | None) -> JsonObject | None:
    """Give the object that `get_object` has given. Raises NotOurs."""
    if document is None or str(document["Id"]) == host.object_id:
        return document
    config, wanted = document["Config"], host.owner
    found = labels.owner_of(config.get("Labels"))
    if found is None:
        environment = dict(str(entry).partition("=")[::2] for entry in config.get("Env") or [])
        if all(environment.get(key) == value for key, value in host.identity.items()):
            return document
        holder = "somebody who is not a JupyterHub with this spawner"
        advice = "Change `prefix` or `name_template`, or remove it."
    else:
        same_server = (found.username, found.servername) == (wanted.username, wanted.servername)
        if same_server and found.hub_id == wanted.hub_id:
            return document
        holder = f"user {found.username!r}, server {found.servername!r} of the Hub {found.hub_id}"
        advice = "Give each Hub its own `prefix`, or change `name_template`."
        if same_server:
            advice = (
                f"If this Hub made it, before its cookie secret changed, set `hub_id` to {found.hub_id!r}; "
                "if another Hub did, give each its own `prefix`."
            )
    raise errors.NotOurs(
        "The server cannot be started: the name of its container is taken.",
        advice=f"The name {host.object_name} is taken by {holder}; this server is user {wanted.username!r}, "
        f"server {wanted.servername!r} of the Hub {wanted.hub_id}. {advice}",
    )


async def known_object(host: Host) -> JsonObject | None:
    """Give what the watch knows of this server's object, or None where there certainly is none.

    Raises EngineError where the Engine has never answered yet.
    """
    # What DockerSpawner made carries no label, and its saved state no spawn id.
    labelled = host.spawn is not None
    document = await host.watch.find(host.object_id, host.object_name, labelled=labelled)
    if document is None or host.object_id:
        return document
    found, wanted = labels.owner_of(document["Config"].get("Labels")), host.owner
    same = found is not None and (found.username, found.servername) == (wanted.username, wanted.servername)
    return document if same else None


def adopt(host: Host, document: JsonObject) -> None:
    """Take the object over, with what its creation has said of it."""
    host.object_id = str(document["Id"])
    owner = labels.owner_of(document["Config"].get("Labels"))
    if owner is not None:
        host.removal = labels.KEEP not in document["Config"]["Labels"]
    else:
        # DockerSpawner sends its `remove` to the Engine; a list does not tell.
        host.removal = (document.get("HostConfig") or {}).get("AutoRemove")
    if owner is not None and host.spawn is not None:
        host.spawn.spawn_id = owner.spawn_id


async def created_by(workload: Workload, name: str, owner: labels.Owner, *, unstarted: bool = False) -> str:
    """Give the id of the object of this name if it is of exactly this owner's creation, else nothing.

    With `unstarted`, only if it was never started: a later spawn may have resumed it.
    """
    document = await workload.find(name)
    if document is None or labels.owner_of(document["Config"].get("Labels")) != owner:
        return ""
    return "" if unstarted and not status.never_started(document) else str(document["Id"])
