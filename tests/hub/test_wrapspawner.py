"""Servers behind wrapspawner's ProfilesSpawner, through a real Hub."""

from __future__ import annotations

import asyncio
from functools import partial

from tests.fake_engine import FakeEngine
from tests.support.hub_site import AT_ONCE, LONG, HubSite, MakeHub, killed_while_it_asks, until

PROFILES = """
from asyncdockerspawner import DockerSpawner
from wrapspawner import ProfilesSpawner

c.JupyterHub.spawner_class = ProfilesSpawner
c.Spawner.ip = "0.0.0.0"
c.Spawner.port = 8888
c.Spawner.env_keep = []
c.Spawner.http_timeout = 60
c.ProfilesSpawner.profiles = [
    ("Another", "other", "jupyterhub.spawner.SimpleLocalProcessSpawner", {}),
    ("Docker", "docker", DockerSpawner, {"cmd": ["/serve"]}),
]
"""
CHOICE = {"profile": "docker"}


async def test_a_wrapped_server_runs_is_found_again_and_its_end_is_told(make_hub: MakeHub) -> None:
    hub = make_hub(config=PROFILES, cleanup_servers=False)
    await hub.create_users("alice")
    await hub.api.start_server("alice", options=CHOICE)
    await hub.api.start_server("alice", "lab", options=CHOICE)
    assert hub.names() == ["alice", "alice--lab"]
    assert hub.process.stop() == 0
    hub.process.start()
    for name in ("", "lab"):
        server = await hub.settled("alice", name)
        assert server is not None
        assert await hub.answers("alice", name)
    hub.engine.post(f"/containers/{hub.prefix}-alice--lab/kill").raise_for_status()
    await until(partial(is_over, hub, "lab"), is_=True, seconds=20)
    await hub.api.stop_server("alice")
    # Also of the one that nobody has stopped.
    await hub.nothing_left()


async def test_a_wrapped_server_that_was_starting_when_the_hub_was_killed_is_adopted(
    make_hub: MakeHub, fake: FakeEngine
) -> None:
    hub = make_hub(fake=fake, config=AT_ONCE + PROFILES, cleanup_servers=False)
    fake.rule("POST", "/start$", times=1, delay_during=LONG)
    await killed_while_it_asks(hub, fake, "/containers/{ref}/start", options=CHOICE)
    assert await hub.settled("alice")
    assert await hub.answers("alice")
    await hub.api.stop_server("alice")
    await hub.nothing_left()


async def test_a_wrapped_server_has_certificates_of_its_own(make_hub: MakeHub, fake: FakeEngine) -> None:
    at_its_port = "c.DockerSpawner.use_internal_hostname = False"
    hub = make_hub(fake=fake, config=PROFILES + at_its_port, internal_ssl=True, cleanup_servers=False)
    await hub.create_users("alice")
    await hub.api.start_server("alice", options=CHOICE)
    assert await hub.answers("alice")
    hub.process.restart()
    assert await hub.settled("alice")
    assert await hub.answers("alice")
    await hub.api.stop_server("alice")
    await hub.nothing_left()


async def test_a_wrapped_start_that_fails_or_is_given_up_leaves_nothing(
    make_hub: MakeHub, fake: FakeEngine
) -> None:
    hub = make_hub(fake=fake, config=AT_ONCE + PROFILES)
    await hub.create_users("alice")
    fake.rule("POST", "/start$", times=1, hang=True)
    asked = asyncio.create_task(hub.api.request_start("alice", options=CHOICE))
    await until(partial(made, fake), is_=True)
    await asked
    answer = await hub.api._send("DELETE", "users/alice/server")
    assert answer.status_code == 204, answer.text
    await hub.nothing_left()
    await hub.api.start_server("alice", options=CHOICE)
    assert await hub.answers("alice")


async def is_over(hub: HubSite, name: str) -> bool:
    return not await hub.api.server("alice", name)


async def made(fake: FakeEngine) -> bool:
    return len(fake.containers()) > 0
