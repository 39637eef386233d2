"""A real Engine pulls from real registries: what comes, what the user is told, and that no secret is told."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import traceback
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from asyncdockerspawner import errors
from asyncdockerspawner.client.settings import EngineSettings
from asyncdockerspawner.engine.engine import Engine
from asyncdockerspawner.images import pulls
from asyncdockerspawner.images.credentials import Credentials
from asyncdockerspawner.images.docker_config import DockerConfig
from asyncdockerspawner.images.pulls import PullPolicy
from tests.support.waiting import until
from tests.testbed.counting_proxy import counting_proxy
from tests.testbed.engine import ensure_engine
from tests.testbed.images import ensure_stub_image
from tests.testbed.own_engine import TEST_SECONDS, own_engine
from tests.testbed.processes import free_port
from tests.testbed.registry import ACCOUNT, Registry, layer, registry
from tests.testbed.throttle import Front, front

pytestmark = pytest.mark.timeout(TEST_SECONDS)

MIB = 1 << 20
WRONG = "not-this-one-4711"
SECRETS = [
    secret
    for password in (ACCOUNT.password, WRONG)
    for secret in (password, base64.b64encode(f"{ACCOUNT.name}:{password}".encode()).decode())
]
NOT_REACHED = (
    "the registry was not reached, or the connection broke. Try again later. Is it up, and reached from the "
    "Engine's machine?"
)
TRYING_AGAIN = "the connection to the registry broke, trying again"
DENIED = (
    "the registry denies it, or has no such image. Check the name in `image` or `allowed_images`, and "
    "`registry_auth`."
)
UNKNOWN = "the registry has no such image. Check its name and tag in `image` or `allowed_images`."
CUTS_OF_A_TRY = 2
"""How often the Engine of a test's own fetches a layer before it gives up."""
PULL = ("POST", "/images/create")
FindCredentials = Callable[[str], Awaitable[Credentials | None]]


@pytest.fixture(scope="module")
def open_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("open")) as started:
        yield started


@pytest.fixture(scope="module")
def locked_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("locked"), ACCOUNT) as started:
        yield started


@pytest.fixture
async def far(open_registry: Registry) -> AsyncIterator[Front]:
    """The way to the open registry, which may be slow or break."""
    async with front(open_registry.address) as made:
        yield made


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with ensure_engine().client(60) as client:
        yield client


@pytest.fixture
async def engine(http: httpx.Client) -> AsyncIterator[Engine]:
    """The Engine as a Hub sees it; what was pulled from this machine's registries is removed."""
    made = Engine(EngineSettings(url=ensure_engine().url))
    before = set(pulled(http))
    yield made
    await made.aclose()
    for image in set(pulled(http)) - before:
        remove(http, f"images/{image}")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulls, "RETRY_PAUSES", (0.05, 0.05))


def pulled(http: httpx.Client) -> list[str]:
    """Give the ids of images that come from here."""
    found = http.get("/images/json").raise_for_status().json()
    names = {one["Id"]: [*(one["RepoTags"] or []), *(one["RepoDigests"] or [])] for one in found}
    return [one for one, named in names.items() if any("/of-pulls-" in name for name in named)]


def remove(http: httpx.Client, path: str) -> None:
    http.delete(f"/{path}", params={"force": 1}).raise_for_status()


def create(http: httpx.Client, image: str) -> str:
    """Make a container; gives its id."""
    answer = http.post("/containers/create", json={"Image": image})
    return str(answer.raise_for_status().json()["Id"])


def add(there: Registry, size: int = 1000, at: str = "") -> str:
    """Add an image that no Engine has; gives its reference, at another address where one is given."""
    name = f"of-pulls-{uuid.uuid4().hex[:8]}"
    made = there.add(name, ensure_stub_image(), ensure_engine(), layer(os.urandom(size)), packed=0)
    return made.replace(there.address, at or there.address)


async def nobody(host: str) -> Credentials | None:
    return None


async def ensured(engine: Engine, image: str, find: FindCredentials = nobody, **words: Any) -> list[str]:
    """Pull; gives what the user is told meanwhile."""
    told = list[str]()
    await engine.pulls.ensure(
        image,
        PullPolicy.IF_NOT_PRESENT,
        credentials=find,
        on_progress=lambda text, _: told.append(text),
        **words,
    )
    assert await engine.client.images.inspect(image) is not None
    assert_no_secret(" ".join(told))
    return told


async def refused(
    engine: Engine, image: str, find: FindCredentials = nobody, told: list[str] | None = None, **words: Any
) -> str:
    """Pull in vain; gives the sentence that the user gets."""
    heard = [] if told is None else told
    with pytest.raises(errors.ImageUnavailable) as caught:
        await engine.pulls.ensure(
            image,
            PullPolicy.IF_NOT_PRESENT,
            credentials=find,
            on_progress=lambda text, _: heard.append(text),
            **words,
        )
    assert await engine.client.images.inspect(image) is None
    assert_no_secret("".join([*heard, *traceback.format_exception(caught.value)]))
    return str(caught.value)


def assert_no_secret(text: str) -> None:
    assert [secret for secret in SECRETS if secret in text] == []


@pytest.fixture(autouse=True)
def no_secret_in_the_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level("DEBUG", "asyncdockerspawner"):
        yield
    assert_no_secret(caplog.text)


# ---- references ----


async def test_an_image_is_pulled_from_a_registry_with_a_port(
    engine: Engine, open_registry: Registry
) -> None:
    told = await ensured(engine, add(open_registry))
    assert "" not in told
    assert "layer" in told[0]


@pytest.mark.parametrize("tag", ["", ":another"])
async def test_a_digest_names_the_image_whatever_the_tag_says(
    engine: Engine, open_registry: Registry, http: httpx.Client, tag: str
) -> None:
    name = add(open_registry).removesuffix(":1")
    digest = open_registry.digest(name.partition("/")[2])
    image = f"{name}{tag}@{digest}"
    await ensured(engine, image)
    found = await engine.pulls.document(image)
    assert found["RepoDigests"] == [f"{name}@{digest}"]
    remove(http, f"containers/{create(http, image)}")


@pytest.mark.parametrize("wrong", [":none", "@sha256:" + "0" * 64])
async def test_what_the_registry_does_not_have_is_told_so(
    engine: Engine, open_registry: Registry, wrong: str
) -> None:
    image = add(open_registry).removesuffix(":1") + wrong
    said = await refused(engine, image)
    assert said.startswith(f"The image {image} could not be pulled: {UNKNOWN}")
    assert "manifest unknown" in said


# ---- credentials ----


def given(username: str, password: str) -> FindCredentials:
    """Find these credentials for every registry, as `registry_auth` gives them."""

    async def find(host: str) -> Credentials:
        return Credentials(serveraddress=host, username=username, password=password)

    return find


async def test_the_right_password_opens_a_registry(engine: Engine, locked_registry: Registry) -> None:
    await ensured(engine, add(locked_registry), given(ACCOUNT.name, ACCOUNT.password))


@pytest.mark.parametrize(
    "find",
    [given(ACCOUNT.name, WRONG), given("stranger", ACCOUNT.password), nobody],
    ids=["wrong password", "wrong name", "none"],
)
async def test_without_the_right_password_the_pull_is_denied(
    engine: Engine, locked_registry: Registry, find: FindCredentials
) -> None:
    image = add(locked_registry)
    told = list[str]()
    said = await refused(engine, image, find, told)
    assert said.startswith(f"The image {image} could not be pulled: {DENIED} (The Engine says: ")
    # It is not asked again for what it has denied.
    assert told == []
    # Others, with other credentials, are not told the same.
    await ensured(engine, image, given(ACCOUNT.name, ACCOUNT.password))


def auths(folder: Path, host: str, password: str) -> dict[str, Any]:
    """Give a configuration as `docker login` writes it."""
    entry = base64.b64encode(f"{ACCOUNT.name}:{password}".encode()).decode()
    return {"auths": {host: {"auth": entry}}}


def helper(folder: Path, host: str, password: str) -> dict[str, Any]:
    """Give a configuration that names a helper, a real program that knows this one server."""
    program = folder / "docker-credential-testbed"
    answer = json.dumps({"ServerURL": host, "Username": ACCOUNT.name, "Secret": password})
    program.write_text(
        f"""#!/bin/sh
[ "$1" = get ] || exit 2
read -r server || true
[ "$server" = '{host}' ] || {{ echo 'credentials not found in native keychain'; exit 1; }}
echo '{answer}'
"""
    )
    program.chmod(0o700)
    return {"credHelpers": {host: "testbed"}}


@pytest.mark.parametrize("kept", [auths, helper])
async def test_dockers_own_configuration_opens_a_registry(
    engine: Engine,
    locked_registry: Registry,
    tmp_path: Path,
    kept: Callable[[Path, str, str], dict[str, Any]],
) -> None:
    image, host = add(locked_registry), locked_registry.address
    environ = {"DOCKER_CONFIG": str(tmp_path), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    for password in (WRONG, ACCOUNT.password):
        (tmp_path / "config.json").write_text(json.dumps(kept(tmp_path, host, password)))
        find = DockerConfig(environ).credentials_for
        if password == WRONG:
            assert DENIED in await refused(engine, image, find)
    await ensured(engine, image, find)


# ---- what breaks ----


@pytest.mark.usefixtures("impatient")
async def test_a_registry_that_is_down_is_told_so_after_some_tries(engine: Engine) -> None:
    image, told = f"127.0.0.1:{free_port()}/of-pulls-none:1", list[str]()
    said = await refused(engine, image, told=told)
    assert said.startswith(f"The image {image} could not be pulled: {NOT_REACHED}")
    assert "connection refused" in said
    assert told == [TRYING_AGAIN] * 2


async def test_a_layer_that_breaks_off_is_fetched_again_by_the_engine_and_the_user_is_told(
    engine: Engine, open_registry: Registry, far: Front
) -> None:
    image = add(open_registry, 4 * MIB, far.address)
    far.cut(1, after=2 * MIB)
    told = await ensured(engine, image)
    assert far.cuts_left == 0
    assert any("retrying in" in text for text in told)
    assert not any(TRYING_AGAIN in text for text in told)


async def test_a_layer_that_the_engine_gives_up_is_tried_again_and_then_told(
    open_registry: Registry, far: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulls, "RETRY_PAUSES", (0.05,))

    async def in_vain(engine: Engine, far: Front) -> None:
        far.cut(99, after=2 * MIB)
        image, told = add(open_registry, 4 * MIB, far.address), list[str]()
        said = await refused(engine, image, told=told)
        assert (
            said == f"The image {image} could not be pulled: {NOT_REACHED} (The Engine says: unexpected EOF)"
        )
        assert sum(TRYING_AGAIN in text for text in told) == 1
        assert 99 - far.cuts_left == 2 * CUTS_OF_A_TRY

    async def in_the_end(engine: Engine, far: Front) -> None:
        far.cut(CUTS_OF_A_TRY, after=2 * MIB)
        told = await ensured(engine, add(open_registry, 4 * MIB, far.address))
        assert sum(TRYING_AGAIN in text for text in told) == 1
        assert far.cuts_left == 0

    with own_engine(tmp_path, live_restore=False) as own:
        engine = Engine(EngineSettings(url=own.url))
        async with front(open_registry.address) as other:
            # Together, for each takes the Engine's pause of five seconds.
            await asyncio.gather(in_vain(engine, far), in_the_end(engine, other))
        await engine.aclose()


@pytest.mark.usefixtures("impatient")
async def test_a_pull_whose_connection_to_the_engine_breaks_is_tried_again(
    engine: Engine, open_registry: Registry, far: Front
) -> None:
    image = add(open_registry, 4 * MIB, far.address)
    far.rate = 2 * MIB
    async with counting_proxy(ensure_engine().url) as proxy:
        through = Engine(EngineSettings(url=proxy.url))
        pulling = asyncio.create_task(ensured(through, image))
        await carried(far, MIB)
        (line,) = proxy.under_way(*PULL)
        line.abort()
        far.rate = None
        assert any(TRYING_AGAIN in text for text in await pulling)
        assert proxy.count(*PULL) == 2
        await through.aclose()


# ---- who waits ----


async def carried(far: Front, count: int) -> None:
    """Wait until the pull is in the middle of a layer."""
    async with asyncio.timeout(20):
        while far.carried < count:  # noqa: ASYNC110 - bytes are no event
            await asyncio.sleep(0.02)


async def left(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_when_the_last_has_left_the_engine_stops_pulling(
    engine: Engine, open_registry: Registry, far: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulls, "GRACE_SECONDS", 0.3)
    image = add(open_registry, 64 * MIB, far.address)
    far.rate = 4 * MIB
    first, second = (asyncio.create_task(ensured(engine, image)) for _ in range(2))
    await carried(far, MIB)
    await left(first)
    await carried(far, far.carried + 2 * MIB)
    await left(second)
    # Who comes back in time finds the pull where it was.
    third = asyncio.create_task(ensured(engine, image))
    await carried(far, far.carried + 2 * MIB)
    assert far.lines
    await left(third)
    await until(lambda: not far.lines, seconds=10)
    assert far.carried < 64 * MIB
    assert await engine.client.images.inspect(image) is None


async def test_a_pull_that_takes_too_long_is_told_and_may_still_be_waited_for(
    engine: Engine, open_registry: Registry, far: Front
) -> None:
    image = add(open_registry, 8 * MIB, far.address)
    far.rate = MIB
    said = await refused(engine, image, timeout=1)
    assert said == (
        f"The image {image} was not pulled within 1 s. Try again later: what has been downloaded is kept. "
        "`pull_timeout` says how long a user waits for it."
    )
    far.rate = None
    before = far.connections
    await ensured(engine, image)
    # It is still the same pull.
    assert far.connections == before
