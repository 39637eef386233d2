"""Whose account a server runs as: found once for each spawn, and plain to read from then on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from asyncdockerspawner import errors
from asyncdockerspawner.accounts import name_service
from asyncdockerspawner.accounts.entries import UNKNOWN_ID, Account, as_id, as_ids
from asyncdockerspawner.hub import site_code
from asyncdockerspawner.hub.base import username
from asyncdockerspawner.lifecycle import resolved

if TYPE_CHECKING:
    from asyncdockerspawner.spawners.system_user import SystemUserSpawner

OPTIONS = ("user_id", "group_id", "host_home", "supplementary_groups")
"""What may be a function."""
LARGEST_FOR_AN_ENGINE = 2**31 - 1
"""Source: https://github.com/moby/sys/blob/main/user/user.go, `maxID`."""
TRIES = 2
"""How often the name service is asked in one spawn: a hook may have made the user whom it did not know."""


class UserAccount:
    """The account of a spawner's user.

    What was set on the spawner counts most; then what the functions among the options give, what the name
    service says, and what was saved at the last spawn.
    """

    def __init__(self, spawner: SystemUserSpawner) -> None:
        self._spawner = spawner
        self._saved = Account()
        # By option: the function, so that another one that is set later counts, and what it gave.
        self._given: dict[str, tuple[Any, Any]] = {}
        self._failed: dict[str, errors.SiteCodeFailed] = {}
        """Options whose function failed, and did not give anything at the last spawn."""
        self.forget()

    def forget(self) -> None:
        """Begin anew with the next spawn."""
        self._given.clear()
        self._failed.clear()
        self._entry = Account()
        self._system_groups: tuple[int, ...] | None = None
        self._tries = 0
        self._silence = ""
        """Why the name service has not answered."""
        self._settled = False

    def load(self, state: Mapping[str, Any]) -> None:
        """Take up what was saved, by DockerSpawner too."""
        home = state.get("host_home")
        self._saved = Account(
            user_id=_id(state.get("user_id")),
            group_id=_id(state.get("group_id")),
            home=home if isinstance(home, str) else "",
            groups=as_ids(state.get("supplementary_groups")),
        )

    def state(self) -> dict[str, Any]:
        """Return what is to be saved: nobody is asked, and nothing raised."""
        # Once it is settled it is as the spawner's class has it, which may know better.
        known = self._by_options().or_else(self._saved) if self._settled else self.known
        state: dict[str, Any] = {}
        if known.user_id >= 0:
            state["user_id"] = known.user_id
        if known.group_id >= 0:
            state["group_id"] = known.group_id
        if known.home:
            state["host_home"] = known.home
        if known.groups:
            state["supplementary_groups"] = list(known.groups)
        return state

    @property
    def known(self) -> Account:
        """What is known now, without asking."""
        return self._by_options().or_else(self._entry).or_else(self._saved)

    def option(self, name: str) -> Any:
        """Return an option's value, or what its function gave in this spawn: None before it was called."""
        value = self._spawner._trait_values.get(name)
        if not callable(value):
            return value
        function, given = self._given.get(name, (None, None))
        return given if function is value else None

    async def ask(self) -> None:
        """Ask whomever the options name, as far as that is needed. What stays unknown refuses nothing yet.

        Raises what a function refuses, and BadOption for what it should not give.
        """
        for name in OPTIONS:
            function = self._spawner._trait_values.get(name)
            if callable(function) and self._given.get(name, (None,))[0] is not function:
                self._given[name] = (function, await self._called(name, function))
        if not self._silence:
            try:
                await self._ask_the_system()
            except errors.ProgramFailed as exc:
                self._silence = exc.message

    async def settle(self) -> None:
        """Find the account for good. Raises SpawnRefused where the user is not known."""
        await self.ask()
        spawner, before = self._spawner, self._saved
        for name, failure in self._failed.items():
            if callable(spawner._trait_values.get(name)):
                raise failure
        # As the class has it: a subclass may know better.
        user_id, group_id = spawner.user_id, spawner.group_id
        if user_id < 0:
            raise self._nobody()
        for name in OPTIONS:
            _checked(name, self.option(name))
        _check_for_the_engine(user_id, group_id, *(self.known.groups or ()))
        self._tell(before, user_id, group_id)
        self._saved = Account(user_id, group_id, self.known.home, self.known.groups)
        self._settled = True

    def _tell(self, before: Account, user_id: int, group_id: int) -> None:
        log, name = self._spawner.log, username(self._spawner)
        if before.user_id not in {UNKNOWN_ID, user_id}:
            told = "The uid of %s is %d now, and was %d: the user's files may still belong to that one"
            log.warning(told, name, user_id, before.user_id)
        if self._settled:
            return
        if self._silence and (self._lacks() or self._lacks_groups()):
            log.warning("%s: %s What is known of the user from an earlier spawn is used", name, self._silence)
        if group_id < 0:
            log.warning("%s: nobody knows the gid, so the image decides it: see `group_id`", name)

    async def _called(self, name: str, function: Any) -> Any:
        """Call a function; where it fails, go on with what is known from an earlier spawn."""
        self._failed.pop(name, None)
        try:
            with site_code.of_option(name):
                value = await resolved(self._spawner._eval_if_callable(function))
        except errors.SiteCodeFailed as exc:
            value = _of(self._saved, name)
            if value is None:
                self._failed[name] = exc
            else:
                self._spawner.log.warning("%s An earlier spawn's value is used", exc, exc_info=exc.__cause__)
        return _checked(name, value)

    async def _ask_the_system(self) -> None:
        service, name = name_service.of_this_loop(), username(self._spawner)
        if self._lacks() and self._tries < TRIES:
            self._tries += 1
            self._entry = await service.account(name, fresh=self._tries > 1)
        if self._lacks_groups():
            self._system_groups = await service.groups(name)

    def _lacks(self) -> bool:
        found = self._by_options().or_else(self._entry)
        wants_home = not self._spawner.host_homedir_format_string
        return found.user_id < 0 or found.group_id < 0 or (wants_home and not found.home)

    def _lacks_groups(self) -> bool:
        return self.option("supplementary_groups") is True and self._system_groups is None

    def _by_options(self) -> Account:
        return Account(
            user_id=_id(self.option("user_id")),
            group_id=_id(self.option("group_id")),
            home=self.option("host_home") or "",
            groups=self._groups(),
        )

    def _groups(self) -> tuple[int, ...] | None:
        """Return the groups that the option names; None where that is not known yet."""
        wanted = self.option("supplementary_groups")
        if wanted is True:
            return self._system_groups
        if wanted is None and callable(self._spawner.supplementary_groups):
            return None
        return as_ids(wanted or ())

    def _nobody(self) -> errors.SpawnRefused:
        name = username(self._spawner)
        told = f"The system does not know the user {name}."
        why = f"`getent passwd {name}` gives none, where the Hub runs."
        if self._silence:
            told, why = f"The system could not be asked about the user {name}.", self._silence
        return errors.SpawnRefused(
            told,
            advice=f"{why} There are three ways out: have the Hub's machine, or its container, know the "
            "users (the socket of sssd or nslcd); let `user_id`, `group_id` and `host_home` be "
            "functions that tell; or set these on the spawner in a hook or an authenticator.",
        )


def _check_for_the_engine(*ids: int) -> None:
    if max(ids) > LARGEST_FOR_AN_ENGINE:
        raise errors.SpawnRefused(
            "The Docker Engine cannot run a server as this user.",
            advice=f"It takes ids up to {LARGEST_FOR_AN_ENGINE}, and one of the user's is {max(ids)}: see "
            "`user_id`, `group_id` and `supplementary_groups`, or how the directory makes its ids.",
        )


def _id(value: object) -> int:
    found = as_id(value)
    return UNKNOWN_ID if found is None else found


def _of(account: Account, name: str) -> Any:
    """Return a part of an account; None where it is not known."""
    if name == "supplementary_groups":
        return account.groups
    if name == "host_home":
        return account.home or None
    value = account.user_id if name == "user_id" else account.group_id
    return None if value < 0 else value


def _checked(name: str, value: Any) -> Any:
    """Return what an option is, or its function gave. Raises BadOption for what it does not take."""
    if value is None or value == UNKNOWN_ID:
        return None
    if name == "host_home":
        good = isinstance(value, str)
    elif name == "supplementary_groups":
        good = isinstance(value, bool) or as_ids(value) is not None
    else:
        good = as_id(value) is not None
    if not good:
        what = {"host_home": "a path", "supplementary_groups": "True or a list of gids"}.get(name, "an id")
        raise errors.BadOption(f"`{name}` is, or its function gave, {value!r}, but it must be {what}.")
    return value
