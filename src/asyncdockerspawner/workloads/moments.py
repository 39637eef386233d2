"""Points in time as the Engine writes them. Pure."""

from __future__ import annotations

from datetime import datetime


def nanoseconds(stamp: str) -> int:
    """Return nanoseconds since 1970 for an RFC 3339 time; 0 for Go's zero time, and for what is no time."""
    try:
        seconds = datetime.fromisoformat(stamp).timestamp()
    except ValueError:
        return 0
    # Go's zero time lies before 1970; a float holds microseconds of this century, not nanoseconds.
    return max(int(seconds * 10**6) * 1000, 0)
