"""Which node a task gets, or why none: swarmkit's filters, in its order and with its words.

Source: swarmkit, manager/scheduler/filter.go and pipeline.go.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from tests.fake_engine.shapes import Json
from tests.fake_engine.swarm.constraints import parsed
from tests.fake_engine.swarm.state import Node, Swarm, Task

Fits = Callable[[Swarm, Node, Task], bool]
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


def _ready(_swarm: Swarm, node: Node, _task: Task) -> bool:
    return node.state == "ready" and node.availability == "active"


def _resources(swarm: Swarm, node: Node, task: Task) -> bool:
    wanted, taken = _reserved(task), [_reserved(each) for each in swarm.on(node)]
    for word, has in (("NanoCPUs", node.nano_cpus), ("MemoryBytes", node.memory)):
        asked = wanted.get(word) or 0
        if asked and asked > has - sum(each.get(word) or 0 for each in taken):
            return False
    return all(
        count
        <= _generic(node.generic).get(kind, 0) - sum(_wanted_generic(each).get(kind, 0) for each in taken)
        for kind, count in _wanted_generic(wanted).items()
    )


def _reserved(task: Task) -> Json:
    return dict((task.spec.get("Resources") or {}).get("Reservations") or {})


def _wanted_generic(reserved: Json) -> dict[str, int]:
    return _generic(reserved.get("GenericResources") or [])


def _generic(resources: list[Json]) -> dict[str, int]:
    """How many of each kind."""
    counted: dict[str, int] = {}
    for each in resources:
        if discrete := each.get("DiscreteResourceSpec"):
            counted[discrete["Kind"]] = counted.get(discrete["Kind"], 0) + int(discrete["Value"])
        if named := each.get("NamedResourceSpec"):
            counted[named["Kind"]] = counted.get(named["Kind"], 0) + 1
    return counted


def _plugins(_swarm: Swarm, node: Node, task: Task) -> bool:
    drivers = {
        ((mount.get("VolumeOptions") or {}).get("DriverConfig") or {}).get("Name") or "local"
        for mount in task.spec["ContainerSpec"].get("Mounts") or ()
        if mount.get("Type") == "volume"
    }
    return drivers <= set(node.volume_drivers)


def _constraints(_swarm: Swarm, node: Node, task: Task) -> bool:
    wanted = (task.spec.get("Placement") or {}).get("Constraints") or ()
    return all(_satisfied(node, *parsed(each)) for each in wanted)


def _satisfied(node: Node, key: str, equal: bool, value: str) -> bool:
    lower = key.lower()
    if lower == "node.ip":
        inside = ipaddress.ip_address(node.address) in ipaddress.ip_network(value, strict=False)
        return inside is equal
    facts = {
        "node.id": node.id,
        "node.hostname": node.name,
        "node.role": node.role,
        "node.platform.os": "linux",
        "node.platform.arch": "x86_64",
    }
    if lower in facts:
        return (facts[lower].lower() == value.lower()) is equal
    for prefix, labels in (("node.labels.", node.labels), ("engine.labels.", node.engine_labels)):
        if lower.startswith(prefix):
            return (labels.get(key[len(prefix) :], "").lower() == value.lower()) is equal
    return False


def _platform(_swarm: Swarm, _node: Node, task: Task) -> bool:
    platforms = (task.spec.get("Placement") or {}).get("Platforms") or ()
    return not platforms or any(
        (each.get("OS") or "linux") == "linux"
        and _MACHINES.get(each.get("Architecture") or "", each.get("Architecture") or "x86_64") == "x86_64"
        for each in platforms
    )


def _host_ports(swarm: Swarm, node: Node, task: Task) -> bool:
    taken = {port for each in swarm.on(node) for port in _published(each)}
    return taken.isdisjoint(_published(task))


def _published(task: Task) -> set[tuple[int, str]]:
    ports = (task.service.spec.get("EndpointSpec") or {}).get("Ports") or ()
    return {
        (each["PublishedPort"], each["Protocol"])
        for each in ports
        if each["PublishMode"] == "host" and each.get("PublishedPort")
    }


def _max_replicas(swarm: Swarm, node: Node, task: Task) -> bool:
    most = (task.spec.get("Placement") or {}).get("MaxReplicas") or 0
    return not most or sum(each.service is task.service for each in swarm.on(node)) < most


_FILTERS: tuple[tuple[Fits, str], ...] = (
    (_ready, "{nodes} not available for new tasks"),
    (_resources, "insufficient resources on {nodes}"),
    (_plugins, "missing plugin on {nodes}"),
    (_constraints, "scheduling constraints not satisfied on {nodes}"),
    (_platform, "unsupported platform on {nodes}"),
    (_host_ports, "host-mode port already in use on {nodes}"),
    (_max_replicas, "max replicas per node limit exceed"),
)


def place(swarm: Swarm, task: Task) -> Node | str:
    """The node with the fewest tasks that is fit, or the reason in the scheduler's words."""
    failed = [0] * len(_FILTERS)
    fit: list[Node] = []
    for node in swarm.nodes.values():
        number = next((n for n, (fits, _) in enumerate(_FILTERS) if not fits(swarm, node, task)), None)
        if number is None:
            fit.append(node)
        else:
            failed[number] += 1
    if fit:
        return min(fit, key=lambda node: _load(swarm, node, task))
    worst = sorted((n for n in range(len(failed)) if failed[n]), key=lambda n: -failed[n])
    reasons = "; ".join(_FILTERS[n][1].format(nodes=_nodes(failed[n])) for n in worst)
    return f"no suitable node ({reasons})" if reasons else "no suitable node"


def _load(swarm: Swarm, node: Node, task: Task) -> tuple[int, int]:
    there = swarm.on(node)
    return sum(each.service is task.service for each in there), len(there)


def _nodes(count: int) -> str:
    return "1 node" if count == 1 else f"{count} nodes"
