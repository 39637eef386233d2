"""What a swarm says of its tasks, in words for a server's user and for the administrator. Pure.

Sources: swarmkit's scheduler (`manager/scheduler/filter.go`, `Explain`), its agent's executor
(`agent/exec/controller.go`, `daemon/cluster/executor/container` in moby), and what real swarms have answered.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from asyncdockerspawner.workloads.exit_status import NOT_RUN, ExitStatus


class Told(NamedTuple):
    """A clause for the user, and what an administrator can do."""

    text: str
    cure: str = ""


_STEPS = {
    "new": Told(
        "an address in the swarm's network",
        "If that lasts, `network_name` has no free address or does not exist: give it a larger subnet, such "
        "as a /20, and leave the endpoint mode at dnsrr, which takes one address less.",
    ),
    "allocated": Told("a node"),
    "pending": Told("a node"),
    "assigned": Told(
        "the node to take it up", "If that lasts, the node's Engine hangs: see its log, or drain the node."
    ),
    "accepted": Told("the node to prepare its network and volumes"),
    "preparing": Told(
        "the node to prepare it: image, network and volumes", "An image is pulled anew on each node."
    ),
    "ready": Told("the swarm to start it"),
    "starting": Told(
        "its process to start, and for its health check, if it has one",
        "`healthcheck` is 'none' by default; an image's own holds a start until it has passed once.",
    ),
}
"""State of a task before it runs → what it waits for. `allocated` is older Engines' word."""
_FIRST = Told("the swarm to take it up")

_NO_NODE = re.compile(r"no suitable node(?: \((?P<why>.*)\))?", re.DOTALL)
_REASONS = (
    (
        "insufficient resources",
        "`mem_guarantee`, `cpu_guarantee` or generic resources ask for more than is free.",
    ),
    ("scheduling constraints", "`extra_placement_spec` has constraints that no node fulfils."),
    ("not available for new tasks", "Nodes are down, paused or drained: see `docker node ls`."),
    ("host-mode port already in use", "A port is published on a fixed number: leave it to the Engine."),
    ("missing plugin", "A volume, network or log driver is not installed on the nodes."),
    (
        "unsupported platform",
        "The image is for other processors than the nodes have, or see `resolve_image`.",
    ),
    ("max replicas per node", "`extra_placement_spec` limits the replicas per node."),
    ("CSI volume", "A cluster volume is not available on any node."),
)

_FAILURES = (
    (
        re.compile(r"no such image|pull access denied|manifest unknown|not found: manifest", re.IGNORECASE),
        "its image cannot be had there",
        "The node pulls it itself: check `image`, and `registry_auth` for a private registry.",
    ),
    (
        re.compile(r"bind source path does not exist|invalid mount config for type \"bind\"", re.IGNORECASE),
        "a path that is mounted does not exist there",
        "A path in `volumes` or `mounts` must exist on each node; a bind's `CreateMountpoint` makes it.",
    ),
    (
        re.compile(r"missing network attachments|ip addresses may be exhausted", re.IGNORECASE),
        "no address is left in its network",
        "Give `network_name` a larger subnet, such as a /20.",
    ),
    (
        re.compile(r"network \S+ not found|could not find network", re.IGNORECASE),
        "its network does not exist there",
        "Check `network_name`: it must be an overlay network of the swarm.",
    ),
    (
        re.compile(r"unhealthy container", re.IGNORECASE),
        "its health check has failed",
        "See `healthcheck`; the Hub asks for the server's first answer anyway.",
    ),
    (
        re.compile(r"executable file not found|no such file or directory: unknown", re.IGNORECASE),
        "the command is not in its image",
        "Check `cmd`: a single-user image has `jupyterhub-singleuser`.",
    ),
    (
        re.compile(r"error while mounting volume|failed to mount local volume|VolumeDriver", re.IGNORECASE),
        "a volume cannot be mounted there",
        "Check the volume's driver and its options, and that the node reaches its file server.",
    ),
)
_REFUSALS = (
    (
        re.compile(
            r"network .*not found|cannot be used with services|not (?:manually )?attachable", re.IGNORECASE
        ),
        "its network is none of the swarm's",
        "Check `network_name` and `extra_networks`: they must be overlay networks, which a manager shows by "
        "`docker network ls`.",
    ),
    (re.compile(r"invalid cpu value"), "its CPU limit is too small", "See `cpu_limit` and `cpu_guarantee`."),
    (
        re.compile(r"invalid memory value"),
        "its memory limit is too small",
        "See `mem_limit`, `mem_guarantee`.",
    ),
    (
        re.compile(r"constraint|\bspread\b|placement preference", re.IGNORECASE),
        "no node can be chosen by its constraints",
        "See `extra_placement_spec`: docker's manual has the forms of a constraint.",
    ),
    (
        re.compile(r"(secret|config) (not found|reference)", re.IGNORECASE),
        "a secret or config is not there",
        "Names in `extra_container_spec` must be the swarm's: see `docker secret ls`, `docker config ls`.",
    ),
    (re.compile(r"mount"), "it is to mount what cannot be mounted", "See `volumes` and `mounts`."),
    (
        re.compile(r"\bports?\b|EndpointSpec|dnsrr"),
        "its ports cannot be published so",
        "See `extra_endpoint_spec`; ports of mode `host` are on the server's node alone.",
    ),
    (
        re.compile(r"\bname\b"),
        "its name cannot be that of a service",
        "See `name_template`, `prefix` and `escape`, which make it.",
    ),
)
_NON_ZERO = re.compile(r"(?:task: )?non-zero exit \(-?\d+\)(?:: )?")


FORGOTTEN = ExitStatus(
    code=0,
    cause="has ended, and the swarm has kept no word of how",
    cure="`docker swarm update --task-history-limit 5` has it keep that for a while.",
)


def waiting(state: str, err: str) -> Told:
    """Tell what a task waits for that does not run yet; `state` is "" where there is no task yet."""
    step = _STEPS.get(state, _FIRST)
    found = _NO_NODE.search(err)
    if found is None:
        return Told(f"{step.text}: {err}", step.cure) if err and state in {"new", "pending"} else step
    why = (found["why"] or "").strip()
    cures = [cure for reason, cure in _REASONS if reason.lower() in why.lower()]
    return Told(f"a node: {why}" if why else "a node: no suitable one", " ".join(cures))


def failed(code: int | None, err: str, node: str, *, rejected: bool) -> ExitStatus:
    """Tell how a task ended that has failed, or that its node has rejected before it ran."""
    told = _NON_ZERO.sub("", err).strip()
    where = f" on node {node}" if node else ""
    for pattern, clause, cure in _FAILURES:
        if pattern.search(told):
            cause = f"could not be started{where}: {clause}"
            return ExitStatus(code=code or NOT_RUN, error=told, cause=f"{cause} ({told})", cure=cure)
    if rejected or not code:
        reason = f": {told}" if told else ""
        return ExitStatus(code=code or NOT_RUN, error=told, cause=f"could not be started{where}{reason}")
    return ExitStatus(code=code, error=told)


def refused(message: str) -> Told:
    """Tell why a manager does not create a service, and which option says so."""
    for pattern, clause, cure in _REFUSALS:
        if pattern.search(message):
            return Told(clause, cure)
    return Told(
        "the swarm refuses it", "See the `extra_..._spec` options, `extra_host_config` and the limits."
    )


def node_down(node: str) -> ExitStatus:
    """Tell that a task has been lost with its node."""
    return ExitStatus(
        code=NOT_RUN,
        cause=f"was lost: the machine that it ran on, node {node}, is down",
        cure="`on_node_loss` = 'move' starts such servers on another node.",
    )


def node_left(node: str) -> ExitStatus:
    """Tell that a task was ended because its node is not to run any."""
    return ExitStatus(
        code=NOT_RUN,
        cause=f"was ended by the swarm: node {node} was drained",
        cure="`on_node_loss` = 'move' starts such servers on another node.",
    )


def shut_down(code: int | None) -> ExitStatus:
    """Tell that a task was ended by the swarm, on somebody's demand."""
    return ExitStatus(code=code or 0, cause="was stopped by the swarm, as somebody has asked it to")
