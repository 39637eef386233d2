"""Secrets and configs that are made for one service, and go with it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from asyncdockerspawner import errors
from asyncdockerspawner.client import swarm_files
from asyncdockerspawner.client.client import Client
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.launch import SwarmFile


@dataclass(frozen=True, slots=True, kw_only=True)
class FileWanted:
    """A file that a server is to find."""

    target: str
    """A name below `/run/secrets` (of a config: below `/`), or an absolute path, inside the container."""
    data: bytes = field(repr=False)
    uid: int = 0
    gid: int = 0
    mode: int = 0o444


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesWanted:
    """All of them; a secret is never on a node's disk."""

    secrets: Sequence[FileWanted] = ()
    configs: Sequence[FileWanted] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesMade:
    """The same, as the swarm has them."""

    secrets: Sequence[SwarmFile] = ()
    configs: Sequence[SwarmFile] = ()


class FilesOfASpawn:
    """The secrets and configs of one creation. None is ever changed, so each has its own."""

    def __init__(self, client: Client, owner: labels.Owner) -> None:
        self._client = client
        self._labels = labels.ownership_labels_of(owner)
        self._named: list[tuple[swarm_files.SwarmFiles, str]] = []
        self.answer_lost = False
        """The swarm may make one of them late."""

    async def make(self, wanted: FilesWanted) -> FilesMade:
        """Make them. Raises EngineError; what was made by then, or may have been, is remembered."""
        return FilesMade(
            secrets=[await self._make(self._client.secrets, each) for each in wanted.secrets],
            configs=[await self._make(self._client.configs, each) for each in wanted.configs],
        )

    async def discard(self) -> None:
        """Remove what was made, but for what a service uses: that goes with it."""
        for verbs, name in self._named:
            await _remove(verbs, name)

    async def _make(self, verbs: swarm_files.SwarmFiles, wanted: FileWanted) -> SwarmFile:
        name = f"{labels.PREFIX}{uuid.uuid4().hex}"
        # Before its answer, which may be lost.
        self._named.append((verbs, name))
        try:
            made = await verbs.create(name, wanted.data, self._labels)
        except (errors.EngineLost, errors.EngineTimeout):
            self.answer_lost = True
            raise
        return SwarmFile(
            id=made, name=name, target=wanted.target, uid=wanted.uid, gid=wanted.gid, mode=wanted.mode
        )


def _none() -> Collection[str]:
    return ()


async def remove_labelled(
    client: Client, wanted: Mapping[str, str], *, but: Callable[[], Collection[str]] = _none
) -> None:
    """Remove the secrets and configs with these labels, but for those of some spawns, and those in use.

    The spawns are asked for once the list is there: one that has begun meanwhile may be in it.
    """
    for verbs in (client.secrets, client.configs):
        try:
            listed = await verbs.list(wanted)
        except errors.Forbidden:
            # A filter before the Engine that lets nobody list them has let nobody make them.
            continue
        spared = but()
        for each in listed:
            spawn_id = ((each.get("Spec") or {}).get("Labels") or {}).get(labels.SPAWN)
            if spawn_id not in spared:
                await _remove(verbs, str(each["ID"]))


async def remove_left(client: Client, spawn_ids: set[str]) -> None:
    """Remove the secrets and configs of spawns whose removal was cut off; what is done is taken out."""
    for spawn_id in list(spawn_ids):
        # Where that is refused, it is not tried for ever.
        with suppress(errors.EngineRefused):
            await remove_labelled(client, {labels.SPAWN: spawn_id})
        spawn_ids.discard(spawn_id)


async def _remove(verbs: swarm_files.SwarmFiles, ref: str) -> None:
    try:
        await verbs.remove(ref)
    except errors.InvalidConfig:
        # A service uses it: whoever removes that removes it.
        return
