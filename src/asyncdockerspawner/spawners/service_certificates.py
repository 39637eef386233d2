"""A service's key and certificates under `internal_ssl`: secrets of the swarm, made for one spawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncdockerspawner.workloads.container import read, users
from asyncdockerspawner.workloads.service.body import ServiceBody
from asyncdockerspawner.workloads.service.files import FileWanted

if TYPE_CHECKING:
    from asyncdockerspawner.spawners.swarm import SwarmSpawner

FOR_ITS_USER, FOR_ITS_CONTAINER = 0o400, 0o444
"""Permissions inside. Whatever they are, no other container has a service's secrets."""


async def files_wanted(spawner: SwarmSpawner, body: ServiceBody) -> list[FileWanted]:
    """Return the files that the service is to find; none without `internal_ssl`.

    Where nobody can tell whom its processes run as, all that runs in its container may read them.
    """
    certificates = spawner._certificates.moved
    if certificates is None:
        return []
    uid = await _uid(spawner, body)
    if uid is None and body.image not in spawner.engine.told:
        spawner.engine.told.add(body.image)
        spawner.log.info(
            "Certificates of servers from %s are for all that runs in their containers: the manager cannot "
            "tell their user's id. A number for `user` in `extra_create_kwargs` tells it",
            body.image,
        )
    mode = FOR_ITS_CONTAINER if uid is None else FOR_ITS_USER
    return [
        FileWanted(target=file.path, data=file.content, uid=uid or 0, mode=mode)
        for file in certificates.files.values()
    ]


async def _uid(spawner: SwarmSpawner, body: ServiceBody) -> int | None:
    """Return whom the server runs as; None where that is a name, or its image is not on the manager."""
    user, environment = body.user, body.environment
    if user and not (users.is_root(user) and "NB_UID" not in environment):
        return users.uid_of(user, environment)
    with spawner.engine.optional("Certificates of services are not for their user alone"):
        image = await spawner.engine.client.images.inspect(body.image)
        if image is not None:
            of_image, its_environment = read.image_user(image)
            return users.uid_of(user or of_image, {**its_environment, **environment})
    return users.uid_of(user, environment) if user else None
