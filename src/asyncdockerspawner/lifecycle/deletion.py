"""A server's end for good: its object, and its volumes where that is asked for.

The Hub asks once, forgets the server's row whatever comes of it, and does so for each server of a user who is
deleted, the default server before most others. What cannot be done now is the janitor's, for as long as this
process lives; the next one names what was left in its log (`reconcile`), and removes nothing: a row that is
missing proves no deletion.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asyncdockerspawner import errors
from asyncdockerspawner.client.volumes import Volumes
from asyncdockerspawner.engine.janitor import Janitor
from asyncdockerspawner.engine.recent import Recent
from asyncdockerspawner.lifecycle import ownership
from asyncdockerspawner.lifecycle.cleanup import SWEEP_SECONDS
from asyncdockerspawner.lifecycle.host import Host, volumes_of
from asyncdockerspawner.names import labels, volume_owners
from asyncdockerspawner.workloads.protocol import Workload

GONE_PAUSES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0)
"""Seconds between looks whether the Hub has deleted a user, once it has deleted the default server."""


async def delete_forever(host: Host) -> None:
    """Remove what is left of a server that the Hub forgets, and with it its volumes, if that is asked for."""
    janitor, owner, name = host.engine.janitor, host.owner, host.object_name
    goal = ("delete", owner.username, owner.servername)
    # What both need is taken now: they may be done when the Hub has no row any more.
    server = _Server.of(host)
    doomed = _doomed(host) if host.delete_volumes_on_user_delete else None
    done = await janitor.attempt(
        name, server.remove, what=f"remove {name} of a deleted server", goal=goal, timeout=SWEEP_SECONDS
    )
    if done:
        host.object_id = ""
    if doomed is None:
        return

    async def work() -> None:
        # A container that is still there has its volumes.
        await janitor.settled(name)
        await doomed.remove()

    await janitor.attempt(
        volumes_of(owner),
        work,
        what=f"remove volumes of the deleted server {owner.username}/{owner.servername}",
        goal=goal,
        timeout=SWEEP_SECONDS if done else 0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Server:
    """A server as it was when the Hub began to forget it."""

    object_id: str
    object_name: str
    owner: labels.Owner
    identity: Mapping[str, str]
    object_claims: Callable[[str], Sequence[str]]
    get_object: Callable[[], Any]
    workload: Workload
    log: logging.Logger | logging.LoggerAdapter[Any]

    @classmethod
    def of(cls, host: Host) -> _Server:
        return cls(
            object_id=host.object_id,
            object_name=host.object_name,
            owner=host.owner,
            identity=dict(host.identity),
            object_claims=host.object_claims,
            get_object=host.get_object,
            workload=host.workload,
            log=host.log,
        )

    async def remove(self) -> None:
        """Remove the object, if it is this server's."""
        try:
            document = await ownership.own_object(self)
        except errors.NotOurs as exc:
            self.log.warning("%s stays: %s", self.object_name, exc)
            return
        if document is not None:
            await self.workload.remove(str(document["Id"]), force=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Doomed:
    """The volumes that go with a server, or with a user."""

    owner: labels.Owner
    sisters: frozenset[str]
    """The user's other servers, whose own volumes go when they do."""
    named: Sequence[str]
    """Volumes that this server is known to have used, should they carry no label: DockerSpawner's do not."""
    user_exists: Callable[[], bool]
    claims: Callable[[str, str | None], Sequence[str]]
    verbs: Volumes
    janitor: Janitor
    known: Recent
    log: logging.Logger | logging.LoggerAdapter[Any]

    async def remove(self) -> None:
        """Remove all of them that are not in use and nobody else's."""
        owner = self.owner
        wanted = {labels.HUB: owner.hub_id, labels.USER: owner.username}
        if owner.servername:
            wanted[labels.SERVER] = owner.servername
        listed = await self.verbs.list(wanted)
        found = {str(each["Name"]): each for each in listed if _of(each, labels.SERVER) not in self.sisters}
        for name in set(self.named) - set(found):
            if (document := await self.verbs.inspect(name)) is not None:
                found[name] = document
        held: list[str] = []
        for name, document in sorted(found.items()):
            if whose := self._whose(name, document):
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
            if not self.user_exists():
                break
        else:
            return

        async def work() -> None:
            # Behind that of the other servers, which waits until their containers are gone.
            for name in held:
                await self._is_removed(name)

        what = f"remove volumes of the deleted user {self.owner.username}"
        self.janitor.submit(volumes_of(self.owner), work, what=what)

    async def _is_removed(self, name: str) -> bool:
        try:
            await self.verbs.remove(name)
        except errors.EngineRefused as exc:
            self.log.warning("The volume %s of a deleted user or server stays for now: %s", name, exc.message)
            return False
        self.known.discard(name)
        self.log.info("Removed the volume %s", name)
        return True

    def _whose(self, name: str, document: Mapping[str, Any]) -> str:
        """Say who else has the volume; nothing where it is this user's alone."""
        hub, user = (_of(document, label) for label in (labels.HUB, labels.USER))
        if hub not in {None, self.owner.hub_id}:
            return f"the Hub {hub}'s"
        if user not in {None, self.owner.username}:
            return f"user {user!r}'s"
        return ", ".join(self.claims(name, self.owner.servername or None))


def _of(document: Mapping[str, Any], label: str) -> str | None:
    return (document.get("Labels") or {}).get(label)


def _doomed(host: Host) -> _Doomed:
    return _Doomed(
        owner=host.owner,
        sisters=frozenset() if host.owner.servername else frozenset(host.sister_states),
        named=_named(host),
        user_exists=host.user_exists,
        janitor=host.engine.janitor,
        claims=host.volume_claims,
        verbs=host.engine.client.volumes,
        known=host.engine.volumes,
        log=host.log,
    )


def _named(host: Host) -> list[str]:
    """Give the volumes that saved states name, as far as they still are this user's, or server's, alone."""
    try:
        personal = host.personal_volumes()
    except Exception as exc:  # noqa: BLE001 - whatever a site's own code raises
        host.log.warning("Volumes of %s that carry no label stay: %s", host.object_name, exc)
        return []

    def scoped(noted: Mapping[str, str]) -> dict[str, str]:
        # While no volume is to be deleted, it is not asked whose they are.
        found = {name: scope or personal.get(name, "") for name, scope in noted.items()}
        return {name: scope for name, scope in found.items() if scope}

    mine = scoped(host.own_volumes)
    if host.owner.servername:
        mine = {name: scope for name, scope in mine.items() if scope == volume_owners.SERVER}
    else:
        for state in host.sister_states.values():
            known = scoped(state.get("own_volumes") or {})
            mine |= {name: scope for name, scope in known.items() if scope == volume_owners.USER}
    for name in (stay := [name for name in mine if personal.get(name) != mine[name]]):
        host.log.warning(
            "The volume %s, which the deleted %s has used, stays unless its label says that it is theirs: by "
            "today's configuration it may be another's",
            name,
            host.object_name,
        )
    return [name for name in mine if name not in stay]
