"""A storm at an Engine that is far away, and right before it the same storm at the same Engine nearby."""

from __future__ import annotations

from benchmarks.frame.case import Figure, Sample, Target
from benchmarks.measures.servers import Servers
from benchmarks.measures.storm import storm

ROUND_TRIP = 0.05
"""Seconds to the Engine and back."""
FIGURES = (
    Figure("near", "all ready, Engine nearby (s)"),
    Figure("last", f"all ready, Engine {1000 * ROUND_TRIP:g} ms away (s)"),
    Figure("slower", "times slower than nearby", (Target(most=1.15),)),
    Figure("mean", "start, mean (s)"),
)


async def far_storm(near: Servers, far: Servers, index: int, count: int) -> Sample:
    """Do both storms."""
    nearby, away = await storm(near, index, count), await storm(far, index, count)
    figures = {
        "near": nearby.figures["last"],
        "last": away.figures["last"],
        "slower": away.figures["last"] / nearby.figures["last"],
        "mean": away.figures["mean"],
    }
    return Sample(figures, away.series, [*nearby.faults, *away.faults])
