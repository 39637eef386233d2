"""The client's verbs on containers, over the fake Engine and a real one."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from aiohttp import web

from asyncdockerspawner import errors
from tests.fake_engine import FakeEngine
from tests.support.clients import body, ended, opened, writer
from tests.support.servers import answering
from tests.support.site import Site
from tests.support.waiting import until

PUBLISHED: dict[str, Any] = {
    "ExposedPorts": {"8888/tcp": {}},
    "HostConfig": {"PortBindings": {"8888/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}},
}


async def test_a_container_lives_and_every_verb_may_be_repeated(site: Site) -> None:
    name = f"t{site.hub_id}-life"
    async with opened(site.url) as client:
        verbs = client.containers
        made = await verbs.create(name, body(site))
        found = await verbs.inspect(name)
        assert found is not None
        assert (found["Id"], found["State"]["Status"]) == (made, "created")
        assert [await verbs.start(made), await verbs.start(name)] == [True, False]
        assert site.inspect(made)["State"]["Running"] is True
        assert [await verbs.stop(name), await verbs.stop(made, grace=1)] == [True, False]
        assert site.inspect(made)["State"]["Running"] is False
        await verbs.remove(name)
        assert await verbs.inspect(made) is None
        await verbs.remove(made)
    assert site.containers() == []


async def test_a_taken_name_is_a_conflict_that_tells_the_holder(site: Site) -> None:
    async with opened(site.url) as client:
        first = await client.containers.create(f"t{site.hub_id}-x", body(site))
        with pytest.raises(errors.NameConflict) as caught:
            await client.containers.create(f"t{site.hub_id}-x", body(site))
    assert (caught.value.holder, caught.value.status) == (first, 409)
    assert (caught.value.operation, caught.value.subject) == ("create container", f"t{site.hub_id}-x")


@pytest.mark.parametrize(
    ("words", "kind", "statuses", "message"),
    [
        ({"Image": "nobody/none:1"}, errors.ImageNotFound, {404}, "nobody/none:1"),
        ({"HostConfig": {"Memory": 1000}}, errors.InvalidConfig, {400}, "[Mm]inimum memory"),
        ({"HostConfig": {"Memory": "x"}}, errors.InvalidConfig, {500, 400}, "cannot unmarshal"),  # since 23
        ({"HostConfig": {"Binds": ["rel/x:/y"]}}, errors.InvalidConfig, {400}, "rel/x"),
    ],
)
async def test_what_cannot_be_created_is_refused_and_leaves_nothing(
    site: Site, words: dict[str, Any], kind: type[errors.EngineError], statuses: set[int], message: str
) -> None:
    async with opened(site.url) as client:
        with pytest.raises(errors.EngineError, match=message) as caught:
            await client.containers.create(f"t{site.hub_id}-x", body(site, **words))
    assert type(caught.value) is kind
    assert caught.value.status in statuses
    assert site.containers() == []


async def test_a_name_that_the_engine_does_not_take_is_a_mistake_in_the_configuration(site: Site) -> None:
    async with opened(site.url) as client:
        with pytest.raises(errors.InvalidConfig, match="bad name"):
            await client.containers.create("bad name!", body(site))


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ({"HostConfig": {"NetworkMode": "nowhere"}}, 404, "nowhere"),
        ({"Cmd": ["/no-such/command"]}, 400, "no-such"),
        ({"Cmd": ["no-such-command"]}, 400, "no-such"),
    ],
)
async def test_what_cannot_run_fails_at_its_start_and_is_still_there(
    site: Site, words: dict[str, Any], status: int, message: str
) -> None:
    async with opened(site.url) as client:
        made = await client.containers.create(f"t{site.hub_id}-x", body(site, **words))
        with pytest.raises(errors.StartFailed, match=message) as caught:
            await client.containers.start(made)
        assert caught.value.status == status
        assert [one["Id"] for one in site.containers()] == [made]
        await client.containers.remove(made)
    assert site.containers() == []


async def test_ports_that_others_have_taken_are_passed_over(site: Site) -> None:
    async with opened(site.url) as client:
        first = await client.containers.create(f"t{site.hub_id}-first", body(site, **PUBLISHED))
        second = await client.containers.create(f"t{site.hub_id}-second", body(site, **PUBLISHED))
        await client.containers.start(first)
        # No longer than needed: other tests' starts come upon these ports too.
        with ExitStack() as stack:
            if site.fake is not None:
                taken = {"message": "listen tcp4 127.0.0.1:1: bind: address already in use", "status": 500}
                site.fake.rule("POST", "^/containers/.+/start$", times=2, **taken)
            else:
                # More in a row than the Engine itself tries before it gives up.
                last = int(site.inspect(first)["NetworkSettings"]["Ports"]["8888/tcp"][0]["HostPort"])
                for port in range(last + 1, last + 25):
                    with suppress(OSError):
                        stack.enter_context(socket.create_server(("127.0.0.1", port)))
            assert await client.containers.start(second)
        assert site.inspect(second)["State"]["Running"]


@pytest.mark.parametrize("removes", [True, False])
async def test_a_start_on_a_fixed_port_that_is_taken_tells_the_port(site: Site, removes: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        fixed = {"PortBindings": {"8888/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}}
        words = {**PUBLISHED, "HostConfig": {**fixed, "AutoRemove": removes}}
        async with opened(site.url) as client:
            made = await client.containers.create(f"t{site.hub_id}-x", body(site, **words))
            with pytest.raises(errors.PortTaken, match=str(port)):
                await client.containers.start(made)
            await client.containers.remove(made, force=True)
    assert site.containers() == []


async def test_nothing_can_be_done_with_a_container_that_is_not_there(site: Site) -> None:
    async with opened(site.url) as client:
        assert await client.containers.inspect(f"t{site.hub_id}-none") is None
        for verb in (client.containers.start, client.containers.stop):
            with pytest.raises(errors.ObjectNotFound, match="No such container"):
                await verb(f"t{site.hub_id}-none")
        with pytest.raises(errors.ObjectNotFound, match="No such container"):
            await client.containers.logs(f"t{site.hub_id}-none", tail=1)


async def test_a_name_with_a_path_in_it_reaches_no_other_container(site: Site) -> None:
    async with opened(site.url) as client:
        await client.containers.create(f"t{site.hub_id}-x", body(site))
        for ref in (f"y/../t{site.hub_id}-x", f"../containers/t{site.hub_id}-x", "", ".."):
            assert await client.containers.inspect(ref) is None
            await client.containers.remove(ref, force=True)
            with pytest.raises(errors.ObjectNotFound, match="such a name"):
                await client.containers.start(ref)
    assert site.names() == [f"t{site.hub_id}-x"]


async def test_a_running_container_is_removed_only_by_force(site: Site) -> None:
    async with opened(site.url) as client:
        made = await client.containers.create(f"t{site.hub_id}-x", body(site))
        await client.containers.start(made)
        with pytest.raises(errors.EngineRefused, match=r"running container|container is running") as caught:
            await client.containers.remove(made)
        assert caught.value.status == 409
        await client.containers.remove(made, force=True)
    assert site.containers() == []


async def test_five_removals_at_once_all_return_when_it_is_gone(site: Site) -> None:
    if site.fake is not None:
        site.fake.rule("DELETE", "^/containers/", delay_during=0.3)
    async with opened(site.url) as client:
        made = await client.containers.create(f"t{site.hub_id}-x", body(site))
        await client.containers.start(made)

        async def remove() -> None:
            await client.containers.remove(made, force=True)
            assert await client.containers.inspect(made) is None

        await asyncio.gather(*(remove() for _ in range(5)))
    assert site.containers() == []


async def test_somebody_elses_removal_is_waited_for_with_a_limit(fake: FakeEngine) -> None:
    fake.rule("DELETE", "^/containers/", delay_during=3)
    async with opened(fake.url) as client:
        made = await client.containers.create("own", {"Image": "stub:1"})
        removal = asyncio.create_task(client.containers.remove(made))
        await until(lambda: fake.requests("DELETE"))
        with pytest.raises(errors.EngineTimeout, match="still being removed"):
            await client.containers.remove(made, timeout=0.2)
        assert not removal.done()
        await removal


async def test_a_new_container_of_the_name_is_not_taken_for_the_one_being_removed(fake: FakeEngine) -> None:
    fake.rule("DELETE", "^/containers/", delay_during=2)
    async with opened(fake.url) as client:
        await client.containers.create("own", {"Image": "stub:1"})
        first = asyncio.create_task(client.containers.remove("own"))
        await until(lambda: fake.requests("DELETE"))
        second = asyncio.create_task(client.containers.remove("own"))
        await until(lambda: fake.requests("GET", "/containers/{ref}/json"))
        await first
        again = await client.containers.create("own", {"Image": "stub:1"})
        await asyncio.wait_for(second, 5)
        assert await client.containers.inspect(again) is not None


async def test_containers_are_listed_by_all_of_their_labels(site: Site) -> None:
    hub = {"asyncdockerspawner.hub": site.hub_id}
    async with opened(site.url) as client:
        for name, user in (("a", "alice"), ("b", "bob"), ("c", "alice")):
            await client.containers.create(
                f"t{site.hub_id}-{name}", body(site, Labels={"asyncdockerspawner.user": user})
            )
        await client.containers.start(f"t{site.hub_id}-c")
        found = await client.containers.list({**hub, "asyncdockerspawner.user": "alice"})
        assert sorted(str(one["Names"][0]) for one in found) == [f"/t{site.hub_id}-{name}" for name in "ac"]
        assert len(await client.containers.list(hub)) == 3
        assert await client.containers.list({**hub, "asyncdockerspawner.user": "carol"}) == []


LONG = "".join(f"{number:06d}." for number in range(6000))


@pytest.mark.parametrize(
    ("out", "err", "tail", "said"),
    [
        ("one\ntwo\nthree", "", 10, ["one", "two", "three"]),
        ("one\ntwo\nthree", "", 2, ["two", "three"]),
        ("one", "two", 10, ["one", "two"]),
        # In the header of a frame of ten bytes, a byte is a line feed.
        ("nine char\nnine more", "nine errs", 10, ["nine char", "nine errs", "nine more"]),
        ("over\n\nunder", "", 10, ["over", "", "under"]),
        (LONG, "", 10, [LONG]),
        ("grüße, 世界", "", 10, ["grüße, 世界"]),
    ],
    ids=["lines", "tail", "both", "nine", "blank", "long", "unicode"],
)
async def test_the_last_lines_are_read_as_they_were_written(
    site: Site, out: str, err: str, tail: int, said: list[str]
) -> None:
    async with opened(site.url) as client:
        made = await client.containers.create(f"t{site.hub_id}-x", writer(site, out, err))
        await client.containers.start(made)
        await ended(client, made)
        lines = (await client.containers.logs(made, tail=tail)).split("\n")
        # Two pipes have no order among them.
        assert (sorted(lines) if err else lines) == said


async def test_the_output_of_a_terminal_has_no_frames(site: Site) -> None:
    async with opened(site.url) as client:
        made = await client.containers.create(f"t{site.hub_id}-x", writer(site, "one\nnine char", Tty=True))
        await client.containers.start(made)
        await ended(client, made)
        assert await client.containers.logs(made, tail=10) == "one\nnine char"


def frame(stream: int, payload: bytes) -> bytes:
    return struct.pack(">BxxxL", stream, len(payload)) + payload


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (frame(1, b"one\ntwo\n"), "one\ntwo"),
        (frame(1, b"be") + frame(1, b"gun\nwhole\n"), "begun\nwhole"),
        (frame(1, b"out ") + frame(2, b"err\n") + frame(1, b"put\n"), "err\nout put"),
        (frame(1, b"no end") + frame(2, b"here too"), "no end\nhere too"),
        (frame(2, b"caf\xc3") + frame(2, b"\xa9\n"), "café"),
        (frame(1, b"\xff\n"), "�"),
        (b"bare\r\nlines\r\n", "bare\nlines"),
        (b"\x01", "\x01"),
        (b"", ""),
    ],
    ids=["many", "split", "mixed", "unended", "character", "broken", "bare", "short", "none"],
)
async def test_frames_need_not_be_lines(raw: bytes, said: str) -> None:
    async def logs(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for at in range(0, len(raw), 5):
            await response.write(raw[at : at + 5])
            await asyncio.sleep(0)
        return response

    async with answering(logs) as url, opened(url, version="1.41") as client:
        assert await client.containers.logs("x", tail=10) == said
