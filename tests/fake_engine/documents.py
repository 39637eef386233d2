"""A container as `inspect` and as `list` show it."""

from __future__ import annotations

import shlex
import time

from tests.fake_engine.shapes import NETWORK_SETTINGS, Json
from tests.fake_engine.state import NEVER, Container, seconds_of

ROOT = "/var/lib/docker"


def inspect(container: Container) -> Json:
    """The body of `GET /containers/REF/json`."""
    command = words(container)
    started = container.state["StartedAt"] != NEVER
    folder = f"{ROOT}/containers/{container.id}"
    return {
        "Id": container.id,
        "Created": container.created,
        "Path": command[0] if command else "",
        "Args": command[1:],
        "State": container.state,
        "Image": container.image.id,
        "ResolvConfPath": f"{folder}/resolv.conf" if started else "",
        "HostnamePath": f"{folder}/hostname" if started else "",
        "HostsPath": f"{folder}/hosts" if started else "",
        "LogPath": f"{folder}/{container.id}-json.log" if started else "",
        "Name": f"/{container.name}",
        "RestartCount": 0,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": None,
        "HostConfig": container.host_config,
        "GraphDriver": {"Data": {"MergedDir": f"{ROOT}/overlay2/{container.id}/merged"}, "Name": "overlay2"},
        "Mounts": container.mounts,
        "Config": container.config,
        "NetworkSettings": network_settings(container),
    }


def network_settings(container: Container) -> Json:
    """`NetworkSettings`: the default bridge's address is also shown at the top."""
    bridge = container.networks.get("bridge")
    top = {} if bridge is None else {key: bridge[key] for key in bridge if key in NETWORK_SETTINGS}
    return {**NETWORK_SETTINGS, **top, "Ports": container.ports, "Networks": container.networks}


def summary(container: Container) -> Json:
    """One entry of `GET /containers/json`."""
    return {
        "Id": container.id,
        "Names": [f"/{container.name}"],
        "Image": container.config["Image"],
        "ImageID": container.image.id,
        "Command": _command_line(words(container)),
        "Created": seconds_of(container.created),
        "Ports": _ports(container),
        "Labels": container.labels,
        "State": container.state["Status"],
        "Status": status_text(container),
        "HostConfig": {"NetworkMode": container.host_config["NetworkMode"]},
        "NetworkSettings": {"Networks": container.networks},
        "Mounts": container.mounts,
    }


def words(container: Container) -> list[str]:
    """Entrypoint and command."""
    return [*(container.config["Entrypoint"] or ()), *(container.config["Cmd"] or ())]


def status_text(container: Container) -> str:
    """Say the status as the Engine's list does."""
    state = container.state
    if state["Paused"]:
        return f"Up {_span(state['StartedAt'])} (Paused)"
    if state["Running"]:
        return f"Up {_span(state['StartedAt'])}"
    if state["Status"] == "removing":
        return "Removal In Progress"
    if state["Status"] == "created":
        return "Created"
    return f"Exited ({state['ExitCode']}) {_span(state['FinishedAt'])} ago"


def _span(since: str) -> str:
    seconds = int(time.time()) - seconds_of(since)
    if seconds < 1:
        return "Less than a second"
    return "1 second" if seconds == 1 else f"{seconds} seconds"


def _command_line(command: list[str]) -> str:
    return " ".join(shlex.quote(word) for word in command)


def _ports(container: Container) -> list[Json]:
    shown: list[Json] = []
    for port, bindings in container.ports.items():
        number, _, kind = port.partition("/")
        if not bindings:
            shown.append({"PrivatePort": int(number), "Type": kind})
        shown.extend(
            {
                "IP": binding["HostIp"],
                "PrivatePort": int(number),
                "PublicPort": int(binding["HostPort"]),
                "Type": kind,
            }
            for binding in bindings or ()
        )
    return shown
