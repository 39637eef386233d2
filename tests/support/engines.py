"""Waiting for what the Engines of this loop have under way: it has an end, and nothing is left behind."""

from __future__ import annotations

import asyncio
import json
import time

from asyncdockerspawner.engine import registry
from asyncdockerspawner.engine.engine import Engine
from asyncdockerspawner.engine.watch import Watch
from tests.support.site import Site
from tests.support.waiting import until


async def end_engines() -> None:
    """Wait for the background work of this loop's Engines, and close them."""
    for engine in list(registry._engines.get(asyncio.get_running_loop(), {}).values()):
        await settle(engine)
    await registry.close_engines()


async def settle(engine: Engine) -> None:
    """Wait for background work; nothing but the event stream may hold a connection then."""
    async with asyncio.timeout(30):
        for name in list(engine.janitor._tails):
            await engine.janitor.settled(name)
    calls, streams = engine.client.connection._connectors
    end = time.monotonic() + 5
    # The watch may be asking something just now, and reads lists of tasks as they come; aiohttp tells nobody
    # of a release.
    while (calls._acquired or len(streams._acquired) > len(engine._watches)) and (  # noqa: ASYNC110
        time.monotonic() < end
    ):
        await asyncio.sleep(0.01)
    assert len(calls._acquired) == 0
    assert len(streams._acquired) <= len(engine._watches)


def engines_of(url: str) -> list[Engine]:
    """Give this loop's Engines at an address."""
    engines = registry._engines.get(asyncio.get_running_loop(), {})
    return [engine for settings, engine in engines.items() if settings.url == url]


async def all_done(engine: Engine) -> None:
    """Wait until nothing is done in the background any more, what is only begun after a pause included."""
    await until(lambda: not engine.janitor._errands, seconds=30)
    await settle(engine)


async def all_heard(site: Site, watch: Watch) -> None:
    """Wait until the watch has heard all that was told so far, and has asked what it had to ask."""
    mark = "mark"
    if site.fake is None:
        mark = site.objects.make_mark()
    with watch.waiting(mark) as gone:
        if site.fake:
            kind, action = site.workload.end_event
            actor = {"ID": mark, "Attributes": {"name": mark}}
            # Past what a test does to events and requests.
            site.fake.emit_raw(json.dumps({"Type": kind, "Action": action, "Actor": actor}) + "\n")
        else:
            site.remove(mark)
        await asyncio.wait_for(gone.wait(), 20)
    while watch._rechecks:
        await asyncio.wait(watch._rechecks.values())
