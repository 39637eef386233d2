"""What a server of a swarm has beside its service goes with it, whatever comes in between."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest
from tornado import web

from asyncdockerspawner import SwarmSpawner
from tests.fake_engine import FakeEngine
from tests.fake_engine.swarm.client import FakeSwarm
from tests.support.service_worlds import Sites, doomed
from tests.support.site import Site
from tests.support.waiting import until

pytestmark = pytest.mark.fake_engine


async def test_secrets_go_though_the_manager_was_away_just_after_the_service_went(
    make_services: Sites, fake_swarm: FakeSwarm, fake: FakeEngine
) -> None:
    world = make_services(secrets={"key": "x"}, configs={"/etc/x": "y"})
    await world.spawn()
    fake.rule("GET", "^/secrets", status=500, message="rpc error: code = Unavailable", times=1)
    await world.user.stop("")
    await until(lambda: not fake_swarm.state()["configs"])
    assert [fake_swarm.state()[kind] for kind in ("services", "secrets")] == [[], []]


async def test_a_service_that_a_manager_does_not_find_for_once_is_removed_at_the_next_try(
    make_services: Sites, fake_swarm: FakeSwarm, fake: FakeEngine
) -> None:
    world = make_services()
    await world.spawn()
    fake.rule("DELETE", "^/services/", status=404, message="service it not found", times=1)
    await world.user.stop("")
    await until(lambda: not fake_swarm.state()["services"])


async def test_a_stop_does_without_secrets_where_a_filter_before_the_engine_refuses_them(
    make_services: Sites, fake_swarm: FakeSwarm, fake: FakeEngine
) -> None:
    world = make_services()
    for kind in ("secrets", "configs"):
        fake.rule("GET", f"^/{kind}", status=403, message="Forbidden")
    await world.spawn()
    await world.user.stop("")
    assert fake_swarm.state()["services"] == []
    assert len(fake.requests("GET", "/secrets")) == 1


async def test_secrets_of_a_cancelled_stop_are_removed(
    make_services: Sites, fake_swarm: FakeSwarm, fake: FakeEngine
) -> None:
    world = make_services(secrets={"key": "x"})
    spawner = await world.spawn()
    fake.rule("GET", "^/secrets", hang=True, times=1)
    stopping = asyncio.create_task(spawner.stop())
    await until(lambda: fake.requests("GET", "/secrets"))
    stopping.cancel()
    await asyncio.wait([stopping])
    await until(lambda: not fake_swarm.state()["secrets"])


async def test_secrets_of_a_create_that_failed_are_removed_once_the_manager_is_back(
    make_services: Sites, fake_swarm: FakeSwarm, fake: FakeEngine
) -> None:
    world = make_services(secrets={"key": "x"})
    fake.rule("POST", "^/services/create", status=400, message="invalid")
    fake.rule("DELETE", "^/secrets", status=500, message="rpc error: code = Unavailable", times=2)
    with pytest.raises(web.HTTPError):
        await world.spawn()
    await until(lambda: not fake_swarm.state()["secrets"])


async def test_a_secret_whose_answer_was_lost_is_removed(
    make_services: Sites, fake_swarm: FakeSwarm, fake: FakeEngine
) -> None:
    world = make_services(secrets={"key": "x"})
    fake.rule("POST", "^/secrets/create", reset_after=True)
    with pytest.raises(web.HTTPError):
        await world.spawn()
    assert fake.requests("POST", "/secrets/create")
    await until(lambda: not fake_swarm.state()["secrets"])


async def test_a_spawn_that_begins_while_strays_are_looked_for_keeps_its_secrets(
    make_services: Sites, fake_swarm: FakeSwarm, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncdockerspawner.lifecycle.reconcile.GRACE_SECONDS", 0)
    world = make_services(secrets={"key": "x"})
    # The list is made when the spawn has its secret, and its service only after that.
    fake.rule("GET", "^/secrets", delay_before=1)
    fake.rule("POST", "^/services/create", delay_before=2)
    world.new_spawner()._managed.watch.begin()
    await until(lambda: fake.requests("GET", "/secrets"))
    spawner = await world.spawn()
    assert len(fake_swarm.state()["secrets"]) == 1
    await spawner.stop()


async def test_no_other_server_begins_while_the_last_one_still_ends_on_its_node(
    make_services: Sites, fake_swarm: FakeSwarm, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncdockerspawner.workloads.service.workload.GONE_TIMEOUT", -0.8)
    world = make_services(stop_timeout=1)
    spawner = await world.spawn()
    with fake_swarm.holding("stopping"):
        await world.user.stop("")
        assert fake_swarm.state()["services"] == []
        assert spawner.get_state()["owed"], "until its process is seen to be gone"
        again = asyncio.create_task(world.spawn())
        asked = len(fake.requests("GET", "/tasks"))
        await until(lambda: len(fake.requests("GET", "/tasks")) > asked + 3)
        assert len(fake.requests("POST", "/services/create")) == 1
    await again
    assert len(fake.requests("POST", "/services/create")) == 2


async def test_a_volume_on_a_node_that_is_away_is_named_at_once_and_holds_nobody_up(
    make_services: Sites, fake_swarm: FakeSwarm, log: pytest.LogCaptureFixture, fake_site: Site
) -> None:
    world, volume = await doomed(make_services, fake_swarm, volume_removal_image="docker:cli")
    fake_swarm.change_node("worker", state="down")
    async with asyncio.timeout(5):
        await world.spawner().delete_forever()
    assert f"`docker volume rm {volume}`" in log.text
    assert "node worker" in log.text
    assert fake_swarm.state()["services"] == []
    assert not world.spawner().engine.janitor.busy("volumes of alice")


@pytest.mark.parametrize(
    ("image", "options"),
    [("docker.io/library/stub:1", {}), ("lab", {"allowed_images": {"Lab": "docker.io/library/lab:latest"}})],
)
async def test_no_image_of_a_user_gets_an_engines_socket_however_it_is_written(
    make_services: Sites,
    fake_swarm: FakeSwarm,
    log: pytest.LogCaptureFixture,
    image: str,
    options: dict[str, object],
) -> None:
    world, _ = await doomed(make_services, fake_swarm, volume_removal_image=image, **options)
    await world.spawner().delete_forever()
    assert "an image that users run" in log.text
    assert fake_swarm.state()["services"] == []


async def test_a_removal_of_a_volume_that_is_under_way_is_no_stray(
    make_services: Sites, fake_swarm: FakeSwarm, fake: FakeEngine, fake_site: Site
) -> None:
    world, _ = await doomed(make_services, fake_swarm, volume_removal_image="stub:1-docker")
    fake.add_pullable("stub:1-docker")
    spawner = world.spawner()
    deleting = asyncio.create_task(spawner.delete_forever())
    await until(lambda: [each["Status"]["State"] for each in fake_swarm.tasks()] == ["running"])
    service_verbs = spawner._managed.workload.service
    assert service_verbs is not None
    await service_verbs.clear_strays(fake_site.hub_id, set)
    (service,) = fake_swarm.state()["services"]
    fake_swarm.die(service["Spec"]["Name"], 0)
    await deleting
    assert fake_swarm.state()["services"] == []


async def test_a_volume_that_a_service_has_left_a_moment_ago_is_removed(
    make_services: Sites, fake_swarm: FakeSwarm, fake: FakeEngine
) -> None:
    fake_swarm.change_node("worker", availability="drain")
    world = make_services(volumes={"{prefix}-{username}": "/home"}, delete_volumes_on_user_delete=True)
    await world.spawn()
    await world.user.stop("")
    assert fake_swarm.state()["volumes"]["manager"]
    fake.rule("DELETE", "^/volumes", status=409, message="volume is in use - [x]", times=2)
    await world.spawner().delete_forever()
    await until(lambda: not fake_swarm.state()["volumes"]["manager"])


async def test_an_orphan_that_was_stopped_is_removed_though_no_list_has_it_any_more(
    make_services: Sites, fake_swarm: FakeSwarm, fake_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncdockerspawner.lifecycle.reconcile.GRACE_SECONDS", 0)
    monkeypatch.setattr("asyncdockerspawner.workloads.service.source.SHORTEST", 0.001)
    world = make_services(orphan_policy="remove")
    marks = {
        "asyncdockerspawner.hub": fake_site.hub_id,
        "asyncdockerspawner.user": "nobody",
        "asyncdockerspawner.server": "",
        "asyncdockerspawner.spawn": "long-ago",
    }
    template = {"ContainerSpec": {"Image": "stub:1", "Labels": marks}}
    body = {"Name": "orphan", "Labels": marks, "TaskTemplate": template}
    fake_site.http.post("/services/create", json=body).raise_for_status()
    world.new_spawner()._managed.watch.begin()
    await until(lambda: not fake_swarm.state()["services"])


async def test_a_subclass_that_looks_into_docker_has_its_nodes_pull_with_the_users_credentials(
    make_services: Sites, fake_swarm: FakeSwarm, fake: FakeEngine
) -> None:
    class Looks(SwarmSpawner):
        def docker(self, method: str, *args: Any, **kwargs: Any) -> asyncio.Future[Any]:
            return super().docker(method, *args, **kwargs)

    async def auth(spawner: SwarmSpawner, registry: str) -> dict[str, str]:
        return {"username": spawner.user.name, "password": "x"}

    world = make_services(registry_auth=auth)
    world.settings["spawner_class"] = Looks
    await world.spawn()
    (shown,) = fake_swarm.state()["auth"].values()
    assert json.loads(base64.urlsafe_b64decode(shown))["username"] == "alice"
    await world.user.stop("")
