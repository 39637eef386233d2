"""One Engine for each event loop and settings, made when it is first asked for."""

from __future__ import annotations

import asyncio

from asyncdockerspawner.client.settings import EngineSettings
from asyncdockerspawner.engine.engine import Engine

# Engines hold their loop through aiohttp's sessions, so a weak map would never let go of one: loops that
# have ended are dropped at the next access.
_engines: dict[asyncio.AbstractEventLoop, dict[EngineSettings, Engine]] = {}


def engine_for(settings: EngineSettings) -> Engine:
    """Give the running loop's Engine for these settings. Raises RuntimeError without a running loop."""
    loop = asyncio.get_running_loop()
    for ended in [known for known in _engines if known.is_closed()]:
        del _engines[ended]
    engines = _engines.setdefault(loop, {})
    if settings not in engines:
        engines[settings] = Engine(settings)
    return engines[settings]


async def close_engines() -> None:
    """Close every Engine of the running loop."""
    loop = asyncio.get_running_loop()
    for engine in list(_engines.get(loop, {}).values()):
        await engine.aclose()
    # Only now: until its work has ended, whoever asks must not get a second one.
    _engines.pop(loop, None)
