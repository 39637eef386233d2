"""Many users at once: N starts, N polls, N stops of the stub image."""

from __future__ import annotations

from benchmarks.frame.case import Figure, Sample, Target, Who
from benchmarks.measures.servers import Servers, names, rest

FIGURES = (
    Figure("rate", "starts per second", (Target(to=Who.FLOOR, least=0.95),)),
    Figure("mean", "start, mean (s)", (Target(to=Who.PEER, most=0.30),)),
    Figure("last", "start, last (s)", (Target(to=Who.PEER, most=0.55),)),
    Figure("start_cpu_ms", "CPU of the process for a start (ms)"),
    Figure("start_stall_ms", "longest loop stall, starts (ms)"),
    Figure("poll_cpu_ms", "CPU of the process for a poll (ms)"),
    Figure("stop_rate", "stops per second"),
    Figure("stop_last", "stop, last (s)"),
    Figure("threads", "threads, most"),
    Figure("memory_mib", "memory (MiB)"),
    Figure("requests", "requests at the Engine for a start"),
)
IN_A_HUB = (
    Figure("rate", "starts per second", (Target(to=Who.FLOOR, least=0.90),)),
    Figure("mean", "start, mean (s)", (Target(to=Who.PEER, most=0.35),)),
    *FIGURES[2:-1],
)

IN_SANDBOXES = (
    Figure(
        "rate",
        "starts per second",
        (Target(to=Who.FLOOR, least=1.8, before=26), Target(to=Who.FLOOR, least=1.3, since=26)),
    ),
    Figure("mean", "start, mean (s)", (Target(to=Who.PEER, most=0.2),)),
    Figure("last", "start, last (s)"),
    *FIGURES[3:-1],
)


async def storm(servers: Servers, index: int, count: int) -> Sample:
    """Start, poll and stop the servers of fresh users, each time all at once; the users are removed."""
    users = names("u", index, count)
    await servers.add(users)
    try:
        await rest(count)
        start = await servers.start(users)
        poll = await servers.poll(users)
        stop = await servers.stop(users)
    finally:
        await servers.forget(users)
    figures = {
        "rate": start.rate,
        "mean": start.mean,
        "last": start.last,
        "stop_rate": stop.rate,
        "stop_last": stop.last,
        **poll.costs("poll"),
        **stop.costs("stop"),
        **start.costs("start"),
        "threads": max((each.cost.threads for each in (start, poll, stop) if each.cost), default=0),
    }
    if start.cost is None:
        del figures["threads"]
    return Sample(figures, {"starts": sorted(start.seconds)}, [*start.faults, *poll.faults, *stop.faults])
