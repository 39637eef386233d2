"""What goes with an object: its volumes, and the command after its start."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from asyncdockerspawner import errors, labels, redact, volumes
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.lifecycle.host import Host
from asyncdockerspawner.spec.mounts import is_volume

POST_START_SECONDS = 60.0
"""Longer a command after the start may not take."""


async def ensure_volumes(host: Host, body: JsonObject) -> None:
    """Create the volumes that go with their user, with labels that say so; the Engine makes the others."""
    named, personal = list(_volumes_of(body)), dict[str, str]()
    if host.delete_volumes_on_user_delete:
        personal = host.personal_volumes()
    else:
        # Whose they are alone is not asked, which takes a site's own code with names that nobody has; should
        # the option be set later, it is known that they were used here.
        host.own_volumes = {**dict.fromkeys(named, ""), **host.own_volumes}
    host.own_volumes = {**host.own_volumes, **personal}
    # Only named servers are renamed.
    host.mounted = sorted({source for source, _ in _mounted(body)}) if host.owner.servername else ()
    driver = str((body.get("HostConfig") or {}).get("VolumeDriver") or "")
    for name in named:
        scope = personal.get(name)
        if scope is None or name in host.engine.volumes:
            continue
        with host.engine.optional("Users' volumes carry no labels"):
            await host.engine.client.volumes.create(name, labels=_labels(host, scope), driver=driver)
        # What may not be made ahead, the Engine makes with the container.
        host.engine.volumes.add(name)


async def post_start(host: Host) -> None:
    """Run `post_start_cmd`, and log what it wrote; its failure is the spawn's only if that is asked for."""
    command = host.post_start_cmd
    words = shlex.split(command) if isinstance(command, str) else [str(word) for word in command]
    try:
        code, output = await host.workload.run_inside(host.object_id, words, POST_START_SECONDS)
    except errors.EngineError as exc:
        code, output = -1, exc.message
    output = redact.redacted(output, [host.api_token])
    if not code:
        host.log.debug("`post_start_cmd` of %s wrote: %s", host.object_name, output)
        return
    text = f"`post_start_cmd` failed with code {code}: {output.strip()}"
    if host.post_start_required:
        raise errors.ServerDied("A command that prepares the server has failed.", advice=text)
    host.log.warning("%s: %s", host.object_name, text)


def _labels(host: Host, scope: str) -> dict[str, str]:
    owner = host.owner
    found = {labels.HUB: owner.hub_id, labels.USER: owner.username}
    if scope == volumes.SERVER:
        found[labels.SERVER] = owner.servername
    return found


def _volumes_of(body: JsonObject) -> Iterator[str]:
    for source, mount in _mounted(body):
        # One with options of its own is created by the Engine, with them.
        if is_volume(source) and mount.get("Type", "volume") == "volume" and not mount.get("VolumeOptions"):
            yield source


def _mounted(body: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """Give the source of each bind and mount, and the mount."""
    host = body.get("HostConfig") or {}
    for bind in host.get("Binds") or ():
        yield str(bind).partition(":")[0], {}
    for mount in host.get("Mounts") or ():
        if mount.get("Source"):
            yield str(mount["Source"]), mount
