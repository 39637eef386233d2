"""The body of a create, for a service."""

from __future__ import annotations

import re
from typing import Any

import pytest
from docker import types
from hypothesis import given
from hypothesis import strategies as st

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.launch import RunsAs, SwarmFile, SwarmInputs
from asyncdockerspawner.workloads.service.body import build_service
from tests.support.service_launch import LABELS
from tests.support.service_launch import service_launch as launch

GIB = 2**30


def task_of(swarm: SwarmInputs | None = None, **changes: Any) -> dict[str, Any]:
    return dict(build_service(launch(swarm, **changes))["TaskTemplate"])


def container_of(swarm: SwarmInputs | None = None, **changes: Any) -> dict[str, Any]:
    return dict(task_of(swarm, **changes)["ContainerSpec"])


def endpoint_of(publish_on: str | None, **spec: Any) -> dict[str, Any]:
    body = build_service(launch(SwarmInputs(extra_endpoint=spec), publish_on=publish_on))
    return dict(body["EndpointSpec"])


def test_the_usual_body_holds_what_is_needed_and_no_more() -> None:
    assert build_service(launch()) == {
        "Name": "jupyter-alice",
        "Labels": LABELS,
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": "img:1",
                "Env": ["A=1"],
                "Labels": {**LABELS, "asyncdockerspawner.name": "jupyter-alice"},
            },
            "RestartPolicy": {"Condition": "none"},
            "Networks": [{"Target": "hub"}],
        },
        "Mode": {"Replicated": {"Replicas": 1}},
        "EndpointSpec": {"Mode": "dnsrr"},
    }


def test_dockerspawner_14_makes_the_same_but_for_what_is_named() -> None:
    """The inputs and the body are of a create that its SwarmSpawner was seen to send."""
    theirs: dict[str, Any] = {
        "ContainerSpec": {
            "Image": "img:1",
            "Args": ["start.sh", "--x"],
            "Env": ["A=1"],
            "Mounts": [{"Type": "bind", "Source": "v-alice", "Target": "/w", "ReadOnly": False}],
        },
        "Resources": {
            "Limits": {"NanoCPUs": 1_500_000_000, "MemoryBytes": 2 * GIB},
            "Reservations": {"NanoCPUs": 500_000_000, "MemoryBytes": GIB},
        },
        "Networks": [{"Target": "net1"}],
        "Placement": {"Constraints": ["node.role==worker"]},
    }
    swarm = SwarmInputs(
        mem_guarantee=GIB, cpu_guarantee=0.5, extra_placement={"constraints": ["node.role==worker"]}
    )
    ours = task_of(
        swarm,
        command=("start.sh", "--x"),
        network_name="net1",
        binds={"v-alice": {"bind": "/w", "mode": "rw"}},
        mem_limit=2 * GIB,
        cpu_limit=1.5,
    )
    assert ours["ContainerSpec"].pop("Labels")
    assert ours.pop("RestartPolicy") == {"Condition": "none"}
    assert ours["ContainerSpec"].pop("Mounts") == [{"Type": "volume", "Source": "v-alice", "Target": "/w"}]
    assert theirs["ContainerSpec"].pop("Mounts")
    assert ours == theirs


def test_no_limit_and_no_network_are_not_sent() -> None:
    task = task_of(
        SwarmInputs(mem_guarantee=0, cpu_guarantee=0.0), mem_limit=0, cpu_limit=None, network_name=""
    )
    assert set(task) == {"ContainerSpec", "RestartPolicy"}


def test_more_networks_come_after_the_first() -> None:
    found = task_of(SwarmInputs(networks=["data", "hub"]))["Networks"]
    assert found == [{"Target": "hub"}, {"Target": "data"}]
    assert task_of(SwarmInputs(extra_task={"networks": ["other"]}))["Networks"] == [{"Target": "other"}]


def test_a_published_port_is_the_nodes() -> None:
    port = {"Protocol": "tcp", "TargetPort": 8888, "PublishMode": "host"}
    assert endpoint_of("127.0.0.1") == {"Ports": [port], "Mode": "dnsrr"}
    assert endpoint_of("127.0.0.1", mode="vip") == {"Ports": [port], "Mode": "vip"}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"ports": {None: (8888, "tcp")}},
            {"Ports": [{"Protocol": "tcp", "TargetPort": 8888}], "Mode": "vip"},
        ),
        (
            {"ports": {30000: (8888, "tcp", "host")}},
            {
                "Ports": [
                    {"Protocol": "tcp", "TargetPort": 8888, "PublishedPort": 30000, "PublishMode": "host"}
                ],
                "Mode": "dnsrr",
            },
        ),
        (
            {"ports": {80: 9999}},
            {
                "Ports": [
                    {"Protocol": "tcp", "TargetPort": 8888, "PublishMode": "host"},
                    {"Protocol": "tcp", "TargetPort": 9999, "PublishedPort": 80},
                ],
                "Mode": "vip",
            },
        ),
    ],
)
def test_the_sites_ports_win_and_say_the_mode(spec: dict[str, Any], expected: dict[str, Any]) -> None:
    assert endpoint_of("127.0.0.1", **spec) == expected


def test_a_port_of_all_nodes_needs_the_mode_vip() -> None:
    with pytest.raises(
        BadOption, match="give the port the publish mode 'host', or the endpoint the mode 'vip'"
    ):
        endpoint_of(None, mode="dnsrr", ports={80: 8888})


def test_options_lie_over_each_other_from_the_general_to_the_particular() -> None:
    swarm = SwarmInputs(
        extra_container={"env": {"B": "container", "C": "container"}, "args": ["c"], "labels": {"l": "c"}},
        extra_task={
            "container_spec": {"Env": ["C=task"]},
            "restart_policy": types.RestartPolicy("on-failure"),
            "resources": {"generic_resources": {"gpu": 2}},
        },
        extra_resources={"mem_limit": "1g", "generic_resources": {"gpu": 1, "fpga": 1}},
        extra_placement={"constraints": ["node.role==worker"], "preferences": [("spread", "node.labels.a")]},
        node="n1",
    )
    task = task_of(
        swarm,
        environment={"A": "1", "B": "1", "C": "1", "D": "1"},
        command=["a"],
        mem_limit=8 * GIB,
        cpu_limit=2,
        extra_create={"environment": {"B": "create", "D": "create"}, "user": "root"},
        extra_host={"mem_limit": "3g", "cap_drop": ["ALL"]},
    )
    container = task["ContainerSpec"]
    assert container["Env"] == ["A=1", "B=container", "C=task", "D=create"]
    assert (container["Args"], container["User"], container["CapabilityDrop"]) == (["c"], "root", ["ALL"])
    assert container["Labels"]["l"] == "c"
    assert task["Resources"]["Limits"] == {"NanoCPUs": 2_000_000_000, "MemoryBytes": GIB}
    reserved = [
        each["DiscreteResourceSpec"] for each in task["Resources"]["Reservations"]["GenericResources"]
    ]
    assert {each["Kind"]: each["Value"] for each in reserved} == {"gpu": 2, "fpga": 1}
    assert task["RestartPolicy"]["Condition"] == "on-failure"
    assert task["Placement"]["Constraints"] == ["node.role==worker", "node.id==n1"]


def test_as_whom_the_server_runs_is_sent_and_the_site_has_the_last_word() -> None:
    runs_as = RunsAs(user="1001:100", groups=(27, 50), working_dir="/home/alice")
    container = container_of(runs_as=runs_as)
    assert [container[key] for key in ("User", "Dir", "Groups")] == ["1001:100", "/home/alice", ["27", "50"]]
    swarm = SwarmInputs(extra_container={"user": "5", "workdir": "/w", "groups": ["50", "video"]})
    container = container_of(swarm, runs_as=runs_as)
    assert [container[key] for key in ("User", "Dir", "Groups")] == ["5", "/w", ["27", "50", "video"]]
    container = container_of(runs_as=runs_as, extra_host={"group_add": ["video"]})
    assert container["Groups"] == ["27", "50", "video"]


def test_none_takes_a_computed_value_back() -> None:
    swarm = SwarmInputs(extra_container={"args": None}, extra_resources={"mem_limit": None})
    task = task_of(swarm, command=["a"], mem_limit=GIB)
    assert "Args" not in task["ContainerSpec"]
    assert "Resources" not in task


def test_a_part_that_is_taken_back_is_as_if_nobody_had_asked_for_it() -> None:
    swarm = SwarmInputs(extra_task={"resources": None, "container_spec": None, "restart_policy": None})
    body = build_service(launch(swarm, mem_limit=GIB, extra_create={"endpoint_spec": None}, publish_on=""))
    assert body["EndpointSpec"] == {"Mode": "dnsrr"}
    assert set(body["TaskTemplate"]) == {"ContainerSpec", "Networks"}


def test_our_labels_win_on_the_service_and_on_its_containers() -> None:
    mine = {"asyncdockerspawner.user": "mallory", "asyncdockerspawner.name": "other", "l": "1"}
    body = build_service(
        launch(SwarmInputs(extra_container={"labels": mine}), extra_create={"labels": {**mine, "s": "1"}})
    )
    assert body["Labels"] == {**mine, **LABELS, "s": "1"}
    found = body["TaskTemplate"]["ContainerSpec"]["Labels"]
    assert found == {"l": "1", **LABELS, labels.NAME: "jupyter-alice"}


def test_mounts_of_all_options_go_together_and_the_sites_wins_a_path() -> None:
    swarm = SwarmInputs(
        volume_driver="rclone",
        volume_driver_options={"o": "a"},
        extra_container={"mounts": [types.Mount("/b/", "site", driver_config=types.DriverConfig("local"))]},
    )
    found = container_of(
        swarm,
        binds={"v": {"bind": "/a", "mode": "rw"}, "w": {"bind": "/b", "mode": "rw"}},
        mounts=[{"target": "/c", "type": "tmpfs"}, {"target": "/d", "source": "/h", "type": "bind"}],
        extra_host={"shm_size": "1g", "binds": {"v": {"bind": "/a", "mode": "ro"}, "/x": "/x"}},
    )["Mounts"]
    driver = {"DriverConfig": {"Name": "rclone", "Options": {"o": "a"}}}
    assert {mount["Target"]: mount for mount in found} == {
        "/a": {"Type": "volume", "Source": "v", "Target": "/a", "ReadOnly": True, "VolumeOptions": driver},
        "/b/": {
            "Type": "volume",
            "Source": "site",
            "Target": "/b/",
            "ReadOnly": False,
            "VolumeOptions": {"DriverConfig": {"Name": "local"}},
        },
        "/x": {"Type": "bind", "Source": "/x", "Target": "/x"},
        "/c": {"Type": "tmpfs", "Target": "/c"},
        "/d": {"Type": "bind", "Source": "/h", "Target": "/d"},
        "/dev/shm": {"Type": "tmpfs", "Target": "/dev/shm", "TmpfsOptions": {"SizeBytes": GIB}},
    }
    assert len(found) == 6


def test_two_options_that_want_one_path_are_told() -> None:
    with pytest.raises(BadOption, match=r"^`volumes` and `mounts`: two mounts are at /w"):
        build_service(launch(binds={"v": {"bind": "/w"}}, mounts=[{"target": "/w", "type": "tmpfs"}]))


def test_files_of_the_swarm_are_referred_to() -> None:
    key = SwarmFile(id="s1", name="spawn-1", target="/run/key.pem", uid=1000, gid=100, mode=0o400)
    settings = SwarmFile(id="c1", name="spawn-2", target="settings.json")
    swarm = SwarmInputs(
        secrets=[key],
        configs=[settings],
        extra_container={"secrets": [types.SecretReference("s9", "site")]},
    )
    container = container_of(swarm)
    assert container["Secrets"] == [
        {
            "SecretID": "s1",
            "SecretName": "spawn-1",
            "File": {"Name": "/run/key.pem", "UID": "1000", "GID": "100", "Mode": 0o400},
        },
        {
            "SecretID": "s9",
            "SecretName": "site",
            "File": {"Name": "site", "UID": "0", "GID": "0", "Mode": 0o444},
        },
    ]
    assert container["Configs"][0]["ConfigName"] == "spawn-2"


def test_what_docker_py_writes_as_null_takes_nothing_back() -> None:
    swarm = SwarmInputs(extra_container={"privileges": types.Privileges(selinux_user="u")})
    found = container_of(swarm, extra_host={"security_opt": ["label=type:t"]})["Privileges"]
    assert found == {"SELinuxContext": {"User": "u", "Type": "t"}}


def test_healthcheck_and_grace_are_the_containers() -> None:
    container = container_of(SwarmInputs(stop_grace=1.5), healthcheck={"test": ["NONE"]})
    assert container["Healthcheck"] == {"Test": ["NONE"]}
    assert container["StopGracePeriod"] == 1_500_000_000
    over = container_of(
        SwarmInputs(extra_container={"healthcheck": {"test": "true"}}), healthcheck={"retries": 1}
    )
    assert over["Healthcheck"] == {"Retries": 1, "Test": ["CMD-SHELL", "true"]}


@pytest.mark.parametrize(
    ("changes", "swarm", "said"),
    [
        ({"name": "a" * 64}, {}, "it has 64 characters, and 63 are allowed; a shorter `name_template`"),
        ({"name": "jupyter-alice-"}, {}, "a letter or digit at both ends; see `name_template`"),
        ({"name": "a.b"}, {}, "it has to be of letters"),
        ({"name": ""}, {}, "it has to be of letters"),
        ({"name": "alicé"}, {}, "it has to be of letters"),
        ({"cpu_limit": 0.0009}, {}, "cpu_limit is 0.0009, but a swarm takes no less than 0.001 CPUs"),
        ({"cpu_limit": 1e-12}, {}, "cpu_limit is 1e-12"),
        ({"cpu_limit": -1}, {}, "cpu_limit is -1"),
        ({"mem_limit": 1024}, {}, "mem_limit is 1024 bytes, but a swarm takes no less than 4 MiB"),
        ({}, {"cpu_guarantee": 0.0001}, "cpu_guarantee is 0.0001"),
        ({}, {"mem_guarantee": 5}, "mem_guarantee is 5 bytes"),
        (
            {},
            {"extra_resources": {"cpu_limit": 2}},
            "Limits.NanoCPUs of the service's resources is 2, but a swarm",
        ),
        ({"extra_host": {"Memory": "lots"}}, {}, "Limits.MemoryBytes of the service's resources is 'lots'"),
        (
            {"extra_host": {"mem_reservation": 5}},
            {},
            "Reservations.MemoryBytes of the service's resources is 5",
        ),
        ({"links": {"db": "d"}}, {}, "links are nothing that a swarm has"),
        (
            {},
            {"extra_container": {"dir": "/w"}},
            "extra_container_spec has the unknown key 'dir'; did you mean",
        ),
        ({}, {"extra_placement": {"constraints": ["a"]}}, "extra_placement_spec.constraints has 'a'"),
    ],
)
def test_what_a_swarm_would_refuse_is_told_before(
    changes: dict[str, Any], swarm: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadOption) as caught:
        build_service(launch(SwarmInputs(**swarm), **changes))
    assert said in str(caught.value)


def test_the_least_of_each_is_taken() -> None:
    task = task_of(SwarmInputs(mem_guarantee=4 * 2**20), cpu_limit=0.001, name="a" * 63)
    assert task["Resources"] == {
        "Limits": {"NanoCPUs": 1_000_000},
        "Reservations": {"MemoryBytes": 4 * 2**20},
    }


@given(st.text(max_size=70))
def test_any_name_is_taken_or_refused_in_our_words(name: str) -> None:
    fits = re.fullmatch("[a-zA-Z0-9]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9])?", name)
    if fits:
        assert build_service(launch(name=name))["Name"] == name
    else:
        with pytest.raises(BadOption, match="name_template"):
            build_service(launch(name=name))


def test_only_nodes_that_the_image_is_made_for_are_asked_to_run_it() -> None:
    platforms = [{"OS": "linux", "Architecture": "amd64"}]
    assert "Placement" not in build_service(launch())["TaskTemplate"]
    known = build_service(launch(swarm=SwarmInputs(platforms=platforms)))
    assert known["TaskTemplate"]["Placement"] == {"Platforms": platforms}
