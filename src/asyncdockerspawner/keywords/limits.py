"""Memory and CPU in the Engine's numbers."""

from __future__ import annotations

import math
import re

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.jsontypes import JsonObject

DEFAULT_CPU_PERIOD = 100_000
BILLIONTHS = 1_000_000_000
"""In which a swarm counts CPUs."""

_NUMBER = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]+)?"
_SIZE = re.compile(rf"(?P<number>{_NUMBER})\s*(?P<unit>[kmgtp]?)(i?b)?", re.IGNORECASE)
_WHOLE = re.compile(r"(?P<number>-?[0-9]+)(\.0*)?")
_UNITS = ("", "k", "m", "g", "t", "p")


def byte_size(value: object, *, option: str) -> int:
    """Read a size: bytes, or a text with a unit such as `512m`, `1g`, `1.5G`; -1 is "unlimited"."""
    size = _bytes(value)
    if size is None or size < -1:
        raise BadOption(f"{option} is {value!r}, but it must be a number of bytes or a text such as '512M'.")
    return size


def cpu_quota(cpu_limit: float, period: object, *, option: str) -> JsonObject:
    """Limit CPU time: `cpu_limit` CPUs, in slices of `period` microseconds (None: the usual)."""
    chosen = whole_number(period, option=option) if period else DEFAULT_CPU_PERIOD
    return {"CpuPeriod": chosen, "CpuQuota": int(cpu_limit * chosen)}


def whole_number(value: object, *, option: str) -> int:
    """Read a count; texts of digits are fine, as templates give them."""
    match = _WHOLE.fullmatch(str(value).strip())
    if match is None:
        raise BadOption(f"{option} is {value!r}, but it must be a whole number.")
    return int(match["number"])


def _bytes(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return int(value) if math.isfinite(value) else None
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        return None
    return int(float(match["number"]) * 1024 ** _UNITS.index(match["unit"].lower()))
