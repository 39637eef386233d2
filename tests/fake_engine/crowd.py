"""Many containers at once, without processes and ports: for tables and lists."""

from __future__ import annotations

from tests.fake_engine import lifetime, making
from tests.fake_engine.answers import Refused
from tests.fake_engine.shapes import Json
from tests.fake_engine.state import Container, EngineState, Image, now

WORDS = {"name", "labels", "env", "running", "exit_code", "port"}


def populate(engine: EngineState, ref: str, wanted: list[Json], *, told: bool) -> list[str]:
    """Put containers of an image into the books; gives their ids. `told`: with the events of their starts."""
    image = engine.image(ref)
    if image is None:
        raise Refused(404, f"No such image: {ref}")
    names = [each["name"] for each in wanted] + [each.name for each in engine.containers.values()]
    if len(set(names)) < len(names):
        raise Refused(409, "two containers of one name")
    for each in wanted:
        if set(each) - WORDS:
            raise Refused(400, f"one of a crowd has no {sorted(set(each) - WORDS)}; it has {sorted(WORDS)}")
    return [_one(engine, image, ref, each, told=told).id for each in wanted]


def _one(engine: EngineState, image: Image, ref: str, wanted: Json, *, told: bool) -> Container:
    body = {"Image": ref, "Labels": wanted.get("labels"), "Env": wanted.get("env")}
    container = making.container(engine, wanted["name"], image, body)
    if told:
        engine.container_event(container, "create")
        engine.container_event(container, "start")
    running = wanted.get("running", True)
    container.state.update(Status="running", Running=True, Pid=4000 + len(engine.containers), StartedAt=now())
    container.host_config.setdefault("Runtime", "runc")
    if not running:
        lifetime.found_dead(engine, container, wanted.get("exit_code") or 0)
        if told:
            engine.container_event(container, "die", exitCode=str(container.state["ExitCode"]))
        return container
    for name in container.networks:
        lifetime.connect(engine, container, name, told=told)
    published = {"HostIp": "127.0.0.1", "HostPort": str(wanted["port"])} if wanted.get("port") else None
    exposed = container.config.get("ExposedPorts") or ()
    container.ports = {port: [published] if published else None for port in exposed}
    return container
