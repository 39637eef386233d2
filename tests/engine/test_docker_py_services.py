"""docker-py's methods for a swarm through `spawner.docker(…)`, beside docker-py itself."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.types import (
    ContainerSpec,
    EndpointSpec,
    Mount,
    NetworkAttachmentConfig,
    Placement,
    Resources,
    RestartPolicy,
    ServiceMode,
    TaskTemplate,
    UpdateConfig,
)

from asyncdockerspawner import SwarmSpawner, errors
from asyncdockerspawner.names import labels
from tests.fake_engine import FakeEngine
from tests.support.waiting import until
from tests.support.world import MakeWorld, World

pytestmark = pytest.mark.fake_engine


@pytest.fixture
def world(fake: FakeEngine, make: MakeWorld) -> World:
    """A Hub whose servers are services, with docker's own `config.json` out of the way."""
    fake.swarm.become("manager")
    return make(pull_policy="skip", use_internal_ip=False, resolve_image=False)


@pytest.fixture
def spawner(world: World) -> SwarmSpawner:
    world.settings["spawner_class"] = SwarmSpawner
    found = world.new_spawner()
    assert isinstance(found, SwarmSpawner)
    return found


@pytest.fixture
def theirs(world: World) -> Iterator[docker.APIClient]:
    """docker-py itself, at the same Engine."""
    with docker.APIClient(base_url=world.site.url, version="1.41") as client:
        yield client


def template(**words: Any) -> TaskTemplate:
    container = ContainerSpec("stub:1", env={"A": "1"}, labels={"b": "2"}, **words)
    return TaskTemplate(container, restart_policy=RestartPolicy("none"))


def spec_of(fake: FakeEngine, name: str) -> dict[str, Any]:
    found = fake.http.get(f"/services/{name}").raise_for_status().json()["Spec"]
    return {key: value for key, value in found.items() if key != "Name"}


async def test_a_service_lives_by_docker_pys_methods(spawner: SwarmSpawner, fake: FakeEngine) -> None:
    made = await spawner.docker("create_service", template(), name="s", labels={"for": "test"})
    assert set(made) == {"ID"}
    found = await spawner.docker("inspect_service", made["ID"], insert_defaults=True)
    assert (await spawner.docker("inspect_service", service=made))["ID"] == found["ID"] == made["ID"]
    (listed,) = await spawner.docker("services", filters={"label": "for=test"}, status=True)
    assert "ServiceStatus" in listed
    await until(lambda: fake.swarm.tasks("s")[0]["Status"]["State"] == "running")
    (task,) = await spawner.docker("tasks", filters={"service": "s"})
    assert await spawner.docker("inspect_task", task["ID"]) == task
    assert await spawner.docker("remove_service", "s") is True
    with pytest.raises(docker.errors.NotFound):
        await spawner.docker("inspect_service", "s")


HOST_PORT = EndpointSpec("dnsrr", {18888: (8888, "tcp", "host")})
SPECS: dict[str, dict[str, Any]] = {
    "plain": {"task_template": template()},
    "labels": {"task_template": template(), "labels": {"x": "y"}},
    "mode": {"task_template": template(), "mode": "replicated"},
    "service mode": {"task_template": template(), "mode": ServiceMode("replicated", replicas=0)},
    "networks": {"task_template": template(), "networks": ["net"]},
    "attachment": {"task_template": template(), "networks": [NetworkAttachmentConfig("net", aliases=["a"])]},
    "ports": {"task_template": template(), "endpoint_spec": HOST_PORT},
    "update": {"task_template": template(), "update_config": UpdateConfig(parallelism=1)},
    "mounts": {"task_template": template(mounts=[Mount("/data", "vol"), "/tmp:/t:ro"], args=["x"])},
    "all": {
        "task_template": TaskTemplate(
            ContainerSpec("stub:1", user="1000", workdir="/x"),
            resources=Resources(mem_limit=2**30, cpu_reservation=10**9),
            placement=Placement(["node.role==worker"]),
            force_update=3,
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("words", SPECS.values(), ids=SPECS)
async def test_a_services_spec_is_docker_pys(
    spawner: SwarmSpawner, fake: FakeEngine, theirs: docker.APIClient, words: dict[str, Any]
) -> None:
    fake.http.post("/networks/create", json={"Name": "net", "Driver": "overlay"}).raise_for_status()
    await spawner.docker("create_service", name="ours", **words)
    ours = spec_of(fake, "ours")
    await spawner.docker("remove_service", "ours")
    await until(lambda: not fake.swarm.tasks())
    theirs.create_service(name="theirs", **words)
    assert ours == spec_of(fake, "theirs")


@pytest.mark.parametrize(
    "words",
    [
        {"name": "s", "task_template": template(), "labels": {"x": "y"}},
        {"task_template": template(), "fetch_current_spec": True},
        {"mode": ServiceMode("replicated", replicas=0), "fetch_current_spec": True},
        {"labels": {}, "fetch_current_spec": True, "task_template": {"ForceUpdate": 7}},
        {"networks": ["net"], "fetch_current_spec": True},
    ],
    ids=str,
)
async def test_an_update_is_docker_pys(
    spawner: SwarmSpawner, fake: FakeEngine, theirs: docker.APIClient, words: dict[str, Any]
) -> None:
    fake.http.post("/networks/create", json={"Name": "net", "Driver": "overlay"}).raise_for_status()
    specs = []
    for who in ("ours", "theirs"):
        await spawner.docker("create_service", template(hostname="h"), name="s", labels={"a": "b"})
        version = (await spawner.docker("inspect_service", "s"))["Version"]["Index"]
        if who == "ours":
            assert await spawner.docker("update_service", "s", version, **words) == {"Warnings": None}
        else:
            theirs.update_service("s", version, **words)
        specs.append(spec_of(fake, "s"))
        await spawner.docker("remove_service", "s")
    assert specs[0] == specs[1]


async def test_an_update_of_another_version_is_refused(spawner: SwarmSpawner) -> None:
    await spawner.docker("create_service", template(), name="s")
    with pytest.raises(docker.errors.APIError, match="out of sequence") as caught:
        await spawner.docker("update_service", "s", 1, template(), name="s")
    assert caught.value.response.status_code == 500


async def test_a_service_without_an_image_is_refused_before_anything_is_asked(spawner: SwarmSpawner) -> None:
    with pytest.raises(errors.BadOption, match="ContainerSpec with an Image"):
        await spawner.docker("create_service", {"ContainerSpec": {}}, name="s")


async def test_lines_of_a_service_are_given_in_a_list(spawner: SwarmSpawner, fake: FakeEngine) -> None:
    container = ContainerSpec("stub:1", env={"FAKE_EXIT": "3", "FAKE_STDOUT": "one\ntwo"})
    await spawner.docker("create_service", TaskTemplate(container), name="s")
    await until(lambda: any(each["Status"]["State"] == "failed" for each in fake.swarm.tasks("s")))
    assert await spawner.docker("service_logs", "s", stdout=True, tail=1) == [b"two\n"]
    assert await spawner.docker("service_logs", "s", stderr=True) == []
    with pytest.raises(AttributeError, match=r"generator.*spawner\.engine\.docker"):
        await spawner.docker("service_logs", "s", stdout=True, follow=True)


@pytest.mark.parametrize("data", [b"\x00key", "text"])
@pytest.mark.parametrize("kind", ["secret", "config"])
async def test_secrets_and_configs_live_by_docker_pys_methods(
    spawner: SwarmSpawner, fake: FakeEngine, kind: str, data: Any
) -> None:
    made = await spawner.docker(f"create_{kind}", "key", data, labels={"for": "test"})
    raw = data.encode() if isinstance(data, str) else data
    assert fake.swarm.state()[f"{kind}s"][0]["Data"] == base64.b64encode(raw).decode()
    found = await spawner.docker(f"inspect_{kind}", made)
    assert (found["ID"], found["Spec"]["Name"]) == (made["ID"], "key")
    assert await spawner.docker(f"{kind}s", filters={"label": "for=test"}) == [found]
    assert await spawner.docker(f"remove_{kind}", found["ID"]) is True
    with pytest.raises(docker.errors.NotFound):
        await spawner.docker(f"remove_{kind}", "key")


async def test_nodes_are_found_and_drained(spawner: SwarmSpawner) -> None:
    (worker,) = await spawner.docker("nodes", filters={"role": "worker"})
    version, spec = worker["Version"]["Index"], {"Availability": "drain", "Role": "worker"}
    assert await spawner.docker("update_node", worker["ID"], version, spec) is True
    found = await spawner.docker("inspect_node", "worker")
    assert found["Spec"]["Availability"] == "drain"


async def test_credentials_are_those_of_dockers_own_configuration(
    spawner: SwarmSpawner, fake: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    auth = base64.b64encode(b"u:p").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"registry.test": {"auth": auth}}}))
    login = {"username": "u", "password": "p"}
    fake.add_pullable("registry.test/private:1", auth=login)
    container = ContainerSpec("registry.test/private:1")
    await spawner.docker("create_service", TaskTemplate(container), name="s")
    await until(lambda: fake.swarm.tasks("s")[0]["Status"]["State"] == "running")
    found = await spawner.docker("inspect_distribution", "registry.test/private:1")
    assert found["Descriptor"]["digest"].startswith("sha256:")
    with pytest.raises(docker.errors.APIError, match="unauthorized"):
        await spawner.docker("inspect_distribution", "registry.test/private:1", {**login, "password": "x"})


async def test_credentials_of_the_option_count_more(
    spawner: SwarmSpawner, fake: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    login = {"username": "u", "password": "p"}
    fake.add_pullable("registry.test/private:1", auth=login)
    spawner.registry_auth = {"registry.test": login}
    found = await spawner.docker("inspect_distribution", "registry.test/private:1")
    assert found["Descriptor"]["digest"].startswith("sha256:")
    spawner.registry_auth = lambda spawner, host: login
    with pytest.raises(docker.errors.APIError, match="no basic auth credentials"):
        await spawner.docker("inspect_distribution", "registry.test/private:1")


class OwnService(SwarmSpawner):
    """A site's class that makes the service itself, as DockerSpawner 14's subclasses do."""

    async def create_object(self) -> Any:
        env = [f"{key}={value}" for key, value in self.get_env().items()]
        container = ContainerSpec(self.image, env=env)
        task = TaskTemplate(container, restart_policy=RestartPolicy("none"))
        return await self.docker("create_service", task, name=self.service_name, endpoint_spec=HOST_PORT)


async def test_a_service_that_a_subclass_makes_is_the_servers(world: World, fake: FakeEngine) -> None:
    world.settings["spawner_class"] = OwnService
    spawner = await world.spawn()
    (service,) = fake.swarm.state()["services"]
    assert spawner.object_id == service["ID"]
    for told in (service["Spec"]["Labels"], service["Spec"]["TaskTemplate"]["ContainerSpec"]["Labels"]):
        assert told[labels.HUB] == spawner.hub_id
    await world.user.stop("")
    assert fake.swarm.state()["services"] == []


async def test_a_spawn_that_is_cancelled_removes_what_a_subclass_was_making(
    world: World, fake: FakeEngine
) -> None:
    world.settings["spawner_class"] = OwnService
    fake.rule("POST", "^/services/create$", delay_after=0.5)
    spawning = asyncio.create_task(world.spawn())
    await until(lambda: fake.swarm.state()["services"])
    spawning.cancel()
    await asyncio.gather(spawning, return_exceptions=True)
    await until(lambda: not fake.swarm.state()["services"])
