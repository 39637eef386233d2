"""An image is on the Engine's machine before a container is made of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from asyncdockerspawner import errors
from asyncdockerspawner.client.settings import EngineSettings
from asyncdockerspawner.engine.engine import Engine
from tests.fake_engine import FakeEngine

IMAGE = "registry.test/pullable:1"
PULL = "/images/create"


@pytest.fixture
async def engine(fake: FakeEngine) -> AsyncIterator[Engine]:
    made = Engine(EngineSettings(url=fake.url))
    yield made
    await made.aclose()


def pulls(fake: FakeEngine) -> int:
    return len(fake.requests("POST", PULL))


async def test_an_absent_image_is_pulled_once_and_then_known(engine: Engine, fake: FakeEngine) -> None:
    await engine.pulls.ensure(IMAGE, "ifnotpresent")
    fake.clear_requests()
    await engine.pulls.ensure(IMAGE, "ifnotpresent")
    assert fake.requests() == []


async def test_spawns_that_need_the_same_image_share_one_pull(engine: Engine, fake: FakeEngine) -> None:
    await asyncio.gather(*(engine.pulls.ensure(IMAGE, "ifnotpresent") for _ in range(10)))
    assert pulls(fake) == 1


async def test_a_present_image_is_not_pulled(engine: Engine, fake: FakeEngine) -> None:
    for policy in ("ifnotpresent", "never", "skip"):
        await engine.pulls.ensure("stub:1", policy)
    assert pulls(fake) == 0


async def test_always_pulls_again(engine: Engine, fake: FakeEngine) -> None:
    for _ in range(2):
        await engine.pulls.ensure(IMAGE, "always")
    assert pulls(fake) == 2


async def test_never_refuses_an_absent_image_and_says_so(engine: Engine, fake: FakeEngine) -> None:
    with pytest.raises(errors.ImageUnavailable, match="pull_policy"):
        await engine.pulls.ensure(IMAGE, "never")
    assert pulls(fake) == 0


@pytest.mark.parametrize("image", ["registry.test/broken:1", "registry.test/unknown:1", "127.0.0.1:9/none:1"])
async def test_a_failed_pull_tells_image_and_reason_and_may_be_tried_again(
    engine: Engine, fake: FakeEngine, image: str
) -> None:
    for _ in range(2):
        with pytest.raises(errors.ImageUnavailable, match=image):
            await engine.pulls.ensure(image, "ifnotpresent")
    assert pulls(fake) == 2


async def test_a_stream_that_ends_early_is_not_taken_for_success(engine: Engine, fake: FakeEngine) -> None:
    fake.rule("POST", PULL, cut_after=1)
    with pytest.raises((errors.ImageUnavailable, errors.EngineError)):
        await engine.pulls.ensure(IMAGE, "ifnotpresent")
    assert await engine.client.images.inspect(IMAGE) is None


async def test_a_cancelled_pull_lets_the_next_one_go_on(engine: Engine, fake: FakeEngine) -> None:
    fake.add_pullable("registry.test/slower:1", pause=0.2)
    first = asyncio.create_task(engine.pulls.ensure("registry.test/slower:1", "ifnotpresent"))
    second = asyncio.create_task(engine.pulls.ensure("registry.test/slower:1", "ifnotpresent"))
    while pulls(fake) == 0:  # noqa: ASYNC110 - the fake Engine has no event for us
        await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.wait([first])
    await second
    assert await engine.client.images.inspect("registry.test/slower:1") is not None


async def test_an_image_that_went_away_is_looked_for_again(engine: Engine, fake: FakeEngine) -> None:
    await engine.pulls.ensure(IMAGE, "ifnotpresent")
    fake.http.delete(f"/images/{IMAGE}").raise_for_status()
    engine.pulls.forget(IMAGE)
    await engine.pulls.ensure(IMAGE, "ifnotpresent")
    assert pulls(fake) == 2
