"""An account as it is kept in the Hub's database: DockerSpawner's keys, and ours beside them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from asyncdockerspawner.accounts.entries import UNKNOWN_ID, Account, as_id, as_ids

PARTS = ("user_id", "group_id", "host_home", "supplementary_groups")
"""What an account is made of, by the names of the options and of the keys."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What was known of a server's user when the server was last started."""

    account: Account = field(default_factory=Account)
    name: str = ""
    """Whose account it is; empty where that is not told, as by DockerSpawner."""
    by_functions: Collection[str] = PARTS
    """The parts that functions among the options gave; all of them where that is not told."""

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Saved:
        """Read a saved state; what cannot be read is not known."""
        home, name, given = (state.get(key) for key in ("host_home", "account_name", "by_functions"))
        account = Account(
            user_id=id_of(state.get("user_id")),
            group_id=id_of(state.get("group_id")),
            home=home if isinstance(home, str) else "",
            groups=as_ids(state.get("supplementary_groups")),
        )
        if not isinstance(name, str) or not name:
            return cls(account)
        return cls(account, name, [each for each in PARTS if isinstance(given, list) and each in given])

    def state(self) -> dict[str, Any]:
        """Return what is to be saved."""
        known = {name: value for name in PARTS if (value := part(self.account, name)) is not None}
        if groups := known.pop("supplementary_groups", ()):
            known["supplementary_groups"] = list(groups)
        if known and self.name:
            known["account_name"] = self.name
            if self.by_functions:
                known["by_functions"] = list(self.by_functions)
        return known

    def serves(self, name: str, user_id: int) -> bool:
        """Tell whether this is the account of a user of this name and uid; below 0, that is not known."""
        return self.name in {"", name} and user_id in {UNKNOWN_ID, self.account.user_id}


def part(account: Account, name: str) -> Any:
    """Return a part of an account; None where it is not known."""
    if name == "supplementary_groups":
        return account.groups
    if name == "host_home":
        return account.home or None
    value = account.user_id if name == "user_id" else account.group_id
    return None if value < 0 else value


def only(account: Account, names: Collection[str]) -> Account:
    """Return an account of which no more is known than these parts."""
    return Account(
        user_id=account.user_id if "user_id" in names else UNKNOWN_ID,
        group_id=account.group_id if "group_id" in names else UNKNOWN_ID,
        home=account.home if "host_home" in names else "",
        groups=account.groups if "supplementary_groups" in names else None,
    )


def id_of(value: object) -> int:
    """Return the id that a number or its text is; -1 for anything else."""
    found = as_id(value)
    return UNKNOWN_ID if found is None else found
