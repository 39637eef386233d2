"""docker-py's words for a HostConfig come to what docker-py itself makes of them."""

from __future__ import annotations

from typing import Any

import pytest
from docker.errors import DockerException
from docker.types import DeviceRequest, DriverConfig, HostConfig, LogConfig, Mount, RestartPolicy, Ulimit
from docker.utils import parse_bytes
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.keywords.host import KEYWORDS, host_config
from tests.support.docker_py import HOST_WORDS, VERSION, as_json, cases, hosted_by, without_zeros, written

RATES = [[{"Path": "/dev/sda", "Rate": 1024}]]
SIZES = [5, "5", "512m", "1g", "1.5G", "1024b", "64kb", "64KB", "1 g", ".5g", "+1g", "1e3k", " 1g"]
NUMBERS = [1, 2**40]

SAME: dict[str, list[Any]] = {
    "auto_remove": [True],
    "binds": [
        {"v": "/v", "/host/path": "/p"},
        {"v": {"bind": "/v"}},
        {"v": {"bind": "/v", "mode": "ro"}},
        {"v": {"bind": "/v", "ro": True}, "w": {"bind": "/w", "ro": False}},
        {"v": {"bind": "/v", "mode": "z", "propagation": "rshared"}},
        {"v": {"bind": "/v", "mode": "", "propagation": "slave"}},
        {"v": {"bind": "/v", "propagation": None}},
        ["v:/v:ro", "/a:/b"],
        {},
        [],
    ],
    "blkio_weight": [10, 1000],
    "blkio_weight_device": [[{"Path": "/dev/sda", "Weight": 100}]],
    "cap_add": [["SYS_ADMIN", "MKNOD"], ("SYS_ADMIN",)],
    "cap_drop": [["ALL"]],
    "cgroup_parent": ["/jupyter", ""],
    "cgroupns": ["private", "host"],
    "cpu_count": NUMBERS,
    "cpu_percent": NUMBERS,
    "cpu_period": NUMBERS,
    "cpu_quota": [*NUMBERS, -1],
    "cpu_shares": NUMBERS,
    "cpuset_cpus": ["0-3", "0,1"],
    "cpuset_mems": ["0-1"],
    "device_cgroup_rules": [["c 13:* rwm"], []],
    "device_read_bps": RATES,
    "device_read_iops": RATES,
    "device_requests": [
        [DeviceRequest(count=-1, capabilities=[["gpu"]])],
        [DeviceRequest(driver="nvidia", device_ids=["0"], capabilities=[["gpu", "nvidia"]])],
        [],
    ],
    "device_write_bps": RATES,
    "device_write_iops": RATES,
    "devices": [
        ["/dev/a", "/dev/a:/dev/b", "/dev/a:/dev/b:r"],
        ("/dev/a",),
        {"/dev/a"},
        [{"PathOnHost": "/dev/a", "PathInContainer": "/dev/b", "CgroupPermissions": "r"}],
    ],
    "dns": [["8.8.8.8"], ("8.8.8.8",), []],
    "dns_opt": [["ndots:1"], []],
    "dns_search": [["example.org"], ["."]],
    "extra_hosts": [{"b": "10.0.0.1", "a": "host-gateway"}, ["b:10.0.0.1"], {}, []],
    "group_add": [[100, "video"], ("100",), {"video"}],
    "init": [True, False],
    "ipc_mode": ["host", "private", "container:a"],
    "isolation": ["hyperv"],
    "kernel_memory": SIZES,
    "links": [
        {"db": "database", "cache": None, "db-2": ""},
        [("db", "database"), ("cache", None)],
        [["db", "database"]],
        {("db", "database"), ("a", "b")},
        {},
    ],
    "log_config": [
        LogConfig(type="json-file", config={"max-size": "1m"}),
        LogConfig(type=LogConfig.types.SYSLOG),
        {"type": "syslog", "config": {"tag": "x"}},
        {"Type": "none"},
    ],
    "mem_limit": [*SIZES, 0, "0", "", -1, "-1"],
    "mem_reservation": SIZES,
    "mem_swappiness": [0, 60],
    "memswap_limit": [*SIZES, 0, "", -1, "-1"],
    "mounts": [
        [Mount("/t", "v", labels={"a": "b"}, driver_config=DriverConfig("local", {"o": "size=1g"}))],
        [Mount("/t", "/s", type="bind", propagation="rslave", read_only=True)],
        [{"Target": "/t", "Source": "/s", "Type": "bind", "BindOptions": {"CreateMountpoint": True}}],
        [{"Target": "/t", "Source": "i", "Type": "image", "ImageOptions": {"Subpath": "a"}}],
        [{"Target": "/t", "Source": "c", "Type": "cluster", "ClusterOptions": {}}],
        [],
    ],
    "nano_cpus": NUMBERS,
    "network_mode": ["hub", "host", "none", "container:a", "default"],
    "oom_kill_disable": [True],
    "oom_score_adj": [500, -500],
    "pid_mode": ["host"],
    "pids_limit": [100, -1],
    "port_bindings": [
        {8888: None, "9999": 9000, "53/udp": "53"},
        {8888: ("10.0.0.1", 9), 53: ("10.0.0.1",), 54: (9,), 55: ("10.0.0.1", None), 56: ("::", "57")},
        {8888: [9000, ("10.0.0.1", 9001), None]},
        {8888: {"HostPort": 9}, 53: {"HostPort": "9", "HostIp": "10.0.0.1"}, 54: {"HostPort": None}},
        {"8000-8002/tcp": "9000-9002"},
        {8888: []},
        {},
    ],
    "privileged": [True],
    "publish_all_ports": [True],
    "read_only": [True, False],
    "restart_policy": [{"Name": "always"}, {"Name": "on-failure", "MaximumRetryCount": 3}],
    "runtime": ["nvidia"],
    "security_opt": [["no-new-privileges"], []],
    "shm_size": [*SIZES, 0, ""],
    "storage_opt": [{"size": "10G"}, {}],
    "sysctls": [{"net.core.somaxconn": 1024, "net.ipv4.ip_forward": "1"}],
    "tmpfs": [{"/tmp": "size=64m,mode=1777", "/run": ""}, ["/run", "/tmp:size=64m", "/a:b:c"]],
    "ulimits": [[Ulimit(name="nofile", soft=1, hard=2)], [{"Name": "nofile", "Soft": 1, "Hard": -1}], []],
    "userns_mode": ["host"],
    "uts_mode": ["host"],
    "volume_driver": ["local", ""],
    "volumes_from": ["one,two:ro", ["one"], "", []],
}
"""Word → values of which both make the same document."""

ALIKE: dict[str, list[Any]] = {
    "device_requests": [
        [{"count": -1, "capabilities": [["gpu"]]}],
        [{"driver": "nvidia", "device_ids": ["0"], "capabilities": [["gpu"]], "options": {"a": "b"}}],
    ],
    "log_config": [{"config": None}, {}],
    "port_bindings": [{8888: (None, 9)}],
    "tmpfs": [{"/run": None}, {}],
    "ulimits": [[{"name": "nofile", "soft": 1}], [Ulimit(name="nofile", hard=1)]],
    # docker-py leaves the nothing out; we send it, so that it takes the place of what is computed.
    **{
        word: [0]
        for word in ("blkio_weight", "kernel_memory", "mem_reservation", "oom_score_adj", "pids_limit")
    },
    **{word: [0] for word in HOST_WORDS if word.startswith("cpu_") or word == "nano_cpus"},
    **{word: [[]] for word in ("blkio_weight_device", "cap_add", "cap_drop", "dns_search", "group_add")},
    **{word: [[]] for word in HOST_WORDS if word.startswith(("device_read_", "device_write_"))},
    "devices": [[]],
    **{word: [{}] for word in ("restart_policy", "sysctls")},
    **{word: [False] for word in ("auto_remove", "oom_kill_disable", "privileged", "publish_all_ports")},
    **{
        word: [""] for word in ("cgroupns", "cpuset_cpus", "cpuset_mems", "ipc_mode", "isolation", "pid_mode")
    },
    **{word: [""] for word in ("runtime", "userns_mode", "uts_mode")},
}
"""Word → values of which both make what is the same to the Engine (`SAME_TO_THE_ENGINE`)."""

ONE_TEXT = "the Engine takes a text for a list of one at some keys and refuses it at others"
FRACTION = "the Engine refuses a number with a point"

OTHERWISE: list[tuple[str, Any, Any, Any, str]] = [
    ("cpu_rt_period", 5, {"CPURealtimePeriod": 5}, {"CpuRealtimePeriod": 5}, "the Engine reads either, and"),
    ("cpu_rt_runtime", 5, {"CPURealtimeRuntime": 5}, {"CpuRealtimeRuntime": 5}, "the latter is documented"),
    ("network_mode", "", {"NetworkMode": "default"}, {"NetworkMode": ""}, "the same to the Engine"),
    (
        "binds",
        {"v": {"bind": "/v", "mode": ""}},
        {"Binds": ["v:/v:"]},
        {"Binds": ["v:/v"]},
        "the same to the Engine",
    ),
    (
        "devices",
        ["/dev/a::r"],
        {"Devices": [{"PathOnHost": "/dev/a", "PathInContainer": "", "CgroupPermissions": "r"}]},
        {"Devices": [{"PathOnHost": "/dev/a", "PathInContainer": "/dev/a", "CgroupPermissions": "r"}]},
        "an empty path is no place for a device",
    ),
    (
        "mounts",
        [{"target": "/t", "type": "tmpfs", "tmpfs_size": "1k"}],
        {"Mounts": [{"target": "/t", "type": "tmpfs", "tmpfs_size": "1k"}]},
        {"Mounts": [{"Target": "/t", "Type": "tmpfs", "TmpfsOptions": {"SizeBytes": 1024}}]},
        "the Engine would skip what it does not know",
    ),
    ("cap_add", "ALL", {"CapAdd": "ALL"}, {"CapAdd": ["ALL"]}, ONE_TEXT),
    ("cap_drop", "ALL", {"CapDrop": "ALL"}, {"CapDrop": ["ALL"]}, ONE_TEXT),
    ("dns", "8.8.8.8", {"Dns": "8.8.8.8"}, {"Dns": ["8.8.8.8"]}, ONE_TEXT),
    ("extra_hosts", "a:1.1.1.1", {"ExtraHosts": "a:1.1.1.1"}, {"ExtraHosts": ["a:1.1.1.1"]}, ONE_TEXT),
    (
        "group_add",
        "100",
        {"GroupAdd": ["1", "0", "0"]},
        {"GroupAdd": ["100"]},
        "one group is meant, not three",
    ),
    ("mem_limit", 2.0**30, {"Memory": 2.0**30}, {"Memory": 2**30}, FRACTION),
    ("shm_size", 1.5, {"ShmSize": 1.5}, {"ShmSize": 1}, FRACTION),
]
"""Word, value, what docker-py makes, what we make, and why."""

REFUSED: list[tuple[str, Any, str, str]] = [
    ("lxc_conf", {"lxc.a": "b"}, "no such setting", "Engines skip it, so what it was to limit has no limit"),
    ("binds", {"v": {"bind": "/v", "propagation": "shard"}}, "propagation 'shard'", "docker-py drops it"),
    ("binds", {"a:b": "/v"}, "colon", "the Engine would mount something else"),
    ("binds", {"v": ["/v"]}, "must be a path or a dict", "docker-py writes Python's form of it"),
    ("binds", {b"v": b"/v"}, "must be a path or a dict", "a path is text"),
    ("port_bindings", {8888: ("10.0.0.1", 9, 10)}, "(address, port)", "docker-py drops the ports"),
    ("devices", ["/dev/a:/dev/b:r:w"], "'/dev/a:/dev/b:r:w'", "docker-py drops the end"),
    ("device_requests", [{"count": 1, "device_ids": ["0"]}], "at once", "the Engine refuses it"),
    ("ulimits", [{"name": "nofile", "sotf": 1}], "did you mean 'soft'?", "docker-py drops it"),
    ("log_config", {"type": "syslog", "option": {}}, "'option'", "docker-py drops it"),
    ("restart_policy", RestartPolicy(condition="any"), "'Condition'", "it is for services; Engines skip it"),
    ("mem_limit", True, "number of bytes", "the Engine refuses it"),
    ("mem_limit", "1_000", "number of bytes", "more likely a slip than a size"),
    ("mem_limit", -5, "number of bytes", "the Engine refuses it"),
]
"""Word, value that docker-py takes, what our refusal says, and why we refuse."""

TAKEN: list[tuple[str, Any, Any]] = [
    ("binds", ("v:/v:ro",), {"Binds": ["v:/v:ro"]}),
    ("cpu_period", 50000.0, {"CpuPeriod": 50000}),
    ("cpu_quota", "50000", {"CpuQuota": 50000}),
    ("links", ["db:database"], {"Links": ["db:database"]}),
    ("mem_limit", "1t", {"Memory": 2**40}),
    ("mem_limit", "1GiB", {"Memory": 2**30}),
    ("pids_limit", "100", {"PidsLimit": 100}),
    ("port_bindings", {1: {"HostIp": "::"}}, {"PortBindings": {"1/tcp": [{"HostIp": "::", "HostPort": ""}]}}),
    ("security_opt", "no-new-privileges", {"SecurityOpt": ["no-new-privileges"]}),
    ("tmpfs", ("/run",), {"Tmpfs": {"/run": ""}}),
    ("ulimits", ({"name": "nofile", "soft": 1},), {"Ulimits": [{"Name": "nofile", "Soft": 1}]}),
    ("userns_mode", "private", {"UsernsMode": "private"}),
    ("uts_mode", "private", {"UTSMode": "private"}),
]
"""Word, value that docker-py refuses, and what we make."""

REFUSED_BY_BOTH: list[tuple[str, Any]] = [
    ("binds", {"v": {"bind": "/v", "ro": True, "mode": "ro"}}),
    ("binds", "v:/v"),
    ("cpu_shares", "many"),
    ("device_requests", ["gpu"]),
    ("devices", [5]),
    ("init_path", "/sbin/tini"),
    ("links", [("a", "b", "c")]),
    ("log_config", "syslog"),
    ("mem_limit", "much"),
    ("port_bindings", {8888: ()}),
    ("restart_policy", "always"),
    ("sysctls", ["a=b"]),
    ("ulimits", ["nofile=1"]),
]


def ours(words: dict[str, Any]) -> Any:
    return as_json(host_config(words))


def test_every_word_of_a_host_config_is_in_the_tables() -> None:
    compared = {*SAME, *(word for word, *_ in OTHERWISE)}
    refused = {"init_path", "lxc_conf"}
    assert refused <= {word for word, *_ in (*REFUSED, *REFUSED_BY_BOTH)}
    assert compared | refused == HOST_WORDS
    assert {word for word in KEYWORDS if word.islower()} == HOST_WORDS


@pytest.mark.parametrize(("word", "value"), cases(SAME))
def test_a_host_word_becomes_what_docker_py_makes_of_it(word: str, value: Any) -> None:
    assert written(ours({word: value})) == written(hosted_by({word: value}))


@pytest.mark.parametrize(("word", "value"), cases(ALIKE))
def test_a_host_word_becomes_the_same_to_the_engine(word: str, value: Any) -> None:
    found, theirs = ours({word: value}), hosted_by({word: value})
    assert written(found) != written(theirs)
    assert written(without_zeros(found)) == written(without_zeros(theirs))


@pytest.mark.parametrize(("word", "value", "theirs", "expected", "why"), OTHERWISE)
def test_a_host_word_differs_for_a_reason(
    word: str, value: Any, theirs: Any, expected: Any, why: str
) -> None:
    assert written(hosted_by({word: value})) == written(theirs)
    assert written(ours({word: value})) == written(expected), why


@pytest.mark.parametrize(("word", "value", "said", "why"), REFUSED)
def test_a_host_word_is_refused_for_a_reason(word: str, value: Any, said: str, why: str) -> None:
    hosted_by({word: value})
    with pytest.raises(BadOption, match=f"extra_host_config.{word}") as caught:
        host_config({word: value})
    assert said in str(caught.value), why


@pytest.mark.parametrize(("word", "value", "expected"), TAKEN)
def test_what_docker_py_refuses_may_be_taken(word: str, value: Any, expected: Any) -> None:
    with pytest.raises((TypeError, ValueError, AttributeError, DockerException)):
        hosted_by({word: value})
    assert written(ours({word: value})) == written(expected)


@pytest.mark.parametrize(("word", "value"), REFUSED_BY_BOTH)
def test_what_docker_py_refuses_for_a_reason_is_refused_with_a_sentence(word: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError, AttributeError, IndexError, DockerException)):
        hosted_by({word: value})
    with pytest.raises(BadOption, match=f"extra_host_config.{word}"):
        host_config({word: value})


def test_a_host_config_that_docker_py_has_made_passes_as_it_is() -> None:
    words = {word: values[0] for word, values in SAME.items() if word not in {"network_mode", "nano_cpus"}}
    made = HostConfig(VERSION, **words)
    assert len(made) == len(words) + 1
    assert written(ours(made)) == written(made)


numbers = st.from_regex(r"[+-]?[0-9]{0,12}(\.[0-9]{0,3})?(e[0-2])?", fullmatch=True)
units = st.sampled_from(["", "b", "k", "kb", "K", "m", "MB", "g", "Gb", " g", "B"])


@settings(deadline=None)
@given(st.tuples(numbers, units).map("".join))
def test_any_size_that_docker_py_reads_is_read_alike(size: str) -> None:
    try:
        theirs = parse_bytes(size)
    except DockerException:
        return
    if theirs < -1:
        return
    assert host_config({"shm_size": size}) == {"ShmSize": theirs}


addresses = st.sampled_from(["", "127.0.0.1", "::1"])
ports = st.none() | st.integers(0, 65535) | st.integers(1, 65535).map(str)
bindings = ports | st.tuples(addresses, ports) | st.tuples(addresses) | st.tuples(st.integers(1, 65535))
inside = st.integers(1, 65535) | st.from_regex(r"[1-9][0-9]{0,4}(/(tcp|udp|sctp))?", fullmatch=True)


@settings(deadline=None)
@given(st.dictionaries(inside, bindings | st.lists(bindings, max_size=3), max_size=3))
def test_any_port_bindings_are_written_alike(given_bindings: dict[Any, Any]) -> None:
    theirs = HostConfig(VERSION, port_bindings=given_bindings)["PortBindings"]
    assert host_config({"port_bindings": given_bindings}) == {"PortBindings": theirs}


names = st.text(st.sampled_from("ab-_.:1"), min_size=1, max_size=5)
plain_names = names.filter(lambda name: ":" not in name)


@settings(deadline=None)
@given(
    links=st.dictionaries(plain_names, plain_names | st.none() | st.just(""), max_size=4),
    tmpfs=st.lists(names, max_size=3),
    volumes_from=st.lists(names, max_size=3).map(",".join),
    extra_hosts=st.dictionaries(plain_names, names, max_size=4),
)
def test_any_names_are_written_alike(**words: Any) -> None:
    theirs = HostConfig(VERSION, **words)
    assert written(host_config(words)) == written(
        {"Tmpfs": {}, **{key: item for key, item in theirs.items() if key != "NetworkMode"}}
    )
