"""What DockerSpawner 14's SwarmSpawner has is here: options, members, and what is made of them in a service.

What it is like there is asked of DockerSpawner 14 itself, in an environment of its own.
"""

from __future__ import annotations

from typing import Any

import pytest

from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.spawners.service_inputs import service_inputs
from asyncdockerspawner.spawners.swarm import SwarmSpawner
from asyncdockerspawner.workloads.service.body import build_service
from tests.support import dockerspawner_14 as questions
from tests.support.docker_py import as_json, without_zeros
from tests.support.dockerspawner_14_services import SERVICES

OF_BOTH = {"apply_user_options", "container_image", "options_form"}
"""Options whose other default is one of `DockerSpawner` here too, and is told there."""

NO_OPTION_THERE = {
    "mounts": "there, a property hides the option, so that what is configured counts for nothing"
}
"""Option → why it is one here."""


@pytest.fixture(autouse=True)
def no_engine_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)


@pytest.fixture
def swarm(theirs: dict[str, Any]) -> dict[str, Any]:
    """Return what its SwarmSpawner answers."""
    return dict(theirs["swarm"])


def test_every_option_is_here_with_its_default(swarm: dict[str, Any]) -> None:
    ours = questions.traits_of(SwarmSpawner)
    assert set(swarm["traits"]) - set(ours) == set()
    names = set(swarm["traits"]) - OF_BOTH
    assert {name: ours[name]["default"] for name in names} == {
        name: swarm["traits"][name]["default"] for name in names
    }
    assert {"remove", *NO_OPTION_THERE} & set(swarm["traits"]) == set()
    assert set(NO_OPTION_THERE) <= set(ours)
    assert "remove" not in ours


def test_every_option_takes_the_same_kinds_of_values(swarm: dict[str, Any]) -> None:
    for name in swarm["own"]:
        taken, of_ours = swarm["accepted"][name], questions.accepted_by(SwarmSpawner, name)
        assert {sample: of_ours.get(sample) for sample in taken} == taken, name
    assert len(swarm["own"]) == 7


def test_options_grow_in_the_configuration(swarm: dict[str, Any]) -> None:
    assert {name: questions.lazily(SwarmSpawner, name) for name in swarm["lazily"]} == swarm["lazily"]


def test_every_member_is_here_with_its_kind_and_its_parameters(swarm: dict[str, Any]) -> None:
    asked = swarm["members"]
    assert {name for name in asked if not hasattr(SwarmSpawner, name)} == set()
    ours = {name: questions.signature_of(SwarmSpawner, name) for name in asked}
    # What subclasses read alike: `remove` is always true, and `mounts` an option.
    assert {name for name in asked if ours[name] != asked[name]} == {"remove", "mounts"}


@pytest.mark.parametrize("label", SERVICES)
async def test_the_same_options_make_the_same_service_but_for_what_is_told(
    label: str, swarm: dict[str, Any]
) -> None:
    options = {"cmd": ["start"], "image": "image:1", **SERVICES[label]}
    spawner, _ = questions.make(questions.bare(SwarmSpawner), options)
    ours = as_json(build_service(await service_inputs(spawner)))
    assert ours.pop("Name") == "jupyter-alice"
    assert ours.pop("Mode") == {"Replicated": {"Replicas": 1}}
    for marked in (ours, ours["TaskTemplate"]["ContainerSpec"]):
        marked["Labels"] = {
            key: item for key, item in marked["Labels"].items() if not key.startswith("asyncdockerspawner.")
        }
    assert without_zeros(ours) == without_zeros(mended(swarm["services"][label]))


def mended(service: JsonObject) -> JsonObject:
    """Return what DockerSpawner makes, with the differences that README tells."""
    task, endpoint = service["TaskTemplate"], service["EndpointSpec"]
    for mount in task["ContainerSpec"]["Mounts"]:
        mount["Type"] = "bind" if "/" in mount["Source"] else "volume"
    task["ContainerSpec"]["Healthcheck"] = {"Test": ["NONE"]}
    task.setdefault("RestartPolicy", {"Condition": "none"})
    endpoint.setdefault("Mode", "dnsrr")
    for port in endpoint.get("Ports", ()):
        port.setdefault("PublishMode", "host")
    return service
