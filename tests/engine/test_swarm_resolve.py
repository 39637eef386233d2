"""What an image is, as its registry tells a swarm that many servers start in."""

from __future__ import annotations

from asyncdockerspawner.client.registry_auth import encoded
from asyncdockerspawner.workloads.service.swarm import Swarm
from tests.fake_engine import FakeEngine
from tests.support.clients import opened

IMAGE = "registry.test/private:1"
LOGIN = {"username": "alice", "password": "p", "serveraddress": "registry.test"}


async def test_who_is_not_let_in_keeps_nobody_else_from_being_asked_for(fake: FakeEngine) -> None:
    fake.add_pullable(IMAGE, auth=LOGIN)
    async with opened(fake.url) as client:
        swarm = Swarm(client)
        assert await swarm.resolve(IMAGE, "", 5.0) is None
        assert await swarm.resolve(IMAGE, encoded({**LOGIN, "password": "wrong"}), 5.0) is None
        found = await swarm.resolve(IMAGE, encoded(LOGIN), 5.0)
        assert found is not None
        assert found.digest.startswith("sha256:")


async def test_a_registry_that_does_not_answer_is_not_asked_by_each_start(fake: FakeEngine) -> None:
    fake.add_pullable(IMAGE)
    fake.rule("GET", "^/distribution/", hang=True, times=1)
    async with opened(fake.url) as client:
        swarm = Swarm(client)
        assert await swarm.resolve(IMAGE, "", 0.1) is None
        assert await swarm.resolve(IMAGE, "", 5.0) is None
        # Another swarm remembers nothing, and the registry answers again.
        assert await Swarm(client).resolve(IMAGE, "", 5.0) is not None
