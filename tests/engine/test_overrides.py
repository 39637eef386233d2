"""What subclasses written for DockerSpawner override, call and catch, over the fake Engine and a real one."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

import docker
import pytest
from docker.errors import APIError
from tornado import gen, web

from asyncdockerspawner import DockerSpawner, errors
from asyncdockerspawner.engine import registry
from tests.fake_engine import FakeEngine
from tests.support.site import Site
from tests.support.world import MakeWorld, World

FAKE_ONLY = pytest.mark.parametrize("site", ["fake"], indirect=True)
"""It tells what it was asked."""
REAL_ONLY = pytest.mark.parametrize("site", ["real"], indirect=True)


def of(world: World, spawner_class: type[DockerSpawner]) -> World:
    """The same world with spawners of another class."""
    world.settings["spawner_class"] = spawner_class
    return world


class ForGuests(DockerSpawner):
    """Takes the shared folder away."""

    def _volumes_to_binds(self, volumes: Any, binds: Any, mode: str = "rw") -> Any:
        found = super()._volumes_to_binds(volumes, binds, mode)
        return {source: bind for source, bind in found.items() if not source.endswith("-shared")}


async def test_a_folder_that_a_subclass_takes_away_is_not_mounted(make_world: MakeWorld, site: Site) -> None:
    base = f"t{site.hub_id}"
    world = of(make_world(volumes={f"{base}-{{username}}": "/u", f"{base}-shared": "/s"}), ForGuests)
    found = site.inspect((await world.spawn()).object_id)
    assert [mount["Destination"] for mount in found["Mounts"]] == ["/u"]
    await world.user.stop("")


class WithMore(DockerSpawner):
    """Adds to the image's command."""

    async def get_command(self) -> list[str]:
        return [*await super().get_command(), "--more"]


async def test_a_subclass_adds_to_the_images_command(make_world: MakeWorld, site: Site) -> None:
    world = of(make_world(), WithMore)
    spawner = await world.spawn()
    image = site.http.get(f"/images/{spawner.image}/json").json()["Config"]
    assert site.inspect(spawner.object_id)["Config"]["Cmd"] == [*(image.get("Cmd") or []), "--more"]
    await world.user.stop("")


@FAKE_ONLY
async def test_only_who_asks_for_the_images_command_has_the_engine_asked(
    make_world: MakeWorld, fake: FakeEngine
) -> None:
    fake.add_image("lab:1", Cmd=["start-lab"])
    world = make_world(image="lab:1")
    spawner = await world.spawn()
    await world.user.stop("")
    fake.clear_requests()
    await world.spawn()
    (created,) = fake.requests("POST", "/containers/create")
    assert "Cmd" not in created["body"]
    assert fake.requests("GET", "/images/{name}/json") == []
    assert await spawner.get_command() == ["start-lab"]
    await world.user.stop("")


def address_of(settings: Any) -> str:
    return f"{settings['Networks']['bridge']['IPAddress']}0"


class ByNetwork(DockerSpawner):
    """Knows its addresses better."""

    def get_network_ip(self, network_settings: Any) -> str:
        return address_of(network_settings)


class ByNetworkLater(DockerSpawner):
    """Asks somebody."""

    async def get_network_ip(self, network_settings: Any) -> str:  # type: ignore[override]
        await asyncio.sleep(0)
        return address_of(network_settings)


@pytest.mark.parametrize("cls", [ByNetwork, ByNetworkLater])
async def test_the_address_is_what_a_subclass_makes_of_the_networks(
    make_world: MakeWorld, site: Site, cls: type[DockerSpawner]
) -> None:
    world = of(make_world(), cls)
    spawner = await world.spawn()
    settings = site.inspect(spawner.object_id)["NetworkSettings"]
    spawner.use_internal_ip = True
    assert await spawner.get_ip_and_port() == (address_of(settings), 8888)
    assert DockerSpawner.get_network_ip(spawner, settings) == address_of(settings)[:-1]
    await world.user.stop("")


async def test_who_finds_the_address_by_the_networks_gets_all_that_the_engine_tells_of_them(
    make_world: MakeWorld, site: Site
) -> None:
    asked = list[Any]()

    class Watches(DockerSpawner):
        """Sees what it is asked with."""

        def get_network_ip(self, network_settings: Any) -> str:
            asked.append(network_settings)
            return address_of(network_settings)

    world = of(make_world(), Watches)
    spawner = await world.spawn()
    # A list, which is all that is known after a restart of the Hub, tells less.
    await registry.close_engines()
    again = of(world.restarted(), Watches).new_spawner("")
    again.use_internal_ip = True
    settings = site.inspect(spawner.object_id)["NetworkSettings"]
    assert (await again.get_url()).startswith(f"http://{address_of(settings)}:8888/")
    assert asked == [settings]
    await again.stop()


class LooksIntoIt(DockerSpawner):
    """Sees and changes what is created."""

    created: Any = None

    def docker(self, method: str, *args: Any, **kwargs: Any) -> Any:
        if method == "create_container":
            self.created = dict(kwargs)
            kwargs["environment"]["SITE"] = "mine"
            kwargs["labels"]["site"] = "mine"
            kwargs["host_config"]["ShmSize"] = 2**27
        return super().docker(method, *args, **kwargs)


async def test_who_overrides_docker_sees_and_changes_what_is_created(
    make_world: MakeWorld, site: Site
) -> None:
    options = {"mem_limit": "64M", "extra_create_kwargs": {"hostname": "lab"}}
    world = of(make_world(remove=False, **options), LooksIntoIt)
    spawner: Any = await world.spawn()
    assert spawner.created["name"] == spawner.container_name
    assert spawner.created["image"] == spawner.image
    assert spawner.created["hostname"] == "lab"
    assert spawner.created["environment"]["JUPYTERHUB_USER"] == "alice"
    assert spawner.created["host_config"]["Memory"] == 64 * 2**20
    found = site.inspect(spawner.object_id)
    assert "SITE=mine" in found["Config"]["Env"]
    assert found["Config"]["Labels"]["site"] == "mine"
    assert found["Config"]["Labels"]["asyncdockerspawner.spawn"] == spawner.orm_spawner.state["spawn_id"]
    assert found["HostConfig"]["ShmSize"] == 2**27
    await world.user.stop("")
    assert (await world.spawn()).object_id == spawner.object_id
    await world.user.stop("")


caught: list[Any] = []


class Catches(DockerSpawner):
    """Sees what docker-py's errors mean, before its users are told."""

    async def start(self) -> tuple[str, int]:
        try:
            return await super().start()
        except APIError as error:
            caught.append(error)
            raise


class CatchesToo(Catches):
    """Is made from one that does."""

    async def start(self) -> tuple[str, int]:
        try:
            return await super().start()
        except docker.errors.DockerException as error:
            caught.append(error)
            raise


class CatchesInAGenerator(DockerSpawner):
    """Was written when coroutines were generators."""

    @gen.coroutine
    def start(self) -> Generator[Any, Any, Any]:  # type: ignore[override]
        try:
            address = yield super().start()
        except APIError as error:
            caught.append(error)
            raise
        return address


NOWHERE = {"extra_host_config": {"network_mode": "nowhere"}}
TOO_SMALL = {"mem_limit": 1}


@pytest.mark.parametrize(("cls", "times"), [(Catches, 1), (CatchesToo, 2), (CatchesInAGenerator, 1)])
async def test_a_start_that_the_engine_refuses_is_caught_as_docker_pys_as_ours_and_as_the_hubs(
    make_world: MakeWorld, site: Site, cls: Any, times: int
) -> None:
    for options, theirs, status in ((NOWHERE, docker.errors.NotFound, 404), (TOO_SMALL, APIError, 400)):
        caught.clear()
        with pytest.raises(web.HTTPError) as raised:
            await of(make_world(**options), cls).spawn()
        told: Any = raised.value
        assert len(caught) == times
        for error in caught:
            assert {theirs, errors.AsyncDockerSpawnerError, web.HTTPError} <= set(type(error).__mro__)
            assert error.status_code == error.response.status_code == status
            assert str(error) == error.jupyterhub_message == told.jupyterhub_message != ""
        # The Hub counts a fault of the configuration, as without the subclass.
        assert not isinstance(told, APIError)
        assert told.status_code == 500
        assert told.jupyterhub_message.count("administrator") == 1
        assert site.containers() == []


class TellsOtherwise(DockerSpawner):
    """Has another image where the first one is not there."""

    async def start(self) -> tuple[str, int]:
        try:
            return await super().start()
        except docker.errors.ImageNotFound:
            self.image = self.environment["OTHER"]
            return await super().start()


async def test_a_start_goes_on_with_another_image_where_the_first_is_not_there(
    make_world: MakeWorld, site: Site
) -> None:
    other = site.kind("stub")["image"]
    options = {"image": "nobody/nothing:none", "pull_policy": "never", "environment": {"OTHER": other}}
    spawner = await of(make_world(**options), TellsOtherwise).spawn()
    assert site.inspect(spawner.object_id)["Config"]["Image"] == other
    await spawner.user.stop("")


async def test_a_missing_image_is_caught_as_docker_pys(make_world: MakeWorld) -> None:
    spawner = make_world(pull_policy="never").new_spawner()
    with pytest.raises(docker.errors.ImageNotFound) as caught:
        await spawner.pull_image("nobody/nothing:none")
    assert "nobody/nothing:none" in caught.value.explanation
    assert isinstance(caught.value, errors.ImageUnavailable)


@FAKE_ONLY
async def test_an_image_that_cannot_be_pulled_is_caught_as_docker_pys(make_world: MakeWorld) -> None:
    spawner = make_world().new_spawner()
    with pytest.raises(docker.errors.ImageNotFound):
        await spawner.pull_image("nobody/nothing:1")


class TriesAnother(DockerSpawner):
    """Has another way where the first one fails."""

    refused: Any = None

    async def create_object(self) -> Any:
        try:
            return await super().create_object()
        except docker.errors.APIError as error:
            self.refused = error.status_code
            self.mem_limit = "64M"
            return await super().create_object()


async def test_a_create_that_is_refused_is_caught_as_docker_pys(make_world: MakeWorld, site: Site) -> None:
    world = of(make_world(**TOO_SMALL), TriesAnother)
    spawner: Any = await world.spawn()
    assert spawner.refused == 400
    assert site.inspect(spawner.object_id)["HostConfig"]["Memory"] == 64 * 2**20
    await world.user.stop("")


@REAL_ONLY
async def test_a_start_of_an_object_in_a_network_that_is_gone_is_caught_as_docker_pys(
    make_world: MakeWorld, site: Site
) -> None:
    world = of(make_world(**NOWHERE), DockerSpawner)
    spawner = world.new_spawner()
    made = await spawner.docker(
        "create_container",
        spawner.image,
        name=f"t{site.hub_id}-x",
        host_config={"NetworkMode": "nowhere"},
        labels={"asyncdockerspawner.hub": site.hub_id},
    )
    spawner.object_id = made["Id"]
    with pytest.raises(docker.errors.NotFound) as caught:
        await spawner.start_object()
    assert isinstance(caught.value, errors.BadOption)


async def test_a_step_is_at_one_engine_the_next_at_what_the_options_mean_then(make: MakeWorld) -> None:
    spawner = make().new_spawner()
    server = spawner._managed
    before = server.engine
    spawner.client_kwargs = {"base_url": "tcp://127.0.0.1:9"}
    assert spawner.engine is not before
    assert (server.engine, server.watch) == (before, before.watch(spawner.hub_id))
    assert spawner._managed.engine is server.engine is spawner.engine
