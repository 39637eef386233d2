"""A start that is cancelled ends in 204, and nothing of it stays at the Engine."""

from __future__ import annotations

import asyncio

import pytest

from tests.fake_engine import FakeEngine
from tests.support.hub_site import AT_ONCE, SILENT, HubSite, MakeHub, under_way, until

SLOW = 2.5
"""Longer than the second that the Hub gives a cancelled start to end."""


async def cancel(hub: HubSite, user: str) -> None:
    """Delete the user's pending server, and see it end as it should."""
    server = await hub.api.server(user)
    assert server is not None
    assert server["pending"] == "spawn"
    answer = await hub.api._send("DELETE", f"users/{user}/server")
    assert answer.status_code == 204, answer.text
    assert await hub.api.server(user) is None


async def request(hub: HubSite, user: str) -> None:
    await hub.create_users(user)
    assert (await hub.api.request_start(user)).status_code == 202


@pytest.mark.hub_5
async def test_a_server_that_never_answers_is_cancelled_at_any_moment(make_hub: MakeHub) -> None:
    hub = make_hub(config=AT_ONCE, cmd=SILENT)
    moments = [0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5]

    async def started_and_cancelled(number: int, seconds: float) -> None:
        user = f"user{number}"
        await request(hub, user)
        await asyncio.sleep(seconds)
        await cancel(hub, user)

    for number, seconds in enumerate(moments):
        await started_and_cancelled(number, seconds)
    await hub.nothing_left()
    together = [started_and_cancelled(10 + number, seconds) for number, seconds in enumerate(moments)]
    await asyncio.gather(*together)
    await hub.nothing_left()


@pytest.mark.parametrize(
    ("moment", "path", "delay"),
    [
        ("before the Engine looks at create", "/containers/create", "delay_before"),
        ("after create, before its answer", "/containers/create", "delay_after"),
        ("before the Engine looks at start", "/start$", "delay_before"),
        ("while the Engine starts", "/start$", "delay_during"),
        ("after start, before its answer", "/start$", "delay_after"),
    ],
)
async def test_a_cancelled_start_leaves_nothing(
    make_hub: MakeHub, fake: FakeEngine, moment: str, path: str, delay: str
) -> None:
    hub = make_hub(fake=fake, config=AT_ONCE)
    fake.rule("POST", path, times=1, **{delay: SLOW})
    route = "/containers/create" if "create" in path else "/containers/{ref}/start"
    await request(hub, "alice")
    await until(lambda: asked(fake, route), is_=True, seconds=10, every=0.01)
    await cancel(hub, "alice")
    await hub.nothing_left()
    # What the Engine does late goes as well.
    await until(lambda: under_way(fake, route), is_=False)
    await hub.nothing_left()
    assert hub.names() == [], moment
    await hub.api.start_server("alice")
    assert await hub.answers("alice")


async def asked(fake: FakeEngine, route: str) -> bool:
    return bool(fake.requests("POST", route))


async def test_a_start_cancelled_while_it_inspects_leaves_nothing(
    make_hub: MakeHub, fake: FakeEngine
) -> None:
    hub = make_hub(fake=fake, config=AT_ONCE)
    fake.rule("GET", "^/containers/[^/]+/json", times=1, delay_before=SLOW)
    await request(hub, "alice")
    await until(lambda: asked(fake, "/containers/{ref}/start"), is_=True, seconds=10, every=0.01)
    await cancel(hub, "alice")
    await hub.nothing_left()


async def test_a_pull_is_cancelled_with_its_only_spawn(make_hub: MakeHub, fake: FakeEngine) -> None:
    fake.add_pullable("big.example/lab:1", pause=1.0)
    hub = make_hub(fake=fake, config=AT_ONCE, image="big.example/lab:1")
    await request(hub, "alice")
    await until(lambda: asked(fake, "/images/create"), is_=True, seconds=10, every=0.01)
    await cancel(hub, "alice")
    assert hub.names() == []
    assert fake.requests("POST", "/containers/create") == []


async def test_a_start_that_takes_too_long_is_told_leaves_nothing_and_may_be_tried_again(
    make_hub: MakeHub,
) -> None:
    hub = make_hub(config=f"{AT_ONCE}\nc.Spawner.http_timeout = 2", cmd=SILENT, start_timeout=3)
    await hub.create_users("alice")
    for _ in range(2):
        await hub.api.request_start("alice")
        events = [event async for event in hub.api.progress("alice")]
        assert events[-1]["failed"] is True
    await hub.nothing_left()
    assert await hub.api.server("alice") is None
