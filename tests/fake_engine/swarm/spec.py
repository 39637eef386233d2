"""A service's spec: what the manager refuses of it, with its words, and how it keeps it.

Source: moby, daemon/cluster/convert/service.go; swarmkit, manager/controlapi/service.go.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tests.fake_engine.answers import Refused
from tests.fake_engine.lifetime import PREDEFINED
from tests.fake_engine.shapes import Json
from tests.fake_engine.swarm.constraints import parsed
from tests.fake_engine.swarm.state import Swarm, new_id

_NAME = re.compile(r"[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*\Z")
_IMAGE = re.compile(r"(?:[a-zA-Z0-9.\[\]:-]+/)?[a-z0-9._/-]+(?::[\w][\w.-]{0,127})?(?:@[\w+.:-]+)?\Z")
_FOUR_MEGABYTES = 4 * 2**20
_MOUNTS = {"bind", "volume", "tmpfs", "npipe"}
_CONDITIONS = {"none", "on-failure", "any"}
_MODES = {"vip", "dnsrr"}


def read_body(raw: bytes) -> Json:
    """The decoded body, checked for the types that Go would check."""
    if not raw.strip():
        raise Refused(400, "got EOF while reading request body")
    try:
        body = dict(json.loads(raw))
    except ValueError as exc:
        raise Refused(400, "unexpected EOF") from exc
    _check_type(body.get("Labels"), dict, "ServiceSpec.Labels", "map[string]string")
    task = body.get("TaskTemplate") or {}
    container = task.get("ContainerSpec") or {}
    where = "ContainerSpec.TaskTemplate.ContainerSpec"
    _check_type(container.get("Image"), str, f"{where}.Image", "string")
    _check_type(container.get("Env"), list, f"{where}.Env", "[]string")
    limits = (task.get("Resources") or {}).get("Limits") or {}
    for word in ("MemoryBytes", "NanoCPUs"):
        _check_type(limits.get(word), int, f"Limit.TaskTemplate.Resources.Limits.{word}", "int64")
    return body


def _check_type(value: Any, kind: type, field: str, go: str) -> None:
    if value is not None and not isinstance(value, kind):
        found = {str: "string", dict: "object", list: "array", bool: "bool"}.get(type(value), "number")
        raise Refused(400, f"json: cannot unmarshal {found} into Go struct field {field} of type {go}")


def kept(swarm: Swarm, body: Json) -> Json:
    """The spec as the manager keeps and gives it. Raises Refused."""
    body = json.loads(json.dumps(body))
    task = body.get("TaskTemplate") or {}
    # Names become ids before anything else is looked at.
    networks = [_network(swarm, each) for each in task.get("Networks") or body.get("Networks") or ()]
    _check_words(body, task)
    _check(swarm, body, task)
    return {
        "Name": body.get("Name") or f"fake_{new_id()[:6]}",
        "Labels": body.get("Labels") or {},
        "TaskTemplate": _task_template(task, networks),
        "Mode": _mode(body),
        **{key: body[key] for key in ("UpdateConfig", "RollbackConfig") if body.get(key)},
        **_endpoint_spec(body),
    }


def _network(swarm: Swarm, asked: Json) -> Json:
    try:
        network = swarm.engine.network(asked.get("Target") or "")
    except Refused as refused:
        raise Refused(500, refused.message) from refused
    if network["Scope"] != "swarm" and network["Name"] not in PREDEFINED:
        why = "Only networks scoped to the swarm can be used, such as those created with the overlay driver."
        raise Refused(403, f"The network {network['Name']} cannot be used with services. {why}")
    return {**_without_nothing(asked), "Target": network["Id"]}


def _task_template(task: Json, networks: list[Json]) -> Json:
    container = {**_without_nothing(task["ContainerSpec"]), "Isolation": "default"}
    made: Json = {"ContainerSpec": container}
    for key in ("Resources", "Placement", "LogDriver"):
        if task.get(key):
            made[key] = task[key]
    if task.get("RestartPolicy"):
        made["RestartPolicy"] = {"MaxAttempts": 0, **task["RestartPolicy"]}
    if networks:
        made["Networks"] = networks
    return {**made, "ForceUpdate": task.get("ForceUpdate") or 0, "Runtime": "container"}


def _mode(body: Json) -> Json:
    # Go takes keys in any case, and docker-py writes this one in its own.
    mode = {key.title(): value for key, value in (body.get("Mode") or {}).items()}
    replicated = mode.get("Replicated") or {}
    return {"Replicated": {"Replicas": replicated.get("Replicas", 1)}}


def _endpoint_spec(body: Json) -> Json:
    asked = body.get("EndpointSpec")
    if not asked:
        return {}
    ports = [
        {"Protocol": "tcp", "PublishMode": "ingress", **_without_nothing(each)}
        for each in asked.get("Ports") or ()
    ]
    mode = {"Mode": asked["Mode"]} if asked.get("Mode") else {}
    return {"EndpointSpec": {**mode, **({"Ports": ports} if ports else {})}}


def _without_nothing(given: Json) -> Json:
    return {key: value for key, value in given.items() if value not in (None, "", 0, [], {})}


def _check_words(body: Json, task: Json) -> None:
    """What Docker itself looks at, before it asks swarmkit."""
    container = task.get("ContainerSpec")
    if not container:
        raise Refused(400, "mismatched Runtime and *Spec fields")
    for mount in container.get("Mounts") or ():
        if mount.get("Type") not in _MOUNTS:
            raise Refused(400, f'invalid MountType: "{mount.get("Type") or ""}"')
    condition = (task.get("RestartPolicy") or {}).get("Condition") or "any"
    if condition not in _CONDITIONS:
        raise Refused(400, f'invalid RestartCondition: "{condition}"')
    mode = (body.get("EndpointSpec") or {}).get("Mode") or "vip"
    if mode not in _MODES:
        raise Refused(400, f'invalid resolution mode: "{mode}"')


def _check(swarm: Swarm, body: Json, task: Json) -> None:
    name, container = body.get("Name") or "", task["ContainerSpec"]
    if name and not _NAME.match(name):
        raise _invalid("name must be valid as a DNS name component")
    if len(name) > 63:
        raise _invalid("name must be 63 characters or fewer")
    for each in ("Limits", "Reservations"):
        _check_resources((task.get("Resources") or {}).get(each) or {})
    for constraint in (task.get("Placement") or {}).get("Constraints") or ():
        parsed(constraint)
    _check_container(container)
    endpoint = body.get("EndpointSpec") or {}
    ingress = [each for each in endpoint.get("Ports") or () if each.get("PublishMode") != "host"]
    if ingress and endpoint.get("Mode") == "dnsrr":
        raise _invalid("EndpointSpec: port published with ingress mode can't be used with dnsrr mode")
    _check_ingress(swarm, task, name, ingress)
    for kind, word in (("secret", "Secrets"), ("config", "Configs")):
        _check_files(swarm, kind, container.get(word) or ())


def _check_ingress(swarm: Swarm, task: Json, name: str, ports: list[Json]) -> None:
    for each in task.get("Networks") or ():
        network = swarm.engine.network(each["Target"])
        if network["Ingress"]:
            why = f'Service cannot be explicitly attached to the ingress network "{network["Name"]}"'
            raise _invalid(why)
    taken = {
        (port["PublishedPort"], port["Protocol"]): service
        for service in swarm.services.values()
        for port in (service.spec.get("EndpointSpec") or {}).get("Ports") or ()
        if port["PublishMode"] == "ingress" and port.get("PublishedPort") and service.name != name
    }
    for port in ports:
        number = port.get("PublishedPort")
        if other := taken.get((number, port.get("Protocol") or "tcp")):
            why = f"is already in use by service '{other.name}' ({other.id}) as an ingress port"
            raise _invalid(f"port '{number}' {why}")


def _check_resources(resources: Json) -> None:
    cpus, memory = resources.get("NanoCPUs") or 0, resources.get("MemoryBytes") or 0
    if cpus and cpus < 10**6:
        raise _invalid(f"invalid cpu value {cpus / 10**9:g}: Must be at least 0.001")
    if memory and memory < _FOUR_MEGABYTES:
        raise _invalid(f"invalid memory value {memory}: Must be at least 4MiB")


def _check_container(container: Json) -> None:
    image = container.get("Image") or ""
    if not image:
        raise _invalid("ContainerSpec: image reference must be provided")
    if not _IMAGE.match(image):
        raise _invalid(f'ContainerSpec: "{image}" is not a valid repository/tag')
    targets = [each.get("Target") for each in container.get("Mounts") or ()]
    for target in targets:
        if targets.count(target) > 1:
            raise _invalid(f"ContainerSpec: duplicate mount point: {target}")


def _check_files(swarm: Swarm, kind: str, references: Any) -> None:
    for each in references:
        if not each.get("File"):
            raise _invalid(f"malformed {kind} reference, no target provided")
    name, number = f"{kind.title()}Name", f"{kind.title()}ID"
    missing = [each[name] for each in references if each.get(number) not in swarm.files[kind]]
    if missing:
        raise _invalid(f"{kind}{'s' if len(missing) > 1 else ''} not found: {', '.join(missing)}")


def _invalid(why: str) -> Refused:
    return Refused(400, f"rpc error: code = InvalidArgument desc = {why}")
