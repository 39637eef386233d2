"""docker-py's words for a service come to what docker-py's types make of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from docker import types
from docker.api.service import ServiceApiMixin

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.keywords import service, service_parts
from tests.support.docker_py import as_json, without_zeros, written

RESOURCE = {"DiscreteResourceSpec": {"Kind": "gpu", "Value": 1}}
SECRET = types.SecretReference("id", "name", "/key.pem", uid="1000", gid="100", mode=0o400)
CONFIG = types.ConfigReference("id", "name")

THEIRS: dict[str, Any] = {
    "extra_container_spec": types.ContainerSpec,
    "extra_task_spec": types.TaskTemplate,
    "extra_resources_spec": types.Resources,
    "extra_placement_spec": types.Placement,
    "extra_endpoint_spec": types.EndpointSpec,
}
NEEDED = {"extra_container_spec": {"image": None}, "extra_task_spec": {"container_spec": None}}
"""Words that docker-py's types cannot do without."""
OURS: dict[str, Callable[[Any, str], JsonObject]] = {
    "extra_container_spec": service.container_spec,
    "extra_task_spec": service.task_template,
    "extra_resources_spec": service_parts.resources,
    "extra_placement_spec": service_parts.placement,
    "extra_endpoint_spec": service_parts.endpoint,
}

ALIKE: dict[str, dict[str, list[Any]]] = {
    "extra_container_spec": {
        "args": [["a b", "c"], []],
        "cap_add": [["NET_ADMIN"], []],
        "cap_drop": [["ALL"]],
        "command": ["tini -- 'a b'", ["tini", "--"], ""],
        "configs": [[CONFIG], []],
        "dns_config": [types.DNSConfig(["1.1.1.1"], ["example.org"], ["ndots:1"]), {"Search": ["a"]}],
        "env": [{"A": 1, "B": None, "C": "x=y", "D": b"\xc3\xa9"}, ["A=1", "B"], {}],
        "groups": [["users", "100"]],
        "healthcheck": [types.Healthcheck(test="true", interval=10**9), types.Healthcheck(test=["NONE"])],
        "hostname": ["h-{{.Node.Hostname}}"],
        "hosts": [{"b": "10.0.0.2", "a": "10.0.0.1"}],
        "image": ["other:1"],
        "init": [True],
        "isolation": ["default"],
        "labels": [{"a": "b"}],
        "mounts": [
            ["v:/w", "/h:/x:ro", "/y:/z:rw"],
            [types.Mount("/w", "v", labels={"a": "b"}, driver_config=types.DriverConfig("nfs", {"o": "rw"}))],
            [types.Mount("/w", "/h", "bind", read_only=True, propagation="rslave")],
            [],
        ],
        "open_stdin": [True],
        "privileges": [
            types.Privileges(selinux_disable=True),
            types.Privileges(credentialspec_file="f", selinux_user="u", selinux_level="l"),
        ],
        "read_only": [True],
        "secrets": [[SECRET], [types.SecretReference("id", "name")], []],
        "stop_grace_period": [30 * 10**9],
        "stop_signal": ["SIGINT"],
        "sysctls": [{"net.core.somaxconn": "1024"}],
        "tty": [True],
        "user": ["1000:100", "nobody"],
        "workdir": ["/w"],
    },
    "extra_task_spec": {
        "container_spec": [types.ContainerSpec("img", env={"A": "1"})],
        "force_update": [3],
        "log_driver": [types.DriverConfig("json-file", {"max-size": "1m"})],
        "networks": [
            ["a", types.NetworkAttachmentConfig("b", aliases=["c"], options={"d": "e"})],
            [{"Target": "a"}],
        ],
        "placement": [["node.role==worker"], types.Placement(constraints=["node.id==a"], maxreplicas=1)],
        "resources": [types.Resources(cpu_limit=10**9, mem_limit=2**30, generic_resources={"gpu": 1})],
        "restart_policy": [
            types.RestartPolicy(),
            types.RestartPolicy("on-failure", delay=10**9, max_attempts=3, window=10**10),
        ],
    },
    "extra_resources_spec": {
        "cpu_limit": [1_500_000_000],
        "cpu_reservation": [500_000_000],
        "generic_resources": [{"gpu": 2}, [RESOURCE]],
        "mem_limit": [2**30],
        "mem_reservation": [2**29],
    },
    "extra_placement_spec": {
        "constraints": [["node.role==worker", "node.labels.gpu!=none"], []],
        "maxreplicas": [2],
        "platforms": [[("x86_64", "linux")], [("arm64", "linux"), ("x86_64", "windows")]],
        "preferences": [
            [("spread", "node.labels.rack")],
            [types.PlacementPreference("spread", "node.labels.a")],
        ],
    },
    "extra_endpoint_spec": {
        "mode": ["vip", "dnsrr"],
        "ports": [
            {80: 8888, 81: (8889, "udp"), 82: (8890, None, "host"), None: (8891, "tcp")},
            [{"Protocol": "tcp", "TargetPort": 8888, "PublishedPort": 80, "PublishMode": "host"}],
        ],
    },
}
"""Option → word → values of which both make what is the same to the Engine."""

OTHERWISE: list[tuple[str, str, Any, Any, Any, str]] = [
    (
        "extra_container_spec",
        "args",
        "a 'b c'",
        {"Args": "a 'b c'"},
        {"Args": ["a", "b c"]},
        "the Engine refuses it",
    ),
    ("extra_container_spec", "user", 1000, {"User": 1000}, {"User": "1000"}, "the Engine refuses the former"),
    (
        "extra_container_spec",
        "groups",
        "100",
        {"Groups": "100"},
        {"Groups": ["100"]},
        "the Engine refuses it",
    ),
    (
        "extra_container_spec",
        "mounts",
        ["v:/w:z"],
        {"Mounts": [{"Target": "/w", "Source": "v", "Type": "volume", "ReadOnly": True}]},
        {"Mounts": [{"Target": "/w", "Source": "v", "Type": "volume"}]},
        "a mode that is not ro does not forbid to write",
    ),
    (
        "extra_resources_spec",
        "mem_limit",
        "1g",
        {"Limits": {"MemoryBytes": "1g"}},
        {"Limits": {"MemoryBytes": 2**30}},
        "the Engine refuses the former",
    ),
    (
        "extra_resources_spec",
        "generic_resources",
        {"gpu": "1"},
        {"Reservations": {"GenericResources": [{"NamedResourceSpec": {"Kind": "gpu", "Value": "1"}}]}},
        {"Reservations": {"GenericResources": [RESOURCE]}},
        "a swarm refuses to reserve by name, and templates give texts",
    ),
    (
        "extra_placement_spec",
        "constraints",
        "node.role==worker",
        {"Constraints": "node.role==worker"},
        {"Constraints": ["node.role==worker"]},
        "the Engine refuses the former",
    ),
]
"""Option, word, value, what docker-py makes, what we make, and why."""

REFUSED: list[tuple[str, str, Any, str, str]] = [
    (
        "extra_resources_spec",
        "generic_resources",
        {"gpu": "GPU-1"},
        "must be a whole number",
        "as a swarm does",
    ),
    (
        "extra_resources_spec",
        "generic_resources",
        [{"NamedResourceSpec": {"Kind": "gpu", "Value": "GPU-1"}}],
        "did you mean 'DiscreteResourceSpec'?",
        "as a swarm does",
    ),
    ("extra_placement_spec", "constraints", ["node.role=worker"], "KEY==VALUE", "as a swarm does"),
    ("extra_endpoint_spec", "mode", "dns", "one of 'vip', 'dnsrr'", "as a swarm does"),
    (
        "extra_task_spec",
        "restart_policy",
        {"Condition": "always"},
        "'none', 'on-failure', 'any'",
        "as a swarm does",
    ),
    (
        "extra_container_spec",
        "secrets",
        [{"SecretID": "a"}],
        "needs secret_id and secret_name",
        "as a swarm does",
    ),
]
"""Option, word, value that docker-py takes, what our refusal says, and why we refuse."""


def theirs(option: str, words: dict[str, Any]) -> Any:
    """Give what docker-py's type makes of these words."""
    made = THEIRS[option](**{**NEEDED.get(option, {}), **words})
    return as_json({key: item for key, item in made.items() if item is not None})


def ours(option: str, words: dict[str, Any]) -> Any:
    """Give what we make of them."""
    return as_json(OURS[option](words, option))


def cases(table: dict[str, dict[str, list[Any]]]) -> list[Any]:
    return [
        pytest.param(option, word, value, id=f"{option}-{word}-{number}")
        for option, words in table.items()
        for word, values in words.items()
        for number, value in enumerate(values)
    ]


@pytest.mark.parametrize("option", THEIRS)
def test_every_word_is_in_the_tables(option: str) -> None:
    assert set(inspect.signature(THEIRS[option].__init__).parameters) - {"self"} == set(ALIKE[option])


def test_our_tables_have_every_word_and_no_other() -> None:
    tables = {
        "extra_container_spec": service.CONTAINER_WORDS,
        "extra_task_spec": service.TASK_WORDS,
        "extra_placement_spec": service_parts.PLACEMENT,
        "extra_endpoint_spec": service_parts.ENDPOINT,
        "extra_resources_spec": service_parts._AMOUNTS,
    }
    for option, table in tables.items():
        assert {word for word in table if word.islower()} == set(ALIKE[option])
    of_a_service = set(inspect.signature(ServiceApiMixin.create_service).parameters) - {"self"}
    assert {word for word in service.CREATE_WORDS if word.islower()} == of_a_service


@pytest.mark.parametrize(("option", "word", "value"), cases(ALIKE))
def test_a_word_becomes_what_docker_py_makes_of_it(option: str, word: str, value: Any) -> None:
    found, expected = ours(option, {word: value}), theirs(option, {word: value})
    assert written(without_zeros(found)) == written(without_zeros(expected))


@pytest.mark.parametrize(("option", "word", "value"), cases(ALIKE))
def test_what_docker_py_has_made_passes_as_it_is(option: str, word: str, value: Any) -> None:
    made = theirs(option, {word: value})
    assert written(without_zeros(ours(option, made))) == written(without_zeros(made))


@pytest.mark.parametrize("difference", OTHERWISE)
def test_a_word_differs_for_a_reason(difference: tuple[str, str, Any, Any, Any, str]) -> None:
    option, word, value, of_theirs, expected, why = difference
    assert written(theirs(option, {word: value})) == written(of_theirs)
    assert written(ours(option, {word: value})) == written(expected), why


@pytest.mark.parametrize(("option", "word", "value", "said", "why"), REFUSED)
def test_a_word_is_refused_for_a_reason(option: str, word: str, value: Any, said: str, why: str) -> None:
    theirs(option, {word: value})
    with pytest.raises(BadOption) as caught:
        ours(option, {word: value})
    assert said in str(caught.value), why
    assert str(caught.value).startswith(f"{option}.{word}")


@pytest.mark.parametrize("option", THEIRS)
def test_an_unknown_word_is_refused_with_the_known_one(option: str) -> None:
    word = min(ALIKE[option])
    with pytest.raises(BadOption, match=f"{option} has the unknown key '{word}x'; did you mean '{word}'"):
        ours(option, {f"{word}x": 1})
