"""Whose object is it? Decided by id where it is known, else by labels, else by the environment inside."""

from __future__ import annotations

from collections.abc import Mapping

from asyncdockerspawner import errors
from asyncdockerspawner.lifecycle.server import Identity, Server
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.observed import Observed
from asyncdockerspawner.workloads.protocol import Workload

USER, SERVICE_PREFIX = "JUPYTERHUB_USER", "JUPYTERHUB_SERVICE_PREFIX"


async def own_object(server: Server) -> Observed | None:
    """Return the object of this server, or None. Raises NotOurs for somebody else's under its name."""
    observed = await server.after(server.overrides.find())
    return checked(server.identity, observed)


def checked(identity: Identity, observed: Observed | None) -> Observed | None:
    """Return the object that `get_object` has given. Raises NotOurs."""
    if observed is None:
        return None
    named = observed.id == identity.object_id
    if not named:
        _refuse_strangers(identity, observed)
    # A saved state that names it is a proof, unless the object speaks of somebody else.
    if named and not made_for_another(observed, identity.environment):
        return observed
    if others := identity.rows.naming(observed.id):
        raise errors.KeptForAnother(
            "The server cannot be started: its name at the Docker Engine is taken.",
            advice=f"By the Hub's database, {identity.object_name} is that of "
            f"{', '.join(others)}, whose user had another name before. The name is free once that "
            "server is stopped.",
            observed=observed,
        )
    return observed


def made_for_another(observed: Observed, identity: Mapping[str, str]) -> str:
    """Return the user and prefix that an object was made for, where they are not these; else nothing.

    A server inside goes on as whom its environment says, at the prefix that it says.
    """
    environment = observed.environment or {}
    theirs = [environment.get(key, identity[key]) for key in (USER, SERVICE_PREFIX)]
    same = theirs == [identity[key] for key in (USER, SERVICE_PREFIX)]
    return "" if same else f"user {theirs[0]!r} at {theirs[1]}"


def _refuse_strangers(identity: Identity, observed: Observed) -> None:
    found, wanted = observed.owner, identity.owner
    if found is None:
        environment = observed.environment or {}
        if all(environment.get(key) == value for key, value in identity.environment.items()):
            return
        holder = "somebody who is not a JupyterHub with this spawner"
        advice = "Change `prefix` or `name_template`, or remove it."
    else:
        same_server = (found.username, found.servername) == (wanted.username, wanted.servername)
        if same_server and found.hub_id == wanted.hub_id:
            return
        holder = f"user {found.username!r}, server {found.servername!r} of the Hub {found.hub_id}"
        advice = "Give each Hub its own `prefix`, or change `name_template`."
        if same_server:
            advice = (
                f"If this Hub made it, before its cookie secret changed, set `hub_id` to {found.hub_id!r}; "
                "if another Hub did, give each its own `prefix`."
            )
    raise errors.NotOurs(
        "The server cannot be started: its name at the Docker Engine is taken.",
        advice=f"The name {identity.object_name} is taken by {holder}; this server is user "
        f"{wanted.username!r}, server {wanted.servername!r} of the Hub {wanted.hub_id}. {advice}",
    )


async def known_object(server: Server) -> Observed | None:
    """Return what the watch knows of this server's object, or None where there certainly is none.

    Raises EngineError where the Engine has never answered yet.
    """
    # What DockerSpawner made carries no label, and its saved state no spawn id.
    labelled = server.spawn is not None
    observed = await server.watch.find(server.record.object_id, server.object_name, labelled=labelled)
    if observed is None or server.record.object_id:
        return observed
    # Of this name there may be one that was kept for a user who had this name before.
    return observed if _is_of(observed, server.owner) else None


def adopt(server: Server, observed: Observed) -> None:
    """Take the object over, with what its creation has said of it."""
    server.record.object_id = observed.id
    server.shared_port = observed.shared_port
    server.record.removal = observed.removal
    server.record.sandbox = observed.sandbox
    if observed.owner is not None and server.spawn is not None:
        server.spawn.spawn_id = observed.owner.spawn_id


async def created_by(workload: Workload, name: str, owner: labels.Owner, *, unstarted: bool = False) -> str:
    """Return the id of the object of this name if it is of exactly this owner's creation, else nothing.

    With `unstarted`, only if nobody can have started it: a later spawn may have resumed it.
    """
    observed = await workload.find(name)
    if observed is None or not _is_of(observed, owner):
        return ""
    return "" if unstarted and not (observed.never_started or observed.starts_itself) else observed.id


def _is_of(observed: Observed, owner: labels.Owner) -> bool:
    """Whether an object is of this creation; its user may have another name by now."""
    found = observed.owner
    return found is not None and (found.hub_id, found.spawn_id) == (owner.hub_id, owner.spawn_id)
