"""`extra_host_config`: docker-py's keywords, or the Engine's own keys, as the Engine's HostConfig."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.keywords.binds import bind_strings
from asyncdockerspawner.keywords.convert import (
    NOTHING,
    Table,
    convert,
    count,
    items,
    pairs,
    port_key,
    renamed,
    texts,
    unchanged,
)
from asyncdockerspawner.keywords.limits import byte_size
from asyncdockerspawner.keywords.mount import engine_mounts

OPTION = "extra_host_config"


def host_config(keywords: Mapping[str, Any], *, option: str = OPTION) -> JsonObject:
    """Convert docker-py's keywords for a HostConfig."""
    return convert(keywords, KEYWORDS, KEYS, option)


def _ports(value: Any, option: str) -> JsonObject:
    found = {}
    for port, binding in pairs(value, option).items():
        bindings = binding if isinstance(binding, list) else [binding]
        found[port_key(port)] = [_port(each, f"{option}[{port!r}]") for each in bindings]
    return found


def _port(binding: Any, option: str) -> JsonObject:
    address, port = _address_and_port(binding, option)
    return {"HostIp": str(address or ""), "HostPort": "" if port is None else str(port)}


def _address_and_port(binding: Any, option: str) -> tuple[Any, Any]:
    if isinstance(binding, Mapping):
        engine = renamed(binding, {"host_ip": "HostIp", "host_port": "HostPort"}, option)
        return engine.get("HostIp"), engine.get("HostPort")
    if not isinstance(binding, tuple):
        return "", binding
    if len(binding) not in {1, 2}:
        raise BadOption(f"{option} is {binding!r}, but it must be a port, (address,) or (address, port).")
    if len(binding) == 2:
        return binding
    return (binding[0], None) if isinstance(binding[0], str) else ("", binding[0])


def _devices(value: Any, option: str) -> list[JsonObject]:
    return [_device(each, option) for each in ([value] if isinstance(value, str) else items(value, option))]


def _device(value: Any, option: str) -> JsonObject:
    if isinstance(value, Mapping):
        return renamed(value, _DEVICE, option)
    if not isinstance(value, str) or value.count(":") > 2:
        raise BadOption(f"{option} has {value!r}, but a device is 'PATH[:PATH INSIDE[:rwm]]' or a dict.")
    outside, _, rest = value.partition(":")
    inside, _, permissions = rest.partition(":")
    return {
        "PathOnHost": outside,
        "PathInContainer": inside or outside,
        "CgroupPermissions": permissions or "rwm",
    }


def _device_requests(value: Any, option: str) -> list[JsonObject]:
    found = [renamed(each, _DEVICE_REQUEST, option) for each in items(value, option)]
    for request in found:
        if request.get("Count") and request.get("DeviceIDs"):
            raise BadOption(f"{option} asks for a count and for device_ids at once; the Engine takes one.")
    return found


def _ulimits(value: Any, option: str) -> list[JsonObject]:
    table = {"name": "Name", "soft": "Soft", "hard": "Hard"}
    return [renamed(each, table, option) for each in items(value, option)]


def _log_config(value: Any, option: str) -> JsonObject:
    return {"Config": {}, **renamed(value, {"type": "Type", "config": "Config"}, option)}


def _restart_policy(value: Any, option: str) -> JsonObject:
    return renamed(value, {"name": "Name", "maximum_retry_count": "MaximumRetryCount"}, option)


def _tmpfs(value: Any, option: str) -> JsonObject:
    if isinstance(value, Mapping):
        return {str(path): str(options or "") for path, options in value.items()}
    return {path: options for path, _, options in (each.partition(":") for each in texts(value, option))}


def sysctls(value: Any, option: str) -> JsonObject:
    """Read kernel parameters: all are texts."""
    return {str(key): str(item) for key, item in pairs(value, option).items()}


def _hosts(value: Any, option: str) -> list[str]:
    if isinstance(value, Mapping):
        return [f"{host}:{address}" for host, address in sorted(value.items())]
    return texts(value, option)


def _links(value: Any, option: str) -> list[str]:
    named = list(value.items()) if isinstance(value, Mapping) else items(value, option)
    # docker-py takes (name, alias) pairs, the Engine 'name:alias'.
    pairs_of_names = sorted(
        each.split(":") if isinstance(each, str) else _link(each, option) for each in named
    )
    return [":".join(names) for names in pairs_of_names]


def _link(value: Any, option: str) -> list[str]:
    names = items(value, option)
    if len(names) not in {1, 2}:
        raise BadOption(f"{option} has {value!r}, but a link is (container name, alias).")
    return [str(name) for name in names if name]


def _volumes_from(value: Any, option: str) -> list[str]:
    return value.split(",") if isinstance(value, str) else texts(value, option)


def _binds(value: Any, option: str) -> list[str]:
    return bind_strings(value, option=option)


def _size(value: Any, option: str) -> int:
    # What an environment variable that is not set leaves of a limit.
    return 0 if value == "" else byte_size(value, option=option)


def _gone(value: Any, option: str) -> Any:
    del value
    raise BadOption(f"{option}: today's Docker Engines have no such setting; remove it.")


_DEVICE = {
    "path_on_host": "PathOnHost",
    "path_in_container": "PathInContainer",
    "cgroup_permissions": "CgroupPermissions",
}
_DEVICE_REQUEST = {
    "driver": "Driver",
    "count": "Count",
    "device_ids": "DeviceIDs",
    "capabilities": "Capabilities",
    "options": "Options",
}

KEYWORDS: Table = {
    "auto_remove": ("AutoRemove", unchanged),
    "binds": ("Binds", _binds),
    "blkio_weight": ("BlkioWeight", count),
    "blkio_weight_device": ("BlkioWeightDevice", unchanged),
    "cap_add": ("CapAdd", texts),
    "cap_drop": ("CapDrop", texts),
    "cgroup_parent": ("CgroupParent", unchanged),
    "cgroupns": ("CgroupnsMode", unchanged),
    "cpu_count": ("CpuCount", count),
    "cpu_percent": ("CpuPercent", count),
    "cpu_period": ("CpuPeriod", count),
    "cpu_quota": ("CpuQuota", count),
    "cpu_rt_period": ("CpuRealtimePeriod", count),
    "cpu_rt_runtime": ("CpuRealtimeRuntime", count),
    "cpu_shares": ("CpuShares", count),
    "cpuset_cpus": ("CpusetCpus", unchanged),
    "cpuset_mems": ("CpusetMems", unchanged),
    "device_cgroup_rules": ("DeviceCgroupRules", texts),
    "device_read_bps": ("BlkioDeviceReadBps", unchanged),
    "device_read_iops": ("BlkioDeviceReadIOps", unchanged),
    "device_requests": ("DeviceRequests", _device_requests),
    "device_write_bps": ("BlkioDeviceWriteBps", unchanged),
    "device_write_iops": ("BlkioDeviceWriteIOps", unchanged),
    "devices": ("Devices", _devices),
    "dns": ("Dns", texts),
    "dns_opt": ("DnsOptions", texts),
    "dns_search": ("DnsSearch", texts),
    "extra_hosts": ("ExtraHosts", _hosts),
    "group_add": ("GroupAdd", texts),
    "init": ("Init", unchanged),
    "init_path": (NOTHING, _gone),
    "ipc_mode": ("IpcMode", unchanged),
    "isolation": ("Isolation", unchanged),
    "kernel_memory": ("KernelMemory", _size),
    "links": ("Links", _links),
    "log_config": ("LogConfig", _log_config),
    "lxc_conf": (NOTHING, _gone),
    "mem_limit": ("Memory", _size),
    "mem_reservation": ("MemoryReservation", _size),
    "mem_swappiness": ("MemorySwappiness", count),
    "memswap_limit": ("MemorySwap", _size),
    "mounts": ("Mounts", engine_mounts),
    "nano_cpus": ("NanoCpus", count),
    "network_mode": ("NetworkMode", unchanged),
    "oom_kill_disable": ("OomKillDisable", unchanged),
    "oom_score_adj": ("OomScoreAdj", count),
    "pid_mode": ("PidMode", unchanged),
    "pids_limit": ("PidsLimit", count),
    "port_bindings": ("PortBindings", _ports),
    "privileged": ("Privileged", unchanged),
    "publish_all_ports": ("PublishAllPorts", unchanged),
    "read_only": ("ReadonlyRootfs", unchanged),
    "restart_policy": ("RestartPolicy", _restart_policy),
    "runtime": ("Runtime", unchanged),
    "security_opt": ("SecurityOpt", texts),
    "shm_size": ("ShmSize", _size),
    "storage_opt": ("StorageOpt", unchanged),
    "sysctls": ("Sysctls", sysctls),
    "tmpfs": ("Tmpfs", _tmpfs),
    "ulimits": ("Ulimits", _ulimits),
    "userns_mode": ("UsernsMode", unchanged),
    "uts_mode": ("UTSMode", unchanged),
    "volume_driver": ("VolumeDriver", unchanged),
    "volumes_from": ("VolumesFrom", _volumes_from),
    # A key whose value is merged, and so must have one form.
    "Binds": ("Binds", _binds),
    # Not keywords of docker-py's, but the keys that its HostConfig really writes.
    "CPURealtimePeriod": ("CpuRealtimePeriod", unchanged),
    "CPURealtimeRuntime": ("CpuRealtimeRuntime", unchanged),
}

KEYS: frozenset[str] = frozenset(key for key, _ in KEYWORDS.values() if key) | {
    "Annotations",
    "Cgroup",
    "ConsoleSize",
    "ContainerIDFile",
    "IOMaximumBandwidth",
    "IOMaximumIOps",
    "KernelMemoryTCP",
    "MaskedPaths",
    "ReadonlyPaths",
}
