"""A swarm whose Hub exchanges its spawner: from SwarmSpawner of DockerSpawner 14 to ours, and back."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.hub_api import HubAPI, Json
from tests.support.hub_site import LONG_SECONDS, HubSite, new_hub_id, prefix_of, until
from tests.support.workloads import Services
from tests.testbed.dockerspawner import dockerspawner_python
from tests.testbed.hub import HubProcess
from tests.testbed.images import STUB
from tests.testbed.processes import free_port
from tests.testbed.swarm import Swarm

pytestmark = pytest.mark.timeout(300)

SITE = """
import dockerspawner

class OfASite(dockerspawner.SwarmSpawner):
    async def get_ip_and_port(self):
        # The Hub is outside of the swarm's networks.
        return {address!r}, {port!r}

c.JupyterHub.spawner_class = OfASite
c.SwarmSpawner.prefix = {prefix!r}
c.SwarmSpawner.image = {image!r}
c.SwarmSpawner.client_kwargs = {{"base_url": {url!r}}}
c.SwarmSpawner.network_name = {network!r}
c.SwarmSpawner.extra_placement_spec = {{"constraints": ["node.hostname==worker"]}}
c.SwarmSpawner.extra_task_spec = {{"restart_policy": {{"Condition": "none"}}}}
c.SwarmSpawner.extra_endpoint_spec = {{
    "mode": "dnsrr",
    "ports": [{{"TargetPort": 8888, "PublishedPort": {port!r}, "PublishMode": "host", "Protocol": "tcp"}}],
}}
"""
OURS = "import asyncdockerspawner; asyncdockerspawner.install_as_dockerspawner()\n"
THEIRS = ""


class MovingSite(HubSite):
    """A Hub whose services are known by name: not all carry a label."""

    def containers(self) -> list[Json]:
        found = self.engine.get("/services").raise_for_status().json()
        return [each for each in found if self.objects.name(each).startswith(self.prefix)]

    def run_by(self, first_line: str) -> None:
        """Start the Hub with the spawner that this line gives; where it runs with another, stop it first."""
        if self.process._hub is not None and self.process._hub.alive:
            assert self.process.stop() == 0
        self.process.config = first_line + self.process.config.removeprefix(OURS)
        self.process._python = str(Path(sys.executable) if first_line else dockerspawner_python())
        self.process.start()


@pytest.fixture
async def hub(swarm: Swarm, tmp_path: Path) -> AsyncIterator[MovingSite]:
    """A Hub that does not run yet, and leaves its servers alone when it stops."""
    hub_id = new_hub_id()
    address = swarm.worker.address
    config = SITE.format(
        address=address,
        port=free_port(),
        prefix=prefix_of(hub_id),
        image=STUB,
        url=swarm.manager.url,
        network=swarm.network,
    )
    process = HubProcess(
        tmp_path / hub_id, config=config, cleanup_servers=False, host_address=swarm.host_address
    )
    site = MovingSite(
        process,
        HubAPI(process.url, process.token, deadline=LONG_SECONDS),
        swarm.http,
        hub_id,
        workload=Services,
    )
    yield site
    await site.end()


@pytest.mark.parametrize(("first", "second"), [(THEIRS, OURS), (OURS, THEIRS)], ids=["to-ours", "back"])
async def test_a_running_service_is_taken_over_and_stopped(hub: MovingSite, first: str, second: str) -> None:
    hub.run_by(first)
    await hub.create_users("alice")
    await hub.api.start_server("alice")
    assert await hub.answers("alice")
    (before,) = hub.containers()

    hub.run_by(second)
    server = await hub.settled("alice")
    assert server is not None
    assert server["ready"]
    assert server["state"]["object_id"] == before["ID"]
    assert await hub.answers("alice")
    await hub.api.poll_server("alice")
    assert [each["ID"] for each in hub.containers()] == [before["ID"]]
    (after,) = hub.containers()
    assert after["Version"] == before["Version"], "it is left as it is"

    await hub.api.stop_server("alice")
    assert hub.containers() == []
    # The port of its predecessor is free again.
    await hub.api.start_server("alice")

    async def answers() -> bool:
        return await hub.answers("alice")

    await until(answers, is_=True)
    await hub.api.stop_server("alice")
    assert hub.containers() == []
