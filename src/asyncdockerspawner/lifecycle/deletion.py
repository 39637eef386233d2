"""A server's end for good: its object, and its volumes where that is asked for.

The Hub asks once, forgets the server's row whatever comes of it, and does so for each server of a user who is
deleted, the default server before most others. What cannot be done now is the janitor's, for as long as this
process lives; the next one names what was left in its log (`reconcile`), and removes nothing: a row that is
missing proves no deletion.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from asyncdockerspawner import errors
from asyncdockerspawner.client.volumes import Volume
from asyncdockerspawner.engine.janitor import Janitor
from asyncdockerspawner.lifecycle import ownership, placement
from asyncdockerspawner.lifecycle.cleanup import SWEEP_SECONDS
from asyncdockerspawner.lifecycle.protocols import Log, Rows
from asyncdockerspawner.lifecycle.server import Server, volumes_of
from asyncdockerspawner.lifecycle.wanted import End, Wanted, want_within
from asyncdockerspawner.names import labels, volume_owners
from asyncdockerspawner.workloads.protocol import VolumeVerbs

GONE_PAUSES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0)
"""Seconds between looks whether the Hub has deleted a user, once it has deleted the default server."""


Scopes = Callable[[], Mapping[str, str]]
"""Returns volume name → whose alone it is, `user` or `server`, by today's configuration."""


async def delete_forever(server: Server, scopes: Scopes) -> None:
    """Remove what is left of a server that the Hub forgets, and with it its volumes, if that is asked for."""
    janitor, owner, name = server.engine.janitor, server.owner, server.object_name
    if owner.servername:
        server.hub.rows().leave_nodes(_nodes_of_what_stays(server))
    goal = ("delete", owner.username, owner.servername)
    # What both need is taken now: they may be done when the Hub has no row any more.
    wanted = _wanted(server)
    doomed = _doomed(server, scopes) if server.policy.delete_volumes_on_user_delete else None
    done = await want_within(janitor, server.workload, wanted, SWEEP_SECONDS)
    if done:
        server.record.object_id = ""
    if doomed is None:
        return

    async def work() -> None:
        # A container that is still there has its volumes.
        await janitor.settled(name)
        await doomed.remove()

    await janitor.attempt(
        volumes_of(owner.username),
        work,
        what=f"remove volumes of the deleted server {owner.username}/{owner.servername}",
        goal=goal,
        timeout=SWEEP_SECONDS if done else 0,
    )


def _nodes_of_what_stays(server: Server) -> dict[str, str]:
    """Return the nodes of the volumes that do not go with this server: others of its user may have them."""
    own, nodes = server.record.own_volumes, server.record.volume_nodes
    return {name: node for name, node in nodes.items() if own.get(name) != volume_owners.Scope.SERVER}


def _wanted(server: Server) -> Wanted:
    """Return what is wanted of a server's object, as it was when the Hub began to forget it."""
    identity, find, log = server.identity, server.overrides.find, server.log

    async def found() -> str:
        try:
            observed = ownership.checked(identity, await find())
        except errors.NotOurs as exc:
            log.warning("%s stays: %s", identity.object_name, exc)
            return ""
        return "" if observed is None else observed.id

    return Wanted(
        name=identity.object_name,
        owner=identity.owner,
        object_id=identity.object_id,
        end=End.REMOVED,
        why="of a deleted server",
        find=found,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Doomed:
    """The volumes that go with a server, or with a user."""

    owner: labels.Owner
    sisters: frozenset[str]
    """The user's other servers, whose own volumes go when they do."""
    named: Sequence[str]
    """Volumes that this server is known to have used, should they carry no label: DockerSpawner's do not."""
    rows: Rows
    verbs: VolumeVerbs
    janitor: Janitor
    forget: Callable[[str], None]
    log: Log

    async def remove(self) -> None:
        """Remove all of them that are not in use and nobody else's."""
        owner = self.owner
        wanted = {labels.HUB: owner.hub_id, labels.USER: owner.username}
        if owner.servername:
            wanted[labels.SERVER] = owner.servername
        listed = await self.verbs.list(wanted)
        found = {each.name: each for each in listed if each.labels.get(labels.SERVER) not in self.sisters}
        for name in set(self.named) - set(found):
            if (volume := await self.verbs.inspect(name)) is not None:
                found[name] = volume
        held: list[str] = []
        for name, volume in sorted(found.items()):
            if whose := self._whose(volume):
                self.log.warning("The volume %s stays: it is also %s", name, whose)
            elif not await self._is_removed(name):
                held.append(name)
        if held and not owner.servername:
            what = f"remove volumes of {owner.username} that other servers had"
            self.janitor.start(lambda: self._remove_with_the_user(held), what=what)

    async def _remove_with_the_user(self, held: Sequence[str]) -> None:
        """Remove what containers of the user's other servers had: the Hub deletes those next, then the user.

        It may not come to that, where one of them runs: then they are what the user goes on with.
        """
        for pause in GONE_PAUSES:
            await asyncio.sleep(pause)
            if not self.rows.user_exists():
                break
        else:
            return

        async def work() -> None:
            # Behind that of the other servers, which waits until their containers are gone.
            for name in held:
                await self._is_removed(name)

        what = f"remove volumes of the deleted user {self.owner.username}"
        self.janitor.submit(volumes_of(self.owner.username), work, what=what)

    async def _is_removed(self, name: str) -> bool:
        try:
            await self.verbs.remove(name)
        except errors.EngineRefused as exc:
            self.log.warning("The volume %s of a deleted user or server stays for now: %s", name, exc.message)
            return False
        self.forget(name)
        self.log.info("Removed the volume %s", name)
        return True

    def _whose(self, volume: Volume) -> str:
        """Return who else has the volume; nothing where it is this user's alone."""
        hub, user = (volume.labels.get(label) for label in (labels.HUB, labels.USER))
        if hub not in {None, self.owner.hub_id}:
            return f"the Hub {hub}'s"
        if user not in {None, self.owner.username}:
            return f"user {user!r}'s"
        return ", ".join(self.rows.with_volume(volume.name, self.owner.servername or None))


def _doomed(server: Server, scopes: Scopes) -> _Doomed:
    rows, service = server.hub.rows(), server.workload.service
    of_nodes = service.volumes(placement.volume_nodes(server)) if service is not None else None
    return _Doomed(
        owner=server.owner,
        sisters=frozenset() if server.owner.servername else frozenset(rows.sister_states()),
        named=_named(server, scopes),
        rows=rows,
        janitor=server.engine.janitor,
        verbs=of_nodes or server.engine.client.volumes,
        forget=server.engine.forget_volume,
        log=server.log,
    )


def _named(server: Server, scopes: Scopes) -> list[str]:
    """Return the volumes that saved states name, as far as they still are this user's, or server's, alone."""
    try:
        personal = scopes()
    except Exception as exc:  # noqa: BLE001 - whatever a site's own code raises
        server.log.warning("Volumes of %s that carry no label stay: %s", server.object_name, exc)
        return []

    def scoped(noted: Mapping[str, str]) -> dict[str, str]:
        # While no volume is to be deleted, it is not asked whose they are.
        found = {name: scope or personal.get(name, "") for name, scope in noted.items()}
        return {name: scope for name, scope in found.items() if scope}

    mine = scoped(server.record.own_volumes)
    if server.owner.servername:
        mine = {name: scope for name, scope in mine.items() if scope == volume_owners.Scope.SERVER}
    else:
        for state in server.hub.rows().sister_states().values():
            known = scoped(state.get("own_volumes") or {})
            mine |= {name: scope for name, scope in known.items() if scope == volume_owners.Scope.USER}
    for name in (stay := [name for name in mine if personal.get(name) != mine[name]]):
        server.log.warning(
            "The volume %s, which the deleted %s has used, stays unless its label says that it is theirs: by "
            "today's configuration it may be another's",
            name,
            server.object_name,
        )
    return [name for name in mine if name not in stay]
