"""What `DockerSpawner` does in the steps that sites and subclasses may do in their own way."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from asyncdockerspawner import errors, lifecycle
from asyncdockerspawner.images import credentials
from asyncdockerspawner.images.credentials import Credentials
from asyncdockerspawner.images.pulls import PullPolicy
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.keywords import create
from asyncdockerspawner.lifecycle import resolved
from asyncdockerspawner.names import labels
from asyncdockerspawner.spawners import sandboxes, volumes
from asyncdockerspawner.spawners.launch_inputs import is_overridden, launch_command, launch_inputs
from asyncdockerspawner.workloads.body import Body
from asyncdockerspawner.workloads.container import endpoint, read

if TYPE_CHECKING:
    from asyncdockerspawner.spawners.overrides import Overridable

PULLED = 30
"""Of 100, where a spawn is when its image is there."""


async def pull(spawner: Overridable, image: str) -> None:
    """Bring the image to the Engine's machine, as `pull_policy` says."""
    begin, lines = time.monotonic(), 0

    def told(text: str, fraction: float) -> None:
        nonlocal lines
        lines += 1
        spawner.report(f"Pulling {image}: {text}", progress=round(PULLED * fraction), topic="pull")

    async def credentials_for(registry: str) -> Credentials | None:
        return await registry_credentials(spawner, registry)

    with lifecycle.step(spawner._managed):
        await spawner.engine.pulls.ensure(
            image,
            PullPolicy(spawner.pull_policy),
            credentials=credentials_for,
            timeout=spawner.pull_timeout,
            on_progress=told,
        )
    if lines:
        spawner.report(f"{image} is there, after {time.monotonic() - begin:.0f} s", progress=PULLED)


async def registry_credentials(spawner: Overridable, registry: str) -> Credentials | None:
    """Return what a registry is to be shown: from `registry_auth`, else docker's own configuration."""
    given = spawner.registry_auth
    if callable(given):
        try:
            entry = await resolved(given(spawner, registry))
        except Exception as exc:  # noqa: BLE001 - it is a site's
            # Not the exception's text: it may hold what the function was about to give.
            raise errors.BadOption(
                f"`registry_auth`: the configured function failed with {type(exc).__name__}."
            ) from None
        found = credentials.from_entry(entry, registry)
    else:
        found = credentials.from_option(given, registry)
    return found or await spawner.engine.docker_config.credentials_for(registry)


async def command(spawner: Overridable) -> list[str]:
    """Return the words of the whole command; that of an image is asked of the Engine."""
    words = spawner.cmd
    if not words:
        # Where it is not there, this is what has it pulled.
        document = await resolved(spawner.docker("inspect_image", spawner.image))
        words = read.command_of_image(document)
    return [*words, *await resolved(spawner.get_args())]


async def create_object(spawner: Overridable) -> JsonObject:
    """Create the object from the values that stand now; gives at least its `Id`."""
    server = spawner._managed
    with lifecycle.step(server):
        await lifecycle.claim(server)
        body = sandboxes.in_sandbox(spawner, await object_body(spawner))
        body = body.labelled({labels.CONFIG_HASH: body.fingerprint, **labels.kept_label(spawner.remove)})
        await lifecycle.ensure_volumes(server.renew(), body, lambda: volumes.scopes(spawner))
        if is_overridden(spawner, "docker"):
            # Whoever looks into what is created finds it in docker-py's words.
            words = create.keywords_of(body.document)
            answer = spawner.docker("create_container", name=spawner.container_name, **words)
            created = dict(await resolved(answer))
            sandboxes.note_created(spawner, str(created.get("Id") or ""))
            return created
        made = await lifecycle.create(
            server.workload, spawner.container_name, body.document, server.owner, server.spawn
        )
        return {spawner.object_id_key: sandboxes.note_created(spawner, made)}


async def object_body(spawner: Overridable) -> Body:
    """Return what the object is made from, from the values that stand now."""
    inputs = await launch_inputs(spawner)
    server = spawner._managed
    body = server.workload.body(inputs)
    server.shared_port = shared = lifecycle.shared_port(server, body.network_mode)
    if shared is None:
        return body
    told_by_us = not (spawner.use_internal_hostname or is_overridden(spawner, "get_ip_and_port"))
    if shared.network != "host" and told_by_us:
        raise endpoint.inside_another(shared.network)
    if spawner.port != inputs.port:
        # Only the whole body tells the network: what has been told another port is told anew.
        environment = await resolved(spawner.get_env())
        words = await launch_command(spawner)
        inputs = replace(inputs, port=spawner.port, environment=environment, command=words)
        body = server.workload.body(inputs)
    return body.labelled({labels.PORT: str(shared)})


async def start_object(spawner: Overridable) -> None:
    """Start the object."""
    server = spawner._managed
    with lifecycle.step(server):
        await lifecycle.claim(server)
        await lifecycle.furnished(server)
        await server.renew().workload.start(server.record.object_id)


async def address(spawner: Overridable) -> tuple[str, int]:
    """Return the address at which the Hub reaches the server."""
    server = spawner._managed
    if spawner.use_internal_hostname:
        return spawner.internal_hostname, spawner.port
    watch, workload = server.watch, server.workload
    observed = watch.known(server.record.object_id) if watch.live else None
    settings: JsonObject | None = None
    asks_the_class = spawner.use_internal_ip and is_overridden(spawner, "get_network_ip")
    # Until it has been asked about since its last start, the watch knows no address.
    # In a sandbox it has none of its own.
    known = observed is not None and (observed.address_is_known or bool(observed.sandbox))
    if observed is None or not known or not observed.runs or asks_the_class:
        document: JsonObject | None = await resolved(spawner.get_object())
        if document is None:
            raise errors.NoEndpoint(f"There is no {spawner.object_name} at the Engine.")
        observed, settings = await workload.observed(document), read.network_settings(document)
    if asks_the_class and settings is not None and observed.has_own_network and not observed.sandbox:
        return str(await resolved(spawner.get_network_ip(settings))), spawner.port
    return workload.address(
        await sandboxes.network_holder(spawner, observed),
        port=spawner.port,
        network_name=spawner.network_name,
        use_internal_ip=spawner.use_internal_ip,
    )
