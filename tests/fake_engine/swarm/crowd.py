"""Many services at once, each with a task that runs, without containers: for tables and lists."""

from __future__ import annotations

from tests.fake_engine.answers import Refused
from tests.fake_engine.shapes import Json
from tests.fake_engine.swarm import overlay, spec
from tests.fake_engine.swarm.state import Service, Swarm, Task

WORDS = {"name", "labels", "env", "network", "port"}


def populate(swarm: Swarm, image: str, wanted: list[Json]) -> list[str]:
    """Put services of an image into the books, on all nodes in turn; gives their ids."""
    swarm.check()
    for each in wanted:
        if set(each) - WORDS:
            raise Refused(400, f"one of a crowd has no {sorted(set(each) - WORDS)}; it has {sorted(WORDS)}")
    return [_one(swarm, image, number, each) for number, each in enumerate(wanted)]


def _one(swarm: Swarm, image: str, number: int, wanted: Json) -> str:
    nodes, labels = list(swarm.nodes.values()), wanted.get("labels") or {}
    container = {"Image": image, "Labels": labels, "Env": wanted.get("env")}
    networks = [{"Target": wanted["network"]}] if wanted.get("network") else []
    ports = [{"TargetPort": 8888, "PublishMode": "host"}] if wanted.get("port") else []
    body: Json = {
        "Name": wanted["name"],
        "Labels": labels,
        "TaskTemplate": {
            "ContainerSpec": container,
            "RestartPolicy": {"Condition": "none"},
            "Networks": networks,
        },
        "EndpointSpec": {"Mode": "dnsrr", "Ports": ports},
    }
    service = Service(spec=spec.kept(swarm, body))
    swarm.services[service.id] = service
    task = Task(
        service=service,
        labels=service.labels,
        slot=1,
        spec=service.spec["TaskTemplate"],
        state="running",
        message="started",
        node=nodes[number % len(nodes)],
    )
    for each in task.spec.get("Networks") or ():
        network = swarm.engine.networks[each["Target"]]
        task.attachments.append({"Network": {"ID": network["Id"]}, "Addresses": [overlay.some(number)]})
    if ports:
        task.ports = 2 * [{**service.spec["EndpointSpec"]["Ports"][0], "PublishedPort": wanted["port"]}]
    swarm.tasks[task.id] = task
    for each_kept in (service, task):
        swarm.touch(each_kept)
    return service.id
