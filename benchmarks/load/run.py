"""The load itself, over REST: whatever happens, its users are removed at the end, or named as left."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx

from benchmarks.load.plan import Plan
from tests.support.hub_api import HubAPI, HubRefused, ServerFailed

REMOVED_AT_ONCE = 100
"""As many as the Hub lets start at a time, unless its `concurrent_spawn_limit` says otherwise."""
PORTION = 100
"""Users that are made with one request."""


@dataclass
class Loaded:
    """What came of it; times are in seconds."""

    plan: Plan
    hub: str = ""
    """Its version."""
    started: list[tuple[float, float]] = field(default_factory=list)
    """Of each server that was ready: when it was asked for, since the beginning, and how long it took."""
    answered: int = 0
    """How many of them then answered through the proxy."""
    stopped: list[float] = field(default_factory=list)
    throttled: int = 0
    """How often the Hub said that too many came at once."""
    faults: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """Users who are or may be on the Hub: they were asked for, and their removal was not seen."""

    def document(self) -> dict[str, Any]:
        """For the JSON."""
        return asdict(self)


async def load(api: HubAPI, loaded: Loaded, tell: Callable[[str], None]) -> None:
    """Put a load on a Hub, and write down what comes of it; also of one that is cut off."""
    plan = loaded.plan
    loaded.hub = await api.version()
    users = plan.names(secrets.token_hex(3))
    # Said before: who kills this program has to know whom it leaves.
    tell(f"makes {len(users)} users, {users[0]} to {users[-1]}")
    try:
        await _make(api, users, loaded)
        await _come(api, users, loaded, tell)
        tell(f"all have come; they stay for {plan.stay:g} s")
        await asyncio.sleep(plan.stay)
        await _leave(api, users, loaded)
    finally:
        loaded.throttled = api.throttled
        tell(f"removes {len(loaded.left)} users with their servers; cut off now, it would leave them")
        await _remove(api, loaded)


async def _make(api: HubAPI, users: Sequence[str], loaded: Loaded) -> None:
    for first in range(0, len(users), PORTION):
        portion = users[first : first + PORTION]
        # Before: a Hub that refuses a portion may have made a part of it, unless the token may make nobody.
        loaded.left += portion
        try:
            await api.create_users(portion)
        except HubRefused as exc:
            if exc.status in (401, 403):
                del loaded.left[first:]
            raise


async def _come(api: HubAPI, users: Sequence[str], loaded: Loaded, tell: Callable[[str], None]) -> None:
    begun, places = time.monotonic(), asyncio.Semaphore(loaded.plan.at_once)

    async def one(number: int, user: str) -> None:
        await asyncio.sleep(loaded.plan.comes_at(number))
        async with places:
            asked = time.monotonic()
            await api.start_server(user)
            loaded.started.append((asked - begun, time.monotonic() - asked))
            # A page of the server's own, or its answer that there is none: the Hub's has another header.
            answer = await api.server_status(user)
            loaded.answered += answer.status_code < 500 and "x-jupyterhub-version" not in answer.headers
        tell(f"{len(loaded.started)} of {len(users)} are ready")

    await _all(loaded, (one(number, user) for number, user in enumerate(users)))


async def _leave(api: HubAPI, users: Sequence[str], loaded: Loaded) -> None:
    async def one(user: str) -> None:
        asked = time.monotonic()
        async with places:
            if await _has_server(api, user):
                await api.stop_server(user)
                loaded.stopped.append(time.monotonic() - asked)

    places = asyncio.Semaphore(loaded.plan.at_once)
    await _all(loaded, map(one, users))


async def _all(loaded: Loaded, steps: Any) -> None:
    """Do all of it; what goes wrong is told, and the others go on."""

    async def one(step: Awaitable[None]) -> None:
        try:
            await step
        except (HubRefused, ServerFailed, httpx.TransportError, TimeoutError) as exc:
            loaded.faults.append(str(exc) or repr(exc))

    async with asyncio.TaskGroup() as group:
        for step in steps:
            group.create_task(one(step))


async def _remove(api: HubAPI, loaded: Loaded) -> None:
    """Remove users with their servers; where it is cut off or fails, the others stay in `left`."""
    places = asyncio.Semaphore(REMOVED_AT_ONCE)

    async def one(user: str) -> None:
        async with places:
            try:
                async with asyncio.timeout(api.deadline):
                    while not await _is_removed(api, user):  # noqa: ASYNC110 - the Hub is asked
                        await asyncio.sleep(api.poll_every)
            except (HubRefused, httpx.TransportError, TimeoutError):
                return
            loaded.left.remove(user)

    async with asyncio.TaskGroup() as group:
        for user in list(loaded.left):
            group.create_task(one(user))


async def _has_server(api: HubAPI, user: str) -> bool:
    """Tell whether there is a server; a token that may not see any cannot have started one."""
    return "" in (await api.user(user)).get("servers", {})


async def _is_removed(api: HubAPI, user: str) -> bool:
    """Remove a user; False where the Hub is busy with its server just now.

    The server comes first: a Hub that deletes a user forgets a start that is under way.
    """
    try:
        if await _has_server(api, user):
            await api.stop_server(user)
        await api.delete_user(user)
    except HubRefused as exc:
        if exc.status == 400:
            return False
        if exc.status != 404:
            raise
    return True
