"""The manual's examples for a swarm are configuration that its spawner takes, and services come of them."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from traitlets.config import Config

from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.spawners.service_inputs import files_wanted, service_inputs
from asyncdockerspawner.spawners.swarm import SwarmSpawner
from asyncdockerspawner.workloads.service.body import build_service
from asyncdockerspawner.workloads.service.files import FileWanted
from tests.support.dockerspawner_14 import bare, make

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()
SECTION = README.split("## Beyond one machine")[1].split("\n### Users of the system in a swarm")[0]
EXAMPLES = re.findall(r"^```python\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def no_engine_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)


def configured(*examples: str) -> dict[str, Any]:
    """Give what examples set of the spawner; they set nothing else but which one it is."""
    config = Config()
    for each in examples:
        exec(each, {"c": config})  # noqa: S102 - the manual's own
    assert config.pop("JupyterHub", {}) in ({}, {"spawner_class": "asyncdocker-swarm"})
    assert set(config) == {"SwarmSpawner"}
    return dict(config.SwarmSpawner)


def spawner_of(options: dict[str, Any], *groups: str) -> Any:
    """Make alice's spawner, who is in these groups."""

    async def get_auth_state() -> dict[str, str]:
        return {"private_key": "hers"}

    made, told = make(bare(SwarmSpawner), options)
    assert told == []
    made.user.groups = [SimpleNamespace(name=group) for group in groups]
    made.user.get_auth_state = get_auth_state
    return made


async def service(options: dict[str, Any], *groups: str) -> JsonObject:
    return build_service(await service_inputs(spawner_of(options, *groups)))


def mounts(body: JsonObject) -> list[tuple[str, str, str]]:
    found = body["TaskTemplate"]["ContainerSpec"]["Mounts"]
    return [(each["Type"], each.get("Source") or "", each["Target"]) for each in found]


@pytest.mark.parametrize("number", range(6))
async def test_each_option_of_an_example_is_there_and_takes_its_value(number: int) -> None:
    assert len(EXAMPLES) == 6
    options = configured(EXAMPLES[number])
    assert set(options) - set(SwarmSpawner.class_traits(config=True)) == set()
    # A value that its option does not take is an error here, and words that a service has not are one there.
    spawner_of(options)
    await service(options)


async def test_a_server_is_placed_by_the_examples() -> None:
    usual, by_group, graphics = EXAMPLES[:3]
    body = await service(configured(usual, graphics))
    task = body["TaskTemplate"]
    assert task["Placement"]["Constraints"] == ["node.role==worker", "node.labels.kind==students"]
    assert task["Placement"]["Preferences"] == [{"Spread": {"SpreadDescriptor": "node.labels.rack"}}]
    reserved = task["Resources"]["Reservations"]
    assert reserved["MemoryBytes"] == 2**30
    assert reserved["GenericResources"] == [{"DiscreteResourceSpec": {"Kind": "gpu", "Value": 1}}]
    assert task["Resources"]["Limits"]["MemoryBytes"] == 4 * 2**30
    for group, kind in (("staff", "staff"), ("others", "students")):
        placed = await service(configured(by_group), group)
        assert placed["TaskTemplate"]["Placement"]["Constraints"] == [f"node.labels.kind=={kind}"]


async def test_a_server_has_its_key_and_its_files_by_the_examples() -> None:
    key, on_a_file_server, shared = EXAMPLES[3:]
    files = await files_wanted(spawner_of(configured(key)))
    assert files.secrets == [FileWanted(target="/home/jovyan/.ssh/id", data=b"hers", uid=1000, mode=0o400)]
    body = await service(configured(on_a_file_server, shared))
    assert mounts(body) == [
        ("volume", "jupyterhub-user-alice", "/home/jovyan/work"),
        ("volume", "shared", "/shared"),
        ("tmpfs", "", "/scratch"),
    ]
    own, common, _ = body["TaskTemplate"]["ContainerSpec"]["Mounts"]
    devices = [each["VolumeOptions"]["DriverConfig"]["Options"]["device"] for each in (own, common)]
    assert devices == [":/export/alice", ":/shared"]
