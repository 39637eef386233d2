"""A service as its tasks and the swarm's nodes tell of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.exit_status import NOT_RUN, ExitStatus
from asyncdockerspawner.workloads.observed import Addresses, Binding, Observed, Phase, poll_status
from asyncdockerspawner.workloads.service import read
from asyncdockerspawner.workloads.service.read import Node, observed

OWNER = labels.Owner(hub_id="h", username="ann", servername="", spawn_id="s1")
MARKS = {**labels.ownership_labels_of(OWNER), labels.NAME: "jupyter-ann"}
CONTAINER = {
    "Image": "quay.io/img:1@sha256:abc",
    "Labels": MARKS,
    "Env": ["JUPYTERHUB_USER=ann", "EMPTY"],
    "Mounts": [
        {"Type": "volume", "Source": "home-ann", "Target": "/home/jovyan"},
        {"Type": "volume", "Source": "nfs", "VolumeOptions": {"DriverConfig": {"Options": {"type": "nfs"}}}},
        {"Type": "volume", "Source": "ceph", "VolumeOptions": {"DriverConfig": {"Name": "rexray"}}},
        {"Type": "bind", "Source": "/data", "Target": "/data"},
        {"Type": "tmpfs", "Target": "/dev/shm"},
    ],
}
SERVICE: dict[str, Any] = {
    "ID": "svc",
    "Spec": {"Name": "jupyter-ann", "TaskTemplate": {"ContainerSpec": CONTAINER}},
}
NODES = {
    "n1": Node("n1", "one", "198.18.0.11"),
    "n2": Node("n2", "two", "198.18.0.12", down=True, takes_tasks=False),
    "n3": Node("n3", "three", takes_tasks=False, drained=True),
}
RUNNING = ("starting", "running")


def task(
    state: str, *, desired: str = "running", node: str = "n1", at: int = 0, **status: Any
) -> dict[str, Any]:
    return {
        "ID": f"t{at}",
        "CreatedAt": f"2026-01-01T10:00:{at:02}.5Z",
        "ServiceID": "svc",
        "NodeID": node,
        "DesiredState": desired,
        "Spec": {"ContainerSpec": CONTAINER},
        "Status": {"State": state, "Timestamp": "2026-01-01T10:00:30Z", **status},
    }


def seen(*tasks: dict[str, Any]) -> Observed:
    return observed("svc", SERVICE, tasks, NODES)


@pytest.mark.parametrize(
    "state", ["new", "allocated", "pending", "assigned", "accepted", "preparing", "ready", "starting"]
)
def test_a_task_that_is_being_placed_or_prepared_counts_as_running_to_the_hub(state: str) -> None:
    found = seen(task(state))
    assert found.phase is Phase.PENDING
    assert found.runs
    assert poll_status(found) is None
    assert not found.address_is_known
    assert found.placement is not None
    assert found.placement.waits_for


def test_a_service_without_a_task_is_about_to_have_one() -> None:
    found = seen()
    assert found.phase is Phase.PENDING
    assert found.placement is not None
    assert found.placement.waits_for == "the swarm to take it up"
    assert found.starts_itself


def test_a_service_that_was_stopped_and_is_kept_does_not_run() -> None:
    stopped = {**SERVICE, "Spec": {**SERVICE["Spec"], "Mode": {"Replicated": {"Replicas": 0}}}}
    found = observed("svc", stopped, [], NODES)
    assert found.phase is Phase.ENDED
    assert poll_status(found) == 0


def test_a_task_that_runs_is_running() -> None:
    found = seen(task("running"))
    assert found.phase is Phase.RUNNING
    assert found.placement is not None
    assert (found.placement.node, found.placement.node_name, found.placement.waits_for) == ("n1", "one", "")


@pytest.mark.parametrize(
    ("state", "desired", "code"),
    [
        ("complete", "shutdown", 0),
        ("failed", "shutdown", 3),
        ("rejected", "shutdown", NOT_RUN),
        ("shutdown", "shutdown", 0),
        ("remove", "remove", 0),
        ("orphaned", "shutdown", 0),
        ("running", "shutdown", 0),
        ("running", "remove", 0),
        ("pending", "shutdown", 0),
    ],
)
def test_a_task_that_has_ended_or_is_to_end_does_not_run(state: str, desired: str, code: int) -> None:
    status: dict[str, Any] = (
        {"ContainerStatus": {"ExitCode": code}} if state in {"complete", "failed"} else {}
    )
    found = seen(task(state, desired=desired, **status))
    assert found.phase is Phase.ENDED
    assert poll_status(found) == code
    assert not found.node_is_lost


@pytest.mark.parametrize("desired", ["running", "shutdown"])
def test_a_task_on_a_node_that_is_down_is_lost_whatever_it_says(desired: str) -> None:
    found = seen(task("running", desired=desired, node="n2"))
    assert found.phase is Phase.ENDED
    assert found.node_is_lost
    assert "node two, is down" in str(found.exit_status)
    assert "on_node_loss" in (found.exit_status or ExitStatus(code=0)).advice


def test_a_task_that_failed_by_itself_is_not_lost_with_its_node() -> None:
    found = seen(task("failed", node="n2", ContainerStatus={"ExitCode": 1}))
    assert not found.node_is_lost
    assert found.exit_status == ExitStatus(code=1)


def test_a_task_is_lost_with_a_node_that_was_drained() -> None:
    assert seen(task("running", desired="shutdown", node="n3")).node_is_lost
    ended = seen(task("shutdown", desired="shutdown", node="n3"))
    assert ended.node_is_lost
    assert "node three was drained" in str(ended.exit_status)
    assert not seen(task("running", node="n3")).node_is_lost
    assert not seen(task("failed", desired="shutdown", node="n3")).node_is_lost


def test_the_newest_task_counts_in_whatever_order_they_are_told() -> None:
    former, present = task("failed", desired="shutdown", at=1), task("running", at=2)
    assert seen(former, present).phase is seen(present, former).phase is Phase.RUNNING
    assert seen(former, present).restarts == 1


def test_a_restarted_task_waits_for_its_next_process() -> None:
    found = seen(task("failed", desired="shutdown", at=1), task("ready", desired="ready", at=2))
    assert found.phase is Phase.PENDING


def test_what_a_service_is_is_read_from_its_tasks_alone() -> None:
    alone = observed("svc", None, [task("running")], NODES)
    whole = seen(task("running"))
    # The environment, which is long and holds tokens, is read where somebody asks about one.
    assert (alone.environment, whole.environment) == (None, {"JUPYTERHUB_USER": "ann", "EMPTY": ""})
    assert alone == replace(whole, environment=None)
    assert (alone.name, alone.hub_id, alone.owner, alone.image) == (
        "jupyter-ann",
        "h",
        OWNER,
        "quay.io/img:1",
    )
    assert alone.removal is True
    assert alone.last_change == 1767261630 * 10**9


def test_a_service_of_another_spawner_has_no_owner() -> None:
    bare = {"ID": "svc", "Spec": {"Name": "x", "TaskTemplate": {}}}
    found = observed("svc", bare, [], {})
    assert (found.owner, found.hub_id, found.environment) == (None, "", {})


def test_it_is_tied_to_its_node_by_binds_and_by_volumes_that_are_there_alone() -> None:
    place = seen(task("running")).placement
    assert place is not None
    assert place.tied_to == ("home-ann", "/data")


def test_its_addresses_are_those_of_its_task() -> None:
    attached = [
        {"Network": {"Spec": {"Name": "hubnet"}}, "Addresses": ["10.0.1.7/24"]},
        {"Network": {"Spec": {"Name": "bare"}}},
        {"Network": {"Spec": {"Name": "ingress", "Ingress": True}}, "Addresses": ["10.0.0.9/24"]},
    ]
    port = {"TargetPort": 8888, "PublishedPort": 32768, "Protocol": "tcp"}
    # Once for IPv4, once for IPv6.
    ports = {"Ports": [port, port, {"TargetPort": 1}]}
    found = seen({**task("running", PortStatus=ports), "NetworksAttachments": attached})
    assert found.addresses == Addresses(
        networks={"hubnet": "10.0.1.7", "bare": ""},
        published={"8888/tcp": [Binding("198.18.0.11", "32768")]},
    )
    assert found.has_own_network


def test_one_in_the_network_of_its_machine_has_none_of_its_own() -> None:
    attached = [{"Network": {"Spec": {"Name": "host"}}}]
    assert not seen({**task("running"), "NetworksAttachments": attached}).has_own_network


def test_the_routing_mesh_publishes_it_on_every_node() -> None:
    ports = [
        {"TargetPort": 8888, "PublishedPort": 30001, "PublishMode": "ingress", "Protocol": "tcp"},
        {"TargetPort": 8889, "PublishedPort": 30002, "PublishMode": "host"},
        {"TargetPort": 8890},
    ]
    meshed = {**SERVICE, "Endpoint": {"Ports": ports}}
    published = {"8888/tcp": [Binding("", "30001")]}
    assert read.ingress_of(meshed) == published
    told = observed("svc", meshed, [task("running")], NODES)
    assert told.addresses == Addresses(published=published)
    # A list of tasks does not tell it; whoever has asked before remembers.
    listed = observed("svc", None, [task("running")], NODES, published)
    assert listed.addresses == told.addresses


def test_a_node_is_read_with_the_address_at_which_its_ports_are() -> None:
    worker = {
        "ID": "n1",
        "Description": {"Hostname": "one", "Resources": {"NanoCPUs": 8 * 10**9}},
        "Status": {"State": "ready", "Addr": "198.18.0.12"},
        "Spec": {"Availability": "active"},
    }
    assert read.node(worker) == Node("n1", "one", "198.18.0.12", cpus=8)
    manager = {
        **worker,
        "Status": {"State": "ready", "Addr": "127.0.0.1"},
        "ManagerStatus": {"Addr": "198.18.0.11:2377"},
    }
    assert read.node(manager).address == "198.18.0.11"
    gone = {"ID": "n2", "Status": {"State": "down"}, "Spec": {"Availability": "drain"}}
    assert read.node(gone) == Node("n2", down=True, takes_tasks=False, drained=True)


def test_what_is_on_a_node_that_is_down_does_not_live() -> None:
    assert read.lives(task("running", desired="remove"), NODES)
    assert not read.lives(task("running", desired="remove", node="n2"), NODES)
    assert not read.lives(task("shutdown"), NODES)
    assert read.lives(task("pending", node=""), NODES)


def test_a_task_that_is_to_go_is_told_from_one_that_has_only_ended() -> None:
    assert read.is_removed(task("running", desired="remove"))
    assert not read.is_removed(task("running", desired="shutdown"))


def test_a_task_is_asked_about_at_its_node_where_that_can_answer() -> None:
    assert read.is_reached(task("running"), NODES)
    assert not read.is_reached(task("running", node="n2"), NODES)
    assert not read.is_reached(task("pending", node=""), NODES)
