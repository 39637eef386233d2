"""What `SwarmSpawner` does in the steps that sites and subclasses may do in their own way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from asyncdockerspawner import errors, lifecycle
from asyncdockerspawner.client.registry_auth import encoded
from asyncdockerspawner.images import references
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.keywords import service
from asyncdockerspawner.lifecycle import Server
from asyncdockerspawner.spawners import sandboxes, service_certificates, service_inputs, volumes
from asyncdockerspawner.spawners.launch_inputs import is_overridden
from asyncdockerspawner.spawners.steps import registry_credentials
from asyncdockerspawner.workloads.launch import LaunchInputs
from asyncdockerspawner.workloads.service import read
from asyncdockerspawner.workloads.service.body import ServiceBody
from asyncdockerspawner.workloads.service.files import FilesOfASpawn
from asyncdockerspawner.workloads.service.workload import ServiceWorkload

if TYPE_CHECKING:
    from asyncdockerspawner.spawners.swarm import SwarmSpawner


async def task(spawner: SwarmSpawner) -> JsonObject | None:
    """Return the newest task of the spawner's service."""
    document = await lifecycle.resolved(spawner.get_object())
    return None if document is None else read.newest(await spawner.engine.swarm.tasks_of(document))


async def object_body(spawner: SwarmSpawner) -> ServiceBody:
    """Return what the service is made from, from the values that stand now; without what is made for it."""
    return _workload(spawner).body(await service_inputs.service_inputs(spawner))


async def create_object(spawner: SwarmSpawner) -> JsonObject:
    """Create the service from the values that stand now; gives its `ID`."""
    server = spawner._managed
    with lifecycle.step(server):
        await lifecycle.claim(server)
        if spawner.sandboxes:
            sandboxes.say(spawner, "as services of a swarm")
        inputs = await service_inputs.service_inputs(spawner)
        body = _workload(spawner).body(inputs)
        marks = lifecycle.volume_labels(server.renew(), body, lambda: volumes.scopes(spawner))
        inputs = _at_node(inputs, await _node(spawner, server, body))
        auth = await _registry_auth(spawner)
        inputs = await _resolved_image(spawner, inputs, auth)
        workload = _workload(spawner, auth)
        async with _files(spawner, inputs, workload.body(inputs)) as inputs:
            document = workload.body(inputs).with_volume_labels(marks).document
            if is_overridden(spawner, "docker"):
                # Whoever looks into what is created finds it in docker-py's words, which have no credentials.
                if server.spawn is not None and auth:
                    server.spawn.registry_auth[references.parse(spawner.image).host] = auth
                words = service.keywords_of({**document, "Name": spawner.container_name})
                return dict(await lifecycle.resolved(spawner.docker("create_service", **words)))
            made = await lifecycle.create(
                workload, spawner.container_name, document, server.owner, server.spawn
            )
        return {spawner.object_id_key: made}


async def start_object(spawner: SwarmSpawner) -> None:
    """Wait until the swarm runs the service's task."""
    server = spawner._managed
    with lifecycle.step(server):
        await lifecycle.claim(server)
        await lifecycle.placed(server)


def _workload(spawner: SwarmSpawner, registry_auth: str = "") -> ServiceWorkload:
    return spawner._place().workload(spawner.engine, registry_auth=registry_auth)


def _at_node(inputs: LaunchInputs, node: str) -> LaunchInputs:
    return replace(inputs, swarm=replace(inputs.swarm, node=node)) if node else inputs


async def _node(spawner: SwarmSpawner, server: Server, body: ServiceBody) -> str:
    """Return the node that the server's volumes are on; "" leaves it to the swarm.

    Raises NotPlaced where that node takes no servers: at another one, the user would find an empty folder.
    """
    local = list(body.local_volumes()) if spawner.pin_to_volumes else []
    node_id = lifecycle.node_of(server, local)
    if not node_id:
        return ""
    document = await spawner.engine.client.nodes.inspect(node_id)
    if document is None:
        raise _files_are_on(node_id, "which has left the swarm", spawner)
    node = read.node(document)
    if not node.takes_tasks:
        state = "down" if node.down else "drained" if node.drained else "not taking servers now"
        raise _files_are_on(node.name, f"which is {state}", spawner)
    return node_id


def _files_are_on(node: str, state: str, spawner: SwarmSpawner) -> errors.NotPlaced:
    return errors.NotPlaced(
        f"The server cannot be started: your files are on node {node}, {state}.",
        advice=f"{spawner.object_name} has volumes that exist on that node alone. Bring it back; where "
        "its files are lost or not needed, `pin_to_volumes = False` starts it elsewhere, with empty volumes.",
    )


async def _registry_auth(spawner: SwarmSpawner) -> str:
    """Return what the nodes show to the image's registry; "" is nothing."""
    if references.is_image_id(spawner.image):
        return ""
    found = await registry_credentials(spawner, references.parse(spawner.image).host)
    return encoded(found.document()) if found is not None else ""


async def _resolved_image(spawner: SwarmSpawner, inputs: LaunchInputs, auth: str) -> LaunchInputs:
    """Name the image by its digest, with the platforms that it is for, as docker's own command does.

    Where the registry cannot be asked, each node asks it for itself.
    """
    if not spawner.resolve_image or references.is_image_id(inputs.image):
        return inputs
    reference = references.parse(inputs.image)
    if reference.digest:
        return inputs
    found = await spawner.engine.swarm.resolve(inputs.image, auth, spawner.resolve_timeout)
    if found is None:
        return inputs
    image = str(replace(reference, tag=reference.tag or "latest", digest=found.digest))
    return replace(inputs, image=image, swarm=replace(inputs.swarm, platforms=found.platforms))


@asynccontextmanager
async def _files(
    spawner: SwarmSpawner, inputs: LaunchInputs, body: ServiceBody
) -> AsyncIterator[LaunchInputs]:
    """Make the secrets and configs of this creation; where the block fails, they are removed again."""
    wanted = await service_inputs.files_wanted(spawner)
    certificates = await service_certificates.files_wanted(spawner, body)
    wanted = replace(wanted, secrets=[*wanted.secrets, *certificates])
    server, client = spawner._managed, spawner.engine.client
    files = FilesOfASpawn(client, server.owner)
    making = asyncio.create_task(files.make(wanted))
    try:
        made = await asyncio.shield(making)
        yield replace(inputs, swarm=replace(inputs.swarm, secrets=made.secrets, configs=made.configs))
    except BaseException:

        async def discard() -> None:
            await asyncio.wait([making])
            await files.discard()
            if files.answer_lost:
                repeated = partial(lifecycle.repeat_late, files.discard)
                server.engine.janitor.start(repeated, what=f"remove {what}, should they come late")

        # In a queue of its own: a second creation in this spawn need not wait for it.
        what = f"secrets of {server.owner.spawn_id}"
        server.engine.janitor.submit(what, discard, what=f"remove the {what} ({server.object_name})")
        raise
