"""A class comes in: N real single-user servers asked for at once, each timed until the Hub calls it ready."""

from __future__ import annotations

import asyncio
from statistics import median

import httpx

from benchmarks.frame.case import Figure, Sample, Target, Who
from benchmarks.hubs.hub import MeasuredHub
from benchmarks.measures.servers import names
from tests.support.hub_api import HubAPI

FIGURES = (
    Figure("median", "ready, median (s)", (Target(to=Who.PEER, most=0.5),)),
    Figure("last", "ready, last (s)", (Target(to=Who.PEER, most=0.85),)),
    Figure("start_cpu_ms", "CPU of the Hub for a start (ms)"),
    Figure("start_stall_ms", "longest loop stall (ms)"),
    Figure("threads", "threads, most"),
    Figure("memory_mib", "memory of the Hub (MiB)"),
)


async def notebooks(hub: MeasuredHub, index: int, count: int, image: str) -> Sample:
    """Start the real servers of fresh users all at once, and ask each for its status."""
    users = names("class", index, count)
    await hub.add(users)
    try:
        start = await hub.start(users, image)
        # Not part of the time, which both spawners owe to the same word of the Hub: it proves that what is
        # measured are notebook servers behind the proxy.
        answers = await asyncio.gather(*(status_fault(hub.api, user) for user in users))
    finally:
        await hub.forget(users)
    figures = {
        "median": median(start.seconds) if start.seconds else float("inf"),
        "last": start.last,
        **start.costs("start"),
    }
    faults = [*start.faults, *(fault for fault in answers if fault)]
    return Sample(figures, {"starts": sorted(start.seconds)}, faults)


async def status_fault(api: HubAPI, user: str) -> str:
    """Say what is wrong with a server's answer at `api/status`; nothing if it is a notebook server's."""
    try:
        answer = await api.server_status(user)
        known = answer.status_code == 200 and "kernels" in answer.json()
    except (httpx.TransportError, TimeoutError, ValueError) as exc:
        return f"server of {user} at api/status: {exc!r}"
    return "" if known else f"server of {user} at api/status: HTTP {answer.status_code}"
