"""docker-py's methods through `spawner.docker(…)`, over the fake Engine and a real one."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import docker
import pytest
import requests

from asyncdockerspawner import DockerSpawner, errors
from tests.fake_engine import FakeEngine
from tests.support.clients import body, writer
from tests.support.site import Site
from tests.support.world import MakeWorld

REAL_ONLY = pytest.mark.parametrize("site", ["real"], indirect=True)
"""The fake Engine does not have what these ask for."""
FAKE_ONLY = pytest.mark.parametrize("site", ["fake"], indirect=True)
"""The real one has no registry here."""


@pytest.fixture
def spawner(make_world: MakeWorld) -> DockerSpawner:
    return make_world().new_spawner()


@pytest.fixture
def name(site: Site) -> Iterator[str]:
    """A name for what a test makes: its containers, networks, volumes and tags are gone afterwards."""
    found = f"t{site.hub_id}-x"
    yield found
    for container in site.containers():
        site.remove(container["Id"])
    for network in site.http.get("/networks").json():
        if network["Name"].startswith(found):
            site.http.delete(f"/networks/{network['Id']}")
    for volume in site.http.get("/volumes").json()["Volumes"] or ():
        if volume["Name"].startswith(found):
            site.http.delete(f"/volumes/{volume['Name']}")
    site.http.delete(f"/images/{found}:2")


def words(document: dict[str, Any]) -> dict[str, Any]:
    """What the client's tests give as the Engine's keys, in docker-py's words."""
    table = {"Image": "image", "Cmd": "command", "Env": "environment", "Labels": "labels"}
    return {table[key]: value for key, value in document.items()}


async def running(spawner: DockerSpawner, site: Site, name: str, kind: str = "stub") -> dict[str, Any]:
    """A container that runs, as `create_container` gives it."""
    made: dict[str, Any] = await spawner.docker(
        "create_container", name=name, ports=[8888], **words(body(site, kind))
    )
    await spawner.docker("start", made)
    return made


async def test_a_container_lives_and_dies_by_docker_pys_methods(
    spawner: DockerSpawner, site: Site, name: str
) -> None:
    made = await running(spawner, site, name)
    assert set(made) == {"Id", "Warnings"}
    found = await spawner.docker("inspect_container", name)
    assert (found["Id"], found["State"]["Running"]) == (made["Id"], True)
    # As the Engine writes names, with a slash before them.
    assert await spawner.docker("rename", found["Name"], f"{name}2") is None
    assert await spawner.docker("restart", container=made["Id"], timeout=1) is None
    assert await spawner.docker("stop", made["Id"], timeout=1) is None
    assert await spawner.docker("stop", made["Id"]) is None, "what is stopped already is no error"
    assert (await spawner.docker("inspect_container", f"{name}2"))["State"]["Running"] is False
    assert await spawner.docker("remove_container", made, v=True, force=True) is None
    with pytest.raises(docker.errors.NotFound):
        await spawner.docker("inspect_container", made)


@FAKE_ONLY
async def test_a_call_cancelled_before_its_first_turn_asks_nothing(
    spawner: DockerSpawner, fake: FakeEngine
) -> None:
    call = spawner.docker("inspect_container", "some-container")
    call.cancel()
    await asyncio.wait([call])
    assert call.cancelled()
    assert fake.requests("GET", "/containers/{ref}/json") == []


async def test_wait_tells_how_a_container_ended(spawner: DockerSpawner, site: Site, name: str) -> None:
    made = await running(spawner, site, name, "silent")
    with pytest.raises(errors.EngineTimeout):
        await spawner.docker("wait", made, timeout=0.2)
    waiting = spawner.docker("wait", made)
    await spawner.docker("kill", made, signal="SIGKILL")
    assert (await waiting)["StatusCode"] == 137


@FAKE_ONLY
async def test_an_end_that_cannot_be_read_is_an_error_of_ours(
    spawner: DockerSpawner, fake: FakeEngine
) -> None:
    fake.rule("POST", "/wait$", status=200, garbage_body=True)
    with pytest.raises(errors.EngineLost, match=r"wait for container.*cannot be read"):
        await spawner.docker("wait", "some-container")


async def test_logs_are_the_bytes_that_were_written(spawner: DockerSpawner, site: Site, name: str) -> None:
    made = await spawner.docker("create_container", name=name, **words(writer(site, "one\ntwo", "three")))
    before = datetime.now(UTC).timestamp() - 60
    await spawner.docker("start", made)
    assert (await spawner.docker("wait", made, timeout=20))["StatusCode"] == 0
    assert await spawner.docker("logs", made, stderr=False) == b"one\ntwo\n"
    assert await spawner.docker("logs", made, stdout=False, since=before, follow=True) == b"three\n"
    assert (await spawner.docker("logs", made, tail=2)).count(b"\n") == 2
    with pytest.raises(AttributeError, match=r"generator.*spawner\.engine\.docker"):
        await spawner.docker("logs", made, stream=True)


async def test_ports_are_given_as_docker_py_gives_them(spawner: DockerSpawner, site: Site, name: str) -> None:
    host = spawner.client.create_host_config(port_bindings={8888: ("127.0.0.1",)})
    made = await spawner.docker(
        "create_container", name=name, ports=[8888], host_config=host, **words(body(site))
    )
    assert await spawner.docker("port", made, 8888) is None
    await spawner.docker("start", made)
    (published,) = await spawner.docker("port", made, 8888)
    assert published["HostIp"] == "127.0.0.1"
    assert int(published["HostPort"]) > 0
    assert await spawner.docker("port", name, "8888/tcp") == [published]
    assert await spawner.docker("port", name, 1) is None


async def test_containers_are_listed_in_docker_pys_ways(
    spawner: DockerSpawner, site: Site, name: str
) -> None:
    made = await spawner.docker("create_container", name=name, **words(body(site)))
    ours = {"label": f"asyncdockerspawner.hub={site.hub_id}"}
    assert await spawner.docker("containers", filters=ours) == []
    (found,) = await spawner.docker("containers", all=True, filters=ours)
    assert found["Names"] == [f"/{name}"]
    assert await spawner.docker("containers", True, True, filters=ours) == [{"Id": made["Id"]}]
    (short,) = await spawner.docker("containers", all=True, trunc=True, filters={"name": [name]})
    assert short["Id"] == made["Id"][:12]
    assert len(await spawner.docker("containers", all=True, limit=1)) == 1


async def test_volumes_are_made_listed_and_removed(spawner: DockerSpawner, name: str) -> None:
    made = await spawner.docker("create_volume", name, labels={"for": "test"})
    assert made["Name"] == name
    assert await spawner.docker("inspect_volume", name) == made
    listed = await spawner.docker("volumes", filters={"name": name})
    assert [volume["Name"] for volume in listed["Volumes"]] == [name]
    assert await spawner.docker("remove_volume", name) is None
    with pytest.raises(docker.errors.NotFound):
        await spawner.docker("inspect_volume", name)


async def test_a_volume_that_was_removed_is_made_again_with_its_labels(make_world: MakeWorld) -> None:
    world = make_world(volumes={"{prefix}-{username}-home": "/home/jovyan"})
    spawner = await world.spawn()
    volume = f"{spawner.prefix}-alice-home"
    labels = (await spawner.docker("inspect_volume", volume))["Labels"]
    await world.user.stop("")
    await spawner.docker("remove_volume", volume)
    spawner = await world.spawn()
    assert (await spawner.docker("inspect_volume", volume))["Labels"] == labels
    await world.user.stop("")
    await spawner.docker("remove_volume", volume)


async def test_networks_are_made_joined_and_removed(spawner: DockerSpawner, site: Site, name: str) -> None:
    made = await spawner.docker("create_network", name, driver="bridge", labels={"for": "test"})
    container = await running(spawner, site, name)
    await spawner.docker("connect_container_to_network", container, made["Id"], aliases=["db"])
    (network,) = await spawner.docker("networks", names=[name])
    assert network["Id"] == made["Id"]
    inside = (await spawner.docker("inspect_network", made))["Containers"]
    assert list(inside) == [container["Id"]]
    ends = (await spawner.docker("inspect_container", container))["NetworkSettings"]["Networks"]
    assert "db" in ends[name]["Aliases"]
    with pytest.raises(docker.errors.APIError, match="active endpoints"):
        await spawner.docker("remove_network", name)
    await spawner.docker("remove_container", container, force=True)
    await spawner.docker("remove_network", name)
    with pytest.raises(docker.errors.NotFound):
        await spawner.docker("remove_network", name)


@REAL_ONLY
async def test_a_container_leaves_a_network(spawner: DockerSpawner, site: Site, name: str) -> None:
    await spawner.docker("create_network", name)
    container = await running(spawner, site, name)
    await spawner.docker("connect_container_to_network", container, name)
    await spawner.docker("disconnect_container_from_network", container=name, net_id=name, force=True)
    assert (await spawner.docker("inspect_network", name))["Containers"] == {}
    with pytest.raises(docker.errors.NotFound):
        await spawner.docker("disconnect_container_from_network", name, f"{name}-none")


@REAL_ONLY
async def test_commands_run_inside_and_their_streams_stay_apart(
    spawner: DockerSpawner, site: Site, name: str
) -> None:
    await running(spawner, site, name)
    script = "/bin/busybox sh -c 'echo \"$WORD\"; echo oops >&2; exit 3'"
    made = await spawner.docker("exec_create", name, script, environment={"WORD": "hello"}, workdir="/www")
    assert await spawner.docker("exec_start", made["Id"], demux=True) == (b"hello\n", b"oops\n")
    assert (await spawner.docker("exec_inspect", made))["ExitCode"] == 3
    made = await spawner.docker("exec_create", container=name, cmd=["/bin/busybox", "pwd"], workdir="/www")
    assert await spawner.docker("exec_start", exec_id=made) == b"/www\n"
    made = await spawner.docker("exec_create", name, ["/bin/busybox", "true"])
    assert await spawner.docker("exec_start", made, detach=True) == ""
    made = await spawner.docker("exec_create", name, ["/bin/busybox", "true"])
    assert await spawner.docker("exec_start", made, demux=True) == (None, None)


@REAL_ONLY
async def test_files_are_put_into_a_container(spawner: DockerSpawner, site: Site, name: str) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo("note.txt")
        member.size = 5
        tar.addfile(member, io.BytesIO(b"hello"))
    await running(spawner, site, name)
    assert await spawner.docker("put_archive", name, "/www", archive.getvalue()) is True
    archive.seek(0)
    assert await spawner.docker("put_archive", container=name, path="/www", data=archive) is True
    made = await spawner.docker("exec_create", name, "/bin/busybox cat /www/note.txt")
    assert await spawner.docker("exec_start", made) == b"hello"
    with pytest.raises(docker.errors.NotFound):
        await spawner.docker("put_archive", name, "/nowhere", archive.getvalue())
    with pytest.raises(errors.BadOption, match="data is str"):
        await spawner.docker("put_archive", name, "/www", "text")


@REAL_ONLY
async def test_images_are_tagged_listed_and_removed(spawner: DockerSpawner, site: Site, name: str) -> None:
    image = site.kind("stub")["image"]
    assert await spawner.docker("tag", image, name, tag="2") is True
    found = await spawner.docker("inspect_image", f"{name}:2")
    assert await spawner.docker("images", name, quiet=True) == [found["Id"]]
    removed = await spawner.docker("remove_image", f"{name}:2")
    assert {"Untagged": f"{name}:2"} in removed


@REAL_ONLY
async def test_a_paused_container_goes_on(spawner: DockerSpawner, site: Site, name: str) -> None:
    await running(spawner, site, name)
    for _ in range(20):
        try:
            await spawner.docker("pause", name)
            break
        except docker.errors.APIError as refused:
            # A busy machine's runc gives a container up that does not freeze at once, and lets it go on.
            if "unable to freeze" not in str(refused):
                raise
    assert (await spawner.docker("inspect_container", name))["State"]["Paused"] is True
    await spawner.docker("unpause", name)
    assert "/serve" in str((await spawner.docker("top", name))["Processes"])


async def test_an_image_that_is_not_there_is_an_image_that_is_not_there(
    spawner: DockerSpawner, name: str
) -> None:
    for call in ("inspect_image", "remove_image"):
        with pytest.raises(docker.errors.ImageNotFound) as caught:
            await spawner.docker(call, f"{name}:none")
        assert isinstance(caught.value, errors.ImageNotFound)
    with pytest.raises(docker.errors.ImageNotFound):
        await spawner.docker("create_container", f"{name}:none", name=name)


@FAKE_ONLY
async def test_a_pull_waits_and_gives_its_lines(spawner: DockerSpawner, fake: FakeEngine) -> None:
    fake.add_pullable("nice/image:1")
    told = await spawner.docker("pull", "nice/image", "1")
    assert "nice/image:1" in told
    lines = await spawner.docker("pull", "nice/image:1", stream=True, decode=True)
    assert all(isinstance(line, dict) for line in lines)
    assert b"".join(await spawner.docker("pull", "nice/image:1", stream=True)).count(b"\r\n") == len(lines)
    assert (await spawner.docker("inspect_image", "nice/image:1"))["RepoTags"] == ["nice/image:1"]


@FAKE_ONLY
async def test_a_pull_that_fails_raises_wherever_the_engine_says_so(
    spawner: DockerSpawner, fake: FakeEngine
) -> None:
    with pytest.raises(docker.errors.APIError) as caught:
        await spawner.docker("pull", "nobody/nothing:1")
    assert isinstance(caught.value, errors.PullError)
    fake.add_pullable("nice/image:1", error="the registry hung up")
    with pytest.raises(docker.errors.APIError, match="hung up") as caught:
        await spawner.docker("pull", "nice/image:1")
    assert caught.value.response.status_code == 500


@FAKE_ONLY
async def test_a_pull_shows_the_registrys_words(spawner: DockerSpawner, fake: FakeEngine) -> None:
    fake.add_pullable("nice/image:1")
    words = {"username": "me", "password": "secret?>"}
    await spawner.docker("pull", "nice/image", tag="1", auth_config=words, platform="linux/amd64")
    (asked,) = fake.requests("POST", "/images/create")
    assert asked["query"] == {"fromImage": "nice/image", "tag": "1", "platform": "linux/amd64"}
    assert json.loads(base64.urlsafe_b64decode(asked["headers"]["X-Registry-Auth"])) == words


async def test_the_engine_tells_about_itself(spawner: DockerSpawner) -> None:
    assert await spawner.docker("ping") is True
    assert (await spawner.docker("version"))["ApiVersion"]
    assert (await spawner.docker("version", api_version=False))["MinAPIVersion"]
    assert (await spawner.docker("info"))["NCPU"] > 0


async def test_pure_functions_are_called_alike(spawner: DockerSpawner) -> None:
    assert await spawner.docker("create_host_config", shm_size="1g") == {"ShmSize": 2**30}
    end = spawner.client.create_endpoint_config(ipv4_address="10.0.0.9", links={"db": "data"})
    assert await spawner.docker("create_networking_config", {"net": end}) == {
        "EndpointsConfig": {
            "net": {"IPAMConfig": {"IPv4Address": "10.0.0.9"}, "Links": ["db:data"]},
        }
    }


async def test_errors_are_read_as_docker_pys_and_caught_as_ours(spawner: DockerSpawner, name: str) -> None:
    with pytest.raises(docker.errors.NotFound) as caught:
        await spawner.docker("inspect_container", name)
    error = caught.value
    assert (error.status_code, error.response.status_code, error.response.reason) == (404, 404, "Not Found")
    assert error.is_client_error()
    assert name in error.explanation
    with pytest.raises(errors.ObjectNotFound):
        await spawner.docker("stop", name)


async def test_an_engine_that_is_away_is_so_in_everybodys_words(make_world: MakeWorld) -> None:
    spawner = make_world(client_kwargs={"base_url": "unix:///nowhere/docker.sock"}).new_spawner()
    with pytest.raises(requests.exceptions.ConnectionError) as caught:
        await spawner.docker("inspect_container", "x")
    assert isinstance(caught.value, errors.EngineUnavailable)
    assert not isinstance(caught.value, docker.errors.APIError)


async def test_a_call_begins_at_once_and_ends_though_nobody_waits(spawner: DockerSpawner, name: str) -> None:
    spawner.docker("create_volume", name)
    async with asyncio.timeout(10):
        while not (await spawner.docker("volumes", {"name": name}))["Volumes"]:
            pass


@pytest.mark.parametrize("method", ["inspect_containers", "inspectContainer"])
async def test_an_unknown_method_names_the_nearest(spawner: DockerSpawner, method: str) -> None:
    with pytest.raises(AttributeError, match="did you mean 'inspect_container'"):
        spawner.docker(method, "x")


async def test_what_cannot_be_called_says_what_can(spawner: DockerSpawner) -> None:
    with pytest.raises(AttributeError, match=r"aiodocker\.Docker"):
        spawner.docker("make_coffee")
    for method in ("stop", "wait"):
        with pytest.raises(TypeError, match=rf"docker\('{method}', …\).*nonsense"):
            spawner.docker(method, "x", nonsense=1)
    with pytest.raises(errors.BadOption, match="container is ''"):
        await spawner.docker("start", "")
    with pytest.raises(errors.BadOption, match="create_container has the unknown key 'enviroment'"):
        await spawner.docker("create_container", "image", enviroment={})
