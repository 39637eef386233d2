"""What a swarm says of tasks, in words for users and administrators."""

from __future__ import annotations

import pytest

from asyncdockerspawner.workloads.exit_status import NOT_RUN
from asyncdockerspawner.workloads.service import words

SCHEDULER = {
    "insufficient resources on 2 nodes": "mem_guarantee",
    "scheduling constraints not satisfied on 1 node": "extra_placement_spec",
    "2 nodes not available for new tasks": "docker node ls",
    "host-mode port already in use on 1 node": "fixed number",
    "missing plugin on 2 nodes": "driver",
    "unsupported platform on 1 node": "resolve_image",
    "max replicas per node limit exceed": "replicas per node",
    "cannot fulfill requested CSI volume mounts on 2 nodes": "cluster volume",
}


@pytest.mark.parametrize(("reason", "cure"), SCHEDULER.items())
def test_each_reason_of_the_scheduler_is_told_with_the_option_behind_it(reason: str, cure: str) -> None:
    told = words.waiting("pending", f"no suitable node ({reason})")
    assert told.text == f"a node: {reason}"
    assert cure in told.cure


def test_several_reasons_are_told_together() -> None:
    told = words.waiting(
        "pending", "no suitable node (insufficient resources on 1 node; missing plugin on 1 node)"
    )
    assert told.text == "a node: insufficient resources on 1 node; missing plugin on 1 node"
    assert "mem_guarantee" in told.cure
    assert "driver" in told.cure


def test_no_node_at_all_is_told_without_a_reason() -> None:
    assert words.waiting("pending", "no suitable node").text == "a node: no suitable one"


def test_a_reason_that_nobody_has_foreseen_is_told_as_it_is() -> None:
    assert words.waiting("new", "something odd") == (
        "an address in the swarm's network: something odd",
        words.waiting("new", "").cure,
    )
    assert words.waiting("starting", "something odd") == words.waiting("starting", "")


@pytest.mark.parametrize(
    ("err", "clause", "option"),
    [
        ("No such image: reg/x:1", "its image cannot be had there", "registry_auth"),
        (
            'invalid mount config for type "bind": bind source path does not exist: /x',
            "a path that is mounted does not exist there",
            "CreateMountpoint",
        ),
        ("node is missing network attachments, ip addresses may be exhausted", "no address is left", "/20"),
        ("network abc not found", "its network does not exist there", "network_name"),
        (
            "task: non-zero exit (137): dockerexec: unhealthy container",
            "its health check has failed",
            "healthcheck",
        ),
        (
            'starting container failed: exec: "x": executable file not found in $PATH',
            "not in its image",
            "cmd",
        ),
        (
            "error while mounting volume '/v': failed to mount local volume",
            "cannot be mounted",
            "file server",
        ),
    ],
)
def test_each_failure_of_a_node_is_told_with_the_option_behind_it(err: str, clause: str, option: str) -> None:
    found = words.failed(None, err, "two", rejected=True)
    assert found.summary().startswith("could not be started on node two: ")
    assert clause in found.summary()
    assert option in found.advice


def test_a_rejection_without_a_known_reason_is_told_as_it_is() -> None:
    assert words.failed(None, "odd", "", rejected=True).summary() == "could not be started: odd"
    assert words.failed(None, "", "two", rejected=True).summary() == "could not be started on node two"


def test_a_process_that_has_failed_is_told_by_its_exit_code() -> None:
    found = words.failed(3, "task: non-zero exit (3)", "two", rejected=False)
    assert (found.code, found.summary()) == (3, "exited with code 3")
    assert words.failed(0, "starting container failed: odd", "", rejected=False).code == NOT_RUN


def test_an_end_that_somebody_has_asked_for_is_told_so() -> None:
    assert words.shut_down(143).code == 143
    assert words.shut_down(None).summary() == "was stopped by the swarm, as somebody has asked it to"


@pytest.mark.parametrize(
    ("message", "clause", "option"),
    [
        ("network nowhere not found", "network", "network_name"),
        (
            "rpc error: code = PermissionDenied desc = network net not manually attachable",
            "network",
            "overlay",
        ),
        (
            "The network x cannot be used with services. Only networks scoped to the swarm",
            "network",
            "overlay",
        ),
        ("invalid cpu value 1e-06: Must be at least 0.001", "CPU", "cpu_limit"),
        ("invalid memory value 1000: Must be at least 4MiB", "memory", "mem_limit"),
        ("constraint expected one operator from ==, !=", "constraints", "extra_placement_spec"),
        ("secret not found: y", "secret", "docker secret ls"),
        ("malformed secret reference, no target provided", "secret", "extra_container_spec"),
        ("ContainerSpec: duplicate mount point: /x", "mount", "volumes"),
        (
            "EndpointSpec: port published with ingress mode can't be used with dnsrr mode",
            "ports",
            "extra_endpoint_spec",
        ),
        ("name must be valid as a DNS name component", "name", "name_template"),
        ("mismatched Runtime and *Spec fields", "the swarm refuses it", "extra_host_config"),
    ],
)
def test_each_refusal_of_a_manager_is_told_with_the_option_behind_it(
    message: str, clause: str, option: str
) -> None:
    told = words.refused(message)
    assert clause in told.text
    assert option in told.cure
