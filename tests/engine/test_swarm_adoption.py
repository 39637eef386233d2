"""Services that were there before: of an earlier Hub, of DockerSpawner, over the fake Engine's swarm."""

from __future__ import annotations

import pytest

from tests.fake_engine.swarm.client import FakeSwarm
from tests.support.service_worlds import Sites
from tests.support.site import Site
from tests.support.waiting import until

pytestmark = pytest.mark.fake_engine


async def test_a_hub_that_starts_again_finds_its_services(
    make_services: Sites, fake_swarm: FakeSwarm
) -> None:
    world = make_services()
    await world.spawn()
    world = world.restarted()
    spawner = world.new_spawner()
    world.user.spawners[""] = spawner
    assert await spawner.poll() is None
    assert (await spawner.get_url()).startswith("http://")
    await spawner.stop()
    assert fake_swarm.state()["services"] == []


async def test_what_a_hub_has_left_of_secrets_is_removed_when_it_starts_again(
    make_services: Sites, fake_swarm: FakeSwarm, fake_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncdockerspawner.lifecycle.reconcile.GRACE_SECONDS", 0)
    marks = {"asyncdockerspawner.hub": fake_site.hub_id, "asyncdockerspawner.spawn": "long-ago"}
    body = {"Name": "left", "Data": "eA==", "Labels": marks}
    fake_site.http.post("/secrets/create", json=body).raise_for_status()
    world = make_services(secrets={"key": "x"})
    await world.spawn()
    await until(lambda: len(fake_swarm.state()["secrets"]) == 1)
    assert fake_swarm.state()["secrets"][0]["Labels"]["asyncdockerspawner.spawn"] != "long-ago"
    await world.user.stop("")


async def test_a_service_that_dockerspawner_has_made_is_adopted(
    make_services: Sites, fake_swarm: FakeSwarm, fake_site: Site, service_name: str
) -> None:
    world = make_services()
    spawner = await world.spawn()
    (made,) = fake_swarm.state()["services"]
    await world.user.stop("")
    spec = made["Spec"]
    template = spec["TaskTemplate"]
    # It labels nothing of its own, and lets the swarm start again what has ended.
    container = {**template["ContainerSpec"], "Labels": {}, "Secrets": [], "Configs": []}
    template = {**template, "ContainerSpec": container, "RestartPolicy": {"Condition": "any"}}
    body = {**spec, "Labels": {}, "TaskTemplate": template}
    theirs = fake_site.http.post("/services/create", json=body).raise_for_status().json()["ID"]
    world.user.orm_user.orm_spawners[""].state = {"object_id": theirs, "object_name": service_name}
    world = world.restarted()
    spawner = world.new_spawner()
    world.user.spawners[""] = spawner
    await until(lambda: [each["Status"]["State"] for each in fake_swarm.tasks(service_name)] == ["running"])
    assert await spawner.poll() is None
    assert (await spawner.get_url()).startswith("http://")
    assert await spawner.poll() is None
    await spawner.stop()
    assert fake_swarm.state()["services"] == []


async def test_a_service_without_our_label_is_removed_but_never_changed(
    make_services: Sites, fake_swarm: FakeSwarm, fake_site: Site, service_name: str
) -> None:
    body = {"Name": service_name, "TaskTemplate": {"ContainerSpec": {"Image": "stub:1"}}}
    theirs = fake_site.http.post("/services/create", json=body).raise_for_status().json()["ID"]
    workload = make_services().new_spawner()._managed.workload
    assert workload.service is not None
    assert not await workload.service.move(theirs)
    await workload.stop(theirs)
    (service,) = fake_swarm.state()["services"]
    assert service["Spec"]["Mode"] == {"Replicated": {"Replicas": 1}}
    await workload.remove(theirs, force=True)
    assert fake_swarm.state()["services"] == []
    await until(lambda: fake_swarm.state()["tasks"] == [])
