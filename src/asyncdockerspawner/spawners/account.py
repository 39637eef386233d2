"""Whose account a server runs as: found once for each spawn, and plain to read from then on."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from asyncdockerspawner import errors
from asyncdockerspawner.accounts import name_service
from asyncdockerspawner.accounts.entries import UNKNOWN_ID, Account, as_id, as_ids
from asyncdockerspawner.accounts.saved import PARTS, Saved, id_of, only, part
from asyncdockerspawner.hub import site_code
from asyncdockerspawner.hub.base import username
from asyncdockerspawner.lifecycle import resolved, within_a_start
from asyncdockerspawner.spawners.launch_inputs import is_overridden

if TYPE_CHECKING:
    from asyncdockerspawner.spawners.system_user import SystemUserSpawner

LARGEST_FOR_AN_ENGINE = 2**31 - 1
"""Source: https://github.com/moby/sys/blob/main/user/user.go, `maxID`."""
FUNCTION_TIMEOUT = 30.0
"""Seconds that a function among the options has."""
TRIES = 2
"""How often the name service is asked in one spawn: a hook may have made the user whom it did not know."""
_PLAIN = ("user_id", "group_id", "host_home")
"""What a site's code reads as plain values."""


class UserAccount:
    """The account of a spawner's user.

    What was set on the spawner counts most; then what the functions among the options give, what the name
    service says, and what was saved at the last spawn.
    """

    def __init__(self, spawner: SystemUserSpawner) -> None:
        self._spawner = spawner
        self._saved = Saved()
        # By option: the function, so that another one that is set later counts, and what it gave.
        self._given: dict[str, tuple[Any, Any]] = {}
        self._failed: dict[str, errors.SiteCodeFailed] = {}
        """By option: why its function did not give anything."""
        self.forget()

    def forget(self) -> None:
        """Begin anew with the next spawn."""
        self._earlier = self._saved
        """What was saved when this spawn began."""
        self._given.clear()
        self._failed.clear()
        self._entry = Account()
        self._system_groups: tuple[int, ...] | None = None
        self._tries = 0
        self._is_unknown = False
        """The name service did not know the user a moment ago."""
        self.silence = ""
        """Why the name service has not answered."""
        self._settled = False
        self._is_told = False
        """The log has what there is to say of this account."""

    def load(self, state: Mapping[str, Any]) -> None:
        """Take up what was saved, by DockerSpawner too."""
        self._saved = self._earlier = Saved.of(state)

    def state(self) -> dict[str, Any]:
        """Return what is to be saved: nobody is asked, and nothing raised."""
        saved = self._saved
        if self._settled:
            # A hook may have set more; the rest is as the spawner's class has it, which may know better.
            saved = replace(saved, account=self._by_options().or_else(saved.account))
        return saved.state()

    @property
    def told(self) -> Account:
        """Return what the options tell; where their functions failed, what those told at an earlier spawn."""
        told = self._by_options()
        again = {name for name in self._failed if self._is_function(name)} & {*self._earlier.by_functions}
        user_id = self._entry.user_id if told.user_id < 0 and "user_id" not in again else told.user_id
        return told.or_else(self._of_before(user_id, again))

    @property
    def known(self) -> Account:
        """What is known now, without asking."""
        found = self._found()
        return found.or_else(self._of_before(found.user_id, PARTS))

    def option(self, name: str) -> Any:
        """Return an option's value, or what its function gave in this spawn: None before it was called."""
        value = self._spawner._trait_values.get(name)
        if not callable(value):
            return value
        function, given = self._given.get(name, (None, None))
        return given if function is value else None

    async def look_up(self) -> None:
        """Ask the name service for what is to be read before the functions among the options are called.

        Where there are such functions, they are those to ask, and may need what is set until they are called.
        """
        if any(map(self._is_function, _PLAIN)) or self._is_complete(self._by_options()):
            return
        try:
            # Anew: what is known may be from a page that was opened long ago.
            entry = await name_service.of_this_loop().account(username(self._spawner))
        except errors.ProgramFailed as exc:
            self.silence = exc.message
        else:
            self._entry, self.silence, self._is_unknown = entry, "", entry.user_id < 0

    async def ask(self) -> None:
        """Ask whomever the options name, as far as that is needed. What stays unknown refuses nothing yet.

        Raises what a function refuses, and BadOption for what it should not give.
        """
        for name in PARTS:
            function = self._spawner._trait_values.get(name)
            if callable(function) and self._given.get(name, (None,))[0] is not function:
                self._given[name] = (function, await self._called(name, function))
        if not self.silence:
            try:
                await self._ask_the_system()
            except errors.ProgramFailed as exc:
                self.silence = exc.message

    async def settle(self) -> None:
        """Find the account for good. Raises SpawnRefused where the user is not known."""
        await self.ask()
        spawner = self._spawner
        for name in PARTS:
            _checked(name, self.option(name))
        told = self.told
        for name, failure in self._failed.items():
            if self._is_function(name) and part(told, name) is None:
                raise failure
        # As the class has it: a subclass may know better.
        user_id, group_id = spawner.user_id, spawner.group_id
        if user_id < 0:
            raise self._nobody()
        if user_id == 0 and told.user_id < 0 and self.known.user_id == 0:
            raise self._root()
        _check_for_the_engine(user_id, group_id, *(self.known.groups or ()))
        self._tell(user_id, group_id)
        by_functions = [name for name in PARTS if self._is_function(name) and part(told, name) is not None]
        account = Account(user_id, group_id, self.known.home, self.known.groups)
        self._saved = Saved(account, username(spawner), by_functions)
        self._settled = True

    def _tell(self, user_id: int, group_id: int) -> None:
        log, name = self._spawner.log, username(self._spawner)
        before = self._of_before(UNKNOWN_ID, PARTS).user_id
        # A class with a `start` of its own may set another one there.
        is_late = is_overridden(self._spawner, "start") and not within_a_start(self._spawner._managed)
        if self._is_told or is_late:
            return
        self._is_told = True
        if before not in {UNKNOWN_ID, user_id}:
            told = "The uid of %s is %d now, and was %d: the user's files may still belong to that one"
            log.warning(told, name, user_id, before)
        if self._uses_what_was_saved() or self._lacks_groups() or (self.silence and self._lacks()):
            why = self.silence or "Not all of the account is told now."
            if not self.silence and self._tries and self._entry.user_id < 0:
                why = f"`getent passwd {name}` gives nobody."
            log.warning("%s: %s What is known of the user from an earlier spawn is used", name, why)
        if group_id < 0:
            log.warning("%s: nobody knows the gid, so the image decides it: see `group_id`", name)

    async def _called(self, name: str, function: Any) -> Any:
        """Call a function; where it fails, go on with what it gave at an earlier spawn."""
        self._failed.pop(name, None)
        try:
            with site_code.of_option(name):
                value = await _in_time(name, self._spawner._eval_if_callable(function))
        except errors.SiteCodeFailed as exc:
            self._failed[name] = exc
            if part(self._of_before(UNKNOWN_ID, self._earlier.by_functions), name) is not None:
                self._spawner.log.warning("%s An earlier spawn's value is used", exc, exc_info=exc.__cause__)
            return None
        return _checked(name, value)

    async def _ask_the_system(self) -> None:
        service, name = name_service.of_this_loop(), username(self._spawner)
        if (self._lacks() or self._lacks_groups()) and self._entry.user_id < 0 and self._tries < TRIES:
            self._tries += 1
            self._entry = await service.account(name, fresh=self._is_unknown)
            self._is_unknown = self._entry.user_id < 0
        # Of the groups of whom it does not know, `getent` says that there are none.
        if self._lacks_groups() and self._entry.user_id >= 0:
            self._system_groups = await service.groups(name)

    def _is_function(self, name: str) -> bool:
        return callable(self._spawner._trait_values.get(name))

    def _found(self) -> Account:
        return self.told.or_else(self._entry)

    def _of_before(self, user_id: int, names: Collection[str]) -> Account:
        """Return parts of what was saved, if that is of this user and of the uid that is in use."""
        serves = self._earlier.serves(username(self._spawner), user_id)
        return only(self._earlier.account, names) if serves else Account()

    def _wants_home(self) -> bool:
        return not self._spawner.host_homedir_format_string

    def _is_complete(self, found: Account) -> bool:
        return found.user_id >= 0 and found.group_id >= 0 and bool(found.home or not self._wants_home())

    def _lacks(self) -> bool:
        return not self._is_complete(self._found())

    def _uses_what_was_saved(self) -> bool:
        found, known = self._found(), self.known
        names = [name for name in PARTS if name != "host_home" or self._wants_home()]
        return any(part(found, name) != part(known, name) for name in names)

    def _lacks_groups(self) -> bool:
        return self.option("supplementary_groups") is True and self._system_groups is None

    def _by_options(self) -> Account:
        return Account(
            user_id=id_of(self.option("user_id")),
            group_id=id_of(self.option("group_id")),
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

    def _root(self) -> errors.SpawnRefused:
        name = username(self._spawner)
        return errors.SpawnRefused(
            f"The user {name} cannot have a server.",
            advice=f"To the system, {name} is root. Only `user_id`, or a hook, may say that a server runs as "
            "root; `Authenticator.blocked_users` keeps the system's own accounts out.",
        )

    def _nobody(self) -> errors.SpawnRefused:
        name = username(self._spawner)
        told = f"The system does not know the user {name}."
        why = f"`getent passwd {name}` gives none, where the Hub runs."
        if self.silence:
            told, why = f"The system could not be asked about the user {name}.", self.silence
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


async def _in_time(option: str, value: Any) -> Any:
    """Await what a function gave, if it can be awaited. Raises SiteCodeFailed where that takes too long."""
    try:
        async with asyncio.timeout(FUNCTION_TIMEOUT) as limit:
            return await resolved(value)
    except TimeoutError as exc:
        if not limit.expired():
            raise
        raise errors.SiteCodeFailed(
            f"`{option}`: the configured function was not done within {FUNCTION_TIMEOUT:g} s."
        ) from exc


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
