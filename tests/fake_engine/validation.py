"""What the Engine refuses at create, with its words."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.fake_engine.answers import Refused
from tests.fake_engine.shapes import Json
from tests.fake_engine.shapes_system import INFO

OWN_SOCKET = "/var/run/docker.sock"
"""An Engine's machine has it, whatever this one has."""
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+\Z")
NAME_WORDS = "only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
_REFERENCE = re.compile(r"(?:[a-zA-Z0-9.\[\]:-]+/)?[a-z0-9._/-]+(?::[\w][\w.-]{0,127})?(?:@[\w+.:-]+)?\Z")
_SIX_MEGABYTES = 6 * 1024 * 1024

_GO_TYPES: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "Image": (str, "string"),
    "Hostname": (str, "string"),
    "User": (str, "string"),
    "Env": (list, "[]string"),
    "Cmd": ((list, str), "string"),
    "Entrypoint": ((list, str), "string"),
    "Labels": (dict, "map[string]string"),
}
_GO_HOST_TYPES: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "Memory": (int, "int64"),
    "MemoryReservation": (int, "int64"),
    "MemorySwap": (int, "int64"),
    "NanoCpus": (int, "int64"),
    "CpuQuota": (int, "int64"),
    "CpuPeriod": (int, "int64"),
    "CpuShares": (int, "int64"),
    "Binds": (list, "[]string"),
    "AutoRemove": (bool, "bool"),
    "Privileged": (bool, "bool"),
    "NetworkMode": (str, "container.NetworkMode"),
}


def read_body(content_type: str, raw: bytes) -> Json:
    """The decoded body of create, checked for the types that Go would check."""
    if content_type != "application/json":
        told = "" if content_type == "application/octet-stream" else content_type
        raise Refused(400, f"Content-Type specified ({told}) must be 'application/json'")
    if not raw.strip():
        raise Refused(500, "EOF")
    try:
        body = json.loads(raw)
    except ValueError as exc:
        raise Refused(500, "unexpected EOF") from exc
    if not body:
        raise Refused(400, "Config cannot be empty in order to create a container")
    _check_types(body, _GO_TYPES, "ContainerConfigWrapper.")
    _check_types(body.get("HostConfig") or {}, _GO_HOST_TYPES, "HostConfig.HostConfig.")
    return dict(body)


def _check_types(body: Json, table: Mapping[str, tuple[type | tuple[type, ...], str]], prefix: str) -> None:
    for word, (kind, go) in table.items():
        value = body.get(word)
        wrong = value is not None and (not isinstance(value, kind) or (kind is int and value is True))
        if wrong:
            raise Refused(
                500,
                f"json: cannot unmarshal {_json_kind(value)} into Go struct field "
                f"{prefix}{word} of type {go}",
            )


def _json_kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    kinds: tuple[tuple[type, str], ...] = ((str, "string"), (dict, "object"), (list, "array"))
    return next((word for kind, word in kinds if isinstance(value, kind)), "number")


def check_name(name: str) -> None:
    """Refuse a name that no container may have."""
    if not NAME.match(name):
        raise Refused(400, f"Invalid container name ({name}), {NAME_WORDS}")


def check_reference(image: str) -> None:
    """Refuse what is no image reference."""
    if not _REFERENCE.match(image):
        raise Refused(400, "invalid reference format: repository name must be lowercase", image)


def check_host_config(host: Json) -> None:
    """Refuse settings that contradict each other or the machine."""
    _check_restart(host)
    _check_memory(host)
    _check_cpus(host)
    _check_ports(host)
    _check_mounts(host)
    runtime = host.get("Runtime")
    if runtime and runtime not in INFO["Runtimes"]:
        raise Refused(400, f"Unknown runtime specified {runtime}")


def check_networks(body: Json) -> None:
    """Before API 1.44 a container is created in one network at most."""
    endpoints = (body.get("NetworkingConfig") or {}).get("EndpointsConfig") or {}
    if len(endpoints) > 1:
        raise Refused(
            400, f"Container cannot be connected to network endpoints: {', '.join(sorted(endpoints))}"
        )


def check_volume_name(name: str) -> None:
    """Refuse a name that no local volume may have."""
    if len(name) == 1:
        raise Refused(
            400,
            f"create {name}: volume name is too short, names should be at least two alphanumeric characters",
        )
    if not NAME.match(name):
        raise Refused(
            400,
            f'create {name}: "{name}" includes invalid characters for a local volume name, '
            'only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. '
            "If you intended to pass a host directory, use absolute path",
        )


def _check_restart(host: Json) -> None:
    if host.get("AutoRemove") and (host.get("RestartPolicy") or {}).get("Name") not in {None, "", "no"}:
        raise Refused(400, "can't create 'AutoRemove' container with restart policy")


def _check_memory(host: Json) -> None:
    memory = host.get("Memory") or 0
    if 0 < memory < _SIX_MEGABYTES:
        raise Refused(400, "Minimum memory limit allowed is 6MB")
    if 0 < memory < (host.get("MemoryReservation") or 0):
        raise Refused(400, "Minimum memory limit can not be less than memory reservation limit, see usage")


def _check_cpus(host: Json) -> None:
    nano = host.get("NanoCpus") or 0
    if not nano:
        return
    for word, told in (("CpuPeriod", "CPU Period"), ("CpuQuota", "CPU Quota")):
        if host.get(word):
            raise Refused(400, f"Conflicting options: Nano CPUs and {told} cannot both be set")
    count = INFO["NCPU"]
    if not 10**7 <= nano <= count * 10**9:
        raise Refused(
            400, f"Range of CPUs is from 0.01 to {count}.00, as there are only {count} CPUs available"
        )


def _check_ports(host: Json) -> None:
    for port in host.get("PortBindings") or {}:
        number = port.partition("/")[0]
        if not number.isdigit():
            raise Refused(400, f'invalid port specification: "{number}"')


def _check_mounts(host: Json) -> None:
    for bind in host.get("Binds") or ():
        source = bind.split(":")[0]
        if ":" in bind and not source.startswith("/"):
            check_volume_name(source)
    for mount in host.get("Mounts") or ():
        source = mount.get("Source") or ""
        if mount.get("Type") == "bind" and source != OWN_SOCKET and not Path(source).exists():
            raise Refused(
                400, f'invalid mount config for type "bind": bind source path does not exist: {source}'
            )
