"""docker-py's methods that are more than one request, or whose answer is no JSON.

Each has docker-py's words and defaults. Where docker-py gives a generator that waits for the Engine, there is
none here: a pull gives its lines as a list once it is done, anything else refuses.
"""

# ruff: noqa: PLR0913, PLR0917 - the words are docker-py's

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from asyncdockerspawner import errors
from asyncdockerspawner.client import output, translate
from asyncdockerspawner.client.images import full_name
from asyncdockerspawner.docker_py import pure
from asyncdockerspawner.docker_py.arguments import name_of, path_part, seconds
from asyncdockerspawner.docker_py.asking import (
    connection_of,
    filters_given,
    given,
    read_whole,
    refuse_generators,
)
from asyncdockerspawner.images import references
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.keywords.create import env_strings
from asyncdockerspawner.lifecycle import Server

ARCHIVE_TIMEOUT = 300.0
"""Longer, unpacking a file into a container may not take."""
QUIET_TIMEOUT = 60.0
"""Logs that were asked for as far as they go may not be silent for longer."""
PROTOCOLS = ("tcp", "udp", "sctp")


async def ping(server: Server) -> bool:
    """Tell that the Engine answers."""
    await server.engine.client.system.ping()
    return True


async def containers(
    server: Server,
    quiet: bool = False,
    all: bool = False,
    trunc: bool = False,
    latest: bool = False,
    since: str | None = None,
    before: str | None = None,
    limit: int = -1,
    size: bool = False,
    filters: Mapping[str, Any] | None = None,
) -> list[JsonObject]:
    """List containers: those that run, or `all`."""
    limit = 1 if latest else limit
    wanted = {**(filters or {}), **given(since=since, before=before)}
    answer = await connection_of(server).request(
        "GET",
        "containers/json",
        operation="list containers",
        params={
            "all": all,
            "size": size,
            **given(limit=limit if limit > 0 else None),
            **filters_given(wanted),
        },
    )
    found: list[JsonObject] = answer.data
    if quiet:
        return [{"Id": each["Id"]} for each in found]
    return [{**each, "Id": each["Id"][:12]} for each in found] if trunc else found


async def images(
    server: Server,
    name: str | None = None,
    quiet: bool = False,
    all: bool = False,
    filters: Mapping[str, Any] | None = None,
) -> list[Any]:
    """List images; `quiet`, only their ids."""
    wanted = {**(filters or {}), **given(reference=name)}
    answer = await connection_of(server).request(
        "GET", "images/json", operation="list images", params={"all": all, **filters_given(wanted)}
    )
    return [each["Id"] for each in answer.data] if quiet else list(answer.data)


async def networks(
    server: Server,
    names: Sequence[str] | None = None,
    ids: Sequence[str] | None = None,
    filters: Mapping[str, Any] | None = None,
) -> list[JsonObject]:
    """List networks; names and ids are parts of them, as everywhere with the Engine."""
    wanted = {**(filters or {}), **({"name": names} if names else {}), **({"id": ids} if ids else {})}
    answer = await connection_of(server).request(
        "GET", "networks", operation="list networks", params=filters_given(wanted)
    )
    return list(answer.data)


async def remove_volume(server: Server, name: str, force: bool = False) -> None:
    """Remove a volume. Raises EngineRefused, status 409, where it is in use."""
    await connection_of(server).request(
        "DELETE",
        f"volumes/{path_part(name, 'name')}",
        operation="remove volume",
        subject=name,
        params={"force": force},
    )
    server.engine.forget_volume(name)


async def connect_container_to_network(
    server: Server,
    container: Any,
    net_id: Any,
    ipv4_address: str | None = None,
    ipv6_address: str | None = None,
    aliases: Sequence[str] | None = None,
    links: Any = None,
    link_local_ips: Sequence[str] | None = None,
    driver_opt: Mapping[str, str] | None = None,
    mac_address: str | None = None,
) -> None:
    """Connect a container to a network. Raises EngineRefused, status 403, where it is in it already."""
    endpoint = pure.PureClient(server.engine.settings).create_endpoint_config(
        aliases, links, ipv4_address, ipv6_address, link_local_ips, driver_opt, mac_address
    )
    await connection_of(server).request(
        "POST",
        f"networks/{path_part(net_id, 'net_id')}/connect",
        operation="connect network",
        subject=name_of(net_id, "net_id"),
        body={"Container": name_of(container, "container"), "EndpointConfig": endpoint},
    )


async def port(server: Server, container: Any, private_port: int | str) -> list[dict[str, str]] | None:
    """Return where a container's port is published: `[{"HostIp", "HostPort"}, …]`, or None."""
    answer = await connection_of(server).request(
        "GET",
        f"containers/{path_part(container, 'container')}/json",
        operation="inspect container",
        subject=name_of(container, "container"),
    )
    published = answer.data["NetworkSettings"].get("Ports") or {}
    wanted = str(private_port)
    keys = [wanted] if "/" in wanted else [f"{wanted}/{protocol}" for protocol in PROTOCOLS]
    return next((published[key] for key in keys if published.get(key)), None)


async def wait(
    server: Server, container: Any, timeout: float | None = None, condition: str | None = None
) -> JsonObject:
    """Wait for a container's end: `{"StatusCode": …, "Error": …}`.

    Raises EngineTimeout after `timeout` seconds. Without that it waits as long as the container runs, and the
    caller bounds it.
    """
    raw = await read_whole(
        server,
        "POST",
        f"containers/{path_part(container, 'container')}/wait",
        subject=name_of(container, "container"),
        operation="wait for container",
        params=given(condition=condition),
        timeout=timeout,
        read=translate.json_of,
    )
    return dict(raw)


async def logs(
    server: Server,
    container: Any,
    stdout: bool = True,
    stderr: bool = True,
    stream: bool = False,
    timestamps: bool = False,
    tail: int | str = "all",
    since: datetime | float | None = None,
    follow: bool | None = None,
    until: datetime | float | None = None,
) -> bytes:
    """Return what a container wrote, both streams in one; with `follow`, once it has ended."""
    refuse_generators("logs", stream=stream)
    lines = tail if isinstance(tail, int) and not isinstance(tail, bool) and tail >= 0 else "all"
    found: bytes = await read_whole(
        server,
        "GET",
        f"containers/{path_part(container, 'container')}/logs",
        subject=name_of(container, "container"),
        operation="read logs",
        params={
            "stdout": stdout,
            "stderr": stderr,
            "timestamps": timestamps,
            "follow": bool(follow),
            "tail": str(lines),
            **given(since=seconds(since, "since"), until=seconds(until, "until")),
        },
        idle=None if follow else QUIET_TIMEOUT,
        read=output.joined,
    )
    return found


async def exec_create(
    server: Server,
    container: Any,
    cmd: str | Sequence[str],
    stdout: bool = True,
    stderr: bool = True,
    stdin: bool = False,
    tty: bool = False,
    privileged: bool = False,
    user: str = "",
    environment: Mapping[str, Any] | Sequence[str] | None = None,
    workdir: str | None = None,
    detach_keys: str | None = None,
) -> JsonObject:
    """Prepare a command in a running container: `{"Id": …}`."""
    answer = await connection_of(server).request(
        "POST",
        f"containers/{path_part(container, 'container')}/exec",
        operation="create exec",
        subject=name_of(container, "container"),
        body={
            "Cmd": shlex.split(cmd) if isinstance(cmd, str) else list(cmd),
            "AttachStdout": stdout,
            "AttachStderr": stderr,
            "AttachStdin": stdin,
            "Tty": tty,
            "Privileged": privileged,
            "User": str(user),
            **given(
                Env=None if environment is None else env_strings(environment, "environment"),
                WorkingDir=workdir,
                DetachKeys=detach_keys,
            ),
        },
    )
    return dict(answer.data)


async def exec_start(
    server: Server,
    exec_id: Any,
    detach: bool = False,
    tty: bool = False,
    stream: bool = False,
    socket: bool = False,
    demux: bool = False,
) -> bytes | str | tuple[bytes | None, bytes | None]:
    """Run a prepared command to its end and return what it wrote; `demux`, stdout and stderr apart.

    It waits as long as the command runs, and the caller bounds it.
    """
    refuse_generators("exec_start", stream=stream, socket=socket)
    path, subject = f"exec/{path_part(exec_id, 'exec_id')}/start", name_of(exec_id, "exec_id")
    words: JsonObject = {
        "operation": "start exec",
        "subject": subject,
        "body": {"Detach": detach, "Tty": tty},
    }
    if detach:
        await connection_of(server).request("POST", path, **words, decoded=False)
        return ""
    raw: bytes = await read_whole(server, "POST", path, **words, read=bytes)
    if demux:
        out, err = (raw, b"") if tty else output.parted(raw)
        return out or None, err or None
    return raw if tty else output.joined(raw)


async def put_archive(server: Server, container: Any, path: str, data: Any) -> bool:
    """Unpack a tar archive, bytes or what has a `read()` of them, into a folder of a container."""
    content = data.read() if hasattr(data, "read") else data
    if not isinstance(content, bytes | bytearray | memoryview):
        raise errors.BadOption(f"data is {type(data).__name__}, but it must be bytes, or have read() them.")
    answer = await connection_of(server).request(
        "PUT",
        f"containers/{path_part(container, 'container')}/archive",
        operation="put archive",
        subject=name_of(container, "container"),
        params={"path": path},
        headers={"Content-Type": "application/x-tar"},
        body=bytes(content),
        timeout=ARCHIVE_TIMEOUT,
        decoded=False,
    )
    return answer.status == 200


async def pull(
    server: Server,
    repository: str,
    tag: str | None = None,
    stream: bool = False,
    auth_config: Mapping[str, Any] | None = None,
    decode: bool = False,
    platform: str | None = None,
    all_tags: bool = False,
) -> str | list[Any]:
    """Pull an image and return what the Engine said of it: one text, or with `stream` a list of its lines.

    Unlike docker-py's it raises also what the Engine says inside the stream. Raises PullError.
    """
    name, own = references.split_reference(repository)
    wanted = "" if all_tags else tag or own
    lines: list[JsonObject] = []
    client = server.engine.client
    auth = None if auth_config is None else dict(auth_config)
    await client.images.pull(name, wanted, platform=platform, auth=auth, on_line=lines.append)
    full = full_name(name, wanted)
    # A stream that breaks off can look like its end.
    if wanted and await client.images.inspect(full) is None:
        raise errors.PullError("pull image", full, "it is not there after the pull")
    if stream and decode:
        return lines
    texts = [json.dumps(line) + "\r\n" for line in lines]
    return [text.encode() for text in texts] if stream else "".join(texts)
