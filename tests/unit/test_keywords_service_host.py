"""What configurations for one machine have in `extra_host_config`, in a service."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.keywords import host
from asyncdockerspawner.keywords.service_host import _CONVERTED, _HOMES, task_of

SHM = {"Type": "tmpfs", "Target": "/dev/shm", "TmpfsOptions": {"SizeBytes": 2**30}}


def container(**words: Any) -> dict[str, Any]:
    found = task_of(words, "hub")
    assert set(found) == {"ContainerSpec"}
    return dict(found["ContainerSpec"])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            {"cap_add": ["NET_ADMIN"], "cap_drop": "ALL"},
            {"CapabilityAdd": ["NET_ADMIN"], "CapabilityDrop": ["ALL"]},
        ),
        ({"ulimits": [{"name": "nofile", "soft": 1}]}, {"Ulimits": [{"Name": "nofile", "Soft": 1}]}),
        ({"sysctls": {"a": 1}}, {"Sysctls": {"a": "1"}}),
        (
            {"dns": ["1.1.1.1"], "dns_opt": ["ndots:1"], "dns_search": ["a"]},
            {"DNSConfig": {"Nameservers": ["1.1.1.1"], "Options": ["ndots:1"], "Search": ["a"]}},
        ),
        ({"extra_hosts": {"a": "10.0.0.1", "b": "::1"}}, {"Hosts": ["10.0.0.1 a", "::1 b"]}),
        ({"group_add": ["users", 100]}, {"Groups": ["users", "100"]}),
        ({"init": True}, {"Init": True}),
        ({"Init": False}, {"Init": False}),
        ({"read_only": True}, {"ReadOnly": True}),
        ({"shm_size": "1g"}, {"Mounts": [SHM]}),
        ({"tmpfs": {"/t": "ro"}}, {"Mounts": [{"Type": "tmpfs", "Target": "/t", "ReadOnly": True}]}),
        ({"binds": ["v:/w"]}, {"Mounts": [{"Type": "volume", "Source": "v", "Target": "/w"}]}),
        (
            {"mounts": [{"target": "/w", "source": "v"}]},
            {"Mounts": [{"Type": "volume", "Source": "v", "Target": "/w"}]},
        ),
        ({"oom_score_adj": 5, "isolation": "default"}, {"OomScoreAdj": 5, "Isolation": "default"}),
        ({"cap_add": None, "binds": None}, {"CapabilityAdd": None}),
    ],
)
def test_what_has_a_home_is_there(words: dict[str, Any], expected: dict[str, Any]) -> None:
    assert container(**words) == expected


def test_mounts_of_all_words_go_together_and_one_is_at_a_path() -> None:
    found = container(binds=["v:/w"], tmpfs=["/t", "/dev/shm"], shm_size="1g")["Mounts"]
    assert found[0]["Target"] == "/w"
    assert [mount for mount in found if mount["Target"] == "/dev/shm"] in (
        [SHM],
        [{"Type": "tmpfs", "Target": "/dev/shm"}],
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"mem_limit": "1g"}, {"Limits": {"MemoryBytes": 2**30}}),
        ({"mem_reservation": 5}, {"Reservations": {"MemoryBytes": 5}}),
        ({"nano_cpus": 5}, {"Limits": {"NanoCPUs": 5}}),
        ({"cpu_quota": 50_000}, {"Limits": {"NanoCPUs": 500_000_000}}),
        ({"cpu_quota": 50_000, "cpu_period": 25_000}, {"Limits": {"NanoCPUs": 2_000_000_000}}),
        ({"pids_limit": 100}, {"Limits": {"Pids": 100}}),
        ({"mem_limit": None}, {"Limits": {"MemoryBytes": None}}),
        ({"mem_limit": 0}, {"Limits": {"MemoryBytes": None}}),
    ],
)
def test_limits_are_a_services(words: dict[str, Any], expected: dict[str, Any]) -> None:
    assert task_of(words, "hub") == {"Resources": expected}


def test_logs_are_a_tasks() -> None:
    log = {"type": "local", "config": {"max-size": "1m"}}
    assert task_of({"log_config": log}, "hub") == {
        "LogDriver": {"Name": "local", "Options": {"max-size": "1m"}}
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no-new-privileges", {"NoNewPrivileges": True}),
        ("no-new-privileges:true", {"NoNewPrivileges": True}),
        ("no-new-privileges=false", {"NoNewPrivileges": False}),
        ("apparmor=unconfined", {"AppArmor": {"Mode": "disabled"}}),
        ("apparmor:docker-default", {"AppArmor": {"Mode": "default"}}),
        ("seccomp=unconfined", {"Seccomp": {"Mode": "unconfined"}}),
        ("seccomp:builtin", {"Seccomp": {"Mode": "default"}}),
        ("seccomp={}", {"Seccomp": {"Mode": "custom", "Profile": base64.b64encode(b"{}").decode()}}),
        ("label=disable", {"SELinuxContext": {"Disable": True}}),
        ("label=level:s0:c1,c2", {"SELinuxContext": {"Level": "s0:c1,c2"}}),
    ],
)
def test_security_options_are_privileges(text: str, expected: dict[str, Any]) -> None:
    assert container(security_opt=[text]) == {"Privileges": expected}


def test_several_security_options_go_together() -> None:
    found = container(security_opt=["label=user:u", "label=type:t", "no-new-privileges"])["Privileges"]
    assert found == {"SELinuxContext": {"User": "u", "Type": "t"}, "NoNewPrivileges": True}


@pytest.mark.parametrize(
    "text", ["apparmor=mine", "seccomp=", "label=x:y", "systempaths=unconfined", "no-new-privileges=x", ""]
)
def test_other_security_options_are_refused(text: str) -> None:
    with pytest.raises(BadOption, match=r"^extra_host_config\.security_opt has"):
        container(security_opt=["no-new-privileges", text])


@pytest.mark.parametrize(
    "words",
    [
        {"network_mode": "hub"},
        {"network_mode": "default"},
        {"auto_remove": True},
        {"restart_policy": {"Name": "no"}},
        {"restart_policy": {"Name": ""}},
        {"privileged": False, "devices": [], "links": {}, "cpu_shares": 0, "runtime": None},
        {},
    ],
)
def test_what_asks_for_nothing_is_taken(words: dict[str, Any]) -> None:
    assert task_of(words, "hub") == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            {"network_mode": "other"},
            "network_mode is nothing that a service of a swarm has: a service's networks",
        ),
        ({"NetworkMode": "host"}, "extra_host_config.NetworkMode is nothing"),
        ({"privileged": True}, "`cap_add` gives single rights"),
        ({"devices": ["/dev/a"]}, "see `extra_resources_spec`"),
        ({"device_requests": [{"count": -1, "capabilities": [["gpu"]]}]}, "generic resources"),
        ({"runtime": "nvidia"}, "the default runtime of the nodes"),
        ({"restart_policy": {"Name": "always"}}, "`restart_policy` of `extra_task_spec`"),
        ({"links": {"a": "b"}}, "by their names"),
        ({"port_bindings": {1: 1}}, "`extra_endpoint_spec`"),
        ({"memswap_limit": -1}, "`mem_limit` is a service's"),
        ({"volume_driver": "nfs"}, "use the option `volume_driver`"),
        ({"pid_mode": "host"}, "pid_mode is nothing that a service of a swarm has: remove it"),
        ({"MaskedPaths": ["/a"]}, "MaskedPaths is nothing that a service of a swarm has: remove it"),
        ({"shm_sise": "1g"}, "did you mean 'shm_size'?"),
        ({"tmpfs": {"/t": "exec"}}, "extra_host_config.tmpfs['/t'] has 'exec'"),
        ({"RestartPolicy": "always"}, "`restart_policy` of `extra_task_spec`"),
        ({"CpuQuota": "much"}, "extra_host_config.cpu_quota is 'much'"),
        ({"ShmSize": "much"}, "extra_host_config.ShmSize is 'much'"),
        ({"LogConfig": "local"}, "extra_host_config.LogConfig is 'local', but it must be a dict"),
        ({"binds": {"./v": "/w"}}, "extra_host_config.binds['./v:/w:rw']"),
    ],
)
def test_what_has_no_home_is_refused_by_its_name(words: dict[str, Any], said: str) -> None:
    with pytest.raises(BadOption) as caught:
        task_of(words, "hub")
    assert said in str(caught.value)
    assert "extra_host_config" in str(caught.value)


def test_every_home_is_of_a_key_that_there_is() -> None:
    assert {*_HOMES, *_CONVERTED} <= host.KEYS
