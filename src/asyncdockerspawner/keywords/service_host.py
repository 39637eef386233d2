"""`extra_host_config`, which configurations for one machine have, where a service has a home for it.

Source of what a service has: Docker Engine API v1.41, "Create a service"; moby/moby
`daemon/cluster/executor/container`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.keywords.convert import pairs, texts
from asyncdockerspawner.keywords.host import KEYWORDS, OPTION, host_config
from asyncdockerspawner.keywords.limits import BILLIONTHS, DEFAULT_CPU_PERIOD, whole_number
from asyncdockerspawner.keywords.merge import deep_merge
from asyncdockerspawner.keywords.service_mounts import (
    memory_mounts,
    mounts_of_binds,
    service_mounts,
    shared_memory,
    target_of,
)

_HOMES: Mapping[str, tuple[str, ...]] = {
    "CapAdd": ("ContainerSpec", "CapabilityAdd"),
    "CapDrop": ("ContainerSpec", "CapabilityDrop"),
    "Dns": ("ContainerSpec", "DNSConfig", "Nameservers"),
    "DnsOptions": ("ContainerSpec", "DNSConfig", "Options"),
    "DnsSearch": ("ContainerSpec", "DNSConfig", "Search"),
    "GroupAdd": ("ContainerSpec", "Groups"),
    "Init": ("ContainerSpec", "Init"),
    "Isolation": ("ContainerSpec", "Isolation"),
    "Memory": ("Resources", "Limits", "MemoryBytes"),
    "MemoryReservation": ("Resources", "Reservations", "MemoryBytes"),
    "NanoCpus": ("Resources", "Limits", "NanoCPUs"),
    "OomScoreAdj": ("ContainerSpec", "OomScoreAdj"),
    "PidsLimit": ("Resources", "Limits", "Pids"),
    "ReadonlyRootfs": ("ContainerSpec", "ReadOnly"),
    "Sysctls": ("ContainerSpec", "Sysctls"),
    "Ulimits": ("ContainerSpec", "Ulimits"),
}
"""Key of a HostConfig → where a service's task has the same value."""

_OTHER_WAYS = {
    "CgroupParent": "set it in the nodes' daemon.json",
    "CpuShares": "`cpu_limit` and `cpu_guarantee` are a service's",
    "DeviceRequests": "nodes give out GPUs as generic resources, see `extra_resources_spec`",
    "Devices": "nodes give out devices as generic resources, see `extra_resources_spec`",
    "Links": "services of one network see each other by their names",
    "MemorySwap": "`mem_limit` is a service's",
    "NetworkMode": "a service's networks are `network_name` and `extra_networks`",
    "PortBindings": "ports are in `extra_endpoint_spec`",
    "Privileged": "`cap_add` gives single rights",
    "PublishAllPorts": "ports are in `extra_endpoint_spec`",
    "RestartPolicy": "`restart_policy` of `extra_task_spec` is a service's",
    "Runtime": "make it the default runtime of the nodes that are to have it",
    "StorageOpt": "set it in the nodes' daemon.json",
    "VolumeDriver": "use the option `volume_driver`",
}
"""Key that a service has no home for → what to do instead."""


def task_of(keywords: Mapping[str, Any], network_name: str) -> JsonObject:
    """Return the part of a task that docker-py's keywords for a HostConfig come to.

    Raises BadOption for what a service has no home for, unless it asks for nothing: what is false, 0 or
    empty, and a network mode that only repeats `network_name`.
    """
    names = {key: word for word, (key, _) in KEYWORDS.items() if word in keywords}
    task: JsonObject = {}
    for key, value in _one_cpu_limit(host_config(keywords)).items():
        option = f"{OPTION}.{names.get(key, key)}"
        if key in _HOMES:
            # Nodes may have `init` on for all, so its false means something.
            part = _nested(_HOMES[key], value if value or key == "Init" else None)
        elif not value or _asks_nothing(key, value, network_name):
            continue
        elif key in _CONVERTED:
            part = _CONVERTED[key](value, option)
        else:
            way = _OTHER_WAYS.get(key, "remove it")
            raise BadOption(f"{option} is nothing that a service of a swarm has: {way}.")
        task = deep_merge(task, part, {"Mounts": target_of})
    return task


def _nested(path: tuple[str, ...], value: Any) -> JsonObject:
    first, *rest = path
    return {first: _nested(tuple(rest), value) if rest else value}


def _one_cpu_limit(config: JsonObject) -> JsonObject:
    """Return the limit of CPUs in the one way that a service has."""
    found = {key: value for key, value in config.items() if key not in {"CpuQuota", "CpuPeriod"}}
    if config.get("CpuQuota"):
        quota = whole_number(config["CpuQuota"], option=f"{OPTION}.cpu_quota")
        period = whole_number(config.get("CpuPeriod") or DEFAULT_CPU_PERIOD, option=f"{OPTION}.cpu_period")
        found["NanoCpus"] = quota * BILLIONTHS // period
    return found


def _asks_nothing(key: str, value: Any, network_name: str) -> bool:
    if key == "NetworkMode":
        return value in (network_name, "default")
    if key == "RestartPolicy":
        return isinstance(value, Mapping) and (value.get("Name") or "no") == "no"
    # Services are removed when their server stops.
    return key == "AutoRemove"


def _hosts(value: Any, option: str) -> JsonObject:
    parts = (each.partition(":") for each in texts(value, option))
    return {"ContainerSpec": {"Hosts": [f"{address} {name}" for name, _, address in parts]}}


def _log_config(value: Any, option: str) -> JsonObject:
    driver = pairs(value, option)
    return {"LogDriver": {"Name": driver.get("Type"), "Options": driver.get("Config")}}


def _security(value: Any, option: str) -> JsonObject:
    found: JsonObject = {}
    for each in texts(value, option):
        part = _privileges(each)
        if not part:
            raise BadOption(
                f"{option} has {each!r}, which a service of a swarm does not have; it has no-new-privileges, "
                "apparmor=unconfined, seccomp=… and label=…."
            )
        found = deep_merge(found, part)
    return {"ContainerSpec": {"Privileges": found}}


def _privileges(text: str) -> JsonObject:
    word, _, value = text.partition("=" if "=" in text else ":")
    if word == "no-new-privileges" and value in {"", "true", "false"}:
        return {"NoNewPrivileges": value != "false"}
    if word == "apparmor" and value in {"unconfined", "docker-default"}:
        return {"AppArmor": {"Mode": "disabled" if value == "unconfined" else "default"}}
    if word == "seccomp" and value in {"unconfined", "builtin"}:
        return {"Seccomp": {"Mode": "unconfined" if value == "unconfined" else "default"}}
    if word == "seccomp" and value:
        return {"Seccomp": {"Mode": "custom", "Profile": base64.b64encode(value.encode()).decode()}}
    return _label(value) if word == "label" else {}


def _label(text: str) -> JsonObject:
    word, _, value = text.partition(":")
    if word == "disable":
        return {"SELinuxContext": {"Disable": True}}
    if word not in {"user", "role", "type", "level"}:
        return {}
    return {"SELinuxContext": {word.capitalize(): value}}


_Mounts: TypeAlias = Callable[[Any, str], list[JsonObject]]


def _mounted(mounts: _Mounts) -> Callable[[Any, str], JsonObject]:
    return lambda value, option: {"ContainerSpec": {"Mounts": mounts(value, option)}}


_CONVERTED: Mapping[str, Callable[[Any, str], JsonObject]] = {
    "Binds": _mounted(mounts_of_binds),
    "ExtraHosts": _hosts,
    "LogConfig": _log_config,
    "Mounts": _mounted(service_mounts),
    "SecurityOpt": _security,
    "ShmSize": _mounted(shared_memory),
    "Tmpfs": _mounted(memory_mounts),
}
"""Key of a HostConfig → what makes of its value a part of a service's task."""
