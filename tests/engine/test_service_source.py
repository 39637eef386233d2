"""The list of services that feeds a watch, over the fake Engine's swarm."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from asyncdockerspawner.client.client import Client
from asyncdockerspawner.client.settings import EngineSettings
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.observed import Observed, Phase
from asyncdockerspawner.workloads.service.source import LONGEST, SHORTEST, ServiceSource
from asyncdockerspawner.workloads.service.swarm import Swarm, resolved
from asyncdockerspawner.workloads.source import Happened
from tests.fake_engine import FakeEngine
from tests.support import services

pytestmark = pytest.mark.fake_engine


@pytest.fixture
async def client(fake: FakeEngine) -> AsyncIterator[Client]:
    fake.swarm.become("manager")
    made = Client(EngineSettings(url=fake.url, api_version="1.41"))
    yield made
    await made.close()


@pytest.fixture
def source(client: Client) -> ServiceSource:
    return ServiceSource(client, Swarm(client))


def marks(number: int) -> dict[str, str]:
    owner = labels.Owner(hub_id="h", username=f"user{number}", servername="", spawn_id=f"spawn{number}")
    return {**labels.ownership_labels_of(owner), labels.NAME: f"name{number}"}


def by_name(found: list[Observed]) -> dict[str, Observed]:
    return {each.name: each for each in found}


async def test_a_list_has_all_services_of_this_hub_and_no_others(
    source: ServiceSource, fake: FakeEngine
) -> None:
    fake.swarm.populate(3, labels_of=marks)
    fake.swarm.populate(2, name="other-{}".format, labels_of=lambda number: {labels.HUB: "another"})
    found = by_name(await source.list("h", ()))
    assert sorted(found) == ["name0", "name1", "name2"]
    assert {each.phase for each in found.values()} == {Phase.RUNNING}
    assert found["name1"].owner is not None
    assert found["name1"].owner.username == "user1"


async def test_the_first_list_has_services_without_a_task_too(
    source: ServiceSource, client: Client, fake: FakeEngine
) -> None:
    stopped = services.spec("name1", marks(1), Mode={"Replicated": {"Replicas": 0}})
    await client.services.create(stopped)
    (found,) = await source.list("h", ())
    assert found.phase is Phase.ENDED
    assert await source.list("h", ()) == []
    async with source.hints():
        # After a time without events, there may be some that nobody knows of.
        assert len(await source.list("h", ())) == 1


async def test_a_service_of_another_spawner_is_in_the_list_where_it_is_asked_for(
    source: ServiceSource, client: Client
) -> None:
    theirs = await client.services.create(services.spec("theirs", {}))
    (found,) = await source.list("h", {theirs, "gone"})
    assert (found.id, found.name, found.owner) == (theirs, "theirs", None)


async def test_of_several_tasks_the_newest_counts_and_the_others_are_restarts(
    source: ServiceSource, client: Client, fake: FakeEngine
) -> None:
    policy = {"Condition": "any", "Delay": 1}
    made = await client.services.create(services.spec("name1", marks(1), task={"RestartPolicy": policy}))
    first = await services.task_in(client, marks(1), "running")
    fake.swarm.die("name1", 3)
    await services.task_in(client, marks(1), "running", but=str(first["ID"]))
    (listed,) = await source.list("h", ())
    asked = await source.find(made)
    assert asked is not None
    assert (listed.phase, listed.restarts) == (asked.phase, asked.restarts) == (Phase.RUNNING, 1)


async def test_what_is_not_there_is_nothing(source: ServiceSource) -> None:
    assert await source.find("nothing") is None


async def test_lists_are_the_rarer_the_more_they_cost(source: ServiceSource, fake: FakeEngine) -> None:
    assert source.pause(waited_for=True) == SHORTEST
    fake.swarm.populate(499, labels_of=marks)
    await source.list("h", ())
    assert source.pause(waited_for=True) == SHORTEST
    await source.list("h", {f"gone{number}" for number in range(200)})
    assert source.pause(waited_for=False) == LONGEST


async def test_events_of_services_are_about_them_and_those_of_nodes_about_all(
    source: ServiceSource, client: Client, fake: FakeEngine
) -> None:
    async with source.hints() as hints:
        made = await client.services.create(services.spec("name1", marks(1)))
        created = await anext(hints)
        assert (created.kind, created.observed.id, created.observed.name) == (Happened.CREATED, made, "name1")
        fake.swarm.change_node("worker", availability="drain")
        assert (await anext(hints)).kind is Happened.ELSEWHERE
        await client.services.remove(made)
        assert (await anext(hints)).kind is Happened.REMOVED


def test_what_a_registry_tells_of_an_image_is_read_as_dockers_command_does() -> None:
    told = {
        "Descriptor": {"digest": "sha256:abc"},
        "Platforms": [
            {"os": "linux", "architecture": "amd64"},
            {"os": "linux", "architecture": "arm", "variant": "v7"},
            {"os": "unknown", "architecture": "unknown"},
            {"os": "linux", "architecture": "amd64"},
        ],
    }
    found = resolved(told)
    assert found is not None
    assert found.digest == "sha256:abc"
    assert found.platforms == [
        {"OS": "linux", "Architecture": "amd64"},
        {"OS": "linux", "Architecture": ""},
    ]
    assert resolved({}) is None


async def test_a_task_is_not_read_anew_as_long_as_it_and_its_node_are_as_they_were(
    source: ServiceSource, fake: FakeEngine
) -> None:
    fake.swarm.populate(2, labels_of=marks)
    before = by_name(await source.list("h", ()))
    again = by_name(await source.list("h", ()))
    assert all(again[name] is before[name] for name in ("name0", "name1"))
    fake.swarm.change_node("worker", state="down")
    later = by_name(await source.list("h", ()))
    assert sorted(each.phase.name for each in later.values()) == ["ENDED", "RUNNING"]


async def test_a_removed_service_whose_task_is_on_a_lost_node_is_in_no_list(
    source: ServiceSource, client: Client, fake: FakeEngine
) -> None:
    spec = services.spec("name1", marks(1), task={"Placement": {"Constraints": ["node.hostname==worker"]}})
    made = await client.services.create(spec)
    await services.task_in(client, marks(1), "running")
    fake.swarm.change_node("worker", state="down")
    await client.services.remove(made)
    assert await services.tasks(client, marks(1))
    assert await source.list("h", ()) == []
