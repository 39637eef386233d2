"""Configurations in the style of public ones, each read by a real Hub that then runs servers with it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.fake_engine import FakeEngine
from tests.support.hub_api import Json, ServerFailed
from tests.support.hub_site import MakeHub, environment_of, inspected, mounted, new_hub_id

WORK = "/home/jovyan/work"

DEPLOYED = """
import os

{first_lines}

# Spawn single-user servers as Docker containers
c.JupyterHub.spawner_class = {spawner_class!r}

# Spawn containers from this image
c.DockerSpawner.image = os.environ["DOCKER_NOTEBOOK_IMAGE"]

# Connect containers to this Docker network
network_name = os.environ["DOCKER_NETWORK_NAME"]
c.DockerSpawner.use_internal_ip = True
c.DockerSpawner.network_name = network_name

# Explicitly set notebook directory because we'll be mounting a volume to it.
notebook_dir = os.environ.get("DOCKER_NOTEBOOK_DIR", "/home/jovyan/work")
c.DockerSpawner.notebook_dir = notebook_dir

# Mount the real user's Docker volume on the host to the notebook user's notebook directory in the container
c.DockerSpawner.volumes = {{"{{prefix}}-user-{{username}}": notebook_dir}}

# Remove containers once they are stopped
c.DockerSpawner.remove = True

# For debugging arguments passed to spawned containers
c.DockerSpawner.debug = True
"""
DEPLOYED_EARLIER = """
import os

c.JupyterHub.spawner_class = "docker"
c.DockerSpawner.container_image = os.environ["DOCKER_NOTEBOOK_IMAGE"]
spawn_cmd = os.environ.get("DOCKER_SPAWN_CMD", "/serve")
c.DockerSpawner.extra_create_kwargs.update({{"command": spawn_cmd}})
network_name = os.environ["DOCKER_NETWORK_NAME"]
c.DockerSpawner.use_internal_ip = True
c.DockerSpawner.network_name = network_name
# Pass the network name as argument to spawned containers
c.DockerSpawner.extra_host_config = {{"network_mode": network_name}}
notebook_dir = os.environ.get("DOCKER_NOTEBOOK_DIR") or "/home/jovyan/work"
c.DockerSpawner.notebook_dir = notebook_dir
c.DockerSpawner.volumes = {{"{{prefix}}-user-{{username}}": notebook_dir}}
{last_line}
c.DockerSpawner.remove_containers = True
c.DockerSpawner.debug = True
"""
FORMER_NAMES = """
import os

c.JupyterHub.spawner_class = "docker"
c.DockerSpawner.container_image = os.environ["DOCKER_NOTEBOOK_IMAGE"]
c.DockerSpawner.container_prefix = os.environ["PREFIX"]
c.DockerSpawner.container_name_template = "{prefix}-was-{username}"
c.DockerSpawner.container_ip = "127.0.0.1"
c.DockerSpawner.container_port = 9999
c.DockerSpawner.environment = {"PORT": "9999"}
c.DockerSpawner.remove_containers = True
c.DockerSpawner.image_whitelist = {"usual": os.environ["DOCKER_NOTEBOOK_IMAGE"]}
c.DockerSpawner.hub_ip_connect = "10.0.0.1"
c.DockerSpawner.use_docker_client_env = False
c.DockerSpawner.tls = True
c.DockerSpawner.tls_verify = True
c.DockerSpawner.tls_ca = "/etc/docker/ca.pem"
c.DockerSpawner.tls_cert = "/etc/docker/cert.pem"
c.DockerSpawner.tls_key = "/etc/docker/key.pem"
c.DockerSpawner.tls_assert_hostname = False
"""
RENAMED = {
    "container_image": "image",
    "container_prefix": "prefix",
    "container_name_template": "name_template",
    "container_port": "port",
    "remove_containers": "remove",
    "image_whitelist": "allowed_images",
}
"""Former and present names; `container_ip` has its default above, of which nothing is said."""
WITHOUT_EFFECT = (
    *("hub_ip_connect", "use_docker_client_env", "tls", "tls_verify", "tls_ca", "tls_cert", "tls_key"),
    "tls_assert_hostname",
)

GPU_BY_DOCKER_PY = """
import docker

c.DockerSpawner.extra_host_config = {
    "device_requests": [docker.types.DeviceRequest(count=-1, capabilities=[["gpu"]])],
    "shm_size": "8g",
}
"""
GPU_BY_WORDS = """
c.DockerSpawner.extra_host_config = {
    "device_requests": [{"count": -1, "capabilities": [["gpu"]]}],
    "shm_size": "8g",
}
"""
GPU_BY_THE_ENGINES_KEYS = """
c.DockerSpawner.extra_host_config = {
    "DeviceRequests": [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}],
    "ShmSize": 8 * 2**30,
}
"""
GPU_OF_ONES_OWN = """
import docker

gpus = {"alice": ["0"], "bob": ["1", "2"]}

def gpu_of(spawner):
    ids = gpus[spawner.user.name]
    request = docker.types.DeviceRequest(driver="nvidia", device_ids=ids, capabilities=[["gpu", "utility"]])
    return {"device_requests": [request]}

c.DockerSpawner.extra_host_config = gpu_of
c.DockerSpawner.environment = {
    "NVIDIA_VISIBLE_DEVICES": lambda spawner: ",".join(gpus[spawner.user.name]),
    "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
}
"""
CLASSROOM = """
import os

c.Spawner.environment.update({"COURSE": "physics"})
c.DockerSpawner.environment = {"TERM": "2026"}
c.Spawner.mem_limit = "256M"
c.Spawner.cpu_limit = 0.5
c.DockerSpawner.volumes = {"{prefix}-user-{username}": "/home/jovyan/work"}
c.DockerSpawner.read_only_volumes = {"{prefix}-course": "/home/jovyan/course"}
c.DockerSpawner.extra_create_kwargs = {"labels": {"course.user": "{username}"}, "hostname": "{username}"}
c.DockerSpawner.extra_host_config = {
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "pids_limit": 200,
    "extra_hosts": {"grader": "192.0.2.7"},
}
c.Spawner.http_timeout = 240
c.Spawner.default_url = "/lab"

def for_teachers(spawner):
    if spawner.user.name.startswith("teacher"):
        spawner.volumes["{prefix}-grades"] = "/home/jovyan/grades"
        spawner.environment["GRADER"] = "1"
        spawner.mem_limit = "512M"
        spawner.extra_host_config["pids_limit"] = 400

c.DockerSpawner.pre_spawn_hook = for_teachers
"""


@pytest.fixture
def network(engine: httpx.Client) -> Iterator[str]:
    """A network of the test's own; asked for before `make_hub`, it goes after the Hub's containers."""
    name = f"t{new_hub_id()}"
    engine.post("/networks/create", json={"Name": name, "CheckDuplicate": True}).raise_for_status()
    yield name
    engine.delete(f"/networks/{name}").raise_for_status()


def as_composed(config: str, **environment: str) -> str:
    """Put what a compose file would into the environment, in the place of what the fixture has set."""
    lines = ["import os", 'os.environ["DOCKER_NOTEBOOK_IMAGE"] = c.DockerSpawner.pop("image")']
    lines += [f'os.environ["{key}"] = {value!r}' for key, value in environment.items()]
    return "\n".join([*lines, 'del c.DockerSpawner["remove"]', config])


@pytest.mark.parametrize(
    ("first_lines", "spawner_class"),
    [
        ("", "docker"),
        ("", "asyncdockerspawner.DockerSpawner"),
        (
            "import asyncdockerspawner\nasyncdockerspawner.install_as_dockerspawner()",
            "dockerspawner.DockerSpawner",
        ),
    ],
    ids=["entry-point", "class", "stand-in"],
)
async def test_jupyterhub_deploy_docker(
    network: str, make_hub: MakeHub, singleuser_image: str, first_lines: str, spawner_class: str
) -> None:
    config = DEPLOYED.format(first_lines=first_lines, spawner_class=spawner_class)
    hub = make_hub(config=as_composed(config, DOCKER_NETWORK_NAME=network), image=singleuser_image)
    await hub.create_users("alice")
    await hub.api.start_server("alice")
    # It lets its user in, so it has reached the Hub from the network.
    assert "started" in await hub.status("alice")
    found = inspected(hub, "alice")
    assert list(found["NetworkSettings"]["Networks"]) == [network]
    assert not found["HostConfig"]["PortBindings"]
    assert mounted(found) == {f"{hub.prefix}-user-alice": WORK}
    environment = environment_of(found)
    assert environment["JUPYTERHUB_ROOT_DIR"] == WORK
    assert environment["JUPYTERHUB_DEBUG"] == "1"
    server = await hub.api.server("alice")
    assert server is not None
    await hub.api.stop_server("alice")
    await hub.nothing_left()
    assert hub.volumes() == [f"{hub.prefix}-user-alice"]


async def test_jupyterhub_deploy_docker_of_earlier_years(network: str, make_hub: MakeHub) -> None:
    config = DEPLOYED_EARLIER.format(last_line="")
    hub = make_hub(config=as_composed(config, DOCKER_NETWORK_NAME=network))
    await hub.create_users("alice")
    await hub.api.start_server("alice")
    assert await hub.answers("alice")
    found = inspected(hub, "alice")
    assert found["Config"]["Cmd"] == ["/serve"]
    assert found["HostConfig"]["NetworkMode"] == network
    assert mounted(found) == {f"{hub.prefix}-user-alice": WORK}
    await hub.api.stop_server("alice")
    await hub.nothing_left()


async def test_a_word_that_docker_py_takes_elsewhere_today_is_answered_with_the_place(
    make_hub: MakeHub,
) -> None:
    driver = 'c.DockerSpawner.extra_create_kwargs.update({"volume_driver": "local"})'
    config = DEPLOYED_EARLIER.format(last_line=driver)
    hub = make_hub(config=as_composed(config, DOCKER_NETWORK_NAME="bridge"))
    await hub.create_users("alice")
    with pytest.raises(ServerFailed, match="configuration has a mistake"):
        await hub.api.start_server("alice")
    assert "'volume_driver', which belongs in extra_host_config" in hub.process.log_text()
    assert hub.names() == []


async def test_options_under_their_former_names_work_and_each_says_once_what_it_is_called_today(
    make_hub: MakeHub, stub_image: str
) -> None:
    config = as_composed('os.environ["PREFIX"] = c.DockerSpawner.pop("prefix")\n' + FORMER_NAMES)
    hub = make_hub(config=config)
    await hub.create_users("alice")
    await hub.api.start_server("alice", options={"image": "usual"})
    assert await hub.answers("alice")
    found = inspected(hub, "was-alice")
    assert found["Config"]["Image"] == stub_image
    assert list(found["HostConfig"]["PortBindings"]) == ["9999/tcp"]
    assert found["HostConfig"]["PortBindings"]["9999/tcp"][0]["HostIp"] == "127.0.0.1"
    await hub.api.stop_server("alice")
    await hub.nothing_left()
    log = hub.process.log_text()
    for old, new in RENAMED.items():
        assert f"DockerSpawner.{old} is deprecated" in log, old
        assert f"use DockerSpawner.{new} instead" in log, old
    for old in WITHOUT_EFFECT:
        assert f"DockerSpawner.{old} has no effect" in log, old


@pytest.mark.parametrize("config", [GPU_BY_DOCKER_PY, GPU_BY_WORDS, GPU_BY_THE_ENGINES_KEYS])
async def test_every_server_has_the_gpus(make_hub: MakeHub, fake: FakeEngine, config: str) -> None:
    host = (await created(make_hub, fake, config, "alice"))["alice"]["HostConfig"]
    (request,) = host["DeviceRequests"]
    assert request["Count"] == -1
    assert request["Capabilities"] == [["gpu"]]
    assert not request.get("DeviceIDs")
    assert host["ShmSize"] == 8 * 2**30


async def test_each_user_has_gpus_of_their_own(make_hub: MakeHub, fake: FakeEngine) -> None:
    bodies = await created(make_hub, fake, GPU_OF_ONES_OWN, "alice", "bob")
    for user, ids in (("alice", ["0"]), ("bob", ["1", "2"])):
        host = bodies[user]["HostConfig"]
        (request,) = host["DeviceRequests"]
        assert (request["Driver"], request["DeviceIDs"]) == ("nvidia", ids)
        assert not request.get("Count")
        assert request["Capabilities"] == [["gpu", "utility"]]
        assert f"NVIDIA_VISIBLE_DEVICES={','.join(ids)}" in bodies[user]["Env"]
        assert "NVIDIA_DRIVER_CAPABILITIES=compute,utility" in bodies[user]["Env"]


@pytest.mark.parametrize(
    ("host_config", "said"),
    [
        (
            {"device_requests": [{"driver": "no-such", "count": -1, "capabilities": [["gpu"]]}]},
            r'cannot be run: could not select device driver "no-such".*gpu',
        ),
        ({"runtime": "no-such"}, "refuses.*runtime.*no-such"),
    ],
    ids=["device-requests", "runtime"],
)
async def test_a_driver_or_runtime_that_the_machine_has_not_is_named(
    make_hub: MakeHub, host_config: dict[str, Any], said: str
) -> None:
    hub = make_hub(extra_host_config=host_config)
    await hub.create_users("alice")
    with pytest.raises(ServerFailed, match=said):
        await hub.api.start_server("alice")
    assert "`extra_host_config`" in hub.process.log_text()
    await hub.nothing_left()


async def created(make_hub: MakeHub, fake: FakeEngine, config: str, *users: str) -> dict[str, Json]:
    """Start these users' servers; gives what the Engine was asked to create for each."""
    hub = make_hub(fake=fake, config=config)
    await hub.create_users(*users)
    await asyncio.gather(*map(hub.api.start_server, users))
    bodies: list[dict[str, Any]] = [each["body"] for each in fake.requests("POST", "/containers/create")]
    return {str(body["Labels"]["asyncdockerspawner.user"]): body for body in bodies}


async def test_a_classroom_whose_teachers_have_more(make_hub: MakeHub) -> None:
    hub = make_hub(config=CLASSROOM)
    await hub.create_users("alice", "teacher", "bob")
    # One after the other: what the hook has changed for the teacher must not reach the next one.
    for user in ("alice", "teacher", "bob"):
        await hub.api.start_server(user)
        assert await hub.answers(user)
    students = [inspected(hub, "alice"), inspected(hub, "bob")]
    for user, found in zip(("alice", "bob"), students, strict=True):
        assert mounted(found) == {
            f"{hub.prefix}-user-{user}": WORK,
            f"{hub.prefix}-course": "/home/jovyan/course",
        }
        assert (found["HostConfig"]["Memory"], found["HostConfig"]["PidsLimit"]) == (256 * 2**20, 200)
        assert "GRADER" not in environment_of(found)
    found = inspected(hub, "teacher")
    assert mounted(found)[f"{hub.prefix}-grades"] == "/home/jovyan/grades"
    assert len(mounted(found)) == 3
    assert (found["HostConfig"]["Memory"], found["HostConfig"]["PidsLimit"]) == (512 * 2**20, 400)
    assert environment_of(found)["GRADER"] == "1"
    for user, each in zip(("alice", "bob", "teacher"), (*students, found), strict=True):
        assert_of_the_classroom(each, user)


def assert_of_the_classroom(found: Json, user: str) -> None:
    """Check what students and teachers have alike."""
    host, environment = found["HostConfig"], environment_of(found)
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["ExtraHosts"] == ["grader:192.0.2.7"]
    assert (host["NanoCpus"] or host["CpuQuota"] * 10**9 // host["CpuPeriod"]) == 5 * 10**8
    assert found["Config"]["Labels"]["course.user"] == user
    assert found["Config"]["Hostname"] == user
    # A section of the class's own replaces the general one's, as everywhere in traitlets, but not an update.
    assert environment["TERM"] == "2026"
    assert environment["JUPYTERHUB_DEFAULT_URL"] == "/lab"
    (course,) = (one for one in found["Mounts"] if one["Destination"] == "/home/jovyan/course")
    assert course["RW"] is False
