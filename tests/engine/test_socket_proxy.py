"""Behind a filter before the Engine that lets through what DockerSpawner asks for: all else is a comfort."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from asyncdockerspawner import errors
from tests.fake_engine import FakeEngine
from tests.support.clients import opened
from tests.support.engines import end_engines
from tests.support.site import Site
from tests.support.waiting import until
from tests.support.world import MakeWorld, World
from tests.testbed.socket_proxy import SocketProxy, socket_proxy

NEEDED = {"CONTAINERS": True, "IMAGES": True, "NETWORKS": True, "POST": True}
LEAST = {"CONTAINERS": True, "IMAGES": True, "POST": True, "EVENTS": False, "PING": False, "VERSION": False}


@pytest.fixture
def behind(site: Site, make_world: MakeWorld) -> MakeWorld:
    """A Hub behind the filter, with a volume of each user's."""

    def make(proxy: SocketProxy, **options: object) -> World:
        volumes = {f"t{site.hub_id}-{{username}}": "/data"}
        # Only volumes that are to be deleted one day are made by us, with labels.
        options |= {"volumes": volumes, "delete_volumes_on_user_delete": True}
        return make_world(client_kwargs={"base_url": proxy.url}, **options)

    return make


def told(caplog: pytest.LogCaptureFixture, words: str) -> int:
    return sum(words in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("switches", [NEEDED, LEAST], ids=["needed", "least"])
async def test_servers_start_are_watched_and_stop(
    site: Site, behind: MakeWorld, caplog: pytest.LogCaptureFixture, switches: dict[str, bool]
) -> None:
    async with socket_proxy(site.url, **switches) as proxy:
        world = behind(proxy)
        for name in ("", "lab"):
            spawner = await world.spawn(name)
            assert site.inspect(spawner.object_id)["Mounts"][0]["Name"] == f"t{site.hub_id}-alice"
            assert await spawner.poll() is None
        ended = asyncio.Event()
        spawner.add_poll_callback(ended.set)
        site.http.post(f"/containers/{spawner.object_id}/kill").raise_for_status()
        await asyncio.wait_for(ended.wait(), 30)
        assert await spawner.poll() == 137
        assert await world.spawner("").poll() is None
        for name in ("", "lab"):
            await world.user.stop(name)
        assert site.containers() == []
        await end_engines()
    events = set() if switches.get("EVENTS", True) else {("GET", "EVENTS"), ("GET", "VERSION")}
    assert proxy.refused >= {("POST", "VOLUMES"), ("GET", "INFO")} | events
    assert proxy.count("POST", "/volumes/create") == 1
    assert told(caplog, "does not let POST /volumes/create through") == 1
    assert told(caplog, "does not let GET /info through") == 1
    ours = [record for record in caplog.records if record.name != "tornado.application"]
    assert not any("<" in record.getMessage() for record in ours)


async def test_a_server_that_dies_at_once_fails_its_start_with_the_reason(
    site: Site, behind: MakeWorld
) -> None:
    async with socket_proxy(site.url, **LEAST) as proxy:
        world = behind(proxy, **site.kind("dies"))
        with pytest.raises(Exception, match="code 3"):
            await world.spawn()
        await until(lambda: site.containers() == [])
        await end_engines()


async def test_a_network_that_is_missing_is_told_also_where_the_others_may_not_be_listed(
    site: Site, behind: MakeWorld, caplog: pytest.LogCaptureFixture
) -> None:
    async with socket_proxy(site.url, **LEAST) as proxy:
        with pytest.raises(Exception, match="a network of its container does not exist"):
            await behind(proxy, network_name="nowhere").spawn()
        await until(lambda: site.containers() == [])
        await end_engines()
    assert ("GET", "NETWORKS") in proxy.refused
    assert "network nowhere not found" in caplog.text


async def test_what_is_needed_and_not_let_through_is_told_as_such(fake: FakeEngine) -> None:
    async with socket_proxy(fake.url, CONTAINERS=True) as proxy, opened(proxy.url) as client:
        asked: dict[str, Callable[[], Awaitable[object]]] = {
            "POST /containers/create": lambda: client.containers.create("x", {"Image": "stub:1"}),
            "GET /images/stub%3A1/json": lambda: client.images.inspect("stub:1"),
            "POST /images/create": lambda: client.images.pull("stub", "1"),
            "POST /networks/bridge/connect": lambda: client.networks.connect("bridge", "x"),
        }
        for request, ask in asked.items():
            with pytest.raises(errors.Forbidden, match=f"filter .* does not let {request} through") as caught:
                await ask()
            assert "<" not in str(caught.value)
        await client.containers.list({})
