"""Configurations whose code calls docker-py's methods, each read by a real Hub that then runs servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fake_engine import FakeEngine
from tests.support.hub_site import HubSite, MakeHub, inspected, mounted, new_hub_id, prefix_of
from tests.testbed.images import STUB

MADE_BY_HAND = """
from dockerspawner import DockerSpawner


class ByHand(DockerSpawner):
    async def create_object(self):
        host_config = self.client.create_host_config(
            mem_limit="256m", port_bindings={self.port: (self.host_ip,)}
        )
        return await self.docker(
            "create_container",
            image=self.image,
            environment=self.get_env(),
            name=self.container_name,
            command=(await self.get_command()),
            ports=[self.port],
            labels={"site": "by hand"},
            host_config=host_config,
        )


c.JupyterHub.spawner_class = ByHand
"""
INSTALLED = "import asyncdockerspawner\nasyncdockerspawner.install_as_dockerspawner()\n"
ELSEWHERE = """
import docker
from asyncdockerspawner import DockerSpawner

far = docker.APIClient(base_url={url!r}, version="1.41")


class Elsewhere(DockerSpawner):
    @property
    def client(self):
        return far if self.user.name.startswith("far") else super().client


c.JupyterHub.spawner_class = Elsewhere
"""
PREPARED = """
async def prepare(spawner):
    name = f"{PREFIX}-{spawner.escaped_name}"
    found = await spawner.docker("networks", names=[name])
    if not found:
        await spawner.docker("create_network", name, driver="bridge", labels={"site": "mine"})
    await spawner.docker("create_volume", name, labels={"site": "mine"})
    spawner.network_name = name
    spawner.use_internal_ip = True
    spawner.volumes[name] = "/data"


c.DockerSpawner.pre_spawn_hook = prepare
"""


async def test_containers_that_a_subclass_creates_itself_are_servers(make_hub: MakeHub) -> None:
    hub = make_hub(config=INSTALLED + MADE_BY_HAND)
    await hub.create_users("alice")
    await hub.api.start_server("alice")
    assert await hub.answers("alice")
    found = inspected(hub, "alice")
    assert found["HostConfig"]["Memory"] == 256 * 2**20
    assert found["Config"]["Labels"]["site"] == "by hand"
    await hub.api.stop_server("alice")
    await hub.nothing_left()


async def test_a_client_of_a_subclass_decides_whose_engine_each_user_gets(
    make_hub: MakeHub, fake: FakeEngine
) -> None:
    fake.add_image(STUB)
    hub = make_hub(config=ELSEWHERE.format(url=fake.url))
    await hub.create_users("near", "faraway")
    for user in ("near", "faraway"):
        await hub.api.start_server(user)
        assert await hub.answers(user)
    assert hub.names() == ["near"]
    [far] = fake.containers()
    assert far["Name"].endswith("-faraway")
    for user in ("near", "faraway"):
        await hub.api.stop_server(user)
    await hub.nothing_left()
    assert fake.containers() == []


@pytest.fixture
def prepared(make_hub: MakeHub) -> Iterator[HubSite]:
    hub_id = new_hub_id()
    hub = make_hub(hub_id=hub_id, config=f"PREFIX = {prefix_of(hub_id)!r}\n{PREPARED}")
    yield hub
    name = f"{hub.prefix}-alice"
    for container in hub.containers():
        hub.engine.delete(f"/containers/{container['Id']}", params={"force": 1})
    hub.engine.delete(f"/networks/{name}")
    hub.engine.delete(f"/volumes/{name}", params={"force": 1})


async def test_a_hook_makes_a_network_and_a_volume_that_the_server_is_given(prepared: HubSite) -> None:
    await prepared.create_users("alice")
    # Again, to find the network that is there.
    for _ in range(2):
        await prepared.api.start_server("alice")
        assert await prepared.answers("alice")
        found = inspected(prepared, "alice")
        [network] = found["NetworkSettings"]["Networks"]
        assert network.endswith("-alice")
        assert mounted(found) == {network: "/data"}
        await prepared.api.stop_server("alice")
