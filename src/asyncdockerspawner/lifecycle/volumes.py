"""The volumes that go with a user or a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from asyncdockerspawner.lifecycle.server import Server
from asyncdockerspawner.names import labels, volume_owners
from asyncdockerspawner.workloads.body import Body

Scopes = Callable[[], Mapping[str, str]]
"""Returns volume name → whose alone it is, `user` or `server`."""


async def ensure_volumes(server: Server, body: Body, scopes: Scopes) -> None:
    """Create the volumes that go with their user, with labels that say so; the Engine makes the others."""
    driver = body.volume_driver
    for name, marks in volume_labels(server, body, scopes).items():
        if name in server.engine.volumes:
            continue
        with server.engine.optional("Users' volumes carry no labels"):
            await server.engine.client.volumes.create(name, labels=marks, driver=driver)
        # What may not be made ahead, the Engine makes with the container.
        server.engine.volumes.add(name)


def volume_labels(server: Server, body: Body, scopes: Scopes) -> dict[str, dict[str, str]]:
    """Note which volumes a server has, and return the labels of those that go with their user."""
    named, personal = list(body.named_volumes()), dict[str, str]()
    if server.policy.delete_volumes_on_user_delete:
        personal = dict(scopes())
    else:
        # Whose they are alone is not asked, which takes a site's own code with names that nobody has; should
        # the option be set later, it is known that they were used here.
        server.record.own_volumes = {**dict.fromkeys(named, ""), **server.record.own_volumes}
    server.record.own_volumes = {**server.record.own_volumes, **personal}
    # Only named servers are renamed.
    server.record.mounted = sorted(set(body.mounted())) if server.owner.servername else ()
    return {name: _labels(server, personal[name]) for name in named if name in personal}


def _labels(server: Server, scope: str) -> dict[str, str]:
    owner = server.owner
    found = {labels.HUB: owner.hub_id, labels.USER: owner.username}
    if scope == volume_owners.Scope.SERVER:
        found[labels.SERVER] = owner.servername
    return found
