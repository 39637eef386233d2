"""The swarm of two nodes: both take tasks, ports and networks carry, and nothing of it is left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.stub_containers import run_stub
from tests.testbed import newest
from tests.testbed.engine import ensure_engine
from tests.testbed.images import STUB
from tests.testbed.newest import ensure_unpacked
from tests.testbed.plain_http import NO_TLS
from tests.testbed.registry import PACKAGE, ensure_registry
from tests.testbed.steps import cache_dir, wait_until
from tests.testbed.swarm import NETWORK, Swarm, ensure_swarm, find_swarm, obstacle, remains, stop_swarm
from tests.testbed.swarm_node import SwarmNode

ROOT = Path(__file__).resolve().parents[2]
RUNNING_SECONDS = 90.0
DOWN_SECONDS = 40.0
"""Three heartbeats of five seconds, and some."""


@pytest.fixture
def own_cache(monkeypatch: pytest.MonkeyPatch, tidy_swarm: None) -> Iterator[None]:
    """A cache of this test's own, so a second swarm, for which everything is unpacked already."""
    made = {"newest": ensure_unpacked(), "registry": Path(ensure_registry())}
    before = cache_dir()
    # Paths of sockets must stay short.
    with tempfile.TemporaryDirectory(prefix="c-") as folder:
        monkeypatch.setenv("XDG_CACHE_HOME", folder)
        if made["newest"] is not None:
            (cache_dir() / "newest").mkdir()
            for name in ("recipe", newest_suite(before)):
                (cache_dir() / "newest" / name).symlink_to(before / "newest" / name)
        if (before / PACKAGE).exists():
            (cache_dir() / PACKAGE).symlink_to(before / PACKAGE)
        try:
            yield
        finally:
            stop_swarm()


def newest_suite(cache: Path) -> str:
    return next(each for each in newest.SUITES if (cache / "newest" / each).exists())


def create(swarm: Swarm, image: str = STUB, **more: Any) -> str:
    """Create a service of two replicas on the overlay network, with a port at each node; gives its id."""
    body = {
        "Name": f"t{uuid.uuid4().hex[:8]}",
        "TaskTemplate": {
            "ContainerSpec": {"Image": image},
            "RestartPolicy": {"Condition": "none"},
            "Networks": [{"Target": swarm.network}],
        },
        "Mode": {"Replicated": {"Replicas": 2}},
        "EndpointSpec": {"Mode": "dnsrr", "Ports": [{"TargetPort": 8888, "PublishMode": "host"}]},
        **more,
    }
    return str(swarm.http.post("/services/create", json=body).raise_for_status().json()["ID"])


@contextlib.contextmanager
def running(swarm: Swarm, **more: Any) -> Iterator[dict[str, dict[str, Any]]]:
    """Have a service of two tasks that run; gives them by the id of the node."""
    service = create(swarm, **more)
    try:
        up = wait_until(lambda: states(swarm, service=service) == ["running"] * 2, RUNNING_SECONDS)
        assert up, swarm.tasks(service=service)
        yield {each["NodeID"]: each for each in swarm.tasks(service=service)}
    finally:
        swarm.http.delete(f"/services/{service}").raise_for_status()


def states(swarm: Swarm, **filters: str) -> list[str]:
    return [each["Status"]["State"] for each in swarm.tasks(**filters)]


def address(task: dict[str, Any]) -> str:
    """The task's address on the overlay network."""
    (attached,) = [each for each in task["NetworksAttachments"] if each["Network"]["Spec"]["Name"] == NETWORK]
    return str(attached["Addresses"][0]).partition("/")[0]


def fetched_in(node: SwarmNode, task: dict[str, Any], url: str) -> str:
    """What a task's own program reads at this address."""
    with node.client() as http:
        container = task["Status"]["ContainerStatus"]["ContainerID"]
        words = {"Cmd": ["wget", "-qO-", url], "AttachStdout": True, "Tty": True}
        made = http.post(f"/containers/{container}/exec", json=words).raise_for_status().json()["Id"]
        return http.post(f"/exec/{made}/start", json={"Tty": True}).raise_for_status().text.strip()


def test_each_node_has_an_engine_of_its_own_and_takes_a_task(swarm: Swarm) -> None:
    versions = [swarm.document(node)["Description"]["Engine"]["EngineVersion"] for node in swarm.nodes]
    assert versions[0] == ensure_engine().version
    assert all(map(swarm.is_ready, swarm.nodes))
    with running(swarm) as tasks:
        assert set(tasks) == {swarm.node_id(node) for node in swarm.nodes}
        for node in swarm.nodes:
            port = tasks[swarm.node_id(node)]["Status"]["PortStatus"]["Ports"][0]["PublishedPort"]
            assert wait_until(lambda: answers(f"http://{node.address}:{port}/"), RUNNING_SECONDS)  # noqa: B023
        manager, worker = (tasks[swarm.node_id(node)] for node in swarm.nodes)
        for node, task, other in [(swarm.manager, manager, worker), (swarm.worker, worker, manager)]:
            there = f"http://{address(other)}:8888/"
            # A node hears by and by which addresses the other one has.
            assert wait_until(lambda: fetched_in(node, task, there) == "stub", RUNNING_SECONDS)  # noqa: B023


def answers(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(url, trust_env=False, verify=NO_TLS).text == "stub\n"
    return False


def test_both_nodes_pull_from_the_registry_with_its_password_only(swarm: Swarm) -> None:
    name = f"t{uuid.uuid4().hex[:8]}"
    image = swarm.registry.add(name, STUB, ensure_engine())
    for node in swarm.nodes:
        with node.client() as http:
            refused = http.post("/images/create", params={"fromImage": image})
            assert "no basic auth credentials" in refused.text
            headers = {"X-Registry-Auth": swarm.credentials()}
            taken = http.post("/images/create", params={"fromImage": image}, headers=headers)
            assert '"error"' not in taken.raise_for_status().text
            http.delete(f"/images/{image}").raise_for_status()


def test_a_drained_node_gives_up_its_tasks_and_comes_back(lone_swarm: Swarm) -> None:
    with running(lone_swarm) as tasks, lone_swarm.drained(lone_swarm.worker):
        task = tasks[lone_swarm.node_id(lone_swarm.worker)]["ID"]
        (left,) = lone_swarm.tasks(id=task)
        assert wait_until(lambda: lone_swarm.tasks(id=task)[0]["DesiredState"] == "shutdown", 30), left
    assert lone_swarm.is_ready(lone_swarm.worker)


def test_a_killed_worker_is_down_until_it_is_started(lone_swarm: Swarm) -> None:
    def state() -> str:
        return str(lone_swarm.document(lone_swarm.worker)["Status"]["State"])

    with lone_swarm.killed(lone_swarm.worker):
        assert wait_until(lambda: state() == "down", DOWN_SECONDS)
    assert state() == "ready"


def test_a_restarted_manager_keeps_the_workers_tasks(lone_swarm: Swarm) -> None:
    on_worker = {"Constraints": [f"node.hostname=={lone_swarm.worker.name}"]}
    template = {
        "ContainerSpec": {"Image": STUB},
        "RestartPolicy": {"Condition": "none"},
        "Placement": on_worker,
    }
    with running(lone_swarm, TaskTemplate=template) as before:
        lone_swarm.restart(lone_swarm.manager)
        assert set(before) == {lone_swarm.node_id(lone_swarm.worker)}
        task = next(iter(before.values()))
        (after,) = lone_swarm.tasks(id=task["ID"])
        assert (after["Status"]["State"], after["DesiredState"]) == ("running", "running")
        assert after["Status"]["ContainerStatus"] == task["Status"]["ContainerStatus"]


def test_what_others_have_left_is_swept_where_nobody_uses_it(lone_swarm: Swarm) -> None:
    create(lone_swarm)
    data = {"Name": "left", "Data": "eA=="}
    for kind in ("secrets", "configs"):
        lone_swarm.http.post(f"/{kind}/create", json=data).raise_for_status()
    lone_swarm.http.post("/networks/create", json={"Name": "left", "Driver": "overlay"}).raise_for_status()
    with lone_swarm.worker.client() as http:
        run_stub(http)
        http.post("/volumes/create", json={"Name": "left"}).raise_for_status()
        lone_swarm.sweep()
        assert http.get("/containers/json", params={"all": 1}).json() == []
        assert http.get("/volumes").json()["Volumes"] == []
    for kind in ("services", "tasks", "secrets", "configs"):
        assert lone_swarm.http.get(f"/{kind}").json() == [], kind
    assert lone_swarm.http.get("/networks/left").status_code == 404


@pytest.mark.usefixtures("own_cache")
def test_brought_down_and_up_again_it_leaves_nothing() -> None:
    assert (find_swarm(), stop_swarm()) == (None, False)
    first = ensure_swarm()
    again = ensure_swarm()
    assert again.node_id(again.worker) == first.node_id(first.worker), "the same"
    assert len(remains(first)) > 5
    for _ in range(2):
        made = ensure_swarm()
        create(made)
        assert wait_until(lambda: states(made) == ["running"] * 2, RUNNING_SECONDS)  # noqa: B023
        assert stop_swarm() is True
        assert remains(made) == []
        made.close()
    for each in (first, again):
        each.close()


KILLED_RUN = """
from tests.testbed import swarm
swarm.ensure_swarm()
print("UP", flush=True)
import time; time.sleep(60)
"""


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("word", ["bringing up", "copying", "UP"])
def test_what_a_killed_run_has_begun_is_taken_away(word: str) -> None:
    command = [sys.executable, "-c", KILLED_RUN]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        assert any(word in line for line in killed.stdout)
        killed.kill()
    made = ensure_swarm()
    try:
        assert all(map(made.is_ready, made.nodes))
        assert stop_swarm() is True
        assert remains(made) == []
    finally:
        made.close()


@pytest.mark.usefixtures("own_cache")
def test_one_whose_processes_were_ended_is_made_anew() -> None:
    before = ensure_swarm()
    for node in before.nodes:
        first = node.first()
        assert first is not None
        os.kill(first, signal.SIGKILL)
    assert wait_until(lambda: find_swarm() is None, RUNNING_SECONDS)
    after = ensure_swarm()
    assert all(map(after.is_ready, after.nodes))
    for each in (before, after):
        each.close()


def test_where_it_cannot_run_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "root" in obstacle()
