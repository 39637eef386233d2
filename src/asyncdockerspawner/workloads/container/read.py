"""A container as the Engine tells of it in documents, lists and events. Pure.

Sources: Docker Engine API v1.41, "Inspect a container", "List containers", "Monitor events"; Podman's answers
to the same requests, where they differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from asyncdockerspawner.client import events
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.keywords.create import environment_of
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads import ports
from asyncdockerspawner.workloads.exit_status import ExitStatus
from asyncdockerspawner.workloads.moments import nanoseconds
from asyncdockerspawner.workloads.observed import Addresses, Binding, Observed, Phase
from asyncdockerspawner.workloads.source import Happened, Hint

SIGKILL = "9"
"""The signal of a kill; a stop or a restart begins with another one."""

_LISTED = {
    "created": Phase.CREATED,
    "configured": Phase.CREATED,
    "running": Phase.RUNNING,
    "paused": Phase.RUNNING,
    "restarting": Phase.RESTARTING,
    "removing": Phase.REMOVING,
    "dead": Phase.REMOVING,
}
"""A list's words; whatever else it says is an end."""
_EXITED = re.compile(r"Exited \((-?[0-9]+)\)")
_NEVER = "0001-01-01"
"""Go's zero time, which both engines write for "never", begins so."""
_HAPPENED: Mapping[str, Happened] = {
    **dict.fromkeys(events.CREATIONS, Happened.CREATED),
    **dict.fromkeys(events.STARTS, Happened.STARTED),
    **dict.fromkeys(events.SIGNALS, Happened.SIGNALLED),
    **dict.fromkeys(events.ENDINGS, Happened.ENDED),
    **dict.fromkeys(events.REMOVALS, Happened.REMOVED),
    **dict.fromkeys(events.RENAMES, Happened.RENAMED),
}


def observed(document: JsonObject) -> Observed:
    """Read the body of `GET /containers/ID/json`."""
    config, host = document.get("Config") or {}, document.get("HostConfig") or {}
    state, marks = document.get("State") or {}, config.get("Labels") or {}
    addresses = None
    if "NetworkSettings" in document:
        settings = document["NetworkSettings"] or {}
        addresses = Addresses(networks=networks(settings), published=_published(settings.get("Ports") or {}))
    environment = environment_of(config["Env"]) if "Env" in config else None
    mode, owner = _network_mode(host, addresses), labels.owner_of(marks)
    return Observed(
        id=str(document["Id"]),
        name=str(document.get("Name") or "").lstrip("/"),
        hub_id=marks.get(labels.HUB) or "",
        owner=owner,
        phase=_phase(state),
        last_exit=_last_exit(state, int(host.get("Memory") or 0)),
        restarts=int(document.get("RestartCount") or 0),
        last_change=_last_change(state),
        image=str(config.get("Image") or ""),
        environment=environment,
        network_mode=mode,
        **_sandbox(marks),
        shared_port=_shared_port(marks, mode, environment or {}),
        addresses=addresses,
        removal=_removal(marks, owner, host.get("AutoRemove")),
        auto_remove=host.get("AutoRemove") is True,
        config_hash=marks.get(labels.CONFIG_HASH),
        user=str(config.get("User") or ""),
        groups=tuple(map(str, host.get("GroupAdd") or ())),
        working_dir=str(config.get("WorkingDir") or ""),
        mount_points=tuple(str(each.get("Destination")) for each in document.get("Mounts") or ()),
    )


def image_user(image: JsonObject) -> tuple[str, dict[str, str]]:
    """Read of `GET /images/NAME/json` whom it runs as by itself, and its environment."""
    config = image.get("Config") or {}
    return str(config.get("User") or ""), environment_of(config.get("Env"))


def listed(entry: JsonObject) -> Observed:
    """Read an entry of `GET /containers/json`: it has no environment, and of an end the code alone."""
    marks = entry.get("Labels") or {}
    phase = _LISTED.get(str(entry.get("State") or "").lower(), Phase.ENDED)
    last_exit = None
    if phase in {Phase.ENDED, Phase.REMOVING}:
        exited = _EXITED.match(str(entry.get("Status") or ""))
        last_exit = ExitStatus(code=int(exited[1]) if exited else 0)
    addresses = Addresses(
        networks=networks(entry.get("NetworkSettings") or {}),
        published=_listed_ports(entry.get("Ports") or ()),
    )
    mode, owner = _network_mode(entry.get("HostConfig") or {}, addresses), labels.owner_of(marks)
    return Observed(
        id=str(entry["Id"]),
        name=str((entry.get("Names") or [""])[0]).lstrip("/"),
        hub_id=marks.get(labels.HUB) or "",
        owner=owner,
        phase=phase,
        last_exit=last_exit,
        image=str(entry.get("Image") or ""),
        network_mode=mode,
        **_sandbox(marks),
        shared_port=_shared_port(marks, mode, {}),
        addresses=addresses,
        removal=_removal(marks, owner, None),
        config_hash=marks.get(labels.CONFIG_HASH),
    )


def hint(event: events.ContainerEvent) -> Hint:
    """Read an event; of what it tells besides, only labels of ours can be told from other words."""
    attributes = event.attributes
    owner = labels.owner_of(attributes)
    return Hint(
        kind=_HAPPENED[event.action],
        observed=Observed(
            id=event.container_id,
            name=str(attributes.get("name") or "").lstrip("/"),
            hub_id=attributes.get(labels.HUB) or "",
            owner=owner,
            **_sandbox(attributes),
            shared_port=_shared_port(attributes, "", {}),
            removal=_removal(attributes, owner, None),
            config_hash=attributes.get(labels.CONFIG_HASH),
        ),
        by_force=attributes.get("signal") == SIGKILL,
        exit_code=event.exit_code,
        time=event.time,
    )


def networks(settings: JsonObject) -> dict[str, str]:
    """Read `NetworkSettings`: network → the container's address there, "" where it has none."""
    return {
        name: str((attached or {}).get("IPAddress") or (attached or {}).get("GlobalIPv6Address") or "")
        for name, attached in (settings.get("Networks") or {}).items()
    }


def network_settings(document: JsonObject) -> JsonObject:
    """Return the `NetworkSettings` of an inspected container."""
    return document.get("NetworkSettings") or {}


def command_of_image(document: JsonObject) -> list[str]:
    """Return an image's own command, from `GET /images/NAME/json`."""
    return list((document.get("Config") or {}).get("Cmd") or ())


def _phase(state: Mapping[str, Any]) -> Phase:
    if not state:
        return Phase.UNKNOWN
    # Docker counts a paused and a restarting container as running too; Podman says so of neither.
    if state.get("Restarting") is True:
        return Phase.RESTARTING
    if state.get("Running") is True or state.get("Paused") is True:
        return Phase.RUNNING
    if state.get("Status") == "removing" or state.get("Dead") is True:
        return Phase.REMOVING
    return Phase.CREATED if state.get("Status") == "created" or _was_not_started(state) else Phase.ENDED


def _was_not_started(state: Mapping[str, Any]) -> bool:
    return str(state.get("StartedAt") or _NEVER).startswith(_NEVER)


def _last_exit(state: Mapping[str, Any], memory_limit: int) -> ExitStatus | None:
    found = ExitStatus(
        code=int(state.get("ExitCode") or 0),
        oom_killed=state.get("OOMKilled") is True,
        error=str(state.get("Error") or ""),
        finished_at=str(state.get("FinishedAt") or ""),
        memory_limit=memory_limit,
    )
    # A start that failed leaves a container "created" that has a code and a reason all the same.
    fresh = state.get("Status") == "created" or _was_not_started(state)
    return None if fresh and not found.code and not found.error else found


def _last_change(state: Mapping[str, Any]) -> int:
    return max(nanoseconds(str(state.get(word) or "")) for word in ("StartedAt", "FinishedAt"))


def _network_mode(host: JsonObject, addresses: Addresses | None) -> str:
    if addresses is not None and "host" in addresses.networks:
        return "host"
    return str(host.get("NetworkMode") or "")


def _sandbox(marks: Mapping[str, str]) -> dict[str, Any]:
    return {
        "sandbox": str(marks.get(labels.SANDBOX) or ""),
        "sandbox_for": str(marks.get(labels.SANDBOX_FOR) or ""),
    }


def _shared_port(
    marks: Mapping[str, str], mode: str, environment: Mapping[str, str]
) -> ports.SharedPort | None:
    """Read it from our label; what DockerSpawner has made is told by its environment."""
    if label := marks.get(labels.PORT):
        return ports.parsed(str(label))
    if not ports.is_shared(mode) or labels.SANDBOX in marks:
        return None
    port = ports.told_in(environment)
    return ports.SharedPort(mode, port) if port else None


def _removal(marks: Mapping[str, str], owner: labels.Owner | None, auto_remove: bool | None) -> bool | None:
    if owner is not None:
        return marks.get(labels.KEEP) != "true"
    # DockerSpawner sends its `remove` to the Engine; a list does not tell.
    return auto_remove


def _published(found: Mapping[str, Sequence[Mapping[str, Any]] | None]) -> dict[str, list[Binding]]:
    published = {
        port: [
            Binding(str(each.get("HostIp") or ""), str(each["HostPort"]))
            for each in bindings or ()
            if each.get("HostPort")
        ]
        for port, bindings in found.items()
    }
    return {port: bindings for port, bindings in published.items() if bindings}


def _listed_ports(found: Iterable[Mapping[str, Any]]) -> dict[str, list[Binding]]:
    published: dict[str, list[Binding]] = {}
    for each in found:
        if each.get("PublicPort"):
            bindings = published.setdefault(f"{each['PrivatePort']}/{each.get('Type') or 'tcp'}", [])
            bindings.append(Binding(str(each.get("IP") or ""), str(each["PublicPort"])))
    return published
