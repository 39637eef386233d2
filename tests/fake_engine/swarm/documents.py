"""Services, tasks and nodes as the API shows them."""

from __future__ import annotations

from tests.fake_engine.shapes import Json
from tests.fake_engine.swarm import networks
from tests.fake_engine.swarm.state import Node, Service, Swarm, Task, rank

_PLUGINS = (
    *(("Log", name) for name in ("awslogs", "fluentd", "gcplogs", "gelf", "journald", "json-file", "local",
                                 "logentries", "splunk", "syslog")),
    *(("Network", name) for name in ("bridge", "host", "ipvlan", "macvlan", "null", "overlay")),
)  # fmt: skip
_TLS = {"TrustRoot": "-----BEGIN CERTIFICATE-----\n", "CertIssuerSubject": "", "CertIssuerPublicKey": ""}


def service(found: Service) -> Json:
    """`GET /services/REF`."""
    return {
        **found.meta(),
        "Spec": found.spec,
        **({"PreviousSpec": found.previous} if found.previous else {}),
        "Endpoint": found.endpoint,
        **({"UpdateStatus": found.update_status} if found.update_status else {}),
    }


def status(swarm: Swarm, found: Service) -> Json:
    """`ServiceStatus`, where it is asked for."""
    tasks = swarm.tasks_of(found)
    return {
        "RunningTasks": sum(each.state == "running" for each in tasks),
        "DesiredTasks": sum(rank(each.desired) <= rank("running") for each in tasks),
        "CompletedTasks": 0,
    }


def task(swarm: Swarm, found: Task) -> Json:
    """`GET /tasks/ID`."""
    return {
        **found.meta(),
        "Labels": {},
        "Spec": {key: value for key, value in found.spec.items() if key != "Runtime"},
        "ServiceID": found.service.id,
        "Slot": found.slot,
        **({"NodeID": found.node.id} if found.node else {}),
        "Status": _task_status(found),
        "DesiredState": found.desired,
        **({"NetworksAttachments": [_attachment(swarm, each) for each in found.attachments]}
           if found.attachments else {}),
    }  # fmt: skip


def _task_status(found: Task) -> Json:
    told: Json = {"Timestamp": found.since, "State": found.state, "Message": found.message}
    if found.error:
        told["Err"] = found.error
    if found.container is not None and rank(found.state) >= rank("starting"):
        state = found.container.state
        told["ContainerStatus"] = {
            "ContainerID": found.container.id,
            "PID": state["Pid"],
            "ExitCode": state["ExitCode"],
        }
    elif found.state == "rejected":
        told["ContainerStatus"] = {"ContainerID": "", "PID": 0, "ExitCode": 0}
    return {**told, "PortStatus": {"Ports": found.ports} if found.ports else {}}


def _attachment(swarm: Swarm, attached: Json) -> Json:
    network = swarm.engine.networks.get(attached["Network"]["ID"])
    shown = attached["Network"] if network is None else networks.described(network)
    return {**attached, "Network": shown}


def node(found: Node) -> Json:
    """`GET /nodes/REF`."""
    volumes = [{"Type": "Volume", "Name": name} for name in found.volume_drivers]
    return {
        **found.meta(),
        "Spec": {"Labels": found.labels, "Role": found.role, "Availability": found.availability},
        "Description": {
            "Hostname": found.name,
            "Platform": {"Architecture": "x86_64", "OS": "linux"},
            "Resources": {
                "NanoCPUs": found.nano_cpus,
                "MemoryBytes": found.memory,
                **({"GenericResources": found.generic} if found.generic else {}),
            },
            "Engine": {
                "EngineVersion": found.engine.dialect.version,
                **({"Labels": found.engine_labels} if found.engine_labels else {}),
                "Plugins": [*({"Type": kind, "Name": name} for kind, name in _PLUGINS), *volumes],
            },
            "TLSInfo": _TLS,
        },
        "Status": _node_status(found),
        **({"ManagerStatus": _MANAGER} if found.role == "manager" else {}),
    }


_MANAGER = {"Leader": True, "Reachability": "reachable", "Addr": "127.0.0.1:2377"}


def _node_status(found: Node) -> Json:
    silent = {"Message": "heartbeat failure"} if found.state == "down" else {}
    return {"State": found.state, **silent, "Addr": found.address}
