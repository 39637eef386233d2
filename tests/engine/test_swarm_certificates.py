"""Key and certificates of services under `internal_ssl`, over the fake Engine's swarm."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tornado import web

from asyncdockerspawner import SwarmSpawner
from asyncdockerspawner.client.probe import Question
from asyncdockerspawner.hub.internal_tls import client_context
from asyncdockerspawner.names import labels
from tests.fake_engine import FakeEngine
from tests.fake_engine.swarm.client import FakeSwarm
from tests.support.internal_ssl import alternative_names, hub_settings
from tests.support.service_worlds import Sites, host_of
from tests.support.waiting import until
from tests.support.world import World

pytestmark = pytest.mark.fake_engine
KEY = "-----BEGIN PRIVATE KEY----- of nobody else"


class WithCertificates(SwarmSpawner):
    """Has them from a folder, not from the Hub."""

    folder: Path

    async def create_certs(self) -> dict[str, str]:
        for name in ("key", "cert", "ca"):
            (self.folder / name).write_text(KEY if name == "key" else name)
        return {f"{name}file": str(self.folder / name) for name in ("key", "cert", "ca")}


@pytest.fixture
def make_certified(make_services: Sites, tmp_path: Path) -> Any:
    """Make worlds of a Hub with `internal_ssl`."""

    def make(**options: Any) -> World:
        world = make_services(**options)
        WithCertificates.folder = tmp_path
        none = {"internal_certs_location": "", "internal_trust_bundles": {}}
        world.settings |= {"spawner_class": WithCertificates, "internal_ssl": True, **none}
        return world

    return make


async def container_of(world: World, fake_swarm: FakeSwarm) -> dict[str, Any]:
    """Begin a spawn; gives what its service's containers are made from, and as `made` the secrets."""
    # Its process would not find any real certificates.
    with fake_swarm.holding("starting"):
        spawning = asyncio.create_task(world.spawn())
        try:
            await until(lambda: fake_swarm.state()["services"] or spawning.done())
            state = fake_swarm.state()
        finally:
            spawning.cancel()
            await asyncio.gather(spawning, return_exceptions=True)
    (service,) = state["services"]
    return {**service["Spec"]["TaskTemplate"]["ContainerSpec"], "made": state["secrets"]}


async def test_they_are_secrets_of_the_spawn_and_go_with_it(
    make_certified: Any, fake_swarm: FakeSwarm, log: pytest.LogCaptureFixture
) -> None:
    world = make_certified(extra_create_kwargs={"user": "4321:5"})
    container = await container_of(world, fake_swarm)
    env = dict(entry.split("=", 1) for entry in container["Env"])
    paths = {env[f"JUPYTERHUB_SSL_{name}"] for name in ("KEYFILE", "CERTFILE", "CLIENT_CA")}
    files = {secret["File"].pop("Name"): secret["File"] for secret in container["Secrets"]}
    assert files == {path: {"UID": "4321", "GID": "0", "Mode": 0o400} for path in paths}
    assert env["JUPYTERHUB_SERVICE_URL"].startswith("https://")
    assert {each["Labels"][labels.SPAWN] for each in container["made"]} == {container["Labels"][labels.SPAWN]}
    await until(lambda: not fake_swarm.state()["services"])
    await until(lambda: not fake_swarm.state()["secrets"])
    assert KEY not in f"{log.text}{container}"


@pytest.mark.parametrize("published", [True, False])
async def test_a_certificate_is_for_all_that_the_server_may_be_reached_at(
    make_services: Sites, fake_swarm: FakeSwarm, tmp_path: Path, published: bool
) -> None:
    world = make_services()
    world.settings |= hub_settings(tmp_path)
    spawner = world.new_spawner()
    spawner.use_internal_ip = not published
    await spawner.create_certs()
    certificates = spawner._certificates.made
    assert certificates is not None
    found = alternative_names(certificates.files["certfile"].content)
    nodes = {each["Status"]["Addr"] for each in fake_swarm.state()["nodes"]}
    assert len(nodes) == 2
    assert found == {"localhost", "127.0.0.1", spawner.object_name} | (nodes if published else set())
    assert spawner.use_internal_hostname is not published


async def test_a_server_is_reached_over_tls_after_a_restart_of_the_hub_and_at_another_node_too(
    make_services: Sites, fake_swarm: FakeSwarm, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    settings = hub_settings(tmp_path)
    world = make_services(on_node_loss="move", extra_create_kwargs={"user": "0"})
    world.settings |= settings
    await world.spawn()
    assert "The server answers" in str([event async for event in world.spawner().progress()])
    world = world.restarted()
    spawner = world.spawner()
    first = await spawner.get_url()
    fake_swarm.change_node(host_of(fake_swarm, spawner), state="down")
    await until(lambda: spawner.server.url != first)
    for url in (first, spawner.server.url):
        assert url.startswith("https://")
    async with asyncio.timeout(10):
        await Question(spawner.server.url, tls=client_context(settings)).answer()
    (secret, *_) = fake_swarm.state()["secrets"]
    assert "PRIVATE KEY" not in f"{log.text}{secret}"
    await world.user.stop("")
    assert fake_swarm.state()["secrets"] == []


OF_AN_IMAGE: dict[str, tuple[dict[str, Any], dict[str, str], tuple[str, int]]] = {
    "its number": ({"User": "1000:100"}, {}, ("1000", 0o400)),
    "root, by default": ({}, {}, ("0", 0o400)),
    "what docker-stacks become": ({"User": "root", "Env": ["NB_UID=1000"]}, {}, ("1000", 0o400)),
    "what they are told to become": ({"Env": ["NB_UID=1000"]}, {"NB_UID": "7001"}, ("7001", 0o400)),
    "what is no number": ({}, {"NB_UID": "x"}, ("0", 0o400)),
    "of its group, too": ({"User": "0:0", "Env": ["NB_UID=1000"]}, {}, ("1000", 0o400)),
    "a name": ({"User": "jovyan", "Env": ["NB_UID=1000"]}, {}, ("0", 0o444)),
}


@pytest.mark.parametrize("case", OF_AN_IMAGE)
async def test_the_owner_is_whom_the_image_says(
    make_certified: Any, fake: FakeEngine, fake_swarm: FakeSwarm, case: str
) -> None:
    config, environment, owner = OF_AN_IMAGE[case]
    fake.add_image("of-users:1", **config)
    world = make_certified(image="of-users:1", environment=environment)
    container = await container_of(world, fake_swarm)
    assert {(each["File"]["UID"], each["File"]["Mode"]) for each in container["Secrets"]} == {owner}


async def test_of_an_image_that_the_manager_does_not_have_nobody_knows_and_the_log_says_so_once(
    make_certified: Any, fake_swarm: FakeSwarm, log: pytest.LogCaptureFixture
) -> None:
    world = make_certified(image="of-workers:1")
    for _ in range(2):
        container = await container_of(world, fake_swarm)
        assert {each["File"]["Mode"] for each in container["Secrets"]} == {0o444}
        await until(lambda: not fake_swarm.state()["services"])
    assert log.text.count("Certificates of servers from of-workers:1 are for all") == 1


async def test_where_the_manager_may_not_be_asked_for_images_nobody_knows(
    make_certified: Any, fake: FakeEngine, fake_swarm: FakeSwarm
) -> None:
    fake.rule("GET", "^/images/", status=403, message="forbidden")
    container = await container_of(make_certified(), fake_swarm)
    assert {each["File"]["Mode"] for each in container["Secrets"]} == {0o444}


async def test_images_are_not_asked_for_where_the_configuration_says_who_it_is(
    make_certified: Any, fake: FakeEngine, fake_swarm: FakeSwarm
) -> None:
    options = {"extra_create_kwargs": {"user": "root"}, "environment": {"NB_UID": "7001"}}
    container = await container_of(make_certified(**options), fake_swarm)
    assert {each["File"]["UID"] for each in container["Secrets"]} == {"7001"}
    assert not fake.requests("GET", "/images/{name}/json")


async def test_they_are_taken_back_where_the_service_is_refused(
    make_certified: Any, fake: FakeEngine, fake_swarm: FakeSwarm
) -> None:
    world = make_certified(network_name="nowhere")
    with pytest.raises(web.HTTPError):
        await world.spawn()
    assert len(fake.requests("POST", "/secrets/create")) == 3
    await until(lambda: not fake_swarm.state()["secrets"])
