"""docker-py's methods for services, secrets and configs of a swarm, as far as they are more than a request.

Each has docker-py's words and defaults.
"""

# ruff: noqa: PLR0913, PLR0917 - the words are docker-py's

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from asyncdockerspawner import errors, lifecycle
from asyncdockerspawner.client import output, registry_auth
from asyncdockerspawner.docker_py.arguments import name_of, path_part
from asyncdockerspawner.docker_py.asking import connection_of, given, read_whole, refuse_generators
from asyncdockerspawner.images import credentials, references
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.keywords.merge import plain
from asyncdockerspawner.lifecycle import Server
from asyncdockerspawner.names import labels as label_names
from asyncdockerspawner.workloads.service.body import ServiceBody
from asyncdockerspawner.workloads.service.workload import ServiceWorkload

QUIET_TIMEOUT = 60.0
"""Logs may not be silent for longer: the manager waits for a node that is away."""


async def create_service(
    server: Server,
    task_template: Mapping[str, Any],
    name: str | None = None,
    labels: Mapping[str, str] | None = None,
    mode: Any = None,
    update_config: Mapping[str, Any] | None = None,
    networks: Sequence[Any] | None = None,
    endpoint_config: Mapping[str, Any] | None = None,
    endpoint_spec: Mapping[str, Any] | None = None,
    rollback_config: Mapping[str, Any] | None = None,
) -> JsonObject:
    """Create a service: `{"ID": …}`. Its nodes get what docker's `config.json` has for the image's registry.

    One that takes the server's own name is the server's: it gets the labels that say so, and a spawn that is
    cancelled meanwhile removes it.
    """
    task = plain(task_template)
    if not _image(task):
        raise errors.BadOption("create_service: task_template needs a ContainerSpec with an Image.")
    if networks and not task.get("Networks"):
        task["Networks"] = _networks(networks)
    body = given(
        Name=name,
        Labels=plain(labels),
        TaskTemplate=task,
        Mode=_mode(mode),
        UpdateConfig=plain(update_config),
        EndpointSpec=plain(endpoint_spec or endpoint_config),
        RollbackConfig=plain(rollback_config),
    )
    client, auth = server.engine.client, await _registry_auth(server, _image(task))
    if name is None or name != server.object_name or server.spawn is None or not server.spawn.live:
        return {"ID": await client.services.create(body, registry_auth=auth)}
    await lifecycle.claim(server)
    body = ServiceBody(body).labelled(label_names.ownership_labels_of(server.owner)).document
    workload = ServiceWorkload(client, server.engine.swarm, registry_auth=auth)
    return {"ID": await lifecycle.create(workload, name, body, server.owner, server.spawn)}


async def update_service(
    server: Server,
    service: Any,
    version: int,
    task_template: Mapping[str, Any] | None = None,
    name: str | None = None,
    labels: Mapping[str, str] | None = None,
    mode: Any = None,
    update_config: Mapping[str, Any] | None = None,
    networks: Sequence[Any] | None = None,
    endpoint_config: Mapping[str, Any] | None = None,
    endpoint_spec: Mapping[str, Any] | None = None,
    fetch_current_spec: bool = False,
    rollback_config: Mapping[str, Any] | None = None,
) -> JsonObject:
    """Give a service another spec: `{"Warnings": …}`.

    With `fetch_current_spec`, what is not given stays as it is. Raises EngineRefused, status 500, for
    another `version` than it has.
    """
    path, subject = f"services/{path_part(service, 'service')}", name_of(service, "service")
    connection, current = connection_of(server), {}
    if fetch_current_spec:
        found = await connection.request("GET", path, operation="inspect service", subject=subject)
        current = dict(found.data["Spec"])
    task = _merged(current.get("TaskTemplate") or {}, plain(task_template) or {})
    if networks:
        task["Networks"] = _networks(networks)
    changed = given(
        Name=name,
        Labels=plain(labels),
        Mode=_mode(mode),
        UpdateConfig=plain(update_config),
        EndpointSpec=plain(endpoint_spec or endpoint_config),
        RollbackConfig=plain(rollback_config),
    )
    answer = await connection.request(
        "POST",
        f"{path}/update",
        operation="update service",
        subject=subject,
        params={"version": version},
        headers=registry_auth.header(await _registry_auth(server, _image(task))),
        body={**current, **changed, "TaskTemplate": task},
    )
    return dict(answer.data)


async def service_logs(
    server: Server,
    service: Any,
    details: bool = False,
    follow: bool = False,
    stdout: bool = False,
    stderr: bool = False,
    since: int = 0,
    timestamps: bool = False,
    tail: int | str = "all",
    is_tty: bool | None = None,
) -> list[bytes]:
    """Return what a service's tasks have written, in a list of one piece, or of none."""
    refuse_generators("service_logs", follow=follow)
    raw: bytes = await read_whole(
        server,
        "GET",
        f"services/{path_part(service, 'service')}/logs",
        subject=name_of(service, "service"),
        operation="read logs",
        params={
            "details": details,
            "stdout": stdout,
            "stderr": stderr,
            "since": since,
            "timestamps": timestamps,
            "tail": str(tail),
        },
        idle=QUIET_TIMEOUT,
        read=bytes if is_tty else output.joined,
    )
    return [raw] if raw else []


async def create_secret(
    server: Server,
    name: str,
    data: bytes | str,
    labels: Mapping[str, str] | None = None,
    driver: Mapping[str, Any] | None = None,
) -> JsonObject:
    """Create a secret: `{"ID": …}`."""
    more = given(Labels=plain(labels), Driver=plain(driver))
    return await _create_file(server, "secret", name, data, more)


async def create_config(
    server: Server,
    name: str,
    data: bytes | str,
    labels: Mapping[str, str] | None = None,
    templating: Mapping[str, Any] | None = None,
) -> JsonObject:
    """Create a config: `{"ID": …}`."""
    more = given(Labels=plain(labels), Templating=plain(templating))
    return await _create_file(server, "config", name, data, more)


async def inspect_distribution(
    server: Server, image: str, auth_config: Mapping[str, Any] | None = None
) -> JsonObject:
    """Return an image's `Descriptor` and `Platforms` in its registry. Raises PullError."""
    own = registry_auth.encoded(dict(auth_config)) if auth_config else await _registry_auth(server, image)
    return await server.engine.client.distribution.inspect(image, registry_auth=own)


async def update_node(
    server: Server, node_id: Any, version: int, node_spec: Mapping[str, Any] | None = None
) -> bool:
    """Give a node another spec, as `{"Availability": "drain", "Role": "worker"}`."""
    await connection_of(server).request(
        "POST",
        f"nodes/{path_part(node_id, 'node_id')}/update",
        operation="update node",
        subject=name_of(node_id, "node_id"),
        params={"version": version},
        body=plain(node_spec or {}),
    )
    return True


async def _create_file(
    server: Server, kind: str, name: str, data: bytes | str, more: JsonObject
) -> JsonObject:
    raw = data.encode() if isinstance(data, str) else data
    answer = await connection_of(server).request(
        "POST",
        f"{kind}s/create",
        operation=f"create {kind}",
        subject=name,
        body={"Name": name, "Data": base64.b64encode(raw).decode(), **more},
    )
    return dict(answer.data)


async def _registry_auth(server: Server, image: str) -> str:
    """Return what `registry_auth`, or docker's own configuration, has for an image's registry; "" is nothing.

    A function that gives credentials is asked in a spawn only.
    """
    if not image or references.is_image_id(image):
        return ""
    host, own = references.parse(image).host, server.policy.registry_auth
    if callable(own) and server.spawn is not None and host in server.spawn.registry_auth:
        return server.spawn.registry_auth[host]
    found = None if callable(own) else credentials.from_option(own, host)
    found = found or await server.engine.docker_config.credentials_for(host)
    return registry_auth.encoded(found.document()) if found is not None else ""


def _image(task: Mapping[str, Any]) -> str:
    return str((task.get("ContainerSpec") or {}).get("Image") or "")


def _networks(networks: Sequence[Any]) -> list[JsonObject]:
    return [{"Target": each} if isinstance(each, str) else plain(each) for each in networks]


def _mode(mode: Any) -> JsonObject | None:
    return {mode.capitalize(): {}} if isinstance(mode, str) else plain(mode)


def _merged(current: JsonObject, given_task: JsonObject) -> JsonObject:
    """Lay a task's template over another: what is None stays."""
    over = {key: value for key, value in given_task.items() if value is not None}
    container = {**(current.get("ContainerSpec") or {})}
    container |= {key: value for key, value in (over.get("ContainerSpec") or {}).items() if value is not None}
    return {**current, **over, **({"ContainerSpec": container} if container else {})}
