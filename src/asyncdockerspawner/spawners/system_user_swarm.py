"""SystemUserSwarmSpawner: servers of the system's users, on any node of a swarm."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from asyncdockerspawner import docker_py, errors, lifecycle
from asyncdockerspawner.spawners.swarm import SwarmSpawner
from asyncdockerspawner.spawners.system_user import SystemUserSpawner


class SystemUserSwarmSpawner(SystemUserSpawner, SwarmSpawner):
    """Starts each server as a service that runs as the system's user, in a home that all nodes have."""

    def _policy(self) -> lifecycle.Policy:
        return replace(super()._policy(), is_on_all_nodes=self._is_home)

    async def _learn(self) -> None:
        await super()._learn()
        if self.passwd_entry and not self.run_as_root:
            raise errors.BadOption(
                "`passwd_entry` is set, but nobody can look into an image on another node: have `configs` "
                "give an /etc/passwd of the site's own, as the README has it."
            )

    @docker_py.raises_docker_pys
    async def start_object(self) -> None:
        """Wait until the swarm runs the service's task. Raises SpawnRefused where its node has no home."""
        try:
            await super().start_object()
        except errors.ServerDied as exc:
            if (refused := self._home_is_missing(str(exc))) is None:
                raise
            raise refused from exc

    def _is_home(self, path: str) -> bool:
        home = ""
        with suppress(errors.AsyncDockerSpawnerError):
            home = self.host_homedir
        # After a restart of the Hub, what is saved may be all that is known.
        return path == (home if home.startswith("/") else self._account.known.home)
