"""docker-py's HostConfig words in the Engine's keys."""

from __future__ import annotations

import copy
from types import MappingProxyType
from typing import Any

import pytest

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.keywords.host import KEYS, KEYWORDS, host_config

GPU = {"Driver": "nvidia", "Count": -1, "Capabilities": [["gpu"]]}
TTY = {"PathOnHost": "/dev/ttyS0", "PathInContainer": "/dev/ttyS0", "CgroupPermissions": "rwm"}


def binding(address: str, port: str) -> dict[str, str]:
    return {"HostIp": address, "HostPort": port}


@pytest.mark.parametrize(
    ("word", "value", "key", "expected"),
    [
        ("network_mode", "hub", "NetworkMode", "hub"),
        ("runtime", "nvidia", "Runtime", "nvidia"),
        ("cap_add", ["SYS_ADMIN"], "CapAdd", ["SYS_ADMIN"]),
        ("cap_drop", "ALL", "CapDrop", ["ALL"]),
        ("security_opt", ("no-new-privileges",), "SecurityOpt", ["no-new-privileges"]),
        ("privileged", True, "Privileged", True),
        ("shm_size", "1g", "ShmSize", 2**30),
        ("shm_size", 64, "ShmSize", 64),
        ("shm_size", "", "ShmSize", 0),
        ("init", True, "Init", True),
        ("tmpfs", {"/tmp": "size=64m", "/run": None}, "Tmpfs", {"/tmp": "size=64m", "/run": ""}),
        ("tmpfs", ["/tmp:size=64m,mode=1777", "/run"], "Tmpfs", {"/tmp": "size=64m,mode=1777", "/run": ""}),
        (
            "device_requests",
            [{"driver": "nvidia", "count": -1, "capabilities": [["gpu"]]}],
            "DeviceRequests",
            [GPU],
        ),
        ("device_requests", (MappingProxyType(GPU),), "DeviceRequests", [GPU]),
        ("device_requests", [{"device_ids": ["0"], "count": None}], "DeviceRequests", [{"DeviceIDs": ["0"]}]),
        ("port_bindings", {8888: None}, "PortBindings", {"8888/tcp": [binding("", "")]}),
        ("port_bindings", {8888: 9000}, "PortBindings", {"8888/tcp": [binding("", "9000")]}),
        ("port_bindings", {8888: ("10.0.0.1",)}, "PortBindings", {"8888/tcp": [binding("10.0.0.1", "")]}),
        ("port_bindings", {8888: (9000,)}, "PortBindings", {"8888/tcp": [binding("", "9000")]}),
        (
            "port_bindings",
            {"8888": ("10.0.0.1", 9)},
            "PortBindings",
            {"8888/tcp": [binding("10.0.0.1", "9")]},
        ),
        (
            "port_bindings",
            {"8888": ("10.0.0.1", None)},
            "PortBindings",
            {"8888/tcp": [binding("10.0.0.1", "")]},
        ),
        (
            "port_bindings",
            {"53/udp": [1, ("::", 2)]},
            "PortBindings",
            {"53/udp": [binding("", "1"), binding("::", "2")]},
        ),
        (
            "port_bindings",
            {"53/udp": [{"HostPort": "1"}, {"host_ip": "::", "host_port": 2}]},
            "PortBindings",
            {"53/udp": [binding("", "1"), binding("::", "2")]},
        ),
        ("binds", {"v": {"bind": "/b", "mode": "ro"}}, "Binds", ["v:/b:ro"]),
        ("binds", ["v:/b"], "Binds", ["v:/b"]),
        ("mem_limit", "512m", "Memory", 512 * 2**20),
        ("memswap_limit", -1, "MemorySwap", -1),
        ("mem_reservation", "1k", "MemoryReservation", 1024),
        ("cpu_period", 50000, "CpuPeriod", 50000),
        ("cpu_quota", "50000", "CpuQuota", 50000),
        ("cpu_shares", 512, "CpuShares", 512),
        ("nano_cpus", 500000000, "NanoCpus", 500000000),
        ("cpuset_cpus", "0-3", "CpusetCpus", "0-3"),
        ("cpu_rt_runtime", 5, "CpuRealtimeRuntime", 5),
        ("CPURealtimePeriod", 5, "CpuRealtimePeriod", 5),
        ("pids_limit", 100, "PidsLimit", 100),
        ("auto_remove", True, "AutoRemove", True),
        (
            "restart_policy",
            {"Name": "on-failure", "MaximumRetryCount": 3},
            "RestartPolicy",
            {"Name": "on-failure", "MaximumRetryCount": 3},
        ),
        ("restart_policy", {"name": "always"}, "RestartPolicy", {"Name": "always"}),
        ("devices", ["/dev/ttyS0"], "Devices", [TTY]),
        ("devices", "/dev/ttyS0", "Devices", [TTY]),
        (
            "devices",
            ["/dev/ttyS0:/dev/x:r"],
            "Devices",
            [{"PathOnHost": "/dev/ttyS0", "PathInContainer": "/dev/x", "CgroupPermissions": "r"}],
        ),
        ("devices", [{"path_on_host": "/dev/ttyS0"}, TTY], "Devices", [{"PathOnHost": "/dev/ttyS0"}, TTY]),
        ("dns", ["8.8.8.8"], "Dns", ["8.8.8.8"]),
        ("dns_opt", ["ndots:1"], "DnsOptions", ["ndots:1"]),
        ("extra_hosts", {"b": "2.2.2.2", "a": "host-gateway"}, "ExtraHosts", ["a:host-gateway", "b:2.2.2.2"]),
        ("extra_hosts", ["a:1.1.1.1"], "ExtraHosts", ["a:1.1.1.1"]),
        ("group_add", [100, "video"], "GroupAdd", ["100", "video"]),
        ("group_add", {"video", "audio", "kvm"}, "GroupAdd", ["audio", "kvm", "video"]),
        ("read_only", True, "ReadonlyRootfs", True),
        ("sysctls", {"net.core.somaxconn": 1024}, "Sysctls", {"net.core.somaxconn": "1024"}),
        (
            "ulimits",
            [{"name": "nofile", "soft": 1, "hard": 2}],
            "Ulimits",
            [{"Name": "nofile", "Soft": 1, "Hard": 2}],
        ),
        ("log_config", {"type": "journald"}, "LogConfig", {"Type": "journald", "Config": {}}),
        (
            "log_config",
            {"Type": "local", "Config": {"max-size": "1m"}},
            "LogConfig",
            {"Type": "local", "Config": {"max-size": "1m"}},
        ),
        ("mounts", [{"Target": "/t", "Type": "tmpfs"}], "Mounts", [{"Target": "/t", "Type": "tmpfs"}]),
        ("links", {"db": "database", "cache": ""}, "Links", ["cache", "db:database"]),
        ("links", [("db", "database"), "cache:c"], "Links", ["cache:c", "db:database"]),
        ("links", {"a-b": "y", "a": "z"}, "Links", ["a:z", "a-b:y"]),
        ("volumes_from", "one,two:ro", "VolumesFrom", ["one", "two:ro"]),
        ("volumes_from", ["one"], "VolumesFrom", ["one"]),
        ("cgroupns", "private", "CgroupnsMode", "private"),
        (
            "device_read_bps",
            [{"Path": "/dev/sda", "Rate": 1}],
            "BlkioDeviceReadBps",
            [{"Path": "/dev/sda", "Rate": 1}],
        ),
        ("storage_opt", {"size": "10G"}, "StorageOpt", {"size": "10G"}),
        ("Annotations", {"a": "b"}, "Annotations", {"a": "b"}),
        ("Memory", 5, "Memory", 5),
    ],
)
def test_a_word_becomes_the_engines_key(word: str, value: Any, key: str, expected: Any) -> None:
    assert host_config({word: value}) == {key: expected}


@pytest.mark.parametrize("word", sorted({*KEYWORDS, *KEYS}))
def test_none_unsets_every_word(word: str) -> None:
    assert set(host_config({word: None}).values()) <= {None}


@pytest.mark.parametrize("key", sorted(KEYS - {"Binds"}))
def test_an_engine_key_passes_as_it_is(key: str) -> None:
    assert host_config({key: {"any": ["thing"]}}) == {key: {"any": ["thing"]}}


@pytest.mark.parametrize(
    ("word", "value", "said"),
    [
        ("cap_add", {"SYS_ADMIN": True}, "list"),
        ("shm_size", "much", "512M"),
        ("pids_limit", "many", "whole number"),
        ("port_bindings", [8888], "dict"),
        ("port_bindings", {8888: ("a", 1, 2)}, "(address, port)"),
        ("port_bindings", {8888: ()}, "(address, port)"),
        ("port_bindings", {8888: {"HostPrt": 1}}, "HostPort"),
        ("device_requests", {"count": 1}, "list"),
        ("device_requests", ["gpu"], "dict"),
        ("device_requests", [{"device_id": ["0"]}], "device_ids"),
        ("device_requests", [{"count": 1, "device_ids": ["0"]}], "at once"),
        ("devices", 5, "list"),
        ("devices", [5], "has 5, but a device is"),
        ("devices", ["/dev/a:/dev/b:r:w"], "has '/dev/a:/dev/b:r:w', but a device is"),
        ("links", [5], "list"),
        ("links", [("a", "b", "c")], "(container name, alias)"),
        ("links", [()], "(container name, alias)"),
        ("sysctls", ["a=b"], "dict"),
        ("restart_policy", "always", "dict"),
        ("init_path", "/x", "no such setting"),
        ("lxc_conf", {"a": "b"}, "no such setting"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_with_option_and_word(word: str, value: Any, said: str) -> None:
    with pytest.raises(BadOption) as caught:
        host_config({word: value})
    assert f"extra_host_config.{word}" in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("word", "meant"),
    [("mem_limt", "mem_limit"), ("ShmSiz", "ShmSize"), ("volume", "volumes_from"), (5, None)],
)
def test_an_unknown_word_is_refused_with_the_nearest(word: Any, meant: str | None) -> None:
    with pytest.raises(BadOption, match=f"extra_host_config has the unknown key {word!r}") as caught:
        host_config({word: 1})
    assert meant is None or repr(meant) in str(caught.value)


def test_one_setting_in_two_words_is_refused() -> None:
    with pytest.raises(BadOption, match="sets Memory twice"):
        host_config({"mem_limit": 1, "Memory": 2})


def test_what_was_given_is_neither_changed_nor_shared() -> None:
    given = {"mounts": [{"Target": "/t"}], "storage_opt": {"size": "1G"}, "Annotations": {"a": {}}}
    before = copy.deepcopy(given)
    found = host_config(MappingProxyType(given))
    found["Mounts"][0]["Target"] = found["StorageOpt"]["size"] = found["Annotations"]["a"] = "changed"
    assert given == before
