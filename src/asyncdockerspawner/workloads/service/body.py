"""The whole body of `POST /services/create` for one server."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.keywords import service, service_host, service_parts
from asyncdockerspawner.keywords.convert import texts
from asyncdockerspawner.keywords.create import env_strings, environment_of, healthcheck
from asyncdockerspawner.keywords.limits import BILLIONTHS, whole_number
from asyncdockerspawner.keywords.merge import Joins, deep_merge, without_empty
from asyncdockerspawner.keywords.service_mounts import (
    is_local_volume,
    mounts_of_binds,
    service_mounts,
    target_of,
    with_driver,
    without_doubles,
)
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.launch import LaunchInputs, SwarmFile
from asyncdockerspawner.workloads.observed import Observed

LONGEST_NAME = 63
"""Characters of a service's name: it is a part of names of hosts."""
LEAST_CPUS = 1_000_000
"""Billionths, below which a swarm takes no limit."""
LEAST_MEMORY = 4 * 2**20
"""Bytes, below which a swarm takes no limit."""
_NAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9_-]*[a-zA-Z0-9])?")
_INGRESS = "ingress"


def build_service(inputs: LaunchInputs) -> JsonObject:
    """Put the body together: computed values, the site's over them, our labels and the node over all.

    Raises BadOption for what a swarm would refuse, or could never run, as far as that can be told here.
    """
    _check_name(inputs.name)
    body = reduce(_merged, _of_the_site(inputs), _computed(inputs))
    task = body["TaskTemplate"]
    container = task["ContainerSpec"]
    swarm = inputs.swarm
    body["Labels"] = {**(body.get("Labels") or {}), **inputs.labels}
    container["Labels"] = {**(container.get("Labels") or {}), **inputs.labels, labels.NAME: inputs.name}
    if inputs.runs_as.groups:
        site = texts(container.get("Groups") or (), "the service's groups")
        container["Groups"] = inputs.runs_as.with_groups(site)
    container["Mounts"] = with_driver(
        container.get("Mounts") or (), swarm.volume_driver, swarm.volume_driver_options
    )
    body["EndpointSpec"] = _endpoint(body["EndpointSpec"] or {})
    _check_amounts(task.get("Resources") or {})
    return dict(without_empty(body))


@dataclass(frozen=True, slots=True)
class ServiceBody:
    """The body of `POST /services/create`."""

    document: JsonObject = field(repr=False)
    """It holds tokens."""

    @property
    def network_mode(self) -> str:
        """The name of the network that it is in first."""
        networks = self._task.get("Networks") or [{}]
        return str(networks[0].get("Target") or "")

    @property
    def image(self) -> str:
        """The image's reference."""
        return str(self._container.get("Image") or "")

    @property
    def user(self) -> str:
        """Whom its processes run as, where that is not left to the image: `user`, `uid:gid` and the like."""
        return str(self._container.get("User") or "")

    @property
    def environment(self) -> dict[str, str]:
        """The server's environment."""
        return environment_of(self._container.get("Env"))

    @property
    def volume_driver(self) -> str:
        """No one driver for all: each mount names its own."""
        return ""

    @property
    def fingerprint(self) -> str:
        """Nothing: no service is kept to be started again."""
        return ""

    def other_account(self, observed: Observed) -> str:
        """Return nothing: no service is kept to be started again."""
        return ""

    def mounted(self) -> Iterator[str]:
        """Return the sources of all mounts: volumes, and paths of the nodes."""
        return (str(mount["Source"]) for mount in self._mounts if mount.get("Source"))

    def named_volumes(self) -> Iterator[str]:
        """Return the volumes that it names, but for those with options."""
        return (str(mount["Source"]) for mount in self._volumes() if not mount.get("VolumeOptions"))

    def local_volumes(self) -> Iterator[str]:
        """Return the volumes that live on one node."""
        return (str(mount["Source"]) for mount in self._mounts if is_local_volume(mount))

    def bound_paths(self) -> Iterator[str]:
        """Return the paths of a node that it mounts."""
        return (str(mount["Source"]) for mount in self._mounts if mount.get("Type") == "bind")

    def labelled(self, more: Mapping[str, str]) -> ServiceBody:
        """Return one that has more labels, on the service and on its containers."""
        document, task, container = self.document, self._task, self._container
        with_more = {**container, "Labels": {**(container.get("Labels") or {}), **more}}
        return ServiceBody(
            {
                **document,
                "Labels": {**(document.get("Labels") or {}), **more},
                "TaskTemplate": {**task, "ContainerSpec": with_more},
            }
        )

    def with_volume_labels(self, marks: Mapping[str, Mapping[str, str]]) -> ServiceBody:
        """Return one whose volumes carry labels, by their names, where a node has to make them."""

        def marked(mount: JsonObject) -> JsonObject:
            if mount.get("Type") != "volume" or mount.get("Source") not in marks:
                return mount
            options = mount.get("VolumeOptions") or {}
            more = marks[str(mount["Source"])]
            return {
                **mount,
                "VolumeOptions": {**options, "Labels": {**(options.get("Labels") or {}), **more}},
            }

        container = {**self._container, "Mounts": [marked(each) for each in self._mounts]}
        task = {**self._task, "ContainerSpec": container}
        return ServiceBody({**self.document, "TaskTemplate": task})

    @property
    def _task(self) -> JsonObject:
        return dict(self.document.get("TaskTemplate") or {})

    @property
    def _container(self) -> JsonObject:
        return dict(self._task.get("ContainerSpec") or {})

    @property
    def _mounts(self) -> list[JsonObject]:
        return list(self._container.get("Mounts") or ())

    def _volumes(self) -> Iterator[JsonObject]:
        return (mount for mount in self._mounts if mount.get("Type") == "volume" and mount.get("Source"))


def _computed(inputs: LaunchInputs) -> JsonObject:
    swarm = inputs.swarm
    names = dict.fromkeys(name for name in (inputs.network_name, *swarm.networks) if name)
    task: JsonObject = {
        "ContainerSpec": _container(inputs),
        "Resources": {
            "Limits": _amounts(inputs.cpu_limit, inputs.mem_limit, "limit"),
            "Reservations": _amounts(swarm.cpu_guarantee, swarm.mem_guarantee, "guarantee"),
        },
        "RestartPolicy": {"Condition": "none"},
        "Placement": {"Platforms": [dict(each) for each in swarm.platforms]},
        "Networks": [{"Target": name} for name in names],
    }
    # In the mode `ingress` every node would take the port, and pass it on by IPVS.
    port = {"Protocol": "tcp", "TargetPort": inputs.port, "PublishMode": "host"}
    return {
        "Name": inputs.name,
        "TaskTemplate": task,
        "Mode": {"Replicated": {"Replicas": 1}},
        "EndpointSpec": {"Ports": [] if inputs.publish_on is None else [port]},
    }


def _container(inputs: LaunchInputs) -> JsonObject:
    swarm = inputs.swarm
    binds, _ = _binds(inputs)
    mounts = [*mounts_of_binds(binds, "volumes"), *service_mounts(inputs.mounts, "mounts")]
    container: JsonObject = {
        "Image": inputs.image,
        # The image's entry point stays, as with a container.
        "Args": None if inputs.command is None else list(inputs.command),
        "Env": env_strings(inputs.environment),
        "Mounts": without_doubles(mounts, "`volumes` and `mounts`"),
        "Secrets": [_reference(each, "Secret") for each in swarm.secrets],
        "Configs": [_reference(each, "Config") for each in swarm.configs],
        "User": inputs.runs_as.user or None,
        "Dir": inputs.runs_as.working_dir or None,
    }
    if inputs.healthcheck is not None:
        container["Healthcheck"] = healthcheck(inputs.healthcheck, "healthcheck")
    if swarm.stop_grace is not None:
        container["StopGracePeriod"] = int(swarm.stop_grace * service.NANOSECONDS)
    return container


def _binds(inputs: LaunchInputs) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return all binds that are dicts, which go into each other, and the rest of `extra_host_config`."""
    rest = dict(inputs.extra_host)
    if isinstance(rest.get("binds"), Mapping):
        return deep_merge(inputs.binds, rest.pop("binds")), rest
    return inputs.binds, rest


def _reference(file: SwarmFile, kind: str) -> JsonObject:
    inside = {"Name": file.target, "UID": str(file.uid), "GID": str(file.gid), "Mode": file.mode}
    return {f"{kind}ID": file.id, f"{kind}Name": file.name, "File": inside}


def _amounts(cpus: float | None, memory: int | None, what: str) -> JsonObject:
    if cpus and cpus * BILLIONTHS < LEAST_CPUS:
        raise _too_little(f"cpu_{what} is {cpus}", "0.001 CPUs")
    if memory and memory < LEAST_MEMORY:
        raise _too_little(f"mem_{what} is {memory} bytes", "4 MiB")
    return {"NanoCPUs": int((cpus or 0) * BILLIONTHS) or None, "MemoryBytes": memory or None}


def _check_amounts(resources: JsonObject) -> None:
    """Check what may have come from `extra_resources_spec`, `extra_task_spec` or `extra_host_config`."""
    for section in ("Limits", "Reservations"):
        amounts = resources.get(section) or {}
        for key, least, words in (
            ("NanoCPUs", LEAST_CPUS, "0.001 CPUs, which is 1_000_000: they are counted in billionths"),
            ("MemoryBytes", LEAST_MEMORY, "4 MiB"),
        ):
            where = f"{section}.{key} of the service's resources"
            if amounts.get(key) and whole_number(amounts[key], option=where) < least:
                raise _too_little(f"{where} is {amounts[key]}", words)


def _too_little(given: str, least: str) -> BadOption:
    return BadOption(f"{given}, but a swarm takes no less than {least}.")


def _of_the_site(inputs: LaunchInputs) -> Iterator[JsonObject]:
    """Return what each option adds, as a part of the body; what comes later lies over what came before."""
    swarm = inputs.swarm
    if inputs.links:
        raise BadOption("links are nothing that a swarm has: services of one network see each other by name.")
    _, host = _binds(inputs)
    yield {"TaskTemplate": service_host.task_of(host, inputs.network_name)}
    yield service.create_service(inputs.extra_create)
    yield {
        "TaskTemplate": {
            "ContainerSpec": service.container_spec(swarm.extra_container),
            "Resources": service_parts.resources(swarm.extra_resources, "extra_resources_spec"),
            "Placement": service_parts.placement(swarm.extra_placement, "extra_placement_spec"),
        }
    }
    yield {"TaskTemplate": service.task_template(swarm.extra_task)}
    yield {"EndpointSpec": service_parts.endpoint(swarm.extra_endpoint, "extra_endpoint_spec")}
    if swarm.node:
        yield {"TaskTemplate": {"Placement": {"Constraints": [f"node.id=={swarm.node}"]}}}


def _endpoint(spec: JsonObject) -> JsonObject:
    """Return the endpoint in the mode `dnsrr`, unless the site wants another; it needs no IPVS."""
    through_all_nodes = [
        port for port in spec.get("Ports") or () if port.get("PublishMode", _INGRESS) == _INGRESS
    ]
    mode = spec.get("Mode") or ("vip" if through_all_nodes else "dnsrr")
    if through_all_nodes and mode == "dnsrr":
        raise BadOption(
            "extra_endpoint_spec has the mode 'dnsrr' and a port that all nodes publish: give the port the "
            "publish mode 'host', or the endpoint the mode 'vip'."
        )
    return {**spec, "Mode": mode}


def _check_name(name: str) -> None:
    what = f"{name!r} cannot be the name of a service"
    if len(name) > LONGEST_NAME:
        raise BadOption(
            f"{what}: it has {len(name)} characters, and {LONGEST_NAME} are allowed; "
            "a shorter `name_template` or `prefix`, or an `escape` of your own, makes names that fit."
        )
    if not _NAME.fullmatch(name):
        raise BadOption(
            f"{what}: it has to be of letters, digits, - and _, with a letter or digit at both ends; "
            "see `name_template` and `escape`."
        )


def _merged(base: JsonObject, over: JsonObject) -> JsonObject:
    return deep_merge(base, over, _JOINS)


def _name_of(entry: str) -> str:
    return entry.partition("=")[0]


def _file_of(reference: Mapping[str, Any]) -> object:
    return reference["File"]["Name"]


def _port_of(port: Mapping[str, Any]) -> object:
    return port.get("TargetPort"), port.get("Protocol")


def _kind_of(resource: Mapping[str, Any]) -> object:
    return resource["DiscreteResourceSpec"]["Kind"]


_JOINS: Joins = {
    "Env": _name_of,
    "Mounts": target_of,
    "Secrets": _file_of,
    "Configs": _file_of,
    "Ports": _port_of,
    "Constraints": str,
    "GenericResources": _kind_of,
}
