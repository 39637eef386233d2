"""A container as `inspect` and as `list` show it."""

from __future__ import annotations

import time

from tests.fake_engine.shapes import NETWORK_SETTINGS, Json
from tests.fake_engine.state import NEVER, Container, EngineState, nanoseconds_of, seconds_of

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
        "RestartCount": container.restarts,
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


def summary(container: Container, engine: EngineState) -> Json:
    """One entry of `GET /containers/json`."""
    return {
        "Id": container.id,
        "Names": [f"/{container.name}"],
        "Image": _image_shown(container, engine),
        "ImageID": container.image.id,
        "Command": _command_line(words(container)),
        "Created": seconds_of(container.created),
        "Ports": _ports(container),
        "Labels": container.labels,
        "State": container.state["Status"],
        "Status": status_text(container),
        "HostConfig": {"NetworkMode": container.host_config["NetworkMode"]},
        "NetworkSettings": {"Networks": {name: _brief(each) for name, each in container.networks.items()}},
        "Mounts": container.mounts,
    }


def _image_shown(container: Container, engine: EngineState) -> str:
    asked = str(container.config["Image"])
    # A tag that has moved on to another image would be a lie.
    return asked if engine.image(asked) is container.image else container.image.id


def _brief(endpoint: Json) -> Json:
    return {**endpoint, "Links": None, "Aliases": None, "DriverOpts": None}


def words(container: Container) -> list[str]:
    """Entrypoint and command."""
    return [*(container.config["Entrypoint"] or ()), *(container.config["Cmd"] or ())]


def status_text(container: Container) -> str:
    """Say the status as the Engine's list does."""
    state = container.state
    if state["Paused"]:
        return f"Up {_span(state['StartedAt'])} (Paused)"
    if state["Restarting"]:
        return f"Restarting ({state['ExitCode']}) {_span(state['FinishedAt'])} ago"
    if state["Running"]:
        return f"Up {_span(state['StartedAt'])}"
    if state["Status"] == "removing":
        return "Removal In Progress"
    if state["Status"] == "created":
        return "Created"
    return f"Exited ({state['ExitCode']}) {_span(state['FinishedAt'])} ago"


def _span(since: str) -> str:
    return human(int((time.time_ns() - nanoseconds_of(since)) / 10**9))


def human(seconds: int) -> str:
    """Say a time as docker/go-units does, up to days."""
    minutes, hours = seconds // 60, int(seconds / 3600 + 0.5)
    steps = (
        (seconds < 1, "Less than a second"),
        (seconds == 1, "1 second"),
        (seconds < 60, f"{seconds} seconds"),
        (minutes == 1, "About a minute"),
        (minutes < 60, f"{minutes} minutes"),
        (hours == 1, "About an hour"),
        (hours < 48, f"{hours} hours"),
    )
    return next((words for fits, words in steps if fits), f"{hours // 24} days")


def _command_line(command: list[str]) -> str:
    # Quotes around what has a blank, and no more: the Engine means it for the eye.
    return " ".join([*command[:1], *(f"'{word}'" if " " in word else word for word in command[1:])])


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
