"""What a load is: how many users, how quickly they come, how long they stay."""

from __future__ import annotations

from dataclasses import dataclass

MOST_USERS = 5000


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A load, bounded in number and in time."""

    users: int
    per_second: float
    """How many come each second; 0 is all at once."""
    at_once: int
    """So many starts, at most, are waited for at a time."""
    stay: float
    """Seconds that all stay when the last one has come."""
    timeout: float
    """Seconds that each start and each stop may take."""
    prefix: str
    """What the users' names begin with: none that begins so may be anybody's."""

    def names(self, run: str) -> list[str]:
        """Give the users' names, which no other run has."""
        width = len(str(self.users - 1))
        return [f"{self.prefix}{run}-{number:0{width}}" for number in range(self.users)]

    def comes_at(self, number: int) -> float:
        """Tell in which second of the load this user comes."""
        return number / self.per_second if self.per_second else 0.0
