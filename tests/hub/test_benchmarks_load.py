"""The load tool against a real Hub: its users come, and nothing of them is left, of others everything."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from benchmarks.load.plan import Plan
from benchmarks.load.run import Loaded, load
from benchmarks.load.summary import summary
from tests.support.hub_api import HubAPI
from tests.support.hub_site import LONG_SECONDS, HubSite, MakeHub, until

TOKEN = "of-a-load"
SCOPES = ["admin:users", "admin:servers", "access:servers"]
"""What README says that the token needs."""
FEW_AT_A_TIME = f"""
c.JupyterHub.concurrent_spawn_limit = 2
c.JupyterHub.spawn_throttle_retry_range = (1, 2)
c.JupyterHub.services.append({{"name": "load", "api_token": {TOKEN!r}}})
c.JupyterHub.load_roles.append({{"name": "load", "services": ["load"], "scopes": {SCOPES!r}}})
"""
PLAN = Plan(users=5, per_second=0, at_once=5, stay=0, timeout=90, prefix="load-")


async def users_of(hub: HubSite) -> list[str]:
    answer = hub.process.api("GET", "/users").raise_for_status()
    return sorted(str(user["name"]) for user in answer.json())


async def test_five_users_come_and_go_and_wait_where_the_hub_takes_two_at_a_time(make_hub: MakeHub) -> None:
    hub = make_hub(config=FEW_AT_A_TIME)
    await hub.create_users("load-is-my-name")
    before = await users_of(hub)
    told, loaded = list[str](), Loaded(PLAN)
    async with HubAPI(hub.process.url, TOKEN, deadline=LONG_SECONDS) as api:
        await load(api, loaded, told.append)
    assert (len(loaded.started), loaded.answered, len(loaded.stopped)) == (5, 5, 5)
    assert (loaded.faults, loaded.left) == ([], [])
    assert loaded.throttled >= 1
    assert "servers that were ready: 5, of which answered: 5" in summary(loaded)
    assert await users_of(hub) == before
    await hub.nothing_left()

    # One that is cut off takes away what it has made, starts that are under way too.
    cut_off = Loaded(PLAN)
    coming = asyncio.create_task(load(hub.api, cut_off, told.append))
    await until(lambda: _some_run(hub), is_=True)
    coming.cancel()
    with suppress(asyncio.CancelledError):
        await coming
    assert (coming.cancelled(), cut_off.left) == (True, [])
    assert await users_of(hub) == before
    await hub.nothing_left()


async def _some_run(hub: HubSite) -> bool:
    return hub.containers() != []
