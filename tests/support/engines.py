"""The end of this loop's Engines: no background work, no connection is left."""

from __future__ import annotations

import asyncio
import time

from asyncdockerspawner.engine import registry
from asyncdockerspawner.engine.engine import Engine


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
    # The watch may be asking something just now.
    while calls._acquired and time.monotonic() < end:  # noqa: ASYNC110 - aiohttp tells nobody of a release
        await asyncio.sleep(0.01)
    assert len(calls._acquired) == 0
    assert len(streams._acquired) <= len(engine._watches)
