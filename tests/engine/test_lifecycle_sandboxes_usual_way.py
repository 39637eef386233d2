"""Servers that cannot be in a sandbox start in the usual way, which is said once."""

from __future__ import annotations

import asyncio
import copy
import json
from typing import Any

import pytest
from aiohttp import web

from asyncdockerspawner import DockerSpawner
from asyncdockerspawner.client.settings import EngineSettings
from asyncdockerspawner.engine.engine import Engine
from asyncdockerspawner.workloads.container.sandbox import Shape
from tests.support.sandboxes import pool, sandbox_of, sandboxes, warmed
from tests.support.servers import answering
from tests.support.service_worlds import Sites
from tests.support.site import Site
from tests.support.world import MakeWorld


class OwnCreate(DockerSpawner):
    """Creates its container itself."""

    async def create_object(self) -> Any:
        return await super().create_object()


class OwnStart(DockerSpawner):
    """Starts its container itself."""

    async def start_object(self) -> None:
        await super().start_object()


class OwnAddress(DockerSpawner):
    """Knows its address itself."""

    async def get_ip_and_port(self) -> tuple[str, int]:
        return await super().get_ip_and_port()


class OwnNetworkAddress(DockerSpawner):
    """Knows its address in the network itself."""

    def get_network_ip(self, network_settings: Any) -> Any:
        return super().get_network_ip(network_settings)


STEPS: dict[str, type[DockerSpawner]] = {
    "create_object": OwnCreate,
    "start_object": OwnStart,
    "get_ip_and_port": OwnAddress,
    "get_network_ip": OwnNetworkAddress,
}


def in_a_hook(spawner: DockerSpawner) -> None:
    spawner.port = 9999


USUAL: dict[str, dict[str, Any]] = {
    "links": {"links": {"first": "f"}},
    "extra_networks": {"extra_networks": ["more"]},
    "remove": {"remove": False},
    "use_internal_hostname": {"use_internal_hostname": True},
    "hostname": {"extra_create_kwargs": {"hostname": "me"}},
    "mac_address": {"extra_create_kwargs": {"mac_address": "02:42:ac:11:00:99"}},
    "ports": {"extra_create_kwargs": {"ports": [9000]}},
    "dns": {"extra_host_config": {"dns": ["9.9.9.9"]}},
    "extra_hosts": {"extra_host_config": {"extra_hosts": {"a": "10.0.0.1"}}},
    "sysctls": {"extra_host_config": {"sysctls": {"net.core.somaxconn": "1024"}}},
    "publish_all_ports": {"extra_host_config": {"publish_all_ports": True}},
    "port_bindings": {"extra_host_config": {"port_bindings": {"8888/tcp": ("127.0.0.1", 0)}}},
    "network_mode": {"extra_host_config": {"network_mode": "host"}},
    "restart_policy": {"extra_host_config": {"restart_policy": {"Name": "always"}}},
    "port": {"pre_spawn_hook": in_a_hook},
}


async def test_servers_with_a_network_of_their_own_start_in_the_usual_way_which_is_said_once(
    make: MakeWorld, fake_site: Site, log: pytest.LogCaptureFixture
) -> None:
    world = await warmed(make, fake_site)
    before, usual = sandboxes(fake_site), copy.deepcopy(world.settings["config"])
    fake_site.http.post("/networks/create", json={"Name": "more"}).raise_for_status()
    for number, (option, options) in enumerate(USUAL.items()):
        world.settings["config"] = copy.deepcopy(usual)
        world.settings["config"].DockerSpawner.update(options)
        log.clear()
        for name in ("one", "two"):
            spawner = world.new_spawner(f"{name}{number}")
            await spawner.run_pre_spawn_hook()
            body = await made_of(spawner)
            assert not str(body["HostConfig"]["NetworkMode"]).startswith("container:")
        told = [line for line in log.messages if "usual way" in line]
        assert [f"`{option}`" in line for line in told] == [True], (option, told)
    assert sandboxes(fake_site) == before


async def made_of(spawner: DockerSpawner) -> dict[str, Any]:
    """Create a server as its start does, and give what the Engine was sent; it is removed."""
    made = str((await spawner.create_object())["Id"])
    workload = spawner._managed.workload
    found = await workload.inspect(made)
    assert found is not None
    await workload.remove(made, force=True)
    spawner.clear_state()
    return dict(found)


async def test_servers_that_want_another_network_than_the_first_one_start_in_the_usual_way(
    make: MakeWorld, fake_site: Site, log: pytest.LogCaptureFixture
) -> None:
    world = await warmed(make, fake_site)
    before, usual = sandboxes(fake_site), copy.deepcopy(world.settings["config"])
    fake_site.http.post("/networks/create", json={"Name": "more"}).raise_for_status()
    others = {
        "host_ip": {"host_ip": "127.0.0.2"},
        "network": {"network_name": "more", "use_internal_ip": False},
    }
    for name, options in others.items():
        world.settings["config"] = copy.deepcopy(usual)
        world.settings["config"].DockerSpawner.update(options)
        spawner = world.new_spawner(name)
        await spawner.run_pre_spawn_hook()
        assert (await made_of(spawner))["HostConfig"]["NetworkMode"] in {"bridge", "more"}
    assert log.text.count("as they want another `port`, `host_ip` or `network_name`") == 1
    assert sandboxes(fake_site) == before


async def test_servers_under_internal_ssl_start_in_the_usual_way_which_is_said_once(
    make_secure: MakeWorld, fake_site: Site, log: pytest.LogCaptureFixture
) -> None:
    world = make_secure(sandboxes=1, use_internal_hostname=False)
    for name in ("one", "two"):
        assert sandbox_of(fake_site, await world.spawn(name)) == ""
    assert log.text.count("in the usual way, without one, because of `internal_ssl`") == 1
    assert sandboxes(fake_site) == []
    for name in ("one", "two"):
        await world.user.stop(name)


@pytest.mark.parametrize("step", STEPS)
async def test_a_subclass_that_takes_a_step_itself_starts_in_the_usual_way(
    make: MakeWorld, fake_site: Site, log: pytest.LogCaptureFixture, step: str
) -> None:
    world, cls = await warmed(make, fake_site), STEPS[step]
    world.settings["spawner_class"] = cls
    world.settings["config"][cls.__name__].update(world.settings["config"].DockerSpawner)
    spawner = await world.spawn()
    assert sandbox_of(fake_site, spawner) == ""
    assert f"because of `{step}`" in log.text
    await world.user.stop("")


async def test_an_engine_that_takes_no_images_has_no_sandboxes(
    make: MakeWorld, fake_site: Site, log: pytest.LogCaptureFixture
) -> None:
    assert fake_site.fake is not None
    words = "<html><body><h1>403 Forbidden</h1></body></html>"
    fake_site.fake.rule("POST", "^/images/load$", status=403, message=words)
    world = make(sandboxes=1)
    for name in ("one", "two"):
        assert sandbox_of(fake_site, await world.spawn(name)) == ""
    filling = pool(fake_site)._filling
    assert filling is not None
    await asyncio.wait_for(filling, 30)
    assert log.text.count("Cannot make a sandbox") == 1
    assert json.dumps(fake_site.names()).count("sandbox") == 0
    for name in ("one", "two"):
        await world.user.stop(name)


async def test_services_of_a_swarm_start_in_the_usual_way(
    make_services: Sites, log: pytest.LogCaptureFixture
) -> None:
    world = make_services(sandboxes=1)
    for name in ("one", "two"):
        await world.spawn(name)
    assert log.text.count("in the usual way, without one, as services of a swarm") == 1
    for name in ("one", "two"):
        await world.user.stop(name)


@pytest.mark.fake_engine
async def test_a_machine_without_a_program_has_no_sandboxes(caplog: pytest.LogCaptureFixture) -> None:
    async def answer(request: web.Request) -> web.Response:
        assert request.path.endswith("/version"), request.path
        return web.json_response({"ApiVersion": "1.41", "MinAPIVersion": "1.12", "Arch": "s390x"})

    async with answering(answer) as url:
        engine = Engine(EngineSettings(url=url))
        found = engine.sandboxes("h")
        found.set_up(2, lambda _: ())
        for _ in range(2):
            assert found.fits(Shape("bridge", "8888/tcp", None))
            assert found._filling is not None
            await found._filling
            assert found.take() is None
        await engine.aclose()
    assert caplog.text.count("There are no sandboxes on this Engine's machine (s390x)") == 1
