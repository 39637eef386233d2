"""What may have been left of users and servers that were deleted: named in the log, never removed.

That a row is missing does not prove a deletion: a new or a lost database has no rows at all.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from asyncdockerspawner import errors
from asyncdockerspawner.client.volumes import Volumes
from asyncdockerspawner.names import labels

MOST_NAMES = 50
"""In one line of the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """Tells an administrator what is left, and how it is removed."""

    hub_id: str
    volumes: Volumes | None
    """None where volumes are not to go with their users."""
    users: Callable[[Iterable[str]], set[str]]
    """Returns those of the names that are users in the Hub's database."""
    log: logging.Logger | logging.LoggerAdapter[Any]

    async def tell(self, containers: Iterable[str]) -> None:
        """Name these stopped containers, whose servers have no row, and the volumes of unknown users."""
        self._say("stopped containers", sorted(containers), "docker rm -v")
        if self.volumes is None:
            return
        try:
            listed = await self.volumes.list({labels.HUB: self.hub_id})
        except errors.EngineError as exc:
            self.log.warning("Cannot tell whether volumes of deleted users are left: %s", exc)
            return
        users = {each.name: str(each.labels.get(labels.USER)) for each in listed}
        known = self.users(set(users.values()))
        self._say(
            "volumes", sorted(name for name, user in users.items() if user not in known), "docker volume rm"
        )

    def _say(self, what: str, names: list[str], command: str) -> None:
        if not names:
            return
        shown, more = names[:MOST_NAMES], len(names) - MOST_NAMES
        self.log.warning(
            "The Hub's database knows no user or server of these %s, which may hold files. They stay; where "
            "their users and servers were deleted for good, remove them: %s %s%s",
            what,
            command,
            " ".join(shown),
            f" (and {more} more)" if more > 0 else "",
        )
