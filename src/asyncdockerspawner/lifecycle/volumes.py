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
        if name in engine.volumes:
            continue
        made = await _made(server, name, marks, body.volume_driver)
        # What may not be made ahead, the Engine makes with the container.
        engine.volumes.add(name)
        if made is not None and _is_ours(made, server.owner):
            engine.settled_volumes.discard(name)
        else:
            engine.settled_volumes.add(name)
    if server.spawn is not None:
        server.spawn.own_volumes = tuple(wanted)


async def unsettled(server: Server) -> list[str]:
    """Return those of the object's volumes with our labels whose owner is still to be seen to."""
    engine, owner = server.engine, server.owner
    made = server.spawn.own_volumes if server.spawn is not None else None
    found: list[str] = []
    for name in server.record.own_volumes if made is None else made:
        if name in engine.settled_volumes:
            continue
        if name not in engine.volumes:
            # Its container was kept, maybe by an earlier process.
            volume = None
            with engine.optional("Users' volumes keep the owner that the Engine gives them"):
                volume = await engine.client.volumes.inspect(name)
            if volume is None or not _is_ours(volume, owner):
                engine.settled_volumes.add(name)
                continue
        found.append(name)
    return found


async def _made(server: Server, name: str, marks: Mapping[str, str], driver: str) -> Volume | None:
    """Create a volume, or return what there is of this name; None where that may not be asked for."""
    cost = "Users' volumes carry no labels, and keep the owner that the Engine gives them"
    try:
        with server.engine.optional(cost):
            return await server.engine.client.volumes.create(name, labels=marks, driver=driver)
    except (errors.EngineRefused, errors.InvalidConfig):
        if server.policy.delete_volumes_on_user_delete:
            raise
        # Without labels, the container's creation would be what is refused.
    return None


def _is_ours(volume: Volume, owner: labels.Owner) -> bool:
    """Tell whether a volume was made by this Hub, for this user."""
    return (volume.labels.get(labels.HUB), volume.labels.get(labels.USER)) == (owner.hub_id, owner.username)


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
