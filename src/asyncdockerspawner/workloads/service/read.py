"""A service of a swarm, read from its own document, its tasks and the swarm's nodes. Pure.

Sources: Docker Engine API v1.41, "Inspect a service", "List tasks", "List nodes"; swarmkit's states
(`api/types.proto`, TaskState) and what its orchestrators make of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.keywords.create import environment_of
from asyncdockerspawner.keywords.service_mounts import is_local_volume
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.exit_status import ExitStatus
from asyncdockerspawner.workloads.moments import nanoseconds
from asyncdockerspawner.workloads.observed import Addresses, Binding, Observed, Phase, Placement
from asyncdockerspawner.workloads.service import words

ENDED = frozenset({"complete", "shutdown", "failed", "rejected", "remove", "orphaned"})
"""States of a task that lives no more; of all others it runs, or is about to."""
_TO_END = frozenset({"shutdown", "remove", "orphaned"})
"""Desired states of one that is to live no more, whatever its state says."""
_NO_ADDRESS = frozenset({"", "0.0.0.0", "127.0.0.1", "::"})  # noqa: S104 - read, never bound
_FAILED = frozenset({"failed", "rejected"})

Ports = Mapping[str, Sequence[Binding]]


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a swarm, as far as its tasks' life hangs on it."""

    id: str
    name: str = ""
    address: str = ""
    """Where its published ports are reached; "" where that is not told."""
    down: bool = False
    takes_tasks: bool = True
    """It is neither down nor drained nor paused."""
    drained: bool = False
    cpus: int = 0


NOWHERE = Node("")


def node(document: JsonObject) -> Node:
    """Read an entry of `GET /nodes`."""
    status, spec = document.get("Status") or {}, document.get("Spec") or {}
    state, availability = status.get("State"), spec.get("Availability")
    address = str(status.get("Addr") or "")
    if address in _NO_ADDRESS:
        # A manager may be listed under an address that is none; what others reach it at is told beside.
        address = str((document.get("ManagerStatus") or {}).get("Addr") or "").rpartition(":")[0].strip("[]")
    description = document.get("Description") or {}
    return Node(
        id=str(document["ID"]),
        name=str(description.get("Hostname") or ""),
        address=address,
        down=state == "down",
        takes_tasks=state == "ready" and availability == "active",
        drained=availability == "drain",
        cpus=int((description.get("Resources") or {}).get("NanoCPUs") or 0) // 10**9,
    )


def newest(tasks: Sequence[JsonObject]) -> JsonObject | None:
    """Return the task that counts: former ones stay listed for a while."""
    if len(tasks) < 2:
        return tasks[0] if tasks else None
    return max(tasks, key=created)


def created(task: JsonObject) -> int:
    """Return when a task was made, in nanoseconds since 1970."""
    return nanoseconds(str(task.get("CreatedAt") or ""))


def has_failed(task: JsonObject) -> bool:
    """Tell whether a task has ended badly, so that one that follows it is a restart."""
    return _state(task) in _FAILED


def is_removed(task: JsonObject) -> bool:
    """Tell whether a task is to go; on a node that is down it stays in lists for a day, with no service."""
    return _desired(task) == "remove"


def lives(task: JsonObject, nodes: Mapping[str, Node]) -> bool:
    """Tell whether something of a task may still run; what is on a node that is down counts as gone."""
    at = nodes.get(str(task.get("NodeID") or ""))
    return _state(task) not in ENDED and not (at is not None and at.down)


def is_reached(task: JsonObject, nodes: Mapping[str, Node]) -> bool:
    """Tell whether the manager can ask a task's node about it."""
    at = nodes.get(str(task.get("NodeID") or ""))
    return at is not None and not at.down


def observed(
    service_id: str,
    service: JsonObject | None,
    tasks: Sequence[JsonObject],
    nodes: Mapping[str, Node],
    ingress: Ports | None = None,
) -> Observed:
    """Read a service; `service` is the body of `GET /services/ID`, None where only its tasks were asked for.

    In a list, which is read often, no environment is.
    `ingress` is where the routing mesh is known to publish it, should `service` not tell.
    """
    known = newest(tasks)
    task: JsonObject = known or {}
    own = (service or {}).get("Spec") or {}
    spec = _container_spec(own.get("TaskTemplate") or task.get("Spec") or {})
    marks = spec.get("Labels") or {}
    at = nodes.get(str(task.get("NodeID") or ""), NOWHERE)
    phase, last_exit = _life(known, at)
    if known is None and _is_stopped(own):
        phase, last_exit = Phase.ENDED, ExitStatus(code=0)
    networks = _networks(task)
    ports = ingress_of(service) if service is not None else ingress or {}
    return Observed(
        id=service_id,
        name=str(own.get("Name") or marks.get(labels.NAME) or ""),
        hub_id=str(marks.get(labels.HUB) or ""),
        owner=labels.owner_of(marks),
        phase=phase,
        last_exit=last_exit,
        restarts=sum(has_failed(each) for each in tasks if each is not known),
        last_change=nanoseconds(str((task.get("Status") or {}).get("Timestamp") or "")),
        image=str(spec.get("Image") or "").partition("@")[0],
        environment=environment_of(spec.get("Env")) if service is not None else None,
        network_mode="host" if "host" in networks else "",
        addresses=Addresses(networks=networks, published={**ports, **_host_ports(task, at.address)}),
        removal=True,
        mount_points=tuple(str(each.get("Target")) for each in spec.get("Mounts") or ()),
        placement=_placement(spec, task, at, phase),
    )


def _is_stopped(own: Mapping[str, Any]) -> bool:
    """Tell whether a service is to have no task, as one that was stopped and is kept."""
    return ((own.get("Mode") or {}).get("Replicated") or {}).get("Replicas") == 0


def _placement(spec: Mapping[str, Any], task: JsonObject, at: Node, phase: Phase) -> Placement:
    told = words.waiting(_state(task), _err(task)) if phase is Phase.PENDING else words.Told("")
    return Placement(
        node=at.id,
        node_name=at.name,
        tied_to=tuple(_tied_to(spec)),
        waits_for=told.text,
        cure=told.cure,
        node_is_lost=phase is Phase.ENDED and _node_is_lost(task, at),
    )


def ingress_of(service: JsonObject) -> dict[str, list[Binding]]:
    """Read where the routing mesh publishes a service: on every node of the swarm."""
    published = dict[str, list[Binding]]()
    for port in (service.get("Endpoint") or {}).get("Ports") or ():
        if port.get("PublishedPort") and port.get("PublishMode", "ingress") == "ingress":
            key = f"{port.get('TargetPort')}/{port.get('Protocol') or 'tcp'}"
            published.setdefault(key, []).append(Binding("", str(port["PublishedPort"])))
    return published


def _life(task: JsonObject | None, at: Node) -> tuple[Phase, ExitStatus | None]:
    """Tell where a service is in its life: state, desired state and node's state together say it."""
    if task is None:
        # Just created: the swarm makes its task a moment later.
        return Phase.PENDING, None
    state, name = _state(task), at.name or at.id
    if state not in ENDED and at.down:
        # It may go on there, where nobody reaches it; the swarm itself says `running` for a day.
        return Phase.ENDED, words.node_down(name)
    if state in {"failed", "rejected"}:
        return Phase.ENDED, words.failed(_code(task), _err(task), name, rejected=state == "rejected")
    if state == "complete":
        return Phase.ENDED, ExitStatus(code=_code(task) or 0)
    if state in ENDED or _desired(task) in _TO_END:
        lost = _node_is_lost(task, at)
        return Phase.ENDED, words.node_left(name) if lost else words.shut_down(_code(task))
    return (Phase.RUNNING if state == "running" else Phase.PENDING), None


def _node_is_lost(task: JsonObject, at: Node) -> bool:
    """Whether the swarm has ended a task, or given it up, because of its node."""
    state = _state(task)
    if at.down:
        return state not in {"complete", "failed", "rejected"}
    return at.drained and state not in {"complete", "failed", "rejected"} and _desired(task) in _TO_END


def _tied_to(spec: Mapping[str, Any]) -> Iterator[str]:
    """Return the sources of what is on one node alone: binds, and `local` volumes without options."""
    for mount in spec.get("Mounts") or ():
        if is_local_volume(mount) or (mount.get("Type") == "bind" and mount.get("Source")):
            yield str(mount["Source"])


def _networks(task: JsonObject) -> dict[str, str]:
    found = dict[str, str]()
    for attached in task.get("NetworksAttachments") or ():
        network = (attached.get("Network") or {}).get("Spec") or {}
        if not network.get("Ingress"):
            addresses = attached.get("Addresses") or [""]
            found[str(network.get("Name") or "")] = str(addresses[0]).partition("/")[0]
    return found


def _host_ports(task: JsonObject, host: str) -> dict[str, list[Binding]]:
    published = dict[str, list[Binding]]()
    for port in ((task.get("Status") or {}).get("PortStatus") or {}).get("Ports") or ():
        if port.get("PublishedPort"):
            key = f"{port.get('TargetPort')}/{port.get('Protocol') or 'tcp'}"
            binding = Binding(host, str(port["PublishedPort"]))
            # Newer Engines tell it once for IPv4 and once for IPv6.
            if binding not in published.setdefault(key, []):
                published[key].append(binding)
    return published


def _container_spec(template: Mapping[str, Any]) -> Mapping[str, Any]:
    return template.get("ContainerSpec") or {}


def _state(task: JsonObject) -> str:
    return str((task.get("Status") or {}).get("State") or "").lower()


def _desired(task: JsonObject) -> str:
    return str(task.get("DesiredState") or "").lower()


def _err(task: JsonObject) -> str:
    return str((task.get("Status") or {}).get("Err") or "")


def _code(task: JsonObject) -> int | None:
    code = ((task.get("Status") or {}).get("ContainerStatus") or {}).get("ExitCode")
    return None if code is None else int(code)
