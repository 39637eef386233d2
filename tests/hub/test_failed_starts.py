"""Where a start ends badly, nothing is lost or left, whatever the Hub calls then and does not call.

The cases are those of JupyterHub's `user.py` and `apihandlers/users.py`.
"""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from tests.fake_engine import FakeEngine
from tests.support.hub_site import AT_ONCE, HubSite, MakeHub, under_way, until

NOTED = """
from asyncdockerspawner import DockerSpawner

class Noted(DockerSpawner):
    async def start(self):
        found = await super().start()
        self.log.warning("NOTED: start has returned")
        return found

    async def stop(self, now=False):
        self.log.warning("NOTED: stop is called")
        await super().stop(now)

c.JupyterHub.spawner_class = Noted
"""
PATIENT = """
def hook(spawner):
    spawner.start_timeout = 60

c.Spawner.pre_spawn_hook = hook
"""
IMPATIENT = """
def hook(spawner):
    spawner.start_timeout = 3

c.Spawner.pre_spawn_hook = hook
c.Spawner.http_timeout = 1
"""
SLOW = 4.0
CREATE, START = "/containers/create", "/containers/{ref}/start"


def noted(hub: HubSite, what: str) -> int:
    """How often the Hub's log has a note."""
    return hub.process.log_text().count(f"NOTED: {what}")


async def request(hub: HubSite, user: str) -> None:
    assert (await hub.api.request_start(user)).status_code == 202


async def fails(hub: HubSite, user: str) -> str:
    """Wait for the end of a start that was requested; what the user is told."""
    events = [event async for event in hub.api.progress(user)]
    assert events[-1].get("failed") is True, events
    return str(events[-1]["message"])


async def is_over(hub: HubSite, fake: FakeEngine, user: str) -> None:
    """See that nothing of a start is left, and that the next one works."""
    await hub.nothing_left(15)
    assert await hub.api.server(user) is None
    assert not await hub.answers(user)
    fake.clear_rules()
    await starts(hub, user)
    await hub.api.stop_server(user)
    await hub.nothing_left()


async def starts(hub: HubSite, user: str) -> None:
    # After a failure the Hub looks at the spawner of before, and answers 201 too early.
    await hub.api.request_start(user)
    await hub.api._wait_until_ready(user, "")
    assert await hub.answers(user)


# ---- A: the start takes too long, and the server may run: the Hub cancels it, polls, and stops ----


@pytest.mark.parametrize(
    ("path", "route"), [("/containers/create", CREATE), ("/start$", START)], ids=["create", "start"]
)
async def test_a_start_that_takes_too_long_at_the_engine_is_stopped_even_if_that_acts_later(
    make_hub: MakeHub, fake: FakeEngine, path: str, route: str
) -> None:
    hub = make_hub(fake=fake, config=AT_ONCE + NOTED, start_timeout=2)
    await hub.create_users("alice")
    fake.rule("POST", path, delay_before=SLOW, times=1)
    await request(hub, "alice")
    await fails(hub, "alice")
    assert (noted(hub, "start has returned"), noted(hub, "stop is called")) == (0, 1)
    # What the Engine does late, it does now.
    await until(partial(under_way, fake, route), is_=False, seconds=20)
    await is_over(hub, fake, "alice")


# ---- B: the container is dead when the Hub polls: it does not call stop() ----


@pytest.mark.hub_5
async def test_a_server_that_dies_while_the_hub_waits_for_it_is_removed_without_a_stop(
    make_hub: MakeHub, fake: FakeEngine
) -> None:
    patience = "c.Spawner.http_timeout = 8\n"
    hub = make_hub(fake=fake, config=AT_ONCE + NOTED + patience, image="silent:1", start_timeout=5)
    await hub.create_users("alice")
    await request(hub, "alice")
    told = asyncio.create_task(fails(hub, "alice"))
    await until(partial(returned, hub), is_=True, seconds=20)
    fake.die(hub.containers()[0]["Id"], 5)
    await told
    assert noted(hub, "stop is called") == 0
    await hub.nothing_left()
    assert await hub.api.server("alice") is None


async def returned(hub: HubSite) -> bool:
    return noted(hub, "start has returned") > 0


# ---- C: the Hub waits for a cancelled start without a limit ----


async def test_a_create_that_hangs_keeps_nobody_waiting_for_the_bad_news(
    make_hub: MakeHub, fake: FakeEngine
) -> None:
    hub = make_hub(fake=fake, config=AT_ONCE, start_timeout=2)
    await hub.create_users("alice", "bob")
    fake.rule("POST", "/containers/create", hang=True, times=1)
    await request(hub, "alice")
    await fails(hub, "alice")
    assert await under_way(fake, CREATE)
    await hub.api.start_server("bob")
    assert await hub.answers("bob")
    await hub.api.stop_server("bob")
    # The hanging request comes to its end with the Engine's restart.
    await away(fake, 0.5)
    await is_over(hub, fake, "alice")


async def away(fake: FakeEngine, seconds: float) -> None:
    """Let the Engine be away for so long."""
    fake.offline(seconds)
    await until(partial(is_online, fake), is_=True, seconds=10)


async def is_online(fake: FakeEngine) -> bool:
    return fake.online


# ---- D: the Engine is away when the Hub polls and stops ----


async def test_an_engine_that_is_frozen_through_a_timed_out_start_and_its_stop_gets_it_done_later(
    make_hub: MakeHub, fake: FakeEngine
) -> None:
    hub = make_hub(fake=fake, config=AT_ONCE + NOTED, start_timeout=2)
    await hub.create_users("alice")
    fake.rule("POST", "/start$", hang=True)
    await request(hub, "alice")
    await until(partial(under_way, fake, START), is_=True, seconds=20, every=0.02)
    fake.rule(hang=True)
    await fails(hub, "alice")
    assert noted(hub, "stop is called") == 1
    assert len(fake.containers()) == 1
    assert await hub.api.server("alice") is None
    fake.clear_rules()
    await away(fake, 0.5)
    await is_over(hub, fake, "alice")


async def test_an_engine_that_goes_away_in_a_start_is_told_and_nothing_is_left_when_it_is_back(
    make_hub: MakeHub, fake: FakeEngine
) -> None:
    hub = make_hub(fake=fake, config=AT_ONCE, start_timeout=20)
    await hub.create_users("alice")
    fake.rule("POST", "/start$", hang=True)
    await request(hub, "alice")
    await until(partial(under_way, fake, START), is_=True, seconds=20, every=0.02)
    told = asyncio.create_task(fails(hub, "alice"))
    await away(fake, SLOW)
    assert "Docker Engine does not answer" in await told
    await is_over(hub, fake, "alice")


# ---- E: the limit is read when the hooks have run ----


async def test_a_shorter_limit_of_the_sites_hook_counts_for_the_wait_for_an_answer_too(
    make_hub: MakeHub, fake: FakeEngine
) -> None:
    hub = make_hub(fake=fake, config=AT_ONCE + IMPATIENT, image="silent:1", start_timeout=600)
    await hub.create_users("alice")
    await request(hub, "alice")
    async with asyncio.timeout(60):
        await fails(hub, "alice")
    await hub.nothing_left()


async def test_a_longer_limit_of_the_sites_hook_lets_a_slow_start_end_well(
    make_hub: MakeHub, fake: FakeEngine
) -> None:
    hub = make_hub(fake=fake, config=AT_ONCE + PATIENT, start_timeout=2)
    await hub.create_users("alice")
    fake.rule("POST", "/containers/create", delay_before=SLOW, times=1)
    await hub.api.start_server("alice")
    assert await hub.answers("alice")
    await hub.api.stop_server("alice")
    await hub.nothing_left()


# ---- F, G: a pending server is deleted: the Hub cancels the spawn, waits a second, and stops ----


async def test_a_slow_removal_makes_no_server_of_a_cancelled_start(
    make_hub: MakeHub, fake: FakeEngine
) -> None:
    hub = make_hub(fake=fake, config=AT_ONCE + NOTED)
    await hub.create_users("alice")
    fake.rule("POST", "/start$", hang=True, times=1)
    fake.rule("DELETE", "^/containers/", delay_before=SLOW, times=1)
    await request(hub, "alice")
    await until(partial(under_way, fake, START), is_=True, seconds=20, every=0.02)
    answer = await hub.api._send("DELETE", "users/alice/server")
    assert answer.status_code == 204, answer.text
    assert noted(hub, "stop is called") == 1
    await is_over(hub, fake, "alice")


async def test_a_pending_named_server_is_deleted_and_forgotten(make_hub: MakeHub, fake: FakeEngine) -> None:
    hub = make_hub(fake=fake, config=AT_ONCE)
    await hub.create_users("alice")
    fake.rule("POST", "/start$", delay_after=SLOW, times=1)
    assert (await hub.api.request_start("alice", "lab")).status_code == 202
    await until(partial(under_way, fake, START), is_=True, seconds=20, every=0.02)
    answer = await hub.api._send("DELETE", "users/alice/servers/lab", {"remove": True})
    assert answer.status_code == 204, answer.text
    await hub.nothing_left()
    await until(partial(is_known, hub, "alice", "lab"), is_=False, seconds=10)


async def is_known(hub: HubSite, user: str, name: str) -> bool:
    known = await hub.api._request("GET", f"users/{user}?include_stopped_servers")
    return name in known.json()["servers"]


async def test_a_server_that_waits_for_its_turn_is_deleted_and_keeps_nobody_elses(
    make_hub: MakeHub, fake: FakeEngine
) -> None:
    hub = make_hub(fake=fake, config=AT_ONCE, concurrent_starts=1)
    await hub.create_users("first", "second", "third")
    fake.rule("POST", "/start$", hang=True, times=1)
    await request(hub, "first")
    await until(partial(under_way, fake, START), is_=True, seconds=20, every=0.02)
    await request(hub, "second")
    await request(hub, "third")
    for user in ("second", "first"):
        answer = await hub.api._send("DELETE", f"users/{user}/server")
        assert answer.status_code == 204, answer.text
        assert await hub.api.server(user) is None
    await until(partial(hub.answers, "third"), is_=True)
    assert hub.names() == ["third"]


async def test_a_kept_container_outlives_a_cancelled_start_and_does_not_run_on(
    make_hub: MakeHub, fake: FakeEngine
) -> None:
    hub = make_hub(fake=fake, config=AT_ONCE, remove=False)
    await hub.create_users("alice")
    await hub.api.start_server("alice")
    await hub.api.stop_server("alice")
    kept = [one["Id"] for one in hub.containers()]
    fake.rule("POST", "/start$", delay_before=SLOW, times=1)
    await request(hub, "alice")
    await until(partial(under_way, fake, START), is_=True, seconds=20, every=0.02)
    answer = await hub.api._send("DELETE", "users/alice/server")
    assert answer.status_code == 204, answer.text
    # The Engine starts it only now, when nobody waits for that any more.
    await until(partial(under_way, fake, START), is_=False, seconds=20)
    await until(partial(states, hub), is_=[(kept[0], "exited")], seconds=20)
    await hub.api.start_server("alice")
    assert await states(hub) == [(kept[0], "running")]


async def states(hub: HubSite) -> list[tuple[str, str]]:
    return [(str(one["Id"]), str(one["State"])) for one in hub.containers()]
