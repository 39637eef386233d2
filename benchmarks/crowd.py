"""A class comes in: N real single-user servers asked for at once, each timed until the Hub calls it ready."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import httpx

from benchmarks.hubs import CROWD_PREFIX, MeasuredHub
from benchmarks.storm import Phase, together
from tests.support.hub_api import HubAPI


@dataclass(frozen=True)
class Crowd:
    """One round on one Hub."""

    start: Phase
    silent: tuple[str, ...]  # servers that the Hub called ready, but that did not answer

    @property
    def median(self) -> float:
        """The time of the user in the middle."""
        return median(self.start.seconds) if self.start.seconds else float("inf")

    @property
    def last(self) -> float:
        """The time of the user who waits longest."""
        return self.start.last

    @property
    def faults(self) -> tuple[str, ...]:
        """What went wrong."""
        return (*self.start.faults, *self.silent)

    def document(self) -> dict[str, Any]:
        """For the JSON report."""
        return {"start": self.start.document(), "silent": self.silent}


def crowd_users(tag: str, count: int) -> list[str]:
    """Names that get the single-user image."""
    return [f"{CROWD_PREFIX}{tag}-{number}" for number in range(count)]


async def crowd(hub: MeasuredHub, users: Sequence[str]) -> Crowd:
    """Start the real servers of fresh `users` all at once, and ask each for its status; users are deleted."""
    api, ready = hub.api, list[str]()

    async def start(user: str) -> None:
        await api.start_server(user)
        ready.append(user)

    await api.create_users(users)
    try:
        started = await together(hub, users, start)
        # Not part of the time, which both spawners owe to the same word of the Hub: it proves that what is
        # measured are notebook servers behind the proxy.
        answers = await asyncio.gather(*(status_fault(api, user) for user in ready))
    finally:
        await asyncio.gather(*map(api.delete_user, users), return_exceptions=True)
    return Crowd(started, tuple(fault for fault in answers if fault))


async def status_fault(api: HubAPI, user: str) -> str:
    """Say what is wrong with a server's answer at `api/status`; nothing if it is a notebook server's."""
    try:
        answer = await api.server_status(user)
        known = answer.status_code == 200 and "kernels" in answer.json()
    except (httpx.TransportError, TimeoutError, ValueError) as exc:
        return f"server of {user} at api/status: {exc!r}"
    return "" if known else f"server of {user} at api/status: HTTP {answer.status_code}"
