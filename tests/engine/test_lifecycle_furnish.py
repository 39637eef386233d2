"""What is put into a container before each start, over the fake Engine and a real one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from asyncdockerspawner import DockerSpawner, SwarmSpawner
from asyncdockerspawner.workloads.furnishing import Furnishing
from tests.fake_engine import FakeEngine
from tests.support.files import Entry, inside
from tests.support.service_worlds import Sites
from tests.support.site import Site
from tests.support.waiting import until
from tests.support.world import MakeWorld, World

KEY = b"-----BEGIN KEY-----secret"
LINE = "alice:x:1000:100::/home/jovyan:/bin/sh"
EXTRA = {"user": "jovyan"}


class Furnished(DockerSpawner):
    """Has certificates and a line of /etc/passwd put into its containers."""

    certificates: dict[str, bytes] = {"/jupyterhub-certs/key.pem": KEY, "/jupyterhub-certs/cert.pem": b"cert"}  # noqa: RUF012

    async def _furnishing(self) -> Furnishing:
        given = await super()._furnishing()
        return replace(given, certificates=self.certificates, passwd_entry=LINE)


class WithoutSuper(Furnished):
    """Creates and starts in its own way."""

    async def create_object(self) -> Any:
        body = {"Image": self.image, "Labels": {"asyncdockerspawner.hub": self.hub_id}, "User": "jovyan"}
        if self.cmd:
            body["Cmd"] = self.cmd
        host = {"PortBindings": {"8888/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}}
        words = {**body, "ExposedPorts": {"8888/tcp": {}}, "HostConfig": host}
        return {"Id": await self.engine.client.containers.create(self.object_name, words)}

    async def start_object(self) -> None:
        await self.docker("start", self.object_id)


class TakesTheSteps(Furnished):
    """Never comes to our own start."""

    async def start(self) -> Any:
        self.object_id = (await self.create_object())["Id"]
        await self.start_object()
        return await self.get_ip_and_port()


class StartsByDockerPy(Furnished):
    """Never comes to our own start, and starts by docker-py's method."""

    async def start(self) -> Any:
        made = await self.docker("create_container", image="stub:1")
        await self.docker("start", made)
        await self.docker("remove_container", made["Id"], force=True)
        self.object_id = (await self.create_object())["Id"]
        await self.docker("start", container=self.object_id)
        return await self.get_ip_and_port()


class MakesAndStartsByDockerPy(Furnished):
    """Takes both steps by docker-py's methods, and says late which its container is."""

    async def start(self) -> Any:
        host = await self.docker("create_host_config", port_bindings={8888: ("127.0.0.1",)})
        words = {"user": "jovyan", "ports": [8888], "host_config": host, "environment": self.get_env()}
        made = await self.docker("create_container", self.image, name=self.container_name, **words)
        await self.docker("start", made)
        self.object_id = made["Id"]
        return await self.get_ip_and_port()


def of(world: World, spawner_class: type[DockerSpawner]) -> World:
    """The same world with spawners of another class."""
    world.settings["spawner_class"] = spawner_class
    return world


@pytest.mark.parametrize("kind", [Furnished, WithoutSuper, TakesTheSteps])
async def test_files_are_in_the_container_for_the_user_alone_that_the_server_runs_as(
    make_world: MakeWorld, site: Site, kind: type[DockerSpawner]
) -> None:
    world = of(make_world(extra_create_kwargs=EXTRA), kind)
    spawner = await world.spawn()
    ref = spawner.object_id
    assert inside(site, ref, "/jupyterhub-certs") == {
        "jupyterhub-certs": Entry(0, 0, 0o755),
        "jupyterhub-certs/key.pem": Entry(1000, 100, 0o400, KEY),
        "jupyterhub-certs/cert.pem": Entry(1000, 100, 0o400, b"cert"),
    }
    passwd = inside(site, ref, "/etc/passwd")["passwd"]
    assert passwd[:3] == (0, 0, 0o644)
    assert passwd.content.decode().splitlines()[-2:] == ["jovyan:x:1000:100::/home/jovyan:/bin/sh", LINE]
    assert KEY.decode() not in str(site.inspect(ref))
    await world.user.stop("")


@pytest.mark.parametrize("kind", [StartsByDockerPy, MakesAndStartsByDockerPy])
async def test_a_start_of_a_classes_own_by_docker_pys_method_is_furnished_too(
    make: MakeWorld, fake: FakeEngine, fake_site: Site, kind: type[DockerSpawner]
) -> None:
    new = "/home/jovyan/new"
    world = of(make(extra_create_kwargs=EXTRA, volumes={f"t{fake_site.hub_id}-{{username}}": new}), kind)
    spawner = await world.spawn()
    ref = spawner.object_id
    assert inside(fake_site, ref, "/jupyterhub-certs/key.pem") == {"key.pem": Entry(1000, 100, 0o400, KEY)}
    assert LINE in inside(fake_site, ref, "/etc/passwd")["passwd"].content.decode().splitlines()
    if kind is StartsByDockerPy:
        assert inside(fake_site, ref, new) == {"new": Entry(1000, 100, 0o755)}
    # Nothing is put into what is not the server's.
    into = {each["path"].split("/")[-2] for each in fake.requests("PUT", "/containers/{ref}/archive")}
    assert into == {ref}
    await world.user.stop("")


async def test_a_kept_container_gets_todays_files_and_one_line(make_world: MakeWorld, site: Site) -> None:
    world = of(make_world(extra_create_kwargs=EXTRA, remove=False), Furnished)
    spawner = await world.spawn()
    ref, before = spawner.object_id, inside(site, spawner.object_id, "/etc/passwd")
    await world.user.stop("")
    world.spawner().certificates = {"/jupyterhub-certs/key.pem": b"renewed"}
    spawner = await world.spawn()
    assert spawner.object_id == ref
    assert inside(site, ref, "/jupyterhub-certs/key.pem") == {"key.pem": Entry(1000, 100, 0o400, b"renewed")}
    assert inside(site, ref, "/etc/passwd") == before
    # What is put in is no file of the user's that a container would have to be kept for.
    await world.user.stop("")
    observed = await spawner._managed.workload.find(ref)
    assert observed is not None
    assert await spawner._managed.workload.container.user_files(observed) == []


@pytest.mark.parametrize(
    ("options", "owner"),
    [
        ({}, (0, 0)),
        ({"extra_create_kwargs": {"user": "1000"}}, (1000, 100)),
        ({"extra_create_kwargs": {"user": "7:users"}}, (7, 100)),
        (
            {"extra_create_kwargs": {"user": "root"}, "environment": {"NB_UID": "1000", "NB_GID": "5"}},
            (1000, 5),
        ),
        ({"environment": {"NB_UID": "1000"}}, (1000, 100)),
        ({"extra_create_kwargs": {"user": "3000000000:7"}, "environment": {"NB_UID": "5"}}, None),
        ({"extra_create_kwargs": {"user": "2000:7"}, "environment": {"NB_UID": "5"}}, (2000, 7)),
    ],
)
async def test_the_user_is_whom_the_server_comes_to_run_as(
    make: MakeWorld, fake_site: Site, options: dict[str, Any], owner: tuple[int, int] | None
) -> None:
    world = of(make(**options), Furnished)
    spawner = await world.spawn()
    key = inside(fake_site, spawner.object_id, "/jupyterhub-certs/key.pem")["key.pem"]
    assert key[:2] == (owner or (3_000_000_000, 7))
    await world.user.stop("")


async def test_a_user_that_the_image_does_not_have_ends_the_start(
    make_world: MakeWorld, site: Site, log: pytest.LogCaptureFixture
) -> None:
    world = of(make_world(extra_create_kwargs={"user": "nobody-knows"}), Furnished)
    with pytest.raises(Exception, match="its certificates cannot be put into its container"):
        await world.spawn()
    assert "there is no user 'nobody-knows' in its /etc/passwd" in log.text
    assert KEY.decode() not in log.text
    await until(lambda: site.containers() == [])


async def test_with_userns_remap_a_server_with_the_machines_ids_is_refused_a_key_that_it_could_not_read(
    make: MakeWorld, fake: FakeEngine, log: pytest.LogCaptureFixture
) -> None:
    fake.map_ids("userns")
    own_ids = {"userns_mode": "host"}
    world = of(make(extra_create_kwargs=EXTRA, extra_host_config=own_ids), Furnished)
    with pytest.raises(Exception, match="its certificates cannot be put into its container"):
        await world.spawn()
    assert "an Engine with userns-remap gives what is put into a container to other ids" in log.text
    await until(lambda: fake.containers() == [])
    # Root reads it all the same.
    world.settings["config"].DockerSpawner.extra_create_kwargs = {}
    await world.spawn("other")
    await world.user.stop("other")


async def test_a_read_only_container_has_a_volume_for_certificates_and_goes_without_the_line(
    make_world: MakeWorld, site: Site, log: pytest.LogCaptureFixture
) -> None:
    read_only = {"read_only": True, "tmpfs": {"/run": "", "/tmp": ""}}
    mount = {"target": "/jupyterhub-certs", "type": "volume"}
    world = of(make_world(extra_create_kwargs=EXTRA, extra_host_config=read_only, mounts=[mount]), Furnished)
    spawner = await world.spawn()
    ref = spawner.object_id
    assert inside(site, ref, "/jupyterhub-certs/key.pem") == {"key.pem": Entry(1000, 100, 0o400, KEY)}
    assert LINE not in str(inside(site, ref, "/etc/passwd"))
    assert log.text.count("`passwd_entry`: nothing was added to /etc/passwd: container rootfs is marked") == 1
    [volume] = [
        each["Name"] for each in site.inspect(ref)["Mounts"] if each["Destination"] == "/jupyterhub-certs"
    ]
    await world.user.stop("")
    assert site.http.get(f"/volumes/{volume}").status_code == 404
    world.settings["config"].DockerSpawner.mounts = []
    with pytest.raises(Exception, match="its certificates cannot be put into its container"):
        await world.spawn("other")
    await until(lambda: site.containers() == [])


async def test_an_engine_that_is_away_is_said_as_ever(
    make: MakeWorld, fake: FakeEngine, log: pytest.LogCaptureFixture
) -> None:
    world = of(make(), Furnished)
    fake.rule("PUT", "/archive$", reset_before=True)
    with pytest.raises(Exception, match="Docker Engine"):
        await world.spawn()
    assert "certificates" not in log.text


@pytest.mark.parametrize("path", ["/json$", "/archive$"])
async def test_a_start_that_is_cancelled_while_files_are_put_in_leaves_nothing(
    make: MakeWorld, fake: FakeEngine, fake_site: Site, path: str
) -> None:
    world = of(make(), Furnished)
    fake.rule("*", path, delay_before=5)
    spawning = asyncio.create_task(world.spawn())
    await until(lambda: any(each["end"] is None for each in fake.requests()) and fake.containers() != [])
    await until(lambda: any(path.strip("$") in each["path"] for each in fake.requests()))
    spawning.cancel()
    await asyncio.gather(spawning, return_exceptions=True)
    fake.clear_rules()
    await until(lambda: fake_site.containers() == [])


async def test_a_service_is_given_nothing(make_services: Sites, fake: FakeEngine) -> None:
    class FurnishedService(SwarmSpawner):
        async def _furnishing(self) -> Furnishing:
            return Furnishing(certificates={"/jupyterhub-certs/key.pem": KEY}, passwd_entry=LINE)

    world = of(make_services(), FurnishedService)
    await world.spawn()
    await world.user.stop("")
    assert [each for each in fake.requests() if "archive" in each["path"]] == []
