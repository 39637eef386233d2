"""Many stops: of containers that take their grace, and while as many others start."""

from __future__ import annotations

import asyncio

from benchmarks.frame.case import Figure, Sample, Target, Who
from benchmarks.measures.bystander import GRACE
from benchmarks.measures.servers import Servers, names, rest

FIGURES = (
    Figure("last", f"all stopped that need {GRACE:g} s (s)", (Target(most=10.5),)),
    Figure("stop_stall_ms", "longest loop stall (ms)"),
    Figure("threads", "threads, most"),
)
BESIDE_FIGURES = (
    Figure("starts_alone", "starts alone, last (s)"),
    Figure("starts_beside", "starts while as many stop, last (s)"),
    Figure("starts_slower", "starts: times slower than alone", (Target(to=Who.FLOOR, most=1.2),)),
    Figure("stops_alone", "stops alone, last (s)"),
    Figure("stops_beside", "stops while as many start, last (s)"),
    Figure("stops_slower", "stops: times slower than alone", (Target(to=Who.FLOOR, most=1.2),)),
    Figure("both_slower", "both together: times the sum of each alone"),
)


async def stop_storm(servers: Servers, index: int, count: int, stubborn: str) -> Sample:
    """Stop servers that ignore SIGTERM, all at once."""
    users = names("grace", index, count)
    await servers.add(users)
    try:
        start = await servers.start(users, stubborn)
        stop = await servers.stop(users)
    finally:
        await servers.forget(users)
    faults = [*start.faults, *stop.faults]
    if stop.last < 0.8 * GRACE:
        faults.append(f"nothing was measured: the stops of {GRACE:g} s took {stop.last:.1f} s")
    return Sample({"last": stop.last, **stop.costs("stop")}, {"stops": sorted(stop.seconds)}, faults)


async def stops_during_starts(servers: Servers, index: int, count: int) -> Sample:
    """Start and stop users alone, then stop those of one half while those of the other start."""
    first, second = names("first", index, count), names("second", index, count)
    await servers.add([*first, *second])
    try:
        starts = await servers.start(first)
        await rest(count)
        stops = await servers.stop(first)
        await servers.forget(first)
        await servers.add(first)
        again = await servers.start(first)
        await rest(count)
        beside = await asyncio.gather(servers.start(second), servers.stop(first))
    finally:
        await servers.forget([*first, *second])
    figures = {
        "starts_alone": starts.last,
        "starts_beside": beside[0].last,
        "starts_slower": beside[0].last / starts.last,
        "stops_alone": stops.last,
        "stops_beside": beside[1].last,
        "stops_slower": beside[1].last / stops.last,
        # One Engine does both: what it can't do side by side takes as long as one after the other.
        "both_slower": max(each.last for each in beside) / (starts.last + stops.last),
    }
    batches = (starts, stops, again, *beside)
    return Sample(figures, {}, [fault for batch in batches for fault in batch.faults])
