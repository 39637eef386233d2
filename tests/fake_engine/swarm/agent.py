"""What a node does with a task: image, mounts, container, start, and its end."""

from __future__ import annotations

import asyncio
import base64
import time
from pathlib import PurePosixPath

from tests.fake_engine import filesystem, lifetime, making, validation
from tests.fake_engine.answers import Refused
from tests.fake_engine.shapes import ENDPOINT, Json
from tests.fake_engine.state import Container, Image, now, with_tag
from tests.fake_engine.swarm import allocator, images
from tests.fake_engine.swarm.state import Node, Swarm, Task, rank

STEP = 0.002
"""Seconds between two states."""
ATTACH_SECONDS = 30.0
GOSSIP_SECONDS = 0.02
"""Between the wish for a task's end and its SIGTERM, where it is in an overlay network; really 2 s."""


class Failed(Exception):
    """The task has come to this end."""

    def __init__(self, state: str, error: str) -> None:
        super().__init__(error)
        self.state = state
        self.error = error


async def step(swarm: Swarm, task: Task, state: str, message: str, error: str = "") -> None:
    """Bring a task to a state; one that is held there goes on when it is let go."""
    enter(swarm, task, state, message, error)
    await asyncio.sleep(STEP)
    while swarm.held == state:
        await swarm.change()


def enter(swarm: Swarm, task: Task, state: str, message: str, error: str = "") -> None:
    """Note that a task has come to a state."""
    task.state, task.message, task.error, task.since = state, message, error, now()
    swarm.touch(task)


async def run(swarm: Swarm, task: Task, node: Node) -> None:
    """Take an assigned task to its end. Raises Failed."""
    while node.state != "ready":
        await swarm.change()
    await step(swarm, task, "accepted", "accepted")
    await step(swarm, task, "preparing", "preparing")
    container = await _prepared(swarm, task, node)
    task.container = container
    begun = time.monotonic()
    await step(swarm, task, "ready", "prepared")
    await asyncio.sleep(max(task.pause - (time.monotonic() - begun), 0))
    task.desired = "running"
    await step(swarm, task, "starting", "starting")
    await _start(node, container)
    if container.running:
        task.ports = _ports(task, container)
        await step(swarm, task, "running", "started")
    await lifetime.exited(container, 0, None)
    if container.removed:
        # Somebody has, or the manager itself when it was started again.
        raise Failed("failed", f"No such container: {task.name}")
    code = int(container.state["ExitCode"])
    if code:
        raise Failed("failed", f"task: non-zero exit ({code})")
    enter(swarm, task, "complete", "finished")


async def _prepared(swarm: Swarm, task: Task, node: Node) -> Container:
    spec = _rendered(task, node, task.spec["ContainerSpec"])
    await asyncio.sleep(float(_trait(spec, "preparing") or 0))
    if why := _trait(spec, "rejected"):
        raise Failed("rejected", why)
    image = await images.on_node(node, spec["Image"], task.service.auth)
    if image is None:
        raise Failed("rejected", f"No such image: {with_tag(spec['Image'])}")
    try:
        async with asyncio.timeout(ATTACH_SECONDS):
            while not allocator.attach_node(node, task):
                await swarm.change()
    except TimeoutError as exc:
        why = "node is missing network attachments, ip addresses may be exhausted"
        raise Failed("rejected", why) from exc
    try:
        return _container(swarm, task, node, image, spec)
    except Refused as refused:
        raise Failed("rejected", refused.message) from refused


def _container(swarm: Swarm, task: Task, node: Node, image: Image, spec: Json) -> Container:
    service = task.service
    own = {
        "com.docker.swarm.node.id": node.id,
        "com.docker.swarm.service.id": service.id,
        "com.docker.swarm.service.name": service.name,
        "com.docker.swarm.task": "",
        "com.docker.swarm.task.id": task.id,
        "com.docker.swarm.task.name": task.name,
    }
    networks = [_network(swarm, node, each) for each in task.attachments]
    limits = (task.spec.get("Resources") or {}).get("Limits") or {}
    host: Json = {
        "NetworkMode": networks[0]["Name"] if networks else "default",
        "Mounts": spec.get("Mounts"),
        "PortBindings": _bindings(service.spec),
        "Memory": limits.get("MemoryBytes"),
        "NanoCpus": limits.get("NanoCPUs"),
        "ReadonlyRootfs": spec.get("ReadOnly"),
    }
    body: Json = {
        "Image": spec["Image"],
        "Entrypoint": spec.get("Command"),
        "Cmd": spec.get("Args"),
        "Env": spec.get("Env"),
        "Labels": {**(spec.get("Labels") or {}), **own},
        "User": spec.get("User"),
        "WorkingDir": spec.get("Dir"),
        "HostConfig": {key: value for key, value in host.items() if value},
        **({"Hostname": spec["Hostname"]} if spec.get("Hostname") else {}),
    }
    validation.check_host_config({**body["HostConfig"], "Mounts": _found_there(spec)})
    made = making.container(node.engine, task.name, image, body)
    _put_files(swarm, made, spec)
    if networks:
        pairs = zip(networks, task.attachments, strict=True)
        made.networks = {network["Name"]: _endpoint(attached) for network, attached in pairs}
    node.engine.container_event(made, "create")
    return made


def _put_files(swarm: Swarm, made: Container, spec: Json) -> None:
    """Have the container see its secrets and configs."""
    for kind, folder in (("Secret", "/run/secrets"), ("Config", "/")):
        for reference in spec.get(f"{kind}s") or ():
            inside = reference["File"]
            path = PurePosixPath(folder, inside["Name"])
            list(filesystem.made_way(made.files, path))
            data = base64.b64decode(swarm.files[kind.lower()][reference[f"{kind}ID"]].spec["Data"])
            made.files[path] = filesystem.Node(
                filesystem.FILE, int(inside["UID"]), int(inside["GID"]), inside["Mode"], data
            )


def _found_there(spec: Json) -> list[Json]:
    """The mounts whose source has to be there."""
    mounts = spec.get("Mounts") or ()
    return [each for each in mounts if not (each.get("BindOptions") or {}).get("CreateMountpoint")]


def _network(swarm: Swarm, node: Node, attached: Json) -> Json:
    """A node's network; those of one machine have other ids there than on the manager."""
    number = attached["Network"]["ID"]
    return node.engine.networks.get(number) or node.engine.network(swarm.engine.networks[number]["Name"])


def _endpoint(attached: Json) -> Json:
    own = {"IPv4Address": attached["Addresses"][0]} if attached.get("Addresses") else None
    return {**ENDPOINT, "IPAMConfig": own}


def _bindings(spec: Json) -> Json:
    ports = (spec.get("EndpointSpec") or {}).get("Ports") or ()
    return {
        f"{each['TargetPort']}/{each['Protocol']}": [{"HostPort": str(each.get("PublishedPort") or "")}]
        for each in ports
        if each["PublishMode"] == "host"
    }


def _rendered(task: Task, node: Node, spec: Json) -> Json:
    """The spec with its templates filled in, where swarmkit fills them in."""
    words = {
        "{{.Node.Hostname}}": node.name,
        "{{.Node.ID}}": node.id,
        "{{.Service.Name}}": task.service.name,
        "{{.Service.ID}}": task.service.id,
        "{{.Task.ID}}": task.id,
        "{{.Task.Name}}": task.name,
        "{{.Task.Slot}}": str(task.slot),
    }

    def filled(text: str) -> str:
        for word, value in words.items():
            text = text.replace(word, value)
        return text

    mounts = [{**each, "Source": filled(each.get("Source") or "")} for each in spec.get("Mounts") or ()]
    return {
        **spec,
        "Env": [filled(each) for each in spec.get("Env") or ()],
        "Hostname": filled(spec.get("Hostname") or ""),
        "Mounts": mounts,
    }


def _trait(spec: Json, word: str) -> str:
    prefix = f"FAKE_{word.upper()}="
    named = (each.removeprefix(prefix) for each in spec["Env"] if each.startswith(prefix))
    return str(next(named, "") or (spec.get("Labels") or {}).get(f"fake.{word}") or "")


async def _start(node: Node, container: Container) -> None:
    """Start it and wait until it is healthy; one that is not is stopped, and told by its exit code alone."""
    try:
        await lifetime.start(node.engine, container, _at_once)
    except Refused as refused:
        raise Failed("failed", f"starting container failed: {refused.message}") from refused
    await asyncio.sleep(float(container.trait("starting") or 0))
    if container.trait("unhealthy") == "1":
        await lifetime.stop(node.engine, container, 1, _at_once)


async def _at_once() -> None:
    """Nobody asked for this by a request that a rule could slow down."""


def _ports(task: Task, container: Container) -> list[Json]:
    """`PortStatus`: each port twice, as Engines publish it for IPv4 and for IPv6."""
    told = []
    for each in (task.service.spec.get("EndpointSpec") or {}).get("Ports") or ():
        bound = container.ports.get(f"{each['TargetPort']}/{each['Protocol']}")
        if each["PublishMode"] == "host" and bound:
            one = {**each, "PublishedPort": int(bound[0]["HostPort"])}
            told += [one, one]
    return told


async def wind_up(swarm: Swarm, task: Task) -> None:
    """End a task that is no longer wanted; of a node that is away, nothing is heard."""
    while task.node is not None and task.node.state == "down":
        await swarm.change()
    while swarm.held == "stopping":
        await swarm.change()
    if task.node is not None and not task.ended:
        await _stop(task, task.node)
        enter(swarm, task, "shutdown", "shutdown")
    allocator.detach(swarm, task)
    if task.desired == "remove":
        # It is seen in its last state for a moment.
        await asyncio.sleep(STEP if task.node is None else 5 * STEP)
        if task.container is not None and task.node is not None:
            lifetime.forget(task.node.engine, task.container)
        swarm.tasks.pop(task.id, None)
        swarm.touch()


async def _stop(task: Task, node: Node) -> None:
    container = task.container
    if container is None or not container.running:
        return
    if any(each.get("Addresses") for each in task.attachments):
        await asyncio.sleep(GOSSIP_SECONDS)
    grace = task.spec["ContainerSpec"].get("StopGracePeriod")
    await lifetime.stop(node.engine, container, 10 if grace is None else grace / 10**9, _at_once)


def end(swarm: Swarm, task: Task) -> asyncio.Task[None]:
    """Begin a task's end."""
    return swarm.engine.background(asyncio.ensure_future(wind_up(swarm, task)))


def is_live(task: Task) -> bool:
    """Whether it is still to run."""
    return not task.ended and rank(task.desired) <= rank("running")
