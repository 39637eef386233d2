"""The manual's stack of a Hub in a swarm, as it is written there but for names, port and images."""

from __future__ import annotations

import re
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import jupyterhub
import pytest

from tests.support.hub_api import HubAPI
from tests.support.hub_site import LONG_SECONDS, until
from tests.testbed.engine import ensure_engine, environment
from tests.testbed.hub import SCOPES
from tests.testbed.hub_image import add_package, docker, ensure_hub_image
from tests.testbed.plain_http import NO_TLS
from tests.testbed.processes import free_port
from tests.testbed.singleuser import ensure_singleuser_image
from tests.testbed.steps import TestbedError, run
from tests.testbed.swarm import Swarm

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()
CONTAINER, STACK = (
    dict(re.findall(rf"<!-- {kind}: (\S+) -->\n```\w+\n(.+?)```", README, re.DOTALL))
    for kind in ("container", "stack")
)
TOKEN = uuid.uuid4().hex
TESTED = f"""
c.JupyterHub.services = [{{"name": "testbed", "api_token": {TOKEN!r}}}]
c.JupyterHub.load_roles = [{{"name": "testbed", "services": ["testbed"], "scopes": {list(SCOPES)!r}}}]
"""
pytestmark = pytest.mark.timeout(600)


class Stack:
    """The example in a swarm, under names of this test's own."""

    def __init__(self, swarm: Swarm, folder: Path) -> None:
        self.swarm = swarm
        self.name = f"t{uuid.uuid4().hex[:8]}"
        self.port = free_port(swarm.host_address)
        self.folder = folder
        self.image = f"{self.name}-my-hub"

    @property
    def address(self) -> str:
        """Where users find it."""
        return f"http://{self.swarm.manager.address}:{self.port}"

    def of_this_test(self, text: str) -> str:
        """Give the example other names than a site's, and what is in this swarm."""
        text = text.replace("registry.example.org/my-hub:1", self.image)
        for word in ("hub-net", "hub-data", "proxy-token", "jupyterhub-user"):
            text = text.replace(word, f"{self.name}-{word}")
        text = text.replace("stack.yaml hub", f"stack.yaml {self.name}")
        text = text.replace("published: 8000", f"published: {self.port}")
        image = ensure_singleuser_image(jupyterhub.__version__)
        return text.replace("quay.io/jupyterhub/singleuser:6.1", image)

    def make_images(self) -> None:
        """Make the Hub's image as the manual has it, and take it and the servers' where they are to run."""
        base = f"{self.name}-base"
        for folder in ("base", "image"):
            (self.folder / folder).mkdir()
        add_package(ensure_hub_image(jupyterhub.__version__), base, self.folder / "base")
        dockerfile = re.sub("^FROM .*", f"FROM {base}", CONTAINER["Dockerfile"])
        (self.folder / "image" / "Dockerfile").write_text(dockerfile)
        (self.folder / "image" / "jupyterhub_config.py").touch()
        docker(["build", f"--tag={self.image}", str(self.folder / "image")])
        self.swarm.manager.load(self.image, ensure_engine())
        self.swarm.worker.load(ensure_singleuser_image(jupyterhub.__version__), ensure_engine())

    def deploy(self) -> None:
        """Give the manual's commands."""
        config = self.of_this_test(STACK["jupyterhub_config.py"]) + TESTED
        (self.folder / "jupyterhub_config.py").write_text(f"{config}c.SwarmSpawner.prefix = {self.name!r}\n")
        (self.folder / "stack.yaml").write_text(self.of_this_test(STACK["stack.yaml"]))
        commands = self.of_this_test(STACK["run"]).strip()
        subprocess.run(["sh", "-ec", commands], env=self._environment(), cwd=self.folder, check=True)

    def docker(self, *words: str) -> str:
        """Give the manager a command."""
        return run(["docker", *words], env=self._environment(), cwd=self.folder)

    def remove(self) -> None:
        """Remove all of it."""
        with suppress(TestbedError):
            self.docker("stack", "rm", self.name)
        for kind in ("service", "secret"):
            for found in self.docker(kind, "ls", f"--filter=name={self.name}", "--quiet").split():
                self.docker(kind, "rm", found)
        for ref in self.docker("network", "ls", f"--filter=name={self.name}", "--quiet").split():
            self.swarm.sweep_network(ref)
        for node in self.swarm.nodes:
            with node.client() as http:
                for volume in http.get("/volumes").json()["Volumes"] or []:
                    if volume["Name"].startswith(self.name):
                        http.delete(f"/volumes/{volume['Name']}")
        with self.swarm.manager.client() as http:
            http.delete(f"/images/{self.image}")
        with suppress(TestbedError):
            docker(["image", "rm", self.image, f"{self.name}-base"])

    def _environment(self) -> dict[str, str]:
        return {**environment(), "DOCKER_HOST": self.swarm.manager.url}


@pytest.fixture
def stack(swarm: Swarm, tmp_path: Path) -> Iterator[Stack]:
    """The example, deployed."""
    made = Stack(swarm, tmp_path)
    try:
        made.make_images()
        made.deploy()
        yield made
    finally:
        made.remove()


async def test_servers_on_workers_are_reached_and_go_on_while_the_hub_is_replaced(stack: Stack) -> None:
    headers = {"Authorization": f"token {TOKEN}"}
    async with (
        HubAPI(stack.address, TOKEN, deadline=LONG_SECONDS) as hub,
        httpx.AsyncClient(
            base_url=stack.address, headers=headers, timeout=60, trust_env=False, verify=NO_TLS
        ) as servers,
    ):
        await hub.wait_until_up(LONG_SECONDS)
        await hub.create_users(["alice"])
        await hub.start_server("alice")
        file = "/user/alice/api/contents/work/kept.txt"
        saved = await servers.put(file, json={"type": "file", "format": "text", "content": "kept"})
        assert saved.status_code == 201, saved.text
        began = (await hub.server_status("alice")).json()["started"]
        (task,) = stack.swarm.tasks(label="asyncdockerspawner.user=alice", **{"desired-state": "running"})
        assert task["NodeID"] == stack.swarm.node_id(stack.swarm.worker)

        stack.docker("service", "update", "--force", f"{stack.name}_hub")
        await hub.wait_until_up(LONG_SECONDS)

        async def started() -> object:
            answer = await hub.server_status("alice")
            return answer.status_code == 200 and answer.json()["started"]

        await until(started, is_=began)
        await hub.stop_server("alice")
        await hub.start_server("alice")
        assert (await servers.get(file)).json()["content"] == "kept"
        await hub.stop_server("alice")
    services = stack.docker("service", "ls", f"--filter=name={stack.name}", "--format={{.Name}}").split()
    assert sorted(services) == [f"{stack.name}_hub", f"{stack.name}_proxy"]
