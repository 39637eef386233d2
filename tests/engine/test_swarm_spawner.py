"""What SwarmSpawner does beside what all servers have in common, over the fake Engine's swarm."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tornado import web

from asyncdockerspawner import SwarmSpawner
from asyncdockerspawner.errors import NotOurs
from asyncdockerspawner.lifecycle import placement
from asyncdockerspawner.names import labels
from tests.fake_engine import FakeEngine
from tests.fake_engine.swarm.client import FakeSwarm
from tests.support.service_worlds import Sites, doomed, host_of
from tests.support.site import Site
from tests.support.waiting import until

pytestmark = pytest.mark.fake_engine


@pytest.fixture
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "LOOK_SECONDS", 0.01)


async def test_a_server_is_a_service_that_answers_and_leaves_nothing(
    make_services: Sites, fake_swarm: FakeSwarm, service_name: str
) -> None:
    world = make_services()
    spawner = await world.spawn()
    (service,) = fake_swarm.state()["services"]
    assert service["Spec"]["Name"] == service_name
    assert spawner.object_id == service["ID"]
    assert await spawner.poll() is None
    await world.user.stop("")
    assert fake_swarm.state()["services"] == []
    await until(lambda: fake_swarm.state()["tasks"] == [])
    assert await spawner.poll() == 0


async def test_a_start_asks_the_manager_for_no_more_than_it_needs(
    make_services: Sites, fake: FakeEngine, fake_swarm: FakeSwarm
) -> None:
    world = make_services()
    with fake_swarm.holding("running"):
        spawning = asyncio.create_task(world.spawn())
        await until(lambda: fake.requests("GET", "/nodes"))
    await spawning
    asked = [each["route"] for each in fake.requests()]
    assert asked.count("POST /services/create") == 1
    assert not [each for each in asked if "containers" in each or "networks" in each]
    await world.user.stop("")


async def test_its_secrets_and_configs_go_with_it(make_services: Sites, fake_swarm: FakeSwarm) -> None:
    async def key(spawner: SwarmSpawner) -> bytes:
        return f"of {spawner.user.name}".encode()

    secrets = {"key": {"content": key, "uid": 1000, "mode": 0o400}}
    world = make_services(secrets=secrets, configs={"/etc/x": "y"})
    await world.spawn()
    state = fake_swarm.state()
    container = state["services"][0]["Spec"]["TaskTemplate"]["ContainerSpec"]
    (secret,) = container["Secrets"]
    assert secret["File"] == {"Name": "key", "UID": "1000", "GID": "0", "Mode": 0o400}
    assert container["Configs"][0]["File"]["Name"] == "/etc/x"
    assert [len(state[kind]) for kind in ("secrets", "configs")] == [1, 1]
    await world.user.stop("")
    state = fake_swarm.state()
    assert [state[kind] for kind in ("services", "secrets", "configs")] == [[], [], []]


async def test_secrets_of_a_service_that_is_refused_are_removed(
    make_services: Sites, fake_swarm: FakeSwarm, fake: FakeEngine
) -> None:
    world = make_services(secrets={"key": "x"}, network_name="nowhere")
    with pytest.raises(web.HTTPError) as raised:
        await world.spawn()
    assert "its network is none of the swarm's" in str(raised.value.__cause__)
    assert "network_name" in str(raised.value.__cause__)
    assert fake.requests("POST", "/secrets/create")
    await until(lambda: not fake_swarm.state()["secrets"])


async def test_a_secret_is_in_no_error_and_no_log(
    make_services: Sites, fake: FakeEngine, log: pytest.LogCaptureFixture
) -> None:
    fake.rule("POST", "/secrets/create", status=500, message="no")
    world = make_services(secrets={"key": "very-secret"})
    with pytest.raises(web.HTTPError) as raised:
        await world.spawn()
    assert "very-secret" not in f"{raised.value!r}{raised.value.__cause__!r}{log.text}"


async def test_who_waits_for_a_node_reads_why_and_is_given_up_after_a_while(
    make_services: Sites, fake_swarm: FakeSwarm, quick_looks: None
) -> None:
    world = make_services(placement_timeout=0.5, extra_placement_spec={"constraints": ["node.labels.x==1"]})
    reason = "scheduling constraints not satisfied on 2 nodes"
    with pytest.raises(web.HTTPError) as raised:
        await world.spawn()
    told = str(getattr(raised.value, "jupyterhub_message", ""))
    assert f"waits for a node: {reason}" in told
    assert "extra_placement_spec" not in told
    assert "extra_placement_spec" in str(raised.value.__cause__)
    await until(lambda: not fake_swarm.state()["services"])


async def test_a_node_that_comes_free_ends_the_wait(
    make_services: Sites, fake_swarm: FakeSwarm, quick_looks: None
) -> None:
    world = make_services(extra_placement_spec={"constraints": ["node.labels.x==1"]})
    spawning = asyncio.create_task(world.spawn())
    await until(lambda: any("no suitable" in each["Status"].get("Err", "") for each in fake_swarm.tasks()))
    limit = world.spawner().start_timeout
    fake_swarm.change_node("worker", labels={"x": "1"})
    spawner = await spawning
    # The Hub asks for its limit while the start is under way.
    assert (limit, spawner.start_timeout) == (330, 30)
    await world.user.stop("")


async def test_a_rejected_task_ends_the_start_at_once_with_the_reason(
    make_services: Sites, fake_swarm: FakeSwarm
) -> None:
    reason = 'invalid mount config for type "bind": bind source path does not exist: /x'
    world = make_services(environment={"FAKE_REJECTED": reason})
    with pytest.raises(web.HTTPError) as raised:
        await world.spawn()
    told = str(getattr(raised.value, "jupyterhub_message", ""))
    assert "a path that is mounted does not exist there" in told
    await until(lambda: not fake_swarm.state()["services"])


async def test_a_server_starts_where_its_volume_is(make_services: Sites, fake_swarm: FakeSwarm) -> None:
    world = make_services(volumes={"home-{username}": "/home"})
    fake_swarm.change_node("manager", availability="drain")
    await world.spawn()
    await world.user.stop("")
    fake_swarm.change_node("manager", availability="active")
    # The other one is emptier now.
    fake_swarm.populate(4, name=lambda number: f"other-{number}")
    for _ in range(2):
        world = world.restarted()
        await world.spawn()
        (task,) = fake_swarm.tasks(world.spawner().object_name)
        assert task["NodeID"] == next(
            each["ID"] for each in fake_swarm.state()["nodes"] if each["Description"]["Hostname"] == "worker"
        )
        await world.user.stop("")


@pytest.mark.parametrize(
    ("change", "told"), [({"availability": "drain"}, "drained"), ({"state": "down"}, "which is down")]
)
async def test_a_server_whose_files_are_on_a_node_that_is_away_is_not_started_elsewhere(
    make_services: Sites, fake_swarm: FakeSwarm, change: dict[str, Any], told: str
) -> None:
    world = make_services(volumes={"home-{username}": "/home"})
    await world.spawn()
    (task,) = fake_swarm.tasks(world.spawner().object_name)
    node = next(each for each in fake_swarm.state()["nodes"] if each["ID"] == task["NodeID"])
    await world.user.stop("")
    host = node["Description"]["Hostname"]
    fake_swarm.change_node(host, **change)
    with pytest.raises(web.HTTPError, match=f"your files are on node {host}, which is .*") as raised:
        await world.spawn()
    assert told in str(raised.value.__cause__)
    assert fake_swarm.state()["services"] == []


async def test_named_servers_of_one_user_start_where_their_common_volume_is(
    make_services: Sites, fake_swarm: FakeSwarm
) -> None:
    world = make_services(volumes={"home-{username}": "/home"})
    await world.spawn()
    await world.spawn("lab")
    assert len({each["NodeID"] for each in fake_swarm.tasks()}) == 1
    await world.user.stop("")
    await world.user.stop("lab")


async def test_volumes_that_all_nodes_share_pin_nothing(make_services: Sites, fake_swarm: FakeSwarm) -> None:
    world = make_services(
        volumes={"home-{username}": "/home"}, volume_driver_options={"type": "nfs", "device": ":/{username}"}
    )
    spawner = await world.spawn()
    assert "volume_nodes" not in spawner.orm_spawner.state
    await world.user.stop("")


async def test_an_image_is_named_by_its_digest_where_the_registry_knows_it(
    make_services: Sites, fake_swarm: FakeSwarm, fake: FakeEngine
) -> None:
    world = make_services(placement_timeout=5)
    world.settings["config"].DockerSpawner.resolve_image = True
    fake.add_pullable("reg.example/lab:1")
    world.settings["config"].DockerSpawner.image = "reg.example/lab:1"
    await world.spawn()
    container = fake_swarm.state()["services"][0]["Spec"]["TaskTemplate"]["ContainerSpec"]
    assert container["Image"].startswith("reg.example/lab:1@sha256:")
    await world.user.stop("")


async def test_a_server_whose_node_is_lost_is_reported(make_services: Sites, fake_swarm: FakeSwarm) -> None:
    world = make_services()
    spawner = await world.spawn()
    told = asyncio.Event()
    spawner.add_poll_callback(told.set)
    fake_swarm.change_node(host_of(fake_swarm, spawner), state="down")
    await asyncio.wait_for(told.wait(), 10)
    await world.user.stop("")
    assert "is down" in spawner._user_server.record.last_end
    assert fake_swarm.state()["services"] == []


async def test_a_server_whose_node_is_lost_goes_on_at_another_with_move(
    make_services: Sites, fake_swarm: FakeSwarm
) -> None:
    world = make_services(on_node_loss="move")
    spawner = await world.spawn()
    before = spawner.server.url, host_of(fake_swarm, spawner)
    fake_swarm.change_node(before[1], state="down")
    await until(lambda: spawner.server.url != before[0])
    assert await spawner.poll() is None
    assert host_of(fake_swarm, spawner) != before[1]
    await world.user.stop("")
    assert fake_swarm.state()["services"] == []


async def test_a_server_with_files_on_its_node_is_not_moved(
    make_services: Sites, fake_swarm: FakeSwarm
) -> None:
    world = make_services(on_node_loss="move", volumes={"home-{username}": "/home"})
    spawner = await world.spawn()
    told = asyncio.Event()
    spawner.add_poll_callback(told.set)
    fake_swarm.change_node(host_of(fake_swarm, spawner), state="down")
    await asyncio.wait_for(told.wait(), 10)
    await world.user.stop("")
    assert "its files are on that node alone" in spawner._user_server.record.last_end


@pytest.mark.parametrize("mode", ["inactive", "worker"])
async def test_an_engine_that_manages_no_swarm_is_told_with_what_to_do(
    make_services: Sites, fake_swarm: FakeSwarm, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It lists no service, however long it is waited for.
    monkeypatch.setattr("asyncdockerspawner.engine.watch.FIRST_LIST_SECONDS", 0.1)
    world = make_services()
    fake_swarm.become(mode)
    with pytest.raises(web.HTTPError, match="the Docker Engine manages no swarm") as raised:
        await world.spawn()
    assert "docker swarm init" in str(raised.value.__cause__)
    # What is still to be cleared away waits for that.
    fake_swarm.become("manager")


BOBS = labels.ownership_labels(hub_id="another", username="bob", servername="lab", spawn_id="1")


@pytest.mark.parametrize(
    ("marks", "owner"),
    [({}, "somebody who is not a JupyterHub"), (BOBS, "user 'bob', server 'lab' of the Hub another")],
    ids=["nobody's", "another user's"],
)
async def test_a_service_of_that_name_that_is_somebody_elses_stays_and_its_owner_is_named(
    make_services: Sites, fake_swarm: FakeSwarm, fake_site: Site, marks: dict[str, str], owner: str
) -> None:
    service_name = f"t{fake_site.hub_id}-alice"
    # As spawners make it: a list of tasks tells the labels of containers alone.
    template = {"ContainerSpec": {"Image": "stub:1", "Labels": marks}}
    body = {"Name": service_name, "Labels": marks, "TaskTemplate": template}
    fake_site.http.post("/services/create", json=body).raise_for_status()
    world = make_services()
    with pytest.raises(web.HTTPError) as raised:
        await world.spawn()
    refused = raised.value.__cause__
    assert isinstance(refused, NotOurs)
    assert f"{service_name} is taken by {owner}" in refused.advice
    assert [each["Spec"]["Name"] for each in fake_swarm.state()["services"]] == [service_name]


class LooksIntoIt(SwarmSpawner):
    """Sees and changes what is created."""

    created: Any = None

    def docker(self, method: str, *args: Any, **kwargs: Any) -> Any:
        if method == "create_service":
            self.created = dict(kwargs)
            kwargs["labels"]["site"] = "mine"
            kwargs["task_template"]["ContainerSpec"]["Env"].append("SITE=mine")
        return super().docker(method, *args, **kwargs)


async def test_who_overrides_docker_sees_and_changes_what_is_created(
    make_services: Sites, fake_swarm: FakeSwarm, service_name: str
) -> None:
    world = make_services(secrets={"key": "1"}, extra_create_kwargs={"labels": {"traefik": "on"}})
    world.settings["spawner_class"] = LooksIntoIt
    spawner: Any = await world.spawn()
    assert spawner.created["name"] == service_name
    assert spawner.created["endpoint_spec"]["Mode"] == "dnsrr"
    (service,) = fake_swarm.state()["services"]
    spec = service["Spec"]
    assert spec["Mode"] == {"Replicated": {"Replicas": 1}}
    assert (spec["Labels"]["site"], spec["Labels"]["traefik"]) == ("mine", "on")
    assert spec["Labels"]["asyncdockerspawner.spawn"] == spawner.orm_spawner.state["spawn_id"]
    container = spec["TaskTemplate"]["ContainerSpec"]
    assert "SITE=mine" in container["Env"]
    assert container["Secrets"][0]["File"]["Name"] == "key"
    await world.user.stop("")
    state = fake_swarm.state()
    assert (state["services"], state["secrets"]) == ([], [])


async def test_a_volume_on_another_node_is_removed_by_a_short_service_there(
    make_services: Sites, fake_swarm: FakeSwarm, fake: FakeEngine
) -> None:
    world, volume = await doomed(make_services, fake_swarm, volume_removal_image="stub:1-docker")
    fake.add_image("stub:1-docker")
    fake.add_pullable("stub:1-docker")
    deleting = asyncio.create_task(world.spawner().delete_forever())
    await until(lambda: fake_swarm.state()["services"])
    (service,) = fake_swarm.state()["services"]
    template = service["Spec"]["TaskTemplate"]
    assert template["ContainerSpec"]["Command"] == ["docker", "volume", "rm", "--force", volume]
    assert template["ContainerSpec"]["Mounts"][0]["Source"] == "/var/run/docker.sock"
    assert template["RestartPolicy"]["Condition"] == "none"
    await until(lambda: [each["Status"]["State"] for each in fake_swarm.tasks()] == ["running"])
    fake_swarm.die(service["Spec"]["Name"], 0)
    await deleting
    assert fake_swarm.state()["services"] == []


@pytest.mark.parametrize("image", ["", "stub:1"])
async def test_a_volume_on_another_node_stays_where_no_image_may_remove_it(
    make_services: Sites, fake_swarm: FakeSwarm, log: pytest.LogCaptureFixture, image: str
) -> None:
    world, volume = await doomed(make_services, fake_swarm, volume_removal_image=image)
    await world.spawner().delete_forever()
    assert f"The volume {volume} of a deleted user or server stays for now" in log.text
    assert "volume_removal_image" in log.text
    assert fake_swarm.state()["services"] == []


async def test_as_many_start_at_a_time_as_fit_all_nodes_that_take_servers(
    make_services: Sites, fake_swarm: FakeSwarm
) -> None:
    for name in ("manager", "worker"):
        fake_swarm.change_node(name, nano_cpus=8 * 10**9)
    world = make_services()
    spawner = await world.spawn()
    assert spawner.engine.swarm_slots.limit is not None
    assert spawner.engine.swarm_slots.limit >= 32
    assert spawner.engine.start_slots.limit is None
    await world.user.stop("")
    fake_swarm.change_node("worker", availability="drain")
    assert await spawner.engine.swarm.cpus() == 8


async def test_a_service_of_a_failed_start_is_kept_without_a_task_and_replaced_by_the_next(
    make_services: Sites, fake_swarm: FakeSwarm, service_name: str
) -> None:
    world = make_services(keep_failed=True, environment={"FAKE_HTTP": "0"}, http_timeout=1)
    with pytest.raises(web.HTTPError):
        await world.spawn()
    await until(lambda: not fake_swarm.tasks())
    (kept,) = fake_swarm.state()["services"]
    assert kept["Spec"]["Mode"] == {"Replicated": {"Replicas": 0}}
    world.settings["config"].DockerSpawner.environment = {}
    await world.restarted().spawn()
    (service,) = fake_swarm.state()["services"]
    assert service["ID"] != kept["ID"]
    assert [each["Status"]["State"] for each in fake_swarm.tasks(service_name)] == ["running"]


async def test_what_needs_a_container_is_refused_by_the_options_name(
    make_services: Sites, fake_swarm: FakeSwarm
) -> None:
    world = make_services(post_start_cmd="true", post_start_required=True)
    with pytest.raises(web.HTTPError) as raised:
        await world.spawn()
    assert "post_start_cmd" in str(raised.value.__cause__)
    await until(lambda: not fake_swarm.state()["services"])
