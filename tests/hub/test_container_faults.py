"""What is done to containers from outside, to the Hub's database, or by a second Hub."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import httpx
import pytest

from tests.support.hub_api import ServerFailed
from tests.support.hub_site import AT_ONCE, SHELL, HubSite, MakeHub, until

RARE_POLLS = "c.Spawner.poll_interval = 600"
"""What the Hub learns within a test, it did not learn by its own polling."""
EATS_MEMORY = [*SHELL, "/serve & /bin/busybox sleep 6; exec /bin/busybox tail /dev/zero"]
TWENTY = [f"user{number:02}" for number in range(20)]


async def started(make_hub: MakeHub, *users: str, **options: Any) -> HubSite:
    hub = make_hub(config=RARE_POLLS, **options)
    await hub.create_users(*users)
    await asyncio.gather(*map(hub.api.start_server, users))
    return hub


def container(hub: HubSite, user: str) -> str:
    return next(str(one["Id"]) for one in hub.containers() if one["Names"][0].endswith(f"-{user}"))


async def gone(hub: HubSite, user: str) -> None:
    async def server() -> object:
        return await hub.api.server(user)

    await until(server, is_=None)


async def test_killed_and_removed_containers_are_noticed_without_a_poll(make_hub: MakeHub) -> None:
    hub = await started(make_hub, "alice", "bob", "carol")
    hub.engine.post(f"/containers/{container(hub, 'alice')}/kill").raise_for_status()
    hub.engine.delete(f"/containers/{container(hub, 'bob')}", params={"force": 1}).raise_for_status()
    await gone(hub, "alice")
    await gone(hub, "bob")
    await until(partial(names, hub), is_=["carol"])
    assert await hub.answers("carol")
    log = hub.process.log_text()
    # A removal by force is two events, of which either may be the first that is looked into.
    for user in ("alice", "bob"):
        assert f"{hub.prefix}-{user}: The server was" in log


async def test_a_server_that_runs_out_of_memory_is_over_with_its_reason(make_hub: MakeHub) -> None:
    hub = await started(make_hub, "alice", cmd=EATS_MEMORY, mem_limit="16M")
    await gone(hub, "alice")
    assert "out of memory" in hub.process.log_text()
    await hub.nothing_left()


async def test_a_renamed_container_is_still_the_users(make_hub: MakeHub) -> None:
    hub = await started(make_hub, "alice")
    name = f"{hub.prefix}-elsewhere"
    hub.engine.post(f"/containers/{container(hub, 'alice')}/rename", params={"name": name}).raise_for_status()
    await hub.api.poll_server("alice")
    assert await hub.answers("alice")
    await hub.api.stop_server("alice")
    await hub.nothing_left()


async def test_a_container_with_another_port_is_reached_there(make_hub: MakeHub) -> None:
    hub = await started(make_hub, "alice")
    hub.engine.post(
        f"/containers/{container(hub, 'alice')}/restart", params={"t": 0}, timeout=60
    ).raise_for_status()
    await until(partial(hub.answers, "alice"), is_=True)
    assert "is now reached at" in hub.process.log_text()


async def test_servers_outlive_the_hubs_database(make_hub: MakeHub) -> None:
    hub = make_hub(cleanup_servers=False)
    await hub.create_users(*TWENTY)
    await asyncio.gather(*map(hub.api.start_server, TWENTY))
    hub.process.stop()
    (hub.process.directory / "jupyterhub.sqlite").unlink()
    hub.process.start()
    await hub.create_users("late")
    await hub.api.start_server("late")
    log = partial(in_log, hub, f"{hub.prefix}-{TWENTY[0]}, {hub.prefix}-{TWENTY[1]}")
    await until(log, is_=True, seconds=45)
    assert hub.names() == sorted([*TWENTY, "late"])
    assert all(one["State"] == "running" for one in hub.containers())


@pytest.mark.parametrize("moment", [0.3, 1.0, 2.5])
async def test_a_hub_that_is_killed_while_twenty_start_accounts_for_all(
    make_hub: MakeHub, moment: float
) -> None:
    hub = make_hub(config=AT_ONCE, cleanup_servers=False)
    await hub.create_users(*TWENTY)
    asked = [asyncio.create_task(hub.api.request_start(user)) for user in TWENTY]
    await asyncio.sleep(moment)
    hub.process.kill()
    await asyncio.gather(*asked, return_exceptions=True)
    hub.process.start()
    alive = [user for user in TWENTY if await hub.settled(user)]
    await until(partial(names, hub), is_=alive)
    await asyncio.gather(*(until(partial(hub.answers, user), is_=True) for user in alive))
    await asyncio.gather(*map(hub.api.stop_server, alive))
    await hub.nothing_left()


async def test_two_hubs_on_one_engine_leave_each_others_servers_alone(make_hub: MakeHub) -> None:
    first, second = await started(make_hub, "alice"), await started(make_hub, "alice")
    await first.api.stop_server("alice")
    assert await second.answers("alice")
    assert second.names() == ["alice"]
    await first.api.start_server("alice")
    await second.api.stop_server("alice")
    assert await first.answers("alice")


async def test_two_hubs_of_one_prefix_never_take_each_others_servers(make_hub: MakeHub) -> None:
    first = await started(make_hub, "alice")
    second = make_hub(prefix=first.prefix)
    await second.create_users("alice")
    before = first.containers()[0]["Id"]
    with pytest.raises((ServerFailed, httpx.HTTPError), match="is taken"):
        await second.api.start_server("alice")
    assert "is taken by user 'alice'" in second.process.log_text()
    assert [one["Id"] for one in first.containers()] == [before]
    assert await first.answers("alice")


async def names(hub: HubSite) -> list[str]:
    return hub.names()


async def in_log(hub: HubSite, text: str) -> bool:
    return text in hub.process.log_text()
