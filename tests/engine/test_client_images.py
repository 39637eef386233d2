"""The client's verbs on images, over the fake Engine and, where no registry is needed, a real one."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from asyncdockerspawner import errors
from asyncdockerspawner.client.client import Client
from asyncdockerspawner.images.pulls import PullPolicy, Pulls
from tests.fake_engine import FakeEngine
from tests.support.clients import held, opened
from tests.support.servers import answering
from tests.support.site import Site
from tests.support.waiting import until

PULL = "/images/create"


async def test_a_present_image_is_found_by_name_and_by_id(site: Site) -> None:
    image = site.kind("stub")["image"]
    async with opened(site.url) as client:
        found = await client.images.inspect(image)
        assert found is not None
        assert image in found["RepoTags"]
        assert await client.images.inspect(found["Id"]) == found


@pytest.mark.parametrize(
    "image",
    ["nobody/none:1", "127.0.0.1:9/x/y:1", "nobody/none@sha256:" + "0" * 64, "a/../../containers/json", ""],
)
async def test_an_absent_image_is_nothing(site: Site, image: str) -> None:
    async with opened(site.url) as client:
        assert await client.images.inspect(image) is None


async def test_what_is_no_image_reference_is_refused(site: Site) -> None:
    async with opened(site.url) as client:
        with pytest.raises(errors.InvalidConfig, match="invalid reference") as caught:
            await client.images.inspect("UP:1")
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [("127.0.0.1:9/x/y", 500, "connection refused"), ("Bad Ref", 400, "invalid reference")],
)
async def test_a_pull_refused_with_an_http_status_is_a_pull_error(
    site: Site, name: str, status: int, message: str
) -> None:
    async with opened(site.url) as client:
        with pytest.raises(errors.PullError, match=message) as caught:
            await client.images.pull(name, "1")
    assert (caught.value.status, caught.value.subject) == (status, f"{name}:1")
    assert message in caught.value.message


async def test_an_unknown_digest_is_a_pull_error_that_names_it(fake: FakeEngine) -> None:
    digest = "sha256:" + "1" * 64
    async with opened(fake.url) as client:
        with pytest.raises(errors.PullError, match="not found") as caught:
            await client.images.pull("registry.test/pullable", digest)
    assert (caught.value.status, caught.value.subject) == (404, f"registry.test/pullable@{digest}")


async def test_an_error_inside_the_stream_is_a_pull_error(fake: FakeEngine) -> None:
    seen = list[dict[str, Any]]()
    async with opened(fake.url) as client:
        with pytest.raises(errors.PullError, match="unexpected EOF") as caught:
            await client.images.pull("registry.test/broken", "1", on_line=seen.append)
        assert held(client) == 0
        assert await client.images.inspect("registry.test/broken:1") is None
    assert (caught.value.status, caught.value.message) == (None, "unexpected EOF")
    assert [line["status"] for line in seen][:2] == ["Pulling from broken", "Pulling fs layer"]


async def test_a_pull_that_succeeds_tells_its_steps_and_is_proved_by_the_image(fake: FakeEngine) -> None:
    seen = list[dict[str, Any]]()
    async with opened(fake.url) as client:
        assert await client.images.inspect("registry.test/pullable:1") is None
        await client.images.pull("registry.test/pullable", "1", on_line=seen.append)
        assert await client.images.inspect("registry.test/pullable:1") is not None
        await client.images.pull("registry.test/pullable", "1")
    assert seen[-1]["status"] == "Status: Downloaded newer image for registry.test/pullable:1"
    assert {"current": 200, "total": 300} in [line.get("progressDetail") for line in seen]
    assert [entry["query"] for entry in fake.requests("POST", PULL)] == [
        {"fromImage": "registry.test/pullable", "tag": "1"}
    ] * 2


async def test_a_stream_that_ends_well_is_no_proof_of_an_image() -> None:
    async def engine(request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            return web.json_response({"status": "Status: Downloaded newer image for any/image:1"})
        return web.json_response({"message": "No such image: any/image:1"}, status=404)

    async with answering(engine) as url, opened(url, version="1.41") as client:
        pulls = Pulls(client.images)
        for _ in range(2):
            with pytest.raises(errors.ImageUnavailable, match="any/image:1 is not on the Engine's machine"):
                await pulls.ensure("any/image:1", PullPolicy.IF_NOT_PRESENT)


async def test_a_pull_that_breaks_off_is_a_pull_error(fake: FakeEngine) -> None:
    fake.rule("POST", PULL, cut_after=2)
    async with opened(fake.url) as client:
        with pytest.raises(errors.PullError, match="connection broke"):
            await client.images.pull("registry.test/pullable", "1")


@pytest.mark.parametrize(
    "line",
    [b"<html>", b"[1]", b'"status"', b'{"status"', b"\xff"],
    ids=["html", "list", "text", "cut", "bytes"],
)
async def test_progress_that_cannot_be_read_is_a_pull_error(line: bytes) -> None:
    async def pull(_: web.Request) -> web.StreamResponse:
        return web.Response(body=b'{"status": "Pulling"}\r\n' + line)

    async with answering(pull) as url, opened(url, version="1.41") as client:
        with pytest.raises(errors.PullError, match="cannot be read"):
            await client.images.pull("any", "1")


@pytest.mark.parametrize("line", [{"error": "denied"}, {"errorDetail": {"message": "denied"}}])
async def test_either_word_for_an_error_counts(line: dict[str, Any]) -> None:
    async def pull(_: web.Request) -> web.StreamResponse:
        return web.Response(text=json.dumps(line))

    async with answering(pull) as url, opened(url, version="1.41") as client:
        with pytest.raises(errors.PullError, match="denied"):
            await client.images.pull("any", "1")


@pytest.mark.parametrize("text", ['{"message": 1', "[]", '{"cause": "x"}'], ids=["cut", "list", "no-message"])
async def test_a_refusal_that_cannot_be_read_is_a_pull_error(text: str) -> None:
    async def pull(_: web.Request) -> web.StreamResponse:
        return web.Response(status=500, text=text, content_type="application/json", charset=None)

    async with answering(pull) as url, opened(url, version="1.41") as client:
        with pytest.raises(errors.PullError):
            await client.images.pull("any", "1")
        assert held(client) == 0


async def test_without_an_engine_a_pull_says_so_and_may_be_repeated(fake: FakeEngine) -> None:
    async with opened(f"{fake.url}.none") as client:
        with pytest.raises(errors.EngineUnavailable):
            await client.images.pull("registry.test/pullable", "1")


async def first_line(client: Client) -> asyncio.Task[None]:
    begun = asyncio.Event()
    pull = asyncio.create_task(
        client.images.pull("registry.test/slow", "1", on_line=lambda _: begun.set())
    )  # fmt: skip
    await asyncio.wait_for(begun.wait(), 5)
    return pull


async def test_a_cancelled_pull_closes_its_connection_and_the_engine_stops(fake: FakeEngine) -> None:
    fake.add_pullable("registry.test/slow:1", pause=1.0)
    async with opened(fake.url) as client:
        pull = await first_line(client)
        assert held(client) == 1
        pull.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pull
        assert held(client) == 0
        # A whole pull takes seven.
        await until(lambda: not fake.state()["in_flight"], seconds=5)
        assert await client.images.inspect("registry.test/slow:1") is None


async def test_a_listener_that_fails_ends_the_pull_without_a_leak(fake: FakeEngine) -> None:
    def fails(_: object) -> None:
        raise RuntimeError("listener")

    async with opened(fake.url) as client:
        with pytest.raises(RuntimeError, match="listener"):
            await client.images.pull("registry.test/slow", "1", on_line=fails)
        assert held(client) == 0
