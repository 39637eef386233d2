"""What is kept of a server in the Hub's database: DockerSpawner's keys, and ours beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from asyncdockerspawner.lifecycle.spawn import Spawn

_OF_THE_OBJECT = ("object_id", "object_name", "removal", "sandbox")
"""Fields that are written while there is an object, under keys of their own."""


@dataclass(slots=True)
class Record:
    """What outlives a spawn, and the Hub. Every field that is set is saved under its own name."""

    object_id: str = ""
    object_name: str = ""
    removal: bool | None = None
    """What `remove` was when the object was made."""
    sandbox: str = ""
    """Id of the sandbox that the object is in: whatever becomes of that, nobody else is to be in it."""
    owed: bool = False
    """A stop was asked for and could not be done yet."""
    owed_now: bool = False
    """It was to be without grace."""
    failed_id: str = ""
    """A container of a failed start that is kept."""
    kept_ids: Sequence[str] = ()
    """Other containers of this server that are kept, such as one for each image."""
    last_end: str = ""
    """Why the last server ended, where it did so by itself: for its user to see."""
    volume_names: dict[str, str] = field(default_factory=dict)
    """Template → name, of a server that was renamed: its data stays where it is."""
    own_volumes: dict[str, str] = field(default_factory=dict)
    """Volume name → whose alone it is: `user`, `server`, or empty where that was not asked."""
    volume_nodes: dict[str, str] = field(default_factory=dict)
    """Volume name → id of the swarm's node that it is on, of those that are on one alone."""
    former_names: Sequence[str] = ()
    """What the server was called before."""
    mounted: Sequence[str] = ()
    """Volumes and host paths that the server had when it was started last."""

    def state(self, spawn: Spawn | None) -> dict[str, Any]:
        """Return what is to be saved, with what tells this spawn from others."""
        state: dict[str, Any] = {}
        if self.object_id or self.owed or (spawn is not None and spawn.live):
            state["object_name"] = self.object_name
            if self.object_id:
                state["object_id"] = self.object_id
                if self.removal is not None:
                    state["remove"] = self.removal
            if self.sandbox:
                state["sandbox"] = self.sandbox
            if spawn is not None:
                state |= {"spawn_id": spawn.spawn_id, "phase": spawn.phase}
        return state | {name: value for name in _LASTING if (value := getattr(self, name))}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Record:
        """Read what a former Hub process, or DockerSpawner, has saved."""
        return cls(
            # DockerSpawner of old has kept the id elsewhere.
            object_id=state.get("object_id") or state.get("container_id") or "",
            object_name=state.get("object_name") or "",
            removal=state.get("remove"),
            sandbox=state.get("sandbox") or "",
            **{name: state[name] for name in _LASTING if state.get(name)},
        )


_LASTING = tuple(each.name for each in fields(Record) if each.name not in _OF_THE_OBJECT)
