"""Words for a service beyond docker-py's types: the Engine's keys, and words for a container."""

from __future__ import annotations

from typing import Any

import pytest
from docker import types

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.keywords import service_parts
from asyncdockerspawner.keywords.service import container_spec, create_service, keywords_of, task_template

OPTION = "extra_resources_spec"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"Ulimits": [{"Name": "nofile", "Soft": 1}]}, {"Ulimits": [{"Name": "nofile", "Soft": 1}]}),
        ({"OomScoreAdj": 5}, {"OomScoreAdj": 5}),
        ({"hosts": ["10.0.0.1 a"]}, {"Hosts": ["10.0.0.1 a"]}),
        ({"env": None}, {"Env": None}),
        (
            {"privileges": {"NoNewPrivileges": True, "selinux_type": "t", "SELinuxContext": {"User": "u"}}},
            {"Privileges": {"NoNewPrivileges": True, "SELinuxContext": {"User": "u", "Type": "t"}}},
        ),
        (
            {"secrets": [{"secret_id": "i", "secret_name": "n", "filename": "f", "mode": 0o400}]},
            {
                "Secrets": [
                    {
                        "SecretID": "i",
                        "SecretName": "n",
                        "File": {"Name": "f", "UID": "0", "GID": "0", "Mode": 0o400},
                    }
                ]
            },
        ),
    ],
)
def test_a_container_has_the_engines_own_keys_too(words: dict[str, Any], expected: dict[str, Any]) -> None:
    assert container_spec(words) == expected


def test_a_reference_has_a_file() -> None:
    with pytest.raises(BadOption, match=r"^extra_container_spec\.secrets\[0\] is 5, but it must be a dict"):
        container_spec({"secrets": [{"SecretID": "i", "SecretName": "n", "File": 5}]})


def test_a_task_has_a_container_whatever_is_taken_back() -> None:
    assert task_template({"container_spec": None, "resources": None}) == {"Resources": None}


def test_a_task_is_made_of_parts_in_either_words() -> None:
    found = task_template(
        {
            "container_spec": {"workdir": "/w", "Env": {"A": 1}},
            "resources": {"mem_limit": "1g", "Limits": {"Pids": 5}},
            "Placement": {"constraints": ["node.role==worker"]},
            "restart_policy": "any",
            "networks": "hub",
            "Runtime": "container",
        }
    )
    assert found == {
        "ContainerSpec": {"Dir": "/w", "Env": ["A=1"]},
        "Resources": {"Limits": {"MemoryBytes": 2**30, "Pids": 5}},
        "Placement": {"Constraints": ["node.role==worker"]},
        "RestartPolicy": {"Condition": "any"},
        "Networks": [{"Target": "hub"}],
        "Runtime": "container",
    }


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"mem_limit": None}, {"Limits": {"MemoryBytes": None}}),
        ({"Limits": {"MemoryBytes": "4m", "Pids": 3, "NanoCPUs": None}}, None),
        ({"Limits": None, "cpu_limit": 10**9}, {"Limits": {"NanoCPUs": 10**9}}),
        ({"SwapBytes": None, "MemorySwappiness": "5"}, {"SwapBytes": None, "MemorySwappiness": 5}),
        ({"SwapBytes": 5, "cpu_reservation": "10"}, {"SwapBytes": 5, "Reservations": {"NanoCPUs": 10}}),
    ],
)
def test_resources_have_the_engines_own_keys_too(words: dict[str, Any], expected: Any) -> None:
    expected = expected or {"Limits": {"MemoryBytes": 4 * 2**20, "Pids": 3, "NanoCPUs": None}}
    assert service_parts.resources(words, OPTION) == expected


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"cpu_limit": 1, "Limits": {"NanoCPUs": 2}}, "sets Limits.NanoCPUs twice"),
        ({"cpu_limit": 1.5}, "cpu_limit is 1.5, but it must be a whole number"),
        ({"mem_limit": "lots"}, "mem_limit is 'lots'"),
        ({"limits": {}}, "did you mean 'Limits'?"),
        ({"cpu_limt": 1}, "did you mean 'cpu_limit'?"),
        ({"generic_resources": [{}]}, "must be a dict"),
        ([], "must be a dict"),
        ({"Limits": [1]}, "extra_resources_spec.Limits is [1], but it must be a dict"),
        ({"SwapBytes": {}}, "SwapBytes is {}, but it must be a whole number"),
    ],
)
def test_resources_that_mean_nothing_are_refused(words: Any, said: str) -> None:
    with pytest.raises(BadOption) as caught:
        service_parts.resources(words, OPTION)
    assert said in str(caught.value)


def test_placements_in_the_engines_words() -> None:
    given = {
        "Preferences": [{"Spread": {"SpreadDescriptor": "node.labels.a"}}],
        "Platforms": [{"OS": "linux"}],
        "MaxReplicas": 1,
    }
    assert service_parts.placement(given, "o") == given


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"preferences": [("binpack", "node.labels.a")]}, "a preference is"),
        ({"preferences": [("spread",)]}, "a preference is"),
        ({"preferences": ["spread"]}, "must be a list"),
        ({"platforms": [("linux",)]}, "a platform is"),
        ({"maxreplicas": "x"}, "must be a whole number"),
    ],
)
def test_placements_that_mean_nothing_are_refused(words: Any, said: str) -> None:
    with pytest.raises(BadOption) as caught:
        service_parts.placement(words, "o")
    assert said in str(caught.value)


def test_a_restart_policy_may_leave_its_condition_to_us() -> None:
    assert service_parts.restart_policy({"max_attempts": 3}, "o") == {"MaxAttempts": 3}


def test_ports_in_the_engines_words() -> None:
    found = service_parts.endpoint({"Ports": [{"target_port": 1, "PublishMode": "host"}]}, "o")
    assert found == {"Ports": [{"Protocol": "tcp", "TargetPort": 1, "PublishMode": "host"}]}
    of_texts = service_parts.endpoint({"Ports": [{"TargetPort": "1", "PublishedPort": None}]}, "o")
    assert of_texts == {"Ports": [{"Protocol": "tcp", "TargetPort": 1, "PublishedPort": None}]}


@pytest.mark.parametrize(
    "ports",
    [
        *({80: ()}, {80: (1, "tcp", "host", 4)}, {80: "http"}, {80: (1, "tcp", "hosts")}, {"x": 1}, "80"),
        *(
            [{"TargetPort": "http"}],
            [{"published": 80}],
            [{"PublishMode": "mesh"}],
            [{"Protocol": ["tcp"]}],
            [80],
        ),
    ],
)
def test_ports_that_mean_nothing_are_refused(ports: Any) -> None:
    with pytest.raises(BadOption, match=r"^o\.ports"):
        service_parts.endpoint({"ports": ports}, "o")


def test_create_words_are_a_services_and_a_containers() -> None:
    found = create_service(
        {
            "labels": {"traefik.enable": "true"},
            "mode": types.ServiceMode("replicated", 1),
            "networks": ["a"],
            "endpoint_config": None,
            "endpoint_spec": types.EndpointSpec("vip"),
            "update_config": types.UpdateConfig(parallelism=1, order="stop-first"),
            "rollback_config": {"failure_action": "pause"},
            "user": 0,
            "environment": {"A": "1"},
            "stop_timeout": 5,
            "detach": True,
            "entrypoint": "tini --",
        }
    )
    assert found == {
        "Labels": {"traefik.enable": "true"},
        "EndpointSpec": {"Mode": "vip"},
        "UpdateConfig": {"Parallelism": 1, "FailureAction": "continue", "Order": "stop-first"},
        "RollbackConfig": {"FailureAction": "pause"},
        "TaskTemplate": {
            "ContainerSpec": {
                "User": "0",
                "Env": ["A=1"],
                "StopGracePeriod": 5_000_000_000,
                "Command": ["tini", "--"],
            },
            "Networks": [{"Target": "a"}],
        },
    }
    assert create_service({}) == {}


def test_a_body_is_docker_pys_words_again() -> None:
    body = {
        "Name": "n",
        "Labels": {"a": "b"},
        "TaskTemplate": {"ForceUpdate": 1},
        "EndpointSpec": {"Mode": "vip"},
    }
    words = keywords_of({**body, "Mode": {"Replicated": {"Replicas": 1}}})
    assert words.pop("name") == "n"
    assert create_service(words) == {key: part for key, part in body.items() if key != "Name"}
    assert words["mode"] == {"Replicated": {"Replicas": 1}}


def test_a_container_goes_into_a_task_that_is_given() -> None:
    found = create_service({"task_template": {"force_update": 1}, "hostname": "h"})
    assert found == {"TaskTemplate": {"ForceUpdate": 1, "ContainerSpec": {"Hostname": "h"}}}
    assert create_service({"TaskTemplate": {"ForceUpdate": 1}}) == {"TaskTemplate": {"ForceUpdate": 1}}


@pytest.mark.parametrize("mode", ["replicated", {"Replicated": {"Replicas": 1}}, {"Replicated": None}])
def test_one_replica_is_what_a_server_has(mode: Any) -> None:
    assert create_service({"mode": mode}) == create_service({"Mode": mode}) == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"mode": "global"}, "a server is a service of one replica"),
        ({"mode": types.ServiceMode("replicated", 2)}, "a server is a service of one replica"),
        ({"Mode": {"ReplicatedJob": {}}}, "a server is a service of one replica"),
        ({"name": "mine"}, "set name_template"),
        ({"host_config": {}}, "use extra_host_config"),
        ({"ports": [1]}, "its ports are in extra_endpoint_spec"),
        ({"volumes": ["/a"]}, "use the option volumes"),
        ({"mac_address": "x"}, "'mac_address', which a service does not have"),
        ({"Cmd": ["a"]}, "'Cmd', which a service does not have"),
        ({"label": {}}, "did you mean 'labels'?"),
        ({"environment": {"A": b"\xff"}}, "extra_create_kwargs.environment has bytes that are no UTF-8"),
    ],
)
def test_create_words_that_a_service_has_not_are_refused(words: dict[str, Any], said: str) -> None:
    with pytest.raises(BadOption) as caught:
        create_service(words)
    assert "extra_create_kwargs" in str(caught.value)
    assert said in str(caught.value)
