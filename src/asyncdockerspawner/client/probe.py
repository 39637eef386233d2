"""Does a server answer HTTP? A TCP connection proves nothing: Docker's proxy accepts before it listens."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import aiohttp

from asyncdockerspawner.client.transport import resolver_for
from asyncdockerspawner.errors import BadOption

PAUSES = (0.02, 0.05, 0.1, 0.2, 0.5)
"""Seconds between tries; the last one repeats."""
TRY_SECONDS = 5.0


VERSION_HEADER = "X-JupyterHub-Version"
"""In every answer of a single-user server: the version of JupyterHub in its image."""


async def answers(url: str) -> str:
    """Return as soon as `url` gives any HTTP answer below 500; the caller bounds the wait.

    Gives the server's version of JupyterHub, where it tells that. Returns at once where the host's name
    cannot be resolved from here without a thread: then only the Hub can tell.
    """
    try:
        resolver = resolver_for(urlsplit(url).hostname or "")
    except BadOption:
        return ""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True, resolver=resolver),
        timeout=aiohttp.ClientTimeout(total=TRY_SECONDS),
    ) as session:
        attempt = 0
        while (version := await _answered(session, url)) is None:
            await asyncio.sleep(PAUSES[min(attempt, len(PAUSES) - 1)])
            attempt += 1
    return version


async def _answered(session: aiohttp.ClientSession, url: str) -> str | None:
    try:
        async with session.get(url, allow_redirects=False) as response:
            return response.headers.get(VERSION_HEADER, "") if response.status < 500 else None
    except aiohttp.ClientConnectorDNSError:
        return ""
    except (aiohttp.ClientError, OSError):
        return None
