"""Many users wait for one image of 200 MB: it is pulled once, all see how far it is, nobody else waits."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.hub_api import Json
from tests.support.hub_site import AT_ONCE, HubSite, MakeHub
from tests.testbed.counting_proxy import CountingProxy, counting_proxy
from tests.testbed.engine import ensure_engine
from tests.testbed.registry import Registry, layer, registry
from tests.testbed.throttle import Front, front

MB = 1_000_000
LAYERS = 4
LAYER = 50 * MB
RATE = 16 * MB
"""Bytes per second: the pull takes some twelve seconds."""
NAME = "big/notebook"
USERS = [f"user{number}" for number in range(10)]
"""The Hub answers a request for a start before the server is there, so that its progress is seen at once."""
MOVES = re.compile(r"Pulling (\S+): (\d+) of (\d+) MB, (\d+) of (\d+) layers")


@pytest.fixture
def images(tmp_path: Path, stub_image: str) -> Iterator[Registry]:
    """A registry that has the stub image below 200 MB that do not shrink."""
    folder = tmp_path / "registry"
    folder.mkdir()
    with registry(folder) as started:
        on_top = [layer(os.urandom(LAYER), f"data{number}") for number in range(LAYERS)]
        started.add(NAME, stub_image, ensure_engine(), *on_top, packed=0)
        yield started


@pytest.fixture
async def far(images: Registry, engine: httpx.Client) -> AsyncIterator[Front]:
    """The slow way to the registry; what has come on it is removed from the Engine."""
    async with front(images.address, rate=RATE) as made:
        yield made
        remove_image(engine, f"{made.address}/{NAME}:1")


@pytest.fixture
async def counting() -> AsyncIterator[CountingProxy]:
    async with counting_proxy(ensure_engine().url) as made:
        yield made


def remove_image(engine: httpx.Client, image: str) -> None:
    found = engine.get(f"/images/{image}/json")
    if found.status_code != 404:
        engine.delete(f"/images/{found.json()['Id']}", params={"force": 1}).raise_for_status()


async def wait_for_server(hub: HubSite, user: str) -> list[Json]:
    """Ask for a server of the large image, and see its progress to the end."""
    await hub.api.request_start(user, options={"image": "big"})
    return [event async for event in hub.api.progress(user)]


def assert_moves(image: str, events: list[Json]) -> None:
    """See a pull in the events that goes forward, in MB and layers, and a server at their end."""
    found = [match.groups() for event in events if (match := MOVES.match(event["message"]))]
    assert {name for name, *_ in found} == {image}
    downloaded, of_megabytes, done, of_layers = (
        [int(text) for text in each] for each in list(zip(*found, strict=True))[1:]
    )
    assert len(set(downloaded)) >= 3
    assert downloaded == sorted(downloaded)
    assert done == sorted(done)
    assert max(of_layers) == LAYERS + 1
    assert max(of_megabytes) >= LAYERS * LAYER // MB
    shares = [event["progress"] for event in events]
    assert shares == sorted(shares), "\n".join(f"{e.get('progress')} {e['message']}" for e in events)
    assert events[-1]["ready"] is True


async def test_ten_users_share_one_pull_and_see_it_move_while_another_user_starts(
    far: Front, counting: CountingProxy, make_hub: MakeHub, stub_image: str
) -> None:
    image = f"{far.address}/{NAME}:1"
    # The Engine is reached through this test's loop, which does not run while the Hub is stopped.
    hub = make_hub(
        config=AT_ONCE,
        cleanup_servers=False,
        client_kwargs={"base_url": counting.url},
        allowed_images={"big": image, "small": stub_image},
    )
    await hub.create_users(*USERS, "other")
    waiting = [asyncio.create_task(wait_for_server(hub, user)) for user in USERS]
    async with asyncio.timeout(30):
        while far.carried < LAYER // 2:  # noqa: ASYNC110 - bytes are no event
            await asyncio.sleep(0.05)

    await hub.api.start_server("other")
    assert await hub.answers("other")
    assert far.lines, "the pull was over before the other user's server was there"
    assert not any(task.done() for task in waiting)

    for events in await asyncio.gather(*waiting):
        assert_moves(image, events)
    assert counting.count("POST", "/images/create") == 1
    assert all(await asyncio.gather(*map(hub.answers, USERS)))
    assert hub.names() == sorted([*USERS, "other"])
    await asyncio.gather(*map(hub.api.stop_server, [*USERS, "other"]))
    await hub.nothing_left()
