"""From spawn to stop as the Hub drives it, over the fake Engine and a real one."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from jupyterhub.objects import Hub

from asyncdockerspawner.names import labels
from tests.fake_engine import FakeEngine
from tests.support.site import Site, site_over
from tests.support.starts import nothing_left
from tests.support.workloads import EACH_KIND, Services
from tests.support.world import MakeWorld, World, new_world

OWNER = (labels.HUB, labels.USER, labels.SERVER, labels.SPAWN)
IDENTITY = ("JUPYTERHUB_USER", "JUPYTERHUB_SERVICE_PREFIX", "JUPYTERHUB_API_URL")
"""What of a server's environment tells whose it is."""


@EACH_KIND
async def test_a_server_starts_answers_and_leaves_nothing(make_world: MakeWorld, site: Site) -> None:
    world = make_world()
    spawner = await world.spawn()
    assert site.names() == [f"t{site.hub_id}-alice"]
    assert await spawner.poll() is None
    assert spawner.orm_spawner.state["object_id"] == site.containers()[0]["Id"]
    await world.user.stop("")
    assert await nothing_left(site)
    assert spawner.orm_spawner.state == {}
    assert await spawner.poll() == 0


async def test_a_container_says_whose_it_is(make_world: MakeWorld, site: Site) -> None:
    world = make_world()
    spawner = await world.spawn("lab")
    found = site.inspect(spawner.object_id)["Config"]["Labels"]
    assert found["asyncdockerspawner.hub"] == site.hub_id
    assert found["asyncdockerspawner.user"] == "alice"
    assert found["asyncdockerspawner.server"] == "lab"
    assert found["asyncdockerspawner.spawn"] == spawner.orm_spawner.state["spawn_id"]
    await world.user.stop("lab")


@EACH_KIND
async def test_named_servers_run_beside_each_other(make_world: MakeWorld, site: Site) -> None:
    world = make_world()
    await asyncio.gather(world.spawn(), world.spawn("one"), world.spawn("two"))
    base = f"t{site.hub_id}-alice"
    assert site.names() == [base, f"{base}--one", f"{base}--two"]
    await world.user.stop("one")
    assert site.names() == [base, f"{base}--two"]
    await asyncio.gather(world.user.stop(""), world.user.stop("two"))
    assert await nothing_left(site)


async def test_a_kept_container_is_resumed_with_its_token(make_world: MakeWorld, site: Site) -> None:
    world = make_world(remove=False)
    first = await world.spawn()
    made, token = first.object_id, first.api_token
    await world.user.stop("")
    assert site.inspect(made)["State"]["Running"] is False
    second = await world.spawn()
    assert second.object_id == made
    assert second.api_token == token
    await world.user.stop("")
    assert [one["Id"] for one in site.containers()] == [made]


async def test_a_kept_container_is_found_by_its_name_when_the_state_is_lost(
    make_world: MakeWorld, site: Site
) -> None:
    world = make_world(remove=False)
    made = (await world.spawn()).object_id
    await world.user.stop("")
    world.user.orm_user.orm_spawners[""].state = {}
    world = world.restarted()
    assert (await world.spawn()).object_id == made
    await world.user.stop("")


async def test_a_kept_container_of_which_only_its_labels_tell_whose_it_is_is_found_again(
    make: MakeWorld, fake_site: Site
) -> None:
    world = make(remove=False)
    document = fake_site.inspect((await world.spawn()).object_id)
    await world.user.stop("")
    fake_site.remove(document["Id"])
    # Its environment says nothing of that.
    config = document["Config"]
    marks = {key: value for key, value in config["Labels"].items() if key in OWNER}
    told = [each for each in config["Env"] if each.partition("=")[0] not in IDENTITY]
    assert (len(marks), len(config["Env"]) - len(told)) == (len(OWNER), len(IDENTITY))
    body = {"Image": config["Image"], "Env": told, "Labels": {**marks, labels.KEEP: "true"}}
    body |= {"ExposedPorts": config["ExposedPorts"], "HostConfig": document["HostConfig"]}
    name = document["Name"].lstrip("/")
    kept = fake_site.http.post("/containers/create", params={"name": name}, json=body).json()["Id"]
    world.user.orm_user.orm_spawners[""].state = {}
    world = world.restarted()
    assert (await world.spawn()).object_id == kept
    await world.user.stop("")
    assert [one["Id"] for one in fake_site.containers()] == [kept]


@EACH_KIND
async def test_a_leftover_is_replaced_where_servers_are_removed(make_world: MakeWorld, site: Site) -> None:
    world = make_world()
    old = (await world.spawn()).object_id
    world.user.orm_user.orm_spawners[""].state = {}
    world = world.restarted()
    new = await world.spawn()
    assert [one["Id"] for one in site.containers()] == [new.object_id]
    assert new.object_id != old
    await world.user.stop("")


async def test_a_name_that_somebody_else_holds_is_left_alone(
    make_world: MakeWorld, site: Site, log: pytest.LogCaptureFixture
) -> None:
    world = make_world()
    name = f"t{site.hub_id}-alice"
    body = {"Image": site.kind("stub")["image"], "Env": ["JUPYTERHUB_USER=bob"]}
    foreign = site.http.post("/containers/create", params={"name": name}, json=body).json()["Id"]
    try:
        with pytest.raises(Exception, match="its name at the Docker Engine is taken"):
            await world.spawn()
        assert re.search(r"taken by somebody.*`name_template`", log.text)
        assert site.inspect(foreign)["State"]["Status"] == "created"
    finally:
        site.remove(foreign)


async def test_a_container_of_dockerspawner_is_adopted(make_world: MakeWorld, site: Site) -> None:
    world = make_world(remove=False)
    made = await world.spawn()
    document = site.inspect(made.object_id)
    await world.user.stop("")
    site.remove(document["Id"])
    # As DockerSpawner 14 makes it: without labels, known by name and environment.
    body = {"Image": document["Config"]["Image"], "Env": document["Config"]["Env"]}
    body |= {"Cmd": document["Config"]["Cmd"], "ExposedPorts": {"8888/tcp": {}}}
    body["HostConfig"] = {"PortBindings": {"8888/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}}
    name = document["Name"].lstrip("/")
    old = site.http.post("/containers/create", params={"name": name}, json=body).json()["Id"]
    try:
        world.user.orm_user.orm_spawners[""].state = {"object_name": name, "object_id": old}
        world = world.restarted()
        assert (await world.spawn()).object_id == old
        await world.user.stop("")
        world.user.orm_user.orm_spawners[""].state = {}
        world = world.restarted()
        assert (await world.spawn()).object_id == old
        await world.user.stop("")
        assert site.inspect(old)["State"]["Running"] is False
    finally:
        site.remove(old)


@EACH_KIND
@pytest.mark.parametrize(("kind", "reason"), [("dies", "code 3"), ("dies-at-once", "code 1")])
async def test_a_server_that_dies_early_fails_its_spawn_with_the_reason(
    make_world: MakeWorld, site: Site, kind: str, reason: str
) -> None:
    world = make_world(kind)
    with pytest.raises(Exception, match=reason) as caught:
        await world.spawn()
    message = caught.value.jupyterhub_message  # type: ignore[attr-defined]
    assert "boom" in message
    assert await nothing_left(site)


async def test_a_server_that_is_killed_for_its_memory_fails_its_spawn_with_that_reason(
    make_world: MakeWorld, site: Site
) -> None:
    with pytest.raises(Exception, match="out of memory"):
        await make_world("oom").spawn()
    assert site.containers() == []


@EACH_KIND
async def test_the_last_words_of_a_server_do_not_tell_its_token(make_world: MakeWorld, site: Site) -> None:
    if site.fake is not None:
        world = make_world(
            "dies", environment={"FAKE_HTTP": "0", "FAKE_STDERR": lambda it: f"I know {it.api_token}"}
        )
    else:
        world = make_world(cmd=["/bin/busybox", "sh", "-c", "echo I know $JUPYTERHUB_API_TOKEN; exit 1"])
    with pytest.raises(Exception, match=r"I know \*\*\*"):
        await world.spawn()


async def test_a_silent_server_is_handed_to_the_hubs_own_time_limit(
    make_world: MakeWorld, site: Site
) -> None:
    # It is to end by `start_timeout`, long before it would by the other.
    world = make_world("silent", start_timeout=3, http_timeout=5)
    with pytest.raises(TimeoutError):
        await world.spawn()
    assert await nothing_left(site)


async def bad(world: World) -> str:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - any exception; its message is what counts
        await world.spawn()
    return str(caught.value.jupyterhub_message)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"network_name": "nowhere"}, ["network_name", "nowhere", "bridge"]),
        ({"image": "nobody/none:1", "pull_policy": "never"}, ["nobody/none:1", "pull_policy"]),
        ({"image": "nobody/none:1", "pull_policy": "skip"}, ["nobody/none:1", "pull_policy"]),
        ({"name_template": "{0}"}, ["name_template", "{0}"]),
        ({"name_template": "a b"}, ["name_template", "a b"]),
        ({"volumes": {"v-{nosuch}": "/x"}}, ["volumes", "nosuch"]),
        ({"extra_host_config": {"mem_limt": "1g"}}, ["extra_host_config", "mem_limt", "mem_limit"]),
        ({"extra_host_config": {"mem_limit": "1m"}}, ["memory"]),
        ({"extra_create_kwargs": lambda _: 5}, ["extra_create_kwargs"]),
        ({"client_kwargs": {"base_url": "unix:///nowhere.sock"}}, ["Engine", "DOCKER_HOST"]),
    ],
)  # fmt: skip
async def test_bad_input_is_named_in_the_log_and_leaves_nothing(
    make_world: MakeWorld,
    site: Site,
    log: pytest.LogCaptureFixture,
    options: dict[str, Any],
    words: list[str],
) -> None:
    message = await bad(make_world(**options))
    assert [word for word in words if word.lower() not in log.text.lower()] == []
    assert "administrator" in message
    assert "`" not in message
    assert site.containers() == []


@EACH_KIND
async def test_an_image_cannot_be_chosen_by_default(make_world: MakeWorld, site: Site) -> None:
    world = make_world()
    with pytest.raises(Exception, match="cannot be chosen"):
        await world.spawn(image="evil:1")
    assert site.containers() == []


async def test_the_usual_start_is_create_start_inspect(make_world: MakeWorld, site: Site) -> None:
    world = make_world()
    await world.spawn("first")
    if site.fake is not None:
        site.fake.clear_requests()
    await world.spawn("second")
    if site.fake is not None:
        asked = [entry["route"] for entry in site.fake.requests()]
        assert asked == [
            "POST /containers/create",
            "POST /containers/{ref}/start",
            "GET /containers/{ref}/json",
        ]
    await asyncio.gather(world.user.stop("first"), world.user.stop("second"))


async def test_an_image_without_a_command_runs_its_entrypoint(make_world: MakeWorld, site: Site) -> None:
    options = {"image": "nocmd:1"} if site.fake is not None else {}
    world = make_world(**options)
    spawner = await world.spawn()
    assert site.inspect(spawner.object_id)["State"]["Running"] is True
    await world.user.stop("")


async def test_a_start_pulls_an_image_that_went_away(fake: FakeEngine, tmp_path: Path) -> None:
    world = new_world(site_over(fake), tmp_path, image="registry.test/pullable:1")
    await world.spawn("first")
    await world.user.stop("first")
    fake.http.delete("/images/registry.test/pullable:1").raise_for_status()
    await world.spawn("second")
    assert len(fake.requests("POST", "/images/create")) == 2
    await world.user.stop("second")


async def test_a_hub_on_loopback_is_told_what_to_set(
    make_world: MakeWorld, caplog: pytest.LogCaptureFixture
) -> None:
    world = make_world()
    world.settings["hub"] = Hub(ip="127.0.0.1", base_url="/hub/")
    for name in ("first", "second"):
        await world.spawn(name)
        await world.user.stop(name)
    told = [record.getMessage() for record in caplog.records if "cannot reach the Hub" in record.getMessage()]
    assert len(told) == 1
    assert all(word in told[0] for word in ("hub_ip", "hub_connect_ip"))
    assert re.search(r"hub_connect_ip = '[0-9]+[.][0-9.]+'", told[0])


def infos(log: pytest.LogCaptureFixture) -> list[str]:
    """Give the lines at the level INFO."""
    return [record.getMessage() for record in log.records if record.levelname == "INFO"]


def are_done(lines: list[str], *done: str) -> list[bool]:
    """Tell of each line whether it says that this was done, in so many seconds."""
    told = zip(lines, done, strict=True)
    return [bool(re.fullmatch(rf"{re.escape(each)} in [0-9]+[.][0-9] s", line)) for line, each in told]


async def test_the_log_has_a_line_for_each_step_of_a_servers_life(
    make_world: MakeWorld, site: Site, log: pytest.LogCaptureFixture
) -> None:
    world = make_world(remove=False)
    spawner = await world.spawn()
    await world.user.stop("")
    world.settings["config"].DockerSpawner.remove = True
    await world.restarted().new_spawner("").delete_forever()
    what = f"{spawner.object_name} (id {spawner.object_id[:12]}, image {spawner.image})"
    told = [line for line in infos(log) if what in line]
    assert all(are_done(told, *(f"{done} {what}" for done in ("Created", "Started", "Stopped", "Removed"))))


@pytest.mark.parametrize("workload", [Services], indirect=True, ids=["service"])
async def test_the_log_has_a_line_for_the_creation_of_a_service_and_one_for_its_removal(
    make: MakeWorld, fake: FakeEngine, log: pytest.LogCaptureFixture
) -> None:
    fake.add_pullable("stub:1")
    world = make(resolve_image=True)
    spawner = await world.spawn()
    made, (service,) = spawner.object_id, fake.swarm.state()["services"]
    assert "@sha256:" in service["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]
    await world.user.stop("")
    what = f"service {spawner.object_name} (id {made[:12]}, image {spawner.image})"
    told = [line for line in infos(log) if made[:12] in line]
    assert all(are_done(told, f"Created {what}", f"Removed {what}"))


async def test_the_log_tells_that_a_kept_container_is_started_again(
    make_world: MakeWorld, log: pytest.LogCaptureFixture
) -> None:
    world = make_world(remove=False)
    for _ in range(2):
        spawner = await world.spawn()
        await world.user.stop("")
    what = f"{spawner.object_name} (id {spawner.object_id[:12]}, image {spawner.image})"
    assert infos(log).count(f"Found {what}, which is started again") == 1
