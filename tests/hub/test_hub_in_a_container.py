"""The manual's example of a Hub in a container, as it is written there but for names, port and base image."""

from __future__ import annotations

import re
import shlex
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import jupyterhub
import pytest
import yaml

from tests.support.hub_api import HubAPI
from tests.support.hub_site import LONG_SECONDS, PATIENT, until
from tests.testbed.engine import ensure_engine
from tests.testbed.hub import SCOPES
from tests.testbed.hub_image import add_package, docker, ensure_hub_image
from tests.testbed.plain_http import NO_TLS
from tests.testbed.processes import free_port
from tests.testbed.singleuser import ensure_singleuser_image
from tests.testbed.steps import TestbedError

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()
PARTS = dict(re.findall(r"<!-- container: (\S+) -->\n```\w+\n(.+?)```", README, re.DOTALL))
TOKEN = uuid.uuid4().hex
TESTED = f"""
c.JupyterHub.services = [{{"name": "testbed", "api_token": {TOKEN!r}}}]
c.JupyterHub.load_roles = [{{"name": "testbed", "services": ["testbed"], "scopes": {list(SCOPES)!r}}}]
{PATIENT}
"""
pytestmark = pytest.mark.timeout(600)


def of_this_test(text: str, name: str, port: int) -> str:
    """Give the example other names than a site's, and publish its port to this machine only."""
    for word in ("hub-net", "hub-data", "my-hub", "jupyterhub-user"):
        text = text.replace(word, f"{name}-{word}")
    for before in ("--name ", 'hub_connect_ip = "', '"DNS:'):
        text = text.replace(f"{before}hub", f"{before}{name}")
    text = text.replace("--publish 8000:", f"--publish 127.0.0.1:{port}:")
    socket = ensure_engine().url.removeprefix("unix://")
    return text.replace("/var/run/docker.sock:", f"{socket}:")


def to_remove(name: str) -> Iterator[list[str]]:
    """Say how to remove what the test has made, in this order: all of it has the name."""
    by_name = ["--filter", f"name={name}", "--format"]
    if containers := docker(["ps", "--all", *by_name, "{{.Names}}"]).split():
        yield ["rm", "--force", "--volumes", *containers]
    for kind in ("volume", "network"):
        if found := docker([kind, "ls", *by_name, "{{.Name}}"]).split():
            yield [kind, "rm", *found]
    yield ["image", "rm", f"{name}-my-hub", f"{name}-base"]


def run_all(name: str, port: int, folder: Path, *programs: str) -> None:
    """Run the example's commands that begin with these words of docker's."""
    for line in of_this_test(PARTS["run"], name, port).replace("\\\n", " ").splitlines():
        words = shlex.split(line)[1:]
        if words[0] in programs:
            docker([str(folder) if word == "." else word for word in words])


def made_anew(name: str, port: int, folder: Path, more: str) -> None:
    """Make the image anew, with more in its configuration, and the container too."""
    before = docker(["image", "inspect", "--format", "{{.Id}}", f"{name}-my-hub"]).strip()
    with (folder / "jupyterhub_config.py").open("a") as file:
        file.write(more)
    docker(["rm", "--force", name])
    run_all(name, port, folder, "build", "run")
    docker(["image", "rm", before])


@pytest.fixture
def example(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """The example's container, running: its name and its port."""
    name, port = f"t{uuid.uuid4().hex[:8]}", free_port()
    version = jupyterhub.__version__
    (tmp_path / "base").mkdir()
    folder = tmp_path / "example"
    folder.mkdir()
    try:
        add_package(ensure_hub_image(version), f"{name}-base", tmp_path / "base")
        base = re.sub("^FROM .*", f"FROM {name}-base", PARTS["Dockerfile"])
        image = re.sub(
            "quay.io/jupyterhub/singleuser:[0-9.]+",
            ensure_singleuser_image(version),
            PARTS["jupyterhub_config.py"],
        )
        (folder / "Dockerfile").write_text(base)
        # The image has no such folder.
        more = f'c.DockerSpawner.volumes["{name}-new-{{username}}"] = "/home/jovyan/new"\n'
        (folder / "jupyterhub_config.py").write_text(
            of_this_test(image, name, port) + f"{TESTED}c.DockerSpawner.prefix = {name!r}\n{more}"
        )
        run_all(name, port, folder, "build", "network", "run")
        yield name, port
    finally:
        for command in to_remove(name):
            with suppress(TestbedError):
                docker(command)


async def test_a_server_and_its_files_outlive_the_containers_hub_and_internal_ssl_comes_later(
    example: tuple[str, int], tmp_path: Path
) -> None:
    name, port = example
    address = f"http://127.0.0.1:{port}"
    headers = {"Authorization": f"token {TOKEN}"}
    async with (
        HubAPI(address, TOKEN, deadline=LONG_SECONDS) as hub,
        httpx.AsyncClient(
            base_url=address, headers=headers, timeout=60, trust_env=False, verify=NO_TLS
        ) as servers,
    ):
        await hub.wait_until_up(LONG_SECONDS)
        await hub.create_users(["alice", "bob"])
        await hub.start_server("alice")
        await hub.start_server("bob")
        file = "/user/alice/api/contents/work/kept.txt"
        for path in (file, file.replace("/work/", "/new/")):
            saved = await servers.put(path, json={"type": "file", "format": "text", "content": "kept"})
            assert saved.status_code == 201, saved.text
        began = (await hub.server_status("alice")).json()["started"]

        docker(["kill", name])
        docker(["start", name])
        assert await found_by(hub) == began
        assert (await servers.get(file)).json()["content"] == "kept"
        for user in ("alice", "bob"):
            await hub.stop_server(user)

        made_anew(name, port, tmp_path / "example", of_this_test(PARTS["internal-ssl"], name, port))
        await hub.wait_until_up(LONG_SECONDS)
        await hub.start_server("alice")
        environment = docker(["inspect", "--format", "{{.Config.Env}}", f"{name}-alice"])
        assert "JUPYTERHUB_API_URL=https://" in environment
        assert (await servers.get(file)).json()["content"] == "kept"
        began = (await hub.server_status("alice")).json()["started"]
        # The next Hub is trusted by the servers of this one.
        docker(["rm", "--force", name])
        run_all(name, port, tmp_path / "example", "run")
        assert await found_by(hub) == began
        await hub.stop_server("alice")
    left = docker(["ps", "--all", "--filter", f"network={name}-hub-net", "--format", "{{.Names}}"])
    assert left.split() == [name]
    published = docker(["port", name]).splitlines()
    assert published == [f"8000/tcp -> 127.0.0.1:{port}"]


async def found_by(hub: HubAPI) -> str:
    """Wait until a Hub that has come back has found alice's server; gives when that was started."""
    await hub.wait_until_up(LONG_SECONDS)

    async def found() -> bool:
        server = await hub.server("alice")
        return bool(server and server["ready"])

    await until(found, is_=True)

    async def answers() -> int:
        return (await hub.server_status("alice")).status_code

    await until(answers, is_=200)
    return str((await hub.server_status("alice")).json()["started"])


def test_the_compose_file_says_what_the_commands_say() -> None:
    compose = yaml.safe_load(PARTS["compose.yaml"])
    hub = compose["services"]["hub"]
    [run] = [line for line in PARTS["run"].replace("\\\n", " ").splitlines() if " run " in line]
    words = iter(shlex.split(run)[2:])
    given: dict[str, list[str]] = {}
    for word in words:
        if word == "--detach":
            continue
        option = word.removeprefix("--") if word.startswith("--") else "image"
        given.setdefault(option, []).append(next(words) if option != "image" else word)
    assert given == {
        "name": [hub["container_name"]],
        "restart": [hub["restart"]],
        "network": hub["networks"],
        "publish": hub["ports"],
        "tmpfs": hub["tmpfs"],
        "volume": hub["volumes"],
        "image": [hub["image"]],
    }
    assert hub["build"] == "."
    assert {each["name"] for each in compose["networks"].values()} == set(hub["networks"])
    assert {each["name"] for each in compose["volumes"].values()} == {"hub-data"}
