"""A real swarm's manager keeps what is sent to it, and refuses what is refused here before it is sent."""

from __future__ import annotations

import base64
import contextlib
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from docker import types

from asyncdockerspawner.client.api_version import Version, version
from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.spawners.service_inputs import TOO_LARGE
from asyncdockerspawner.workloads.launch import SwarmFile, SwarmInputs
from asyncdockerspawner.workloads.service.body import build_service
from asyncdockerspawner.workloads.service.versions import _SINCE, check
from tests.support.service_launch import service_launch
from tests.testbed.steps import wait_until
from tests.testbed.swarm import Swarm

SECOND = 10**9
NOWHERE = ["node.labels.nowhere==1"]
"""So that no node takes it."""
NEWER: dict[str, Any] = {
    "extra_host": {
        "oom_score_adj": 5,
        "security_opt": ["no-new-privileges", "seccomp=unconfined", "apparmor=unconfined"],
    },
    "mounts": [
        {"type": "bind", "target": "/made", "source": "/made", "BindOptions": {"CreateMountpoint": True}},
        {"target": "/part", "source": "v", "subpath": "a"},
    ],
    "healthcheck": {"test": "true", "start_interval": 10 * SECOND},
}
"""What older Engines drop."""


@contextlib.contextmanager
def made(swarm: Swarm, kind: str) -> Iterator[SwarmFile]:
    """Have a secret or config."""
    name = f"t{uuid.uuid4().hex[:8]}"
    file_id = swarm.http.post(f"/{kind}s/create", json={"Name": name, "Data": "YQ=="}).json()["ID"]
    try:
        yield SwarmFile(id=file_id, name=name, target="/run/key.pem", uid=1000, gid=100, mode=0o400)
    finally:
        swarm.http.delete(f"/{kind}s/{file_id}")


def everything(network: str, secret: SwarmFile, config: SwarmFile) -> JsonObject:
    """Return a body with every key that 1.41, Engine 20.10's API, has."""
    swarm = SwarmInputs(
        secrets=[secret],
        configs=[config],
        stop_grace=30,
        mem_guarantee=2**30,
        cpu_guarantee=0.5,
        volume_driver="local",
        volume_driver_options={"type": "nfs", "o": "addr=10.0.0.9", "device": ":/x"},
        extra_resources={"generic_resources": {"gpu": 1}},
        extra_placement={
            "constraints": NOWHERE,
            "preferences": [("spread", "node.labels.rack")],
            "platforms": [("x86_64", "linux")],
            "maxreplicas": 1,
        },
        extra_container={
            "command": "tini --",
            "hosts": {"db": "10.0.0.1"},
            "dns_config": {"nameservers": ["10.0.0.2"], "options": ["ndots:1"], "search": ["example.org"]},
            "healthcheck": {
                "test": "true",
                "interval": SECOND,
                "timeout": SECOND,
                "retries": 2,
                "start_period": SECOND,
            },
            "hostname": "h-{{.Node.Hostname}}",
            "isolation": "default",
            "stop_signal": "SIGINT",
            "tty": True,
            "open_stdin": True,
            "user": "1000",
            "workdir": "/w",
            "labels": {"c": "1"},
        },
        extra_task={
            "log_driver": {"Name": "json-file", "Options": {"max-size": "1m"}},
            "force_update": 1,
            "networks": [{"Target": network, "Aliases": ["me"], "DriverOpts": {"a": "b"}}],
            "restart_policy": types.RestartPolicy("on-failure", delay=SECOND, max_attempts=2, window=SECOND),
        },
        extra_endpoint={"ports": {30999: (9999, "udp", "host")}},
    )
    return build_service(
        service_launch(
            swarm,
            name=f"t{uuid.uuid4().hex[:8]}",
            command=["start"],
            publish_on="127.0.0.1",
            mem_limit=2**31,
            cpu_limit=1.5,
            binds={"v": {"bind": "/v", "mode": "ro,nocopy"}, "/h": {"bind": "/h", "mode": "rslave"}},
            mounts=[
                {"target": "/t", "type": "tmpfs", "tmpfs_size": "64m", "tmpfs_mode": 0o700},
                {"target": "/l", "source": "l", "labels": {"a": "b"}, "read_only": True},
            ],
            extra_host={
                "cap_add": ["NET_ADMIN"],
                "cap_drop": ["ALL"],
                "group_add": ["100"],
                "init": True,
                "pids_limit": 100,
                "read_only": True,
                "security_opt": ["label=type:t"],
                "shm_size": "1g",
                "sysctls": {"net.core.somaxconn": "5"},
                "ulimits": [{"name": "nofile", "soft": 5, "hard": 6}],
            },
            extra_create={
                "labels": {"s": "1"},
                "update_config": types.UpdateConfig(delay=SECOND, monitor=SECOND, order="stop-first"),
                "rollback_config": types.RollbackConfig(failure_action="pause", max_failure_ratio=0.5),
            },
        )
    )


def kept(swarm: Swarm, body: JsonObject) -> JsonObject:
    """Return what the manager keeps of a body."""
    answer = swarm.http.post("/services/create", json=body)
    assert answer.status_code == 201, answer.text
    service = answer.json()["ID"]
    try:
        return dict(swarm.http.get(f"/services/{service}").raise_for_status().json()["Spec"])
    finally:
        swarm.http.delete(f"/services/{service}")


def missing(sent: Any, found: Any, path: str = "") -> Iterator[str]:
    """Yield where something of what was sent is not there, or is another."""
    if isinstance(sent, dict) and isinstance(found, dict):
        for key, item in sent.items():
            yield from missing(item, found.get(key), f"{path}.{key}" if path else key)
    elif isinstance(sent, list) and isinstance(found, list) and len(sent) == len(found):
        for each, other in zip(sent, found, strict=True):
            yield from missing(each, other, path)
    elif sent != found and (sent or found):
        yield path


def spoken(http: httpx.Client) -> Version:
    """Return the API version of a manager."""
    return version(http.get("/version").raise_for_status().json()["ApiVersion"])


def test_a_manager_keeps_all_that_is_sent(swarm: Swarm) -> None:
    networks = swarm.http.get("/networks").json()
    network = next(each["Id"] for each in networks if each["Name"] == swarm.network)
    with made(swarm, "secret") as secret, made(swarm, "config") as config:
        body = everything(network, secret, config)
        check(body, spoken(swarm.http))
        assert list(missing(body, kept(swarm, body))) == []


def test_what_is_refused_for_an_older_manager_is_what_it_drops(swarm: Swarm) -> None:
    placed = SwarmInputs(extra_placement={"constraints": NOWHERE})
    body = build_service(service_launch(placed, name=f"t{uuid.uuid4().hex[:8]}", network_name="", **NEWER))
    dropped = {path.removeprefix("TaskTemplate.") for path in missing(body, kept(swarm, body))}
    known = spoken(swarm.http)
    sent = {path for path in _SINCE if _is_at(body["TaskTemplate"], path.split("."))}
    newer = {path for path in sent if known < _SINCE[path][0]}
    # A part of which nothing is left is told as a whole.
    assert {path for path in newer if not any(path.startswith(each) for each in dropped)} == set()
    assert {each for each in dropped if not any(path.startswith(each) for path in newer)} == set()
    if newer:
        with pytest.raises(BadOption, match="the swarm's manager would drop it"):
            check(body, known)


def _is_at(found: Any, path: list[str]) -> bool:
    if isinstance(found, list):
        return any(_is_at(each, path) for each in found)
    return not path or (isinstance(found, dict) and path[0] in found and _is_at(found[path[0]], path[1:]))


def with_task(**parts: Any) -> JsonObject:
    body = build_service(service_launch(network_name="", name=f"t{uuid.uuid4().hex[:8]}"))
    task = body["TaskTemplate"]
    return {**body, "TaskTemplate": {**task, "Placement": {"Constraints": NOWHERE}, **parts}}


SHELL, NO_VALUE = ["node.role=worker"], ["node.id==ä"]
TWICE = [{"Type": "tmpfs", "Target": "/a"}] * 2
MESH = {"Mode": "dnsrr", "Ports": [{"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 30998}]}
LITTLE, FEW = {"Reservations": {"MemoryBytes": 4 * 2**20 - 1}}, {"Limits": {"NanoCPUs": 999_999}}
REFUSED: list[tuple[JsonObject, dict[str, Any]]] = [
    (with_task(Resources=FEW), {"extra_resources": FEW}),
    (with_task(Resources=LITTLE), {"extra_resources": LITTLE}),
    (with_task(Placement={"Constraints": SHELL}), {"extra_placement": {"constraints": SHELL}}),
    (with_task(Placement={"Constraints": NO_VALUE}), {"extra_placement": {"constraints": NO_VALUE}}),
    (with_task(RestartPolicy={"Condition": "always"}), {"extra_task": {"restart_policy": "always"}}),
    (with_task(ContainerSpec={"Image": "i", "Mounts": TWICE}), {"extra_container": {"mounts": TWICE}}),
    ({**with_task(), "EndpointSpec": MESH}, {"extra_endpoint": MESH}),
]
"""What a manager is sent, and the options that would have come to it."""


@pytest.mark.parametrize(("body", "options"), REFUSED)
def test_what_is_refused_here_is_refused_there(
    body: JsonObject, options: dict[str, Any], swarm: Swarm
) -> None:
    with pytest.raises(BadOption):
        build_service(service_launch(SwarmInputs(**options)))
    answer = swarm.http.post("/services/create", json=body)
    if answer.status_code == 201:
        swarm.http.delete(f"/services/{answer.json()['ID']}")
    # What swarmkit has no class of its own for is the manager's own error.
    assert answer.status_code in {400, 500}, answer.text


def test_constraints_that_are_refused_here_would_wait_for_ever(swarm: Swarm) -> None:
    constraints = ["node.name==manager", "node.label.x!=1", "node.labels.==1", "node.role==workers"]
    made = []
    try:
        for each in constraints:
            with pytest.raises(BadOption):
                build_service(service_launch(SwarmInputs(extra_placement={"constraints": [each]})))
            answer = swarm.http.post("/services/create", json=with_task(Placement={"Constraints": [each]}))
            made.append(answer.raise_for_status().json()["ID"])
        told = [[task["Status"].get("Err", "") for task in waiting(swarm, service)] for service in made]
        assert [len(each) for each in told] == [1] * len(constraints)
        assert all("scheduling constraints not satisfied" in each[0] for each in told)
    finally:
        for service in made:
            swarm.http.delete(f"/services/{service}")


def waiting(swarm: Swarm, service: str) -> list[JsonObject]:
    """Return the tasks of a service once the scheduler has said that there is no node for them."""

    def told() -> bool:
        tasks = swarm.tasks(service=service)
        return bool(tasks) and all(task["Status"].get("Err") for task in tasks)

    assert wait_until(told, 30.0)
    return list(swarm.tasks(service=service))


@pytest.mark.parametrize("name", ["a" * 64, "jupyter-alice-", "a.b", "-a", "a_"])
def test_names_that_are_refused_here_are_refused_there(name: str, swarm: Swarm) -> None:
    with pytest.raises(BadOption):
        build_service(service_launch(name=name))
    answer = swarm.http.post("/services/create", json={**with_task(), "Name": name})
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize("name", ["a" * 63, "jupyter-alice--server", "a-_-b", "A1"])
def test_names_that_are_taken_here_are_taken_there(name: str, swarm: Swarm) -> None:
    body = {**with_task(), **build_service(service_launch(name=name, network_name=""))}
    body["TaskTemplate"]["Placement"] = {"Constraints": NOWHERE}
    assert kept(swarm, body)["Name"] == name


@pytest.mark.parametrize("option", TOO_LARGE)
def test_files_are_as_large_as_a_swarm_takes_them(option: str, swarm: Swarm) -> None:
    def made_of(size: int) -> httpx.Response:
        data = base64.b64encode(b"x" * size).decode()
        name = f"t{uuid.uuid4().hex[:8]}"
        answer = swarm.http.post(f"/{option}/create", json={"Name": name, "Data": data})
        if answer.status_code == 201:
            swarm.http.delete(f"/{option}/{answer.json()['ID']}")
        return answer

    sizes = (0, 1, TOO_LARGE[option] - 1, TOO_LARGE[option])
    assert [made_of(size).status_code for size in sizes] == [400, 201, 201, 400]
