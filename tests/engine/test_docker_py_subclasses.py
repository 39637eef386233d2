"""Subclasses and hooks as sites have them for DockerSpawner, over the fake Engine and a real one."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

import docker
import pytest
from docker.errors import APIError
from tornado import gen

from asyncdockerspawner import DockerSpawner, errors
from asyncdockerspawner.engine import registry
from tests.fake_engine import FakeEngine
from tests.support.site import Site
from tests.support.world import MakeWorld, World

MOMENTS = [0.004 * step for step in range(1, 20)]
NOWHERE = {"base_url": "unix:///nowhere/docker.sock"}


def of(world: World, spawner_class: type[DockerSpawner]) -> World:
    """The same world with spawners of another class."""
    world.settings["spawner_class"] = spawner_class
    return world


class OnItsOwn(DockerSpawner):
    """Makes, finds, stops and removes its containers itself, as DockerSpawner's own code does."""

    async def create_object(self) -> dict[str, Any]:
        host_config = self.client.create_host_config(
            auto_remove=False,
            mounts=[docker.types.Mount("/scratch", "", type="tmpfs")],
            port_bindings={self.port: (self.host_ip,)},
            mem_limit="256m",
        )
        return dict(
            await self.docker(
                "create_container",
                image=self.image,
                environment=self.get_env(),
                name=self.container_name,
                command=await self.get_command(),
                ports={f"{self.port}/tcp": None},
                labels={"site": "mine"},
                host_config=host_config,
            )
        )

    async def get_object(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = await self.docker("inspect_container", self.container_name)
        except APIError as error:
            if error.response.status_code != 404:
                raise
            return None
        return found

    async def start_object(self) -> None:
        await self.docker("start", self.container_id)

    async def stop_object(self) -> None:
        await self.docker("stop", self.container_id)

    async def remove_object(self) -> None:
        try:
            await self.docker("remove_container", self.container_id, v=True)
        except docker.errors.APIError as error:
            if error.status_code not in {404, 409}:
                raise

    async def get_ip_and_port(self) -> tuple[str, int]:
        (published,) = await self.docker("port", self.container_id, self.port)
        return published["HostIp"], int(published["HostPort"])


async def test_a_subclass_that_makes_its_containers_itself(make_world: MakeWorld, site: Site) -> None:
    world = of(make_world(), OnItsOwn)
    spawner = await world.spawn()
    found = site.inspect(spawner.object_id)
    assert found["HostConfig"]["Memory"] == 256 * 2**20
    (mount,) = found["HostConfig"]["Mounts"]
    assert (mount["Type"], mount["Target"]) == ("tmpfs", "/scratch")
    assert await spawner.poll() is None
    await world.user.stop("")
    assert site.containers() == []


async def test_what_a_subclass_makes_under_the_servers_name_says_whose_it_is(
    make_world: MakeWorld, site: Site
) -> None:
    world = of(make_world(remove=False), OnItsOwn)
    spawner = await world.spawn()
    labels = site.inspect(spawner.object_id)["Config"]["Labels"]
    assert labels["site"] == "mine"
    assert labels["asyncdockerspawner.spawn"] == spawner.orm_spawner.state["spawn_id"]
    # Otherwise `orphan_policy` could remove what is to be kept.
    assert labels["asyncdockerspawner.keep"] == "true"
    await world.user.stop("")
    assert [one["Id"] for one in site.containers()] == [spawner.object_id]


async def test_another_container_that_a_subclass_makes_is_no_server(
    make_world: MakeWorld, site: Site
) -> None:
    class WithHelper(DockerSpawner):
        async def create_object(self) -> dict[str, Any]:
            helper = await self.docker("create_container", self.image, name=f"{self.object_name}-helper")
            try:
                assert (
                    site.inspect(helper["Id"])["Config"]["Labels"]
                    .keys()
                    .isdisjoint({"asyncdockerspawner.hub", "asyncdockerspawner.spawn"})
                )
            finally:
                await self.docker("remove_container", helper)
            return await super().create_object()

    world = of(make_world(), WithHelper)
    await world.spawn()
    assert site.names() == [f"t{site.hub_id}-alice"]
    await world.user.stop("")


async def test_a_start_of_a_subclass_cancelled_at_any_moment_leaves_nothing(
    make_world: MakeWorld, site: Site
) -> None:
    world = of(make_world("silent", concurrent_starts=0), OnItsOwn)
    for number, moment in enumerate(MOMENTS):
        spawner = world.new_spawner(f"s{number}")
        await spawner.run_pre_spawn_hook()
        task = asyncio.ensure_future(spawner.start())
        await asyncio.wait([task], timeout=moment)
        task.cancel()
        await asyncio.wait([task])
    for number in range(len(MOMENTS)):
        await spawner.engine.janitor.settled(f"t{site.hub_id}-alice--s{number}")
    assert site.containers() == []


@pytest.mark.parametrize("site", ["fake"], indirect=True)
async def test_an_image_that_is_not_there_is_pulled_for_a_subclass_too(
    make_world: MakeWorld, fake: FakeEngine
) -> None:
    world = of(make_world(image="late:1"), OnItsOwn)
    # The spawn before it has taught us that the image is there.
    fake.add_image("late:1")
    await world.spawn()
    await world.user.stop("")
    await world.spawner().docker("remove_image", "late:1")
    fake.add_pullable("late:1")
    await world.spawn()
    await world.user.stop("")
    # The image's command, for which it asks, has told that the image is gone.
    assert len(fake.requests("POST", "/containers/create")) == 2


class Elsewhere(DockerSpawner):
    """Chooses its Engine by its client."""

    url = ""

    @property
    def client(self) -> Any:
        cls = type(self)
        if cls._client is None:
            cls._client = docker.APIClient(base_url=self.url, version="1.41")
        return cls._client


async def test_an_overridden_client_decides_which_engine_is_meant(make_world: MakeWorld, site: Site) -> None:
    class Here(Elsewhere):
        url = site.url

    world = of(make_world(client_kwargs=NOWHERE), Here)
    spawner = await world.spawn()
    assert site.names() == [f"t{site.hub_id}-alice"]
    assert await spawner.docker("ping") is True
    assert spawner.engine.settings.url == site.url.replace("tcp:", "http:")
    await world.user.stop("")
    assert len(registry._engines[asyncio.get_running_loop()]) == 1


async def test_a_client_that_names_no_engine_is_refused_instead_of_going_to_the_default_one(
    make_world: MakeWorld,
) -> None:
    class Lost(DockerSpawner):
        client = None

    spawner = of(make_world(), Lost).new_spawner()
    with pytest.raises(errors.BadOption, match="does not tell its Engine"):
        spawner.docker("ping")


async def test_a_hook_makes_a_network_and_a_volume(make_world: MakeWorld, site: Site) -> None:
    made = f"t{site.hub_id}-made-for-alice"

    async def before(spawner: DockerSpawner) -> None:
        try:
            await spawner.docker("inspect_network", made)
        except docker.errors.NotFound:
            await spawner.docker("create_network", made, labels={"user": spawner.user.name})
        await spawner.docker("create_volume", made, driver_opts=None, labels={"user": spawner.user.name})
        spawner.extra_networks = [made]
        spawner.volumes = {made: "/home/jovyan/work"}

    async def after(spawner: DockerSpawner) -> None:
        await spawner.docker("remove_network", made)
        await spawner.docker("remove_volume", made, force=True)

    world = make_world(pre_spawn_hook=before, post_stop_hook=after)
    spawner = await world.spawn()
    found = site.inspect(spawner.object_id)
    assert set(found["NetworkSettings"]["Networks"]) == {"bridge", made}
    assert [mount["Name"] for mount in found["Mounts"]] == [made]
    await world.user.stop("")
    assert await spawner.docker("networks", names=[made]) == []
    assert not (await spawner.docker("volumes", {"name": made}))["Volumes"]


class Classic(DockerSpawner):
    """Written when coroutines were generators."""

    seen: Any = None

    @gen.coroutine
    def get_object(self) -> Generator[Any, Any, Any]:  # type: ignore[override]
        try:
            found = yield self.docker("inspect_container", self.container_name)
        except docker.errors.APIError as error:
            if error.response.status_code == 404:
                return None
            raise
        return found

    @gen.coroutine
    def start(self) -> Generator[Any, Any, Any]:  # type: ignore[override]
        ip_and_port = yield super().start()
        self.seen = yield {
            "version": self.docker("version"),
            "containers": self.docker("containers", all=True),
        }
        return ip_and_port

    @gen.coroutine
    def stop_object(self) -> Generator[Any, Any, None]:  # type: ignore[override]
        yield [self.docker("stop", self.container_id, timeout=1)]


async def test_generators_yield_what_docker_gives(make_world: MakeWorld, site: Site) -> None:
    world = of(make_world(), Classic)
    spawner: Any = await world.spawn()
    assert spawner.object_id in {one["Id"] for one in spawner.seen["containers"]}
    assert spawner.seen["version"]["ApiVersion"]
    # So do tests and hooks that waited for DockerSpawner's futures.
    assert await asyncio.wrap_future(spawner.docker("ping")) is True
    await world.user.stop("")
    assert site.containers() == []


async def test_what_would_need_a_thread_fails_at_once_and_names_the_way(make_world: MakeWorld) -> None:
    spawner: Any = make_world().new_spawner()
    with pytest.raises(
        AttributeError, match=r"`client\.inspect_container` needs a thread.*'inspect_container'"
    ):
        spawner.client.inspect_container("x")
    with pytest.raises(AttributeError, match=r"`_docker`.*await spawner\.docker\('stop', …\)"):
        spawner._docker("stop", "x")
    with pytest.raises(AttributeError, match=r"`executor`.*await spawner\.docker"):
        spawner.executor.submit(print)
