"""SystemUserSpawner: servers that run as the system's users, in their homes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from asyncdockerspawner import docker_py, errors, lifecycle
from asyncdockerspawner.accounts import homes
from asyncdockerspawner.accounts.entries import Account, line_of
from asyncdockerspawner.client.system import IdMapping
from asyncdockerspawner.hub.base import username
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.keywords.host import host_config
from asyncdockerspawner.lifecycle import resolved
from asyncdockerspawner.spawners.account import UserAccount
from asyncdockerspawner.spawners.docker import DockerSpawner
from asyncdockerspawner.spawners.options.system_user import SystemUserTraits
from asyncdockerspawner.spawners.site_values import dictionary
from asyncdockerspawner.workloads.furnishing import Furnishing
from asyncdockerspawner.workloads.launch import RunsAs

_OTHER_IDS = "ids inside containers are others on its machine, and servers cannot use their users' homes:"
_MAPPED = {
    IdMapping.REMAPPED: f"The Engine has userns-remap, so {_OTHER_IDS} "
    'set `extra_host_config = {"userns_mode": "host"}`.',
    IdMapping.ROOTLESS: f"The Engine is rootless, so {_OTHER_IDS} these need one that runs as root.",
}
_UMASK = re.compile(r"0?[0-7]{1,3}")


class SystemUserSpawner(SystemUserTraits, DockerSpawner):
    """Starts each server in a container of its own that runs as the system's user, in the user's home."""

    def __init__(self, **kwargs: Any) -> None:
        self._account = UserAccount(self)
        super().__init__(**kwargs)

    @property
    def host_homedir(self) -> str:
        """The user's home on the machine that the servers run on. Raises where that is not known, or none."""
        if self.host_home:
            return homes.checked(self.host_home, "`host_home`")
        if template := self.host_homedir_format_string:
            return homes.home_by(template, username(self), "host_homedir_format_string")
        if home := self._account.known.home:
            return homes.checked(home, "the system's name service")
        raise errors.SpawnRefused(
            "The home of the user is not known.",
            advice="`host_homedir_format_string` is empty, so the system's name service has to tell it; or "
            f"set `host_home`. {self._account.silence}".rstrip(),
        )

    @property
    def homedir(self) -> str:
        """The user's home inside the container. Raises where the user's name would lead out of the homes."""
        option = "image_homedir_format_string"
        return homes.checked(homes.home_by(self.image_homedir_format_string, username(self), option), option)

    @property
    def volume_mount_points(self) -> list[str]:
        """Paths in the container where volumes are mounted; the home is the last."""
        return [*super().volume_mount_points, self.homedir]

    @property
    def volume_binds(self) -> dict[str, dict[str, Any]]:
        """Volume name or host path → {"bind", "mode" or "ro", …}, rendered; with the home."""
        binds = super().volume_binds
        binds[self.host_homedir] = home = {"bind": self.homedir, "ro": False}
        if self.homedir_bind_propagation:
            home["propagation"] = self.homedir_bind_propagation
        return binds

    def get_env(self) -> dict[str, Any]:
        """Return the server's environment: with what the images of docker-stacks are told of the user."""
        env = super().get_env()
        name = username(self)
        # USER and USER_ID are the former names.
        env |= {"USER": name, "NB_USER": name, "USER_ID": self.user_id, "NB_UID": self.user_id}
        env["HOME"] = self.homedir
        if self.group_id >= 0:
            env["NB_GID"] = self.group_id
        if self.umask:
            env["NB_UMASK"] = self.umask
        return env

    def _user_id_default(self) -> int:
        """Return the user's uid where none is set: the one that is known now, without asking; else -1."""
        return self._account.known.user_id

    def _group_id_default(self) -> int:
        """Return the gid of the user's primary group, alike."""
        return self._account.known.group_id

    def _host_home_default(self) -> str:
        return self._account.told.home

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up what a former Hub process, or DockerSpawner, has saved."""
        super().load_state(state)
        self._account.load(state)

    def get_state(self) -> dict[str, Any]:
        """What is saved of a server, and of its user's account."""
        return super().get_state() | self._account.state()

    def clear_state(self) -> None:
        """Forget the spawn; what is known of the account is there for the next one."""
        super().clear_state()
        self._account.forget()

    def _policy(self) -> lifecycle.Policy:
        return replace(super()._policy(), is_of_an_account=True)

    async def run_auth_state_hook(self, auth_state: Any) -> None:
        """Find what the name service says of the user, then run the site's hook; a form is made after it."""
        await self._account.look_up()
        await super().run_auth_state_hook(auth_state)

    async def _before_hook(self) -> None:
        await super()._before_hook()
        await self._account.ask()

    async def _learn(self) -> None:
        await super()._learn()
        await self._account.settle()
        if self.umask:
            self._check_umask()
        # A name or home that is refused is so before the image is fetched.
        self._runs_as()

    def _check_umask(self) -> None:
        if not _UMASK.fullmatch(self.umask):
            raise errors.BadOption(f"`umask` is {self.umask!r}, but it must be octal digits, such as '027'.")
        if not self.run_as_root:
            raise errors.BadOption(
                "`umask` is set, but only images that begin as root heed it: set `run_as_root`, or have the "
                "image's command call `umask`."
            )

    def _runs_as(self) -> RunsAs:
        ids = [self.user_id] if self.group_id < 0 else [self.user_id, self.group_id]
        return RunsAs(
            user="0" if self.run_as_root else ":".join(map(str, ids)),
            groups=self._account.known.groups or (),
            working_dir=self.homedir,
            # One that the Engine makes is root's: as root, the image may give it away.
            home="" if self.run_as_root else self.host_homedir,
        )

    async def _furnishing(self) -> Furnishing:
        furnishing = await super()._furnishing()
        if not self.passwd_entry or self.run_as_root:
            return furnishing
        account = Account(self.user_id, self.group_id)
        line = line_of(username(self), account, self.homedir)
        if line is None:
            self.log.warning("`passwd_entry`: %r cannot be a user's name in /etc/passwd", username(self))
        return replace(furnishing, passwd_entry=line or "")

    @docker_py.raises_docker_pys
    async def create_object(self) -> JsonObject:
        """Create the object from the values that stand now. Raises SpawnRefused where there is no home."""
        try:
            made = await super().create_object()
        except errors.InvalidConfig as exc:
            if (refused := self._home_is_missing(exc.message)) is None:
                raise
            raise refused from exc
        await self._tell_of_mapped_ids()
        return made

    def _home_is_missing(self, told: str) -> errors.SpawnRefused | None:
        """Return what the user is told where an Engine says that the home does not exist."""
        home = self.host_homedir
        # Not a folder in it: whoever has mounted that beside it is told of that.
        if not re.search(rf"bind source path does not exist: {re.escape(home)}(?![^\s)])", told):
            return None
        return errors.SpawnRefused(
            f"The home {home} does not exist on the machine that the server was to run on.",
            advice="Make it there, as the user's own (mkhomedir_helper, pam_mkhomedir, a hook where the "
            "Hub sees the homes), or have `host_homedir_format_string` or `host_home` say where it is.",
        )

    async def _tell_of_mapped_ids(self) -> None:
        # A swarm's manager says nothing of its nodes.
        if self.object_type != "container" or not (mapping := await self.engine.id_mapping()):
            return
        told, host = _MAPPED[mapping], host_config(await dictionary(self, "extra_host_config"))
        cured = mapping is IdMapping.REMAPPED and host.get("UsernsMode") == "host"
        if not cured and told not in self.engine.told:
            self.engine.told.add(told)
            self.log.warning(told)

    async def start(
        self,
        *,
        image: str | None = None,
        extra_create_kwargs: Mapping[str, Any] | None = None,
        extra_host_config: Mapping[str, Any] | None = None,
    ) -> tuple[str, int]:
        """Start the server and return its address; what is given here should be set as options."""
        if image:
            self.log.warning("Specifying image via .start args is deprecated")
            self.image = image
        if extra_create_kwargs:
            self.log.warning("Specifying extra_create_kwargs via .start args is deprecated")
            self.extra_create_kwargs = _with(self.extra_create_kwargs, extra_create_kwargs)
        if extra_host_config:
            self.log.warning("Specifying extra_host_config via .start kwargs is deprecated")
            self.extra_host_config = _with(self.extra_host_config, extra_host_config)
        return await super().start()


def _with(configured: Any, more: Mapping[str, Any]) -> Any:
    """Return an option with more in it: a dictionary, or the function that it is."""
    if not callable(configured):
        return {**configured, **more}

    async def both(spawner: Any) -> dict[str, Any]:
        return {**await resolved(configured(spawner)), **more}

    return both
