"""An image is on the Engine's machine before a container is made of it."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator

import pytest

from asyncdockerspawner import errors
from asyncdockerspawner.client.settings import EngineSettings
from asyncdockerspawner.engine.engine import Engine
from asyncdockerspawner.images import pulls as room
from asyncdockerspawner.images.credentials import Credentials
from asyncdockerspawner.images.pulls import PullPolicy
from tests.fake_engine import FakeEngine
from tests.support.waiting import turns, until

IMAGE = "registry.test/pullable:1"
SLOW = "registry.test/slow:1"
PULL = "/images/create"


@pytest.fixture(autouse=True)
def _quickly_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "RETRY_PAUSES", (0.05,))


@pytest.fixture
async def engine(fake: FakeEngine) -> AsyncIterator[Engine]:
    made = Engine(EngineSettings(url=fake.url))
    yield made
    await made.aclose()


def pulls(fake: FakeEngine) -> int:
    return len(fake.requests("POST", PULL))


async def waiting(
    engine: Engine, fake: FakeEngine, policy: PullPolicy = PullPolicy.IF_NOT_PRESENT
) -> asyncio.Task[None]:
    """Have somebody wait for a pull that has begun."""
    task = asyncio.create_task(engine.pulls.ensure(SLOW, policy))
    await until(lambda: pulls(fake))
    return task


async def test_an_absent_image_is_pulled_once_and_then_known(engine: Engine, fake: FakeEngine) -> None:
    await engine.pulls.ensure(IMAGE, PullPolicy.IF_NOT_PRESENT)
    fake.clear_requests()
    await engine.pulls.ensure(IMAGE, PullPolicy.IF_NOT_PRESENT)
    assert fake.requests() == []


async def test_an_image_that_is_removed_behind_our_back_is_missed_after_a_while(
    engine: Engine, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.pulls.ensure(IMAGE, PullPolicy.IF_NOT_PRESENT)
    fake.http.delete(f"/images/{IMAGE}").raise_for_status()
    monkeypatch.setattr(room, "PRESENT_SECONDS", 0.0)
    for _ in range(2):
        await engine.pulls.ensure(IMAGE, PullPolicy.IF_NOT_PRESENT)
    assert pulls(fake) == 2


async def test_spawns_that_need_the_same_image_share_one_pull(engine: Engine, fake: FakeEngine) -> None:
    await asyncio.gather(*(engine.pulls.ensure(IMAGE, PullPolicy.IF_NOT_PRESENT) for _ in range(10)))
    assert pulls(fake) == 1


async def test_two_ways_to_write_the_same_image_share_one_pull(engine: Engine, fake: FakeEngine) -> None:
    fake.add_pullable("registry.test/plain:latest")
    written = ("registry.test/plain", "registry.test/plain:latest")
    await asyncio.gather(*(engine.pulls.ensure(each, PullPolicy.IF_NOT_PRESENT) for each in written))
    assert pulls(fake) == 1


async def test_a_present_image_is_not_pulled(engine: Engine, fake: FakeEngine) -> None:
    for policy in (PullPolicy.IF_NOT_PRESENT, PullPolicy.NEVER, PullPolicy.SKIP):
        await engine.pulls.ensure("stub:1", policy)
    assert pulls(fake) == 0


async def test_always_pulls_again_but_not_for_each_of_many_who_come_together(
    engine: Engine, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.gather(*(engine.pulls.ensure(IMAGE, PullPolicy.ALWAYS) for _ in range(5)))
    await engine.pulls.ensure(IMAGE, PullPolicy.ALWAYS)
    assert pulls(fake) == 1
    monkeypatch.setattr(room, "FRESH_SECONDS", 0.0)
    await engine.pulls.ensure(IMAGE, PullPolicy.ALWAYS)
    assert pulls(fake) == 2


async def test_never_refuses_an_absent_image_and_says_so(engine: Engine, fake: FakeEngine) -> None:
    with pytest.raises(errors.ImageUnavailable, match="pull_policy"):
        await engine.pulls.ensure(IMAGE, PullPolicy.NEVER)
    assert pulls(fake) == 0


@pytest.mark.parametrize(
    ("image", "told", "tries"),
    [
        ("registry.test/broken:1", "connection broke. Try again later.*unexpected EOF", 2),
        ("127.0.0.1:9/none:1", "the registry was not reached.*connection refused", 2),
        ("registry.test/unknown:1", "no such image. Check its name", 1),
    ],
)
async def test_a_failed_pull_tells_image_and_reason_and_only_the_network_is_tried_again(
    engine: Engine, fake: FakeEngine, image: str, told: str, tries: int
) -> None:
    for times in (1, 2):
        with pytest.raises(errors.ImageUnavailable, match=f"{image} could not be pulled: .*{told}"):
            await engine.pulls.ensure(image, PullPolicy.IF_NOT_PRESENT)
        assert pulls(fake) == times * tries


@pytest.mark.parametrize(
    ("says", "told"),
    [
        (
            "pull access denied for x, repository does not exist or may require 'docker login'",
            "registry_auth",
        ),
        ("unauthorized: authentication required", "registry_auth"),
        ("toomanyrequests: You have reached your pull rate limit.", "limits how often"),
        ("manifest for x:1 not found: manifest unknown: manifest unknown", "Check its name and tag"),
        ("no matching manifest for linux/arm64/v8 in the manifest list entries", "kind of machine"),
        ("http: server gave HTTP response to HTTPS client", "insecure-registries"),
        ('Get "https://r/v2/": x509: certificate signed by unknown authority', "certificates"),
        ("something else", "could not be pulled: the Engine could not get it"),
    ],
)
async def test_what_a_registry_says_is_told_apart(
    engine: Engine, fake: FakeEngine, says: str, told: str
) -> None:
    fake.add_pullable("registry.test/it:1", error=says)
    with pytest.raises(errors.ImageUnavailable, match=told) as caught:
        await engine.pulls.ensure("registry.test/it:1", PullPolicy.IF_NOT_PRESENT)
    assert says in str(caught.value)
    assert pulls(fake) == 1


async def test_a_connection_that_broke_once_is_forgotten_when_the_next_try_succeeds(
    engine: Engine, fake: FakeEngine
) -> None:
    told: list[str] = []
    fake.rule("POST", PULL, cut_after=1, times=1)
    await engine.pulls.ensure(IMAGE, PullPolicy.IF_NOT_PRESENT, on_progress=lambda text, _: told.append(text))
    assert pulls(fake) == 2
    assert any("trying again" in text for text in told)


async def test_waiters_hear_how_far_it_is_also_those_who_come_later(
    engine: Engine, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "REPORT_SECONDS", 0.0)
    fake.add_pullable(SLOW, pause=0.4)
    heard: tuple[list[tuple[str, float]], ...] = ([], [])

    async def wait(number: int) -> None:
        await engine.pulls.ensure(
            SLOW, PullPolicy.IF_NOT_PRESENT, on_progress=lambda *said: heard[number].append(said)
        )

    first = asyncio.create_task(wait(0))
    await until(lambda: len(heard[0]) >= 2)
    await asyncio.gather(first, wait(1))
    for each in heard:
        assert [text for text, _ in each] != []
        assert [part for _, part in each] == sorted(part for _, part in each)
    assert "layer" in heard[1][0][0]


async def test_a_silent_registry_is_told(
    engine: Engine, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "SILENCE_SECONDS", 0.05)
    fake.add_pullable(SLOW, pause=0.3)
    told: list[str] = []
    await engine.pulls.ensure(SLOW, PullPolicy.IF_NOT_PRESENT, on_progress=lambda text, _: told.append(text))
    assert any("no news" in text for text in told)


async def test_the_last_one_to_leave_ends_the_pull_after_a_while(
    engine: Engine, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "GRACE_SECONDS", 1.0)
    fake.add_pullable(SLOW, pause=1.0)
    waiter = await waiting(engine, fake)
    waiter.cancel()
    await asyncio.wait([waiter])
    # One who comes back within the grace finds the pull going on.
    (shared,) = engine.pulls._shared.values()
    again = asyncio.create_task(engine.pulls.ensure(SLOW, PullPolicy.IF_NOT_PRESENT))
    # The grace began before, and is over by then.
    await asyncio.sleep(room.GRACE_SECONDS)
    await turns()
    assert shared.task is not None
    assert (shared.task.cancelling(), pulls(fake), again.done()) == (0, 1, False)
    monkeypatch.setattr(room, "GRACE_SECONDS", 0.2)
    again.cancel()
    await asyncio.wait([again])
    # A whole pull takes seven.
    await until(lambda: not engine.pulls._shared, seconds=4)
    assert await engine.client.images.inspect(SLOW) is None


async def test_who_comes_while_a_pull_is_ended_gets_one_of_its_own(
    engine: Engine, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "GRACE_SECONDS", 0.0)
    fake.add_pullable(SLOW, pause=0.2)
    waiter = await waiting(engine, fake, PullPolicy.ALWAYS)
    (shared,) = engine.pulls._shared.values()
    assert shared.task is not None
    waiter.cancel()
    while not shared.task.cancelling():  # noqa: ASYNC110 - a task tells nobody of it
        await asyncio.sleep(0)
    await engine.pulls.ensure(SLOW, PullPolicy.ALWAYS)
    assert pulls(fake) == 2


async def test_nothing_is_told_before_there_is_something_to_tell(engine: Engine) -> None:
    told: list[str] = []
    await engine.pulls.ensure(IMAGE, PullPolicy.IF_NOT_PRESENT, on_progress=lambda text, _: told.append(text))
    assert told
    assert "" not in told


async def test_patience_ends_the_wait_and_names_the_option(engine: Engine, fake: FakeEngine) -> None:
    fake.add_pullable(SLOW, pause=1.0)
    other = await waiting(engine, fake)
    with pytest.raises(errors.ImageUnavailable, match="pull_timeout"):
        await engine.pulls.ensure(SLOW, PullPolicy.IF_NOT_PRESENT, timeout=0.1)
    await other
    assert pulls(fake) == 1


async def test_credentials_go_with_the_pull_and_others_do_not_share_it(
    engine: Engine, fake: FakeEngine
) -> None:
    asked: list[str] = []

    def showing(password: str) -> room.FindCredentials:
        async def find(registry: str) -> Credentials:
            asked.append(registry)
            return Credentials(serveraddress=registry, username="me", password=password)

        return find

    await asyncio.gather(
        *(
            engine.pulls.ensure(IMAGE, PullPolicy.ALWAYS, credentials=showing(each))
            for each in ("one", "one", "two")
        )
    )
    assert set(asked) == {"registry.test"}
    shown = [
        base64.urlsafe_b64decode(each["headers"]["X-Registry-Auth"]) for each in fake.requests("POST", PULL)
    ]
    assert sorted(json.loads(each)["password"] for each in shown) == ["one", "two"]


async def test_nobody_asks_for_credentials_where_nothing_is_pulled(engine: Engine) -> None:
    async def find(registry: str) -> Credentials | None:
        raise AssertionError(registry)

    await engine.pulls.ensure("stub:1", PullPolicy.IF_NOT_PRESENT, credentials=find)


@pytest.mark.parametrize("policy", [PullPolicy.ALWAYS, PullPolicy.IF_NOT_PRESENT, PullPolicy.NEVER])
async def test_what_is_no_reference_is_refused_before_the_engine_is_asked(
    engine: Engine, fake: FakeEngine, policy: PullPolicy
) -> None:
    with pytest.raises(errors.BadReference, match="lower-case"):
        await engine.pulls.ensure("Not An Image", policy)
    assert fake.requests() == []


async def test_a_stream_that_ends_early_is_not_taken_for_success(engine: Engine, fake: FakeEngine) -> None:
    fake.rule("POST", PULL, cut_after=1)
    with pytest.raises(errors.ImageUnavailable, match="the connection broke"):
        await engine.pulls.ensure(IMAGE, PullPolicy.IF_NOT_PRESENT)
    assert await engine.client.images.inspect(IMAGE) is None


async def test_a_cancelled_pull_lets_the_next_one_go_on(engine: Engine, fake: FakeEngine) -> None:
    fake.add_pullable("registry.test/slower:1", pause=0.2)
    first = asyncio.create_task(engine.pulls.ensure("registry.test/slower:1", PullPolicy.IF_NOT_PRESENT))
    second = asyncio.create_task(engine.pulls.ensure("registry.test/slower:1", PullPolicy.IF_NOT_PRESENT))
    await until(lambda: pulls(fake))
    first.cancel()
    await asyncio.wait([first])
    await second
    assert await engine.client.images.inspect("registry.test/slower:1") is not None


async def test_an_image_that_went_away_is_looked_for_again(engine: Engine, fake: FakeEngine) -> None:
    await engine.pulls.ensure(IMAGE, PullPolicy.IF_NOT_PRESENT)
    fake.http.delete(f"/images/{IMAGE}").raise_for_status()
    engine.pulls.forget(IMAGE)
    await engine.pulls.ensure(IMAGE, PullPolicy.IF_NOT_PRESENT)
    assert pulls(fake) == 2
