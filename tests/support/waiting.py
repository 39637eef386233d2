"""Waiting for what has no event of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


async def until(ask: Callable[[], Any], seconds: float = 60.0) -> None:
    """Wait for an answer that is true."""
    async with asyncio.timeout(seconds):
        while not ask():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


async def turns(count: int = 10) -> None:
    """Let everybody do what can be done without waiting."""
    for _ in range(count):
        await asyncio.sleep(0)
