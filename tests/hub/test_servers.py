"""A server's life over REST: real Hub, proxy, Engine and images."""

from __future__ import annotations

import asyncio
import re

import jupyterhub
import pytest

from tests.support.hub_api import HubRefused, ServerFailed
from tests.support.hub_site import AT_ONCE, DIES, HubSite, MakeHub, text_of, until


async def test_real_servers_of_one_user_answer_through_the_proxy_until_they_are_stopped(
    make_hub: MakeHub, singleuser_image: str
) -> None:
    hub = make_hub(image=singleuser_image)
    await hub.create_users("alice")
    await asyncio.gather(hub.api.start_server("alice"), hub.api.start_server("alice", "lab"))
    for server in ("", "lab"):
        document = await hub.status("alice", server)
        assert "started" in document
        assert document["kernels"] == 0
    assert hub.names() == ["alice", "alice--lab"]
    await hub.api.stop_server("alice", "lab")
    assert hub.names() == ["alice"]
    assert "started" in await hub.status("alice")
    await hub.api.stop_server("alice")
    await hub.nothing_left()
    assert (await hub.api.user("alice"))["servers"] == {}


async def test_a_server_can_be_started_again_after_its_stop(hub: HubSite) -> None:
    await hub.create_users("alice")
    for _ in range(3):
        await hub.api.start_server("alice")
        assert await hub.answers("alice")
        await hub.api.stop_server("alice")
        await hub.nothing_left()
        assert not await hub.answers("alice")


async def test_a_deleted_named_server_is_forgotten(hub: HubSite) -> None:
    await hub.create_users("alice")
    await hub.api.start_server("alice", "lab")
    await hub.api.stop_server("alice", "lab", remove=True)
    await hub.nothing_left()

    async def known() -> bool:
        answer = await hub.api._request("GET", "users/alice?include_stopped_servers")
        return "lab" in answer.json()["servers"]

    # The Hub forgets it only after the stop.
    await until(known, is_=False, seconds=20)


async def test_deleting_a_user_takes_all_servers_along_and_their_volumes_where_that_is_asked_for(
    make_hub: MakeHub,
) -> None:
    volumes = {"{prefix}-{username}": "/home/all", "{prefix}-{username}-{servername}": "/home/own"}
    hub = make_hub(remove=False, volumes=volumes, delete_volumes_on_user_delete=True)
    await hub.create_users("alice")
    await asyncio.gather(hub.api.start_server("alice"), hub.api.start_server("alice", "lab"))
    await hub.api.stop_server("alice", "lab")
    assert len(hub.volumes()) == 3
    await hub.api.delete_user("alice")
    await hub.nothing_left()

    async def left() -> list[str]:
        return hub.volumes()

    await until(left, is_=[], seconds=20)
    assert hub.process.stop() == 0
    # The Hub's end calls nobody, and closes what it knows; our connections are closed all the same.
    assert "Unclosed" not in hub.process.log_text()


async def test_stopping_the_hub_stops_its_servers_and_only_its_own(make_hub: MakeHub) -> None:
    one, other = make_hub(), make_hub()
    for hub in (one, other):
        await hub.create_users("alice")
        await hub.api.start_server("alice")
    assert one.process.stop() == 0
    await one.nothing_left()
    assert other.names() == ["alice"]
    assert await other.answers("alice")


async def test_progress_ends_ready(make_hub: MakeHub) -> None:
    hub = make_hub(config=AT_ONCE)
    await hub.create_users("alice")
    assert (await hub.api.request_start("alice")).status_code == 202
    events = [event async for event in hub.api.progress("alice")]
    assert events[-1]["ready"] is True
    assert events[-1]["progress"] == 100
    assert events[-1]["url"] == "/user/alice/"
    assert await hub.answers("alice")


@pytest.mark.hub_5
async def test_progress_of_a_server_that_dies_ends_with_its_last_words(make_hub: MakeHub) -> None:
    hub = make_hub(config=AT_ONCE, cmd=DIES)
    await hub.create_users("alice")
    await hub.api.request_start("alice")
    events = [event async for event in hub.api.progress("alice")]
    assert events[-1]["failed"] is True
    assert "notebook cupboard" in events[-1]["message"]


@pytest.mark.hub_5
async def test_a_server_that_dies_says_why_in_the_answer_and_on_the_page(make_hub: MakeHub) -> None:
    hub = make_hub(cmd=DIES)
    await hub.create_users("alice")
    with pytest.raises(ServerFailed) as caught:
        await hub.api.start_server("alice")
    assert "exited with code 7" in caught.value.message
    assert "cannot open the notebook cupboard" in caught.value.message
    await hub.nothing_left()

    session = await hub.log_in("alice")
    page = await session.get("/hub/spawn-pending/alice")
    said = text_of(page.text)
    assert "has failed" in said
    assert "exited with code 7" in said
    assert "cannot open the notebook cupboard" in said
    assert "Traceback" not in said


async def test_a_user_who_starts_a_server_that_dies_reads_why(make_hub: MakeHub) -> None:
    hub = make_hub(cmd=DIES)
    session = await hub.log_in("alice")
    pages = [text_of((await session.get("/hub/spawn/alice")).text)]

    async def reason_is_told() -> bool:
        # A page that still waits asks again; so do we.
        if "cannot open the notebook cupboard" not in pages[-1]:
            pages.append(text_of((await session.get("/hub/spawn-pending/alice")).text))
        return "cannot open the notebook cupboard" in pages[-1]

    await until(reason_is_told, is_=True)
    assert "Traceback" not in pages[-1]
    await hub.nothing_left()


async def test_a_missing_image_that_may_not_be_pulled_is_named(make_hub: MakeHub) -> None:
    hub = make_hub(image="no-such-image-here:1", pull_policy="never")
    await hub.create_users("alice")
    with pytest.raises(HubRefused, match=r"no-such-image-here:1.*Tell the administrator"):
        await hub.api.start_server("alice")
    assert "`pull_policy` is 'never'" in hub.process.log_text()
    session = await hub.log_in("alice")
    assert "no-such-image-here:1" in text_of((await session.get("/hub/spawn/alice")).text)
    assert hub.names() == []


async def test_for_an_unknown_network_the_log_names_those_that_exist(make_hub: MakeHub) -> None:
    hub = make_hub(network_name="no-such-network")
    await hub.create_users("alice")
    with pytest.raises(ServerFailed, match=r"a network .* does not exist\. Tell the administrator") as caught:
        await hub.api.start_server("alice")
    assert "network_name" not in caught.value.message
    assert re.search(r"network_name.*no-such-network.*bridge", hub.process.log_text())
    await hub.nothing_left()


async def test_an_engine_that_is_not_there_is_said_to_the_user(make_hub: MakeHub) -> None:
    hub = make_hub(client_kwargs={"base_url": "unix:///nowhere/docker.sock"})
    await hub.create_users("alice")
    with pytest.raises(ServerFailed, match="Docker Engine does not answer") as caught:
        await hub.api.request_start("alice")
    assert caught.value.status == 503


@pytest.mark.hub_5
async def test_mistakes_of_a_user_do_not_end_the_hub(make_hub: MakeHub) -> None:
    hub = make_hub(config="c.Spawner.consecutive_failure_limit = 2")
    await hub.create_users("alice", "bob")
    # JupyterHub 5 counts every failure, so it is told of no more than it bears.
    for _ in range(1 if jupyterhub.version_info < (6, 0) else 4):
        with pytest.raises(ServerFailed, match="image"):
            await hub.api.request_start("alice", options={"image": "of-my-own:1"})
    await hub.api.start_server("bob")
    assert await hub.answers("bob")


async def test_what_all_spawners_share_logs_as_the_hub_does(make_hub: MakeHub) -> None:
    hub = make_hub()
    await hub.create_users("alice")
    await hub.api.start_server("alice")
    [line] = [line for line in hub.process.log_text().splitlines() if "servers are started at a time" in line]
    assert line.startswith("[I 20")
