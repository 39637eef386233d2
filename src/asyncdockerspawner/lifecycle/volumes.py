"""The volumes that are a user's, or a server's, alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from asyncdockerspawner import errors
from asyncdockerspawner.client.volumes import Volume
from asyncdockerspawner.lifecycle.server import Server
from asyncdockerspawner.names import labels, volume_owners
from asyncdockerspawner.workloads.body import Body

Scopes = Callable[[], Mapping[str, str]]
"""Returns volume name → whose alone it is, `user` or `server`."""


async def ensure_volumes(server: Server, body: Body, scopes: Scopes) -> None:
    """Create the volumes that are one user's alone, with labels that say so; the Engine makes the others."""
    engine, wanted = server.engine, volume_labels(server, body, scopes)
    for name, marks in wanted.items():
        if engine.volumes.get(name) is None:
            made = await _made(server, name, marks, body.volume_driver)
            # What may not be made ahead, the Engine makes with the container.
            engine.volumes.learn(name, _owner_of(made))
            if made is None and server.policy.per_spawn("volume_owner") is not None:
                server.hub.report(
                    f"It may not be possible to save files in the volume {name}: it could not be made the "
                    "server's own."
                )
    if server.spawn is not None:
        server.spawn.own_volumes = tuple(wanted)
        server.spawn.made_from = body.fingerprint


async def unsettled(server: Server, made_from: str) -> list[str]:
    """Return those of the object's volumes with our labels whose owner is still to be seen to."""
    engine, owner = server.engine, (server.owner.hub_id, server.owner.username)
    made = server.spawn.own_volumes if server.spawn is not None else None
    found: list[str] = []
    for name in server.record.own_volumes if made is None else made:
        known = engine.volumes.get(name)
        if known is None:
            # Its container was kept, maybe by an earlier process.
            volume = None
            with engine.optional("Users' volumes keep the owner that the Engine gives them"):
                volume = await engine.client.volumes.inspect(name)
            known = engine.volumes.learn(name, _owner_of(volume))
        # A kept container may have volumes of others.
        if known.owner == owner and not known.is_right_for(made_from):
            found.append(name)
    return found


async def _made(server: Server, name: str, marks: Mapping[str, str], driver: str) -> Volume | None:
    """Create a volume, or return what there is of this name; None where that may not be asked for."""
    cost = "Users' volumes carry no labels, and keep the owner that the Engine gives them"
    try:
        with server.engine.optional(cost):
            return await server.engine.client.volumes.create(name, labels=marks, driver=driver)
    except (errors.EngineRefused, errors.InvalidConfig) as exc:
        if server.policy.delete_volumes_on_user_delete:
            raise
        server.log.warning("%s: the volume %s keeps its owner: %s", server.object_name, name, exc.message)
        # Without labels, the container's creation would be what is refused.
    return None


def _owner_of(volume: Volume | None) -> tuple[str, str] | None:
    """Return the Hub that has made a volume, and the user it was made for."""
    marks = {} if volume is None else volume.labels
    return (marks[labels.HUB], marks[labels.USER]) if {labels.HUB, labels.USER} <= marks.keys() else None


def volume_labels(server: Server, body: Body, scopes: Scopes) -> dict[str, dict[str, str]]:
    """Note which volumes a server has, and return the labels of those that are one user's alone."""
    named, personal = list(body.named_volumes()), _personal(server, scopes)
    if server.policy.delete_volumes_on_user_delete:
        server.record.own_volumes = {**server.record.own_volumes, **personal}
    else:
        # Should the option be set later, it is known that they were used here.
        server.record.own_volumes = {**dict.fromkeys(named, ""), **server.record.own_volumes}
    # Only named servers are renamed.
    server.record.mounted = sorted(set(body.mounted())) if server.owner.servername else ()
    return {name: _labels(server, personal[name]) for name in named if name in personal}


def _personal(server: Server, scopes: Scopes) -> dict[str, str]:
    if not server.policy.labels_volumes():
        return {}
    try:
        return dict(scopes())
    except errors.AsyncDockerSpawnerError:
        if server.policy.delete_volumes_on_user_delete:
            raise
        # A subclass may have its own way with `volumes`.
        return {}


def _labels(server: Server, scope: str) -> dict[str, str]:
    owner = server.owner
    found = {labels.HUB: owner.hub_id, labels.USER: owner.username}
    if scope == volume_owners.Scope.SERVER:
        found[labels.SERVER] = owner.servername
    return found
