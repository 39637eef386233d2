"""The client's verbs on builds, over the fake Engine and over a real one."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from asyncdockerspawner import errors
from asyncdockerspawner.client.client import Client
from asyncdockerspawner.rebase.recipe import archive
from tests.fake_engine import FakeEngine
from tests.support.clients import body, held, opened
from tests.support.servers import answering
from tests.support.site import Site
from tests.support.waiting import until


def context(dockerfile: str, **files: bytes) -> bytes:
    return archive([("Dockerfile", dockerfile.encode()), *files.items()])


def on_stub(site: Site, *lines: str, **files: bytes) -> bytes:
    return context("\n".join([f"FROM {site.kind('stub')['image']}", *lines, ""]), **files)


@asynccontextmanager
async def built(client: Client, packed: bytes, **options: Any) -> AsyncIterator[str]:
    """Build an image that is removed at the end."""
    image = await client.builds.build(packed, subject="it", **options)
    try:
        yield image
    finally:
        await client.builds.remove(image)


async def test_an_image_is_built_with_its_labels_and_tells_its_steps(site: Site) -> None:
    heard: list[dict[str, Any]] = []
    packed = on_stub(site, "RUN true", 'CMD ["x"]')
    mark = uuid.uuid4().hex
    async with opened(site.url) as client:
        async with built(client, packed, labels={"mark": mark}, no_cache=True, on_line=heard.append) as image:
            found = await client.images.inspect(image)
            assert found is not None
            assert found["Id"] == image
            assert found["RepoTags"] == []
            assert found["Config"]["Cmd"] == ["x"]
            assert found["Config"]["Labels"]["mark"] == mark
        assert await client.images.inspect(image) is None
        await client.builds.remove(image)
    steps = [line["stream"] for line in heard if line.get("stream", "").startswith("Step ")]
    assert steps[1:3] == ["Step 2/4 : RUN true", 'Step 3/4 : CMD ["x"]']


async def test_a_name_is_given_in_the_build_or_later_and_moves(site: Site) -> None:
    name = f"t{site.hub_id}"
    async with opened(site.url) as client:
        await client.builds.build(on_stub(site, "LABEL n=1"), subject="it", tag=f"{name}:1")
        async with built(client, on_stub(site, "LABEL n=2")) as second:
            first = await client.images.inspect(f"{name}:1")
            assert first is not None
            await client.builds.tag(second, name, "1")
            found = await client.images.inspect(f"{name}:1")
            assert found is not None
            assert found["Id"] == second != first["Id"]
            await client.builds.remove(first["Id"])
        with pytest.raises(errors.ImageNotFound):
            await client.builds.tag(second, name, "2")


async def test_what_a_stage_leaves_is_forgotten_and_nothing_else(site: Site) -> None:
    mark = f"stage={site.hub_id}"
    base = site.kind("stub")["image"]
    packed = context(
        f"FROM {base} AS a\nRUN true\nFROM a AS b\nLABEL {mark}\nRUN true\nFROM a\nCOPY --from=b /www /w\n"
    )
    async with opened(site.url) as client, built(client, packed) as image:
        assert await client.builds._found(left(mark))
        await client.builds.forget(mark)
        assert not await client.builds._found(left(mark))
        assert await client.images.inspect(image) is not None
        assert await client.images.inspect(base) is not None
        await client.builds.forget(mark)


def left(mark: str) -> dict[str, str]:
    return {"filters": json.dumps({"dangling": ["true"], "label": [mark]})}


async def test_a_large_context_arrives_whole(site: Site) -> None:
    large = uuid.uuid4().bytes * 2**17
    check = [] if site.fake is not None else [f'RUN [ "$(/bin/busybox stat -c %s /large)" = {len(large)} ]']
    async with opened(site.url) as client, built(client, on_stub(site, "COPY large /", *check, large=large)):
        assert held(client) == 0


@pytest.mark.parametrize(
    ("dockerfile", "options", "message", "codes"),
    [
        ("FROM {stub}\nRUN exit 3\n", {}, "non-zero code: 3", (None, 3)),
        ("FROM no.such.test/x:1\n", {}, "no such host|unreachable|pull access denied", (None, None)),
        (
            "FROM {stub}\n",
            {"pull": True},
            "no such host|unreachable|pull access denied|timeout",
            (None, None),
        ),
        ("FROM {stub}\nBOGUS\n", {}, "unknown instruction: BOGUS", (400, None)),
        ("FROM {stub}\n", {"tag": "UP:1"}, "must be lowercase", (500, None)),
    ],
    ids=["command", "base", "pull", "dockerfile", "tag"],
)
async def test_what_cannot_be_built_fails_with_the_engines_reason(
    site: Site, dockerfile: str, options: dict[str, Any], message: str, codes: tuple[int | None, ...]
) -> None:
    packed = context(dockerfile.format(stub=site.kind("stub")["image"]))
    async with opened(site.url) as client:
        with pytest.raises(errors.BuildFailed, match=message) as caught:
            await client.builds.build(packed, subject="it", **options)
        assert (caught.value.status, caught.value.code) == codes


async def test_arguments_reach_the_build_and_are_not_needed(site: Site) -> None:
    lines = ["RUN true"] if site.fake is not None else ['RUN [ "$http_proxy" = "http://p" ]']
    proxies = {"http_proxy": "http://p"}
    async with opened(site.url) as client, built(client, on_stub(site, *lines), build_args=proxies):
        pass


async def test_a_build_without_a_network_has_none(site: Site) -> None:
    lines = (
        ["RUN true"] if site.fake is not None else ["RUN ! /bin/busybox ip link | /bin/busybox grep -q eth0"]
    )
    async with opened(site.url) as client, built(client, on_stub(site, *lines), network="none"):
        pass


async def test_a_cancelled_build_ends_at_the_engine_and_leaves_no_container(site: Site) -> None:
    mark = f"mark{site.hub_id}"
    begun = asyncio.Event()

    def on_line(line: dict[str, Any]) -> None:
        if "Step 3" in line.get("stream", ""):
            begun.set()

    packed = on_stub(site, f"LABEL asyncdockerspawner.hub={site.hub_id} mark={mark}", "RUN sleep 30")
    async with opened(site.url) as client:
        build = asyncio.create_task(client.builds.build(packed, subject="it", on_line=on_line))
        await asyncio.wait_for(begun.wait(), 20)
        build.cancel()
        with pytest.raises(asyncio.CancelledError):
            await build
        assert held(client) == 0
        await until(lambda: site.containers() == [], seconds=15)
        await client.builds.forget(f"asyncdockerspawner.hub={site.hub_id}")
    if (fake := site.fake) is not None:
        await until(lambda: fake.state()["in_flight"] == {}, seconds=15)


@pytest.mark.parametrize("text", ["", '{"stream": "Step 1/1 : FROM x"}\n'], ids=["nothing", "no-image"])
async def test_an_answer_that_ends_before_the_build_is_a_failure(text: str) -> None:
    async def build(_: web.Request) -> web.StreamResponse:
        return web.Response(text=text)

    async with answering(build) as url, opened(url, version="1.41") as client:
        with pytest.raises(errors.BuildFailed, match="ended before the build"):
            await client.builds.build(context("FROM x\n"), subject="it")


async def test_a_lost_engine_is_not_called_a_failed_build(fake: FakeEngine) -> None:
    packed = context("FROM stub:1\nRUN true\n")
    fake.rule("POST", "/build", cut_after=2)
    async with opened(fake.url) as client:
        with pytest.raises(errors.EngineLost):
            await client.builds.build(packed, subject="it")
    async with opened(f"{fake.url}.none") as client:
        with pytest.raises(errors.EngineUnavailable):
            await client.builds.build(packed, subject="it")


async def test_the_end_of_a_container_is_waited_for_with_a_limit(site: Site) -> None:
    async with opened(site.url) as client:
        dies = await client.containers.create(f"t{site.hub_id}-a", body(site, "dies"))
        await client.containers.start(dies)
        assert await client.containers.wait(dies, timeout=20) == 3
        runs = await client.containers.create(f"t{site.hub_id}-b", body(site))
        await client.containers.start(runs)
        with pytest.raises(errors.EngineTimeout):
            await client.containers.wait(runs, timeout=0.3)
        with pytest.raises(errors.ObjectNotFound):
            await client.containers.wait(f"t{site.hub_id}-none", timeout=5)
