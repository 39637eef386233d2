"""What DockerSpawner 14's SystemUserSpawner has is here: options, members, and what is made of them.

What it is like there is asked of DockerSpawner 14 itself, in an environment of its own.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from asyncdockerspawner import DockerSpawner, SystemUserSpawner
from asyncdockerspawner.keywords.create import keywords_of
from asyncdockerspawner.spawners.launch_inputs import launch_inputs
from asyncdockerspawner.workloads.container.body import build_container
from tests.support import dockerspawner_14 as questions
from tests.support.dockerspawner_14_system_user import CASES, USER, answer

OF_BOTH = {"apply_user_options", "container_image", "options_form"}
"""Options whose other default is one of `DockerSpawner` here too, and is told there."""
KEPT_BESIDES = {
    "host_home": "the home that the name service told, for when it is away",
    "account_name": "whose account it is, should the Hub's user get another name",
}
"""Key of the saved state → why it is there beside DockerSpawner's."""


@pytest.fixture(autouse=True)
def no_engine_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)


@pytest.fixture
def system_user(theirs: dict[str, Any]) -> dict[str, Any]:
    """Return what its SystemUserSpawner answers."""
    return dict(theirs["system_user"])


def test_every_option_is_here_with_its_default(system_user: dict[str, Any]) -> None:
    ours = questions.traits_of(SystemUserSpawner)
    assert set(system_user["traits"]) <= set(ours)
    names = set(system_user["traits"]) - OF_BOTH
    assert {name: ours[name]["default"] for name in names} == {
        name: system_user["traits"][name]["default"] for name in names
    }
    assert set(system_user["own"]) <= set(SystemUserSpawner.class_traits())
    assert len(system_user["own"]) == 6


def test_every_option_takes_the_same_kinds_of_values(system_user: dict[str, Any]) -> None:
    for name, taken in system_user["accepted"].items():
        of_ours = questions.accepted_by(SystemUserSpawner, name)
        assert {sample: of_ours.get(sample) for sample in taken} == taken, name
    assert len(system_user["accepted"]) == 4


def test_every_member_is_here_with_its_kind_and_its_parameters(system_user: dict[str, Any]) -> None:
    ours = {name: questions.signature_of(SystemUserSpawner, name) for name in system_user["members"]}
    # Awaited, it gives what DockerSpawner's gives: a coroutine's.
    assert ours.pop("start") == f"coroutine {system_user['members'].pop('start')}"
    assert ours == system_user["members"]
    assert len(ours) == 9


def started(case: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    found: dict[str, Any] = {}

    async def start(self: SystemUserSpawner) -> tuple[str, int]:
        found["inputs"] = await launch_inputs(self)
        return "127.0.0.1", 8888

    monkeypatch.setattr(DockerSpawner, "start", start)
    options = {"image": "image:1", **case.get("options", {})}
    spawner, log = questions.make(SystemUserSpawner, options, username=USER)
    for name, value in case.get("traits", {}).items():
        setattr(spawner, name, value)
    asyncio.run(spawner.start(**case.get("start", {})))
    inputs = found["inputs"]
    environment = {key: value for key, value in inputs.environment.items() if key != "JUPYTER_IMAGE_SPEC"}
    words = keywords_of(build_container(inputs))
    gives: dict[str, Any] = json.loads(json.dumps(answer(spawner, environment, words, log)))
    return gives


@pytest.mark.parametrize("label", CASES)
def test_a_server_is_started_alike(
    system_user: dict[str, Any], label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, expected = started(CASES[label], monkeypatch), system_user["starts"][label]
    ours["state"] = {key: value for key, value in ours["state"].items() if key not in KEPT_BESIDES}
    assert ours == expected
