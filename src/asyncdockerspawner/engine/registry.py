"""One Engine for each event loop and settings, made when it is first asked for."""

from __future__ import annotations

import asyncio

from asyncdockerspawner.client.settings import EngineSettings
from asyncdockerspawner.engine.engine import Engine

# Engines hold their loop through aiohttp's sessions, so a weak map would never let go of one: loops that
# have ended are dropped at the next access.
_engines: dict[asyncio.AbstractEventLoop, dict[EngineSettings, Engine]] = {}
_keepers: dict[asyncio.AbstractEventLoop, asyncio.Task[None]] = {}


def engine_for(settings: EngineSettings) -> Engine:
    """Return the running loop's Engine for these settings. Raises RuntimeError without a running loop."""
    loop = asyncio.get_running_loop()
    for ended in [known for known in _engines if known.is_closed()]:
        del _engines[ended]
        _keepers.pop(ended, None)
    engines = _engines.setdefault(loop, {})
    if loop not in _keepers:
        _keepers[loop] = asyncio.create_task(_close_at_the_end(), name="close the Engines when the Hub ends")
    found = engines.get(settings)
    if found is None:
        engines[settings] = found = Engine(settings)
    return found


async def close_engines() -> None:
    """Close every Engine of the running loop."""
    loop = asyncio.get_running_loop()
    keeper = _keepers.pop(loop, None)
    if keeper is not None and keeper is not asyncio.current_task():
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
    for engine in list(_engines.get(loop, {}).values()):
        await engine.aclose()
    # Only now: until its work has ended, whoever asks must not get a second one.
    _engines.pop(loop, None)


async def _close_at_the_end() -> None:
    """Wait until the Hub ends: it then cancels every task of its loop, waits for them, and calls nobody."""
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        # Not where somebody has begun to close them.
        if _keepers.get(asyncio.get_running_loop()) is asyncio.current_task():
            await close_engines()
