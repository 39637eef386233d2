"""Many users whose image has to be pulled, all at once: one pull serves all."""

from __future__ import annotations

from benchmarks.frame.case import Figure, Sample
from benchmarks.measures.servers import Servers, names
from benchmarks.measures.slow_image import SECONDS, SIZE, SlowImage

FIGURES = (
    Figure("last", f"all ready whose image takes {SECONDS:g} s to come (s)"),
    Figure("pulled", "how often its bytes came"),
    Figure("start_stall_ms", "longest loop stall (ms)"),
    Figure("threads", "threads, most"),
)


async def pull_together(servers: Servers, index: int, image: SlowImage, count: int) -> Sample:
    """Start servers of an image that the Engine has not."""
    users = names("pulls", index, count)
    await image.forget()
    await servers.add(users)
    try:
        image.begin()
        start = await servers.start(users, image.reference)
        pulled = image.come / SIZE
    finally:
        await servers.forget(users)
        await image.forget()
    figures = {"last": start.last, "pulled": pulled, **start.costs("start")}
    return Sample(figures, {"starts": sorted(start.seconds)}, list(start.faults))
