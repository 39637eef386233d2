"""What is kept of a server: in the Hub's database, and over the life of a spawner."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from jupyterhub.utils import maybe_future
from traitlets import Unicode

from asyncdockerspawner import errors, lifecycle
from asyncdockerspawner.hub import errors as hub_errors
from asyncdockerspawner.hub import records
from asyncdockerspawner.hub.spawn_log import SpawnLog
from asyncdockerspawner.names import volume_owners
from asyncdockerspawner.spawners.overrides import Seams

_KEPT = (
    "owed",
    "owed_now",
    "failed_id",
    "kept_ids",
    "last_end",
    "volume_names",
    "own_volumes",
    "former_names",
    "mounted",
)
"""Attributes that outlive a spawn in the saved state, under their own names."""


class ObjectName(Unicode[str, str]):
    """A name that knows whether it was set: a hook's or a subclass's counts more than the template's."""

    def set(self, obj: Any, value: Any) -> None:
        """Set it, also to what it is already."""
        super().set(obj, value)
        obj.name_is_given = True


class ObjectId(Unicode[str, str | None]):
    """An object's id; None, which DockerSpawner's takes, is that there is none."""

    def validate(self, obj: Any, value: Any) -> str:
        """Give the text."""
        return "" if value is None else str(super().validate(obj, value))


class ServerState(Seams):
    """The saved state: DockerSpawner's keys, and what tells one spawn from others."""

    orm_spawner: Any
    hub_side: Any
    _log_name: str

    object_id = ObjectId()
    object_name = ObjectName()
    name_is_given = False
    """Somebody else than this package has set `object_name`."""
    spawn: lifecycle.Spawn | None = None
    start_call: lifecycle.StartCall | None = None
    removal: bool | None = None
    """What `remove` was when the object was made."""
    owed = False
    """A stop was asked for and could not be done yet."""
    owed_now = False
    """It was to be without grace."""
    failed_id = ""
    """A container of a failed start that is kept."""
    kept_ids: Sequence[str] = ()
    """Other containers of this server that are kept, such as one for each image."""
    last_end = ""
    """Why the last server ended, where it did so by itself."""
    former_names: Sequence[str] = ()
    mounted: Sequence[str] = ()

    def __init__(self, **kwargs: Any) -> None:
        self.volume_names: dict[str, str] = {}
        self.own_volumes: dict[str, str] = {}
        self._spawn_log = SpawnLog()
        super().__init__(**kwargs)
        if isinstance(self.log, logging.Logger):
            # What all spawners share has no log of the Hub's; the Hub does the same for tornado.
            logging.getLogger("asyncdockerspawner").parent = self.log

    def _object_name_default(self) -> str:
        try:
            return self.render_object_name()
        except Exception:  # noqa: BLE001 - a template's, or a site's own code's
            # Pages and polls read the name too; the spawn itself is where it is reported.
            return ""

    @property
    def removes(self) -> bool:
        """Whether the container goes with its server: what `remove` was when it was made."""
        return bool(self.remove if self.removal is None else self.removal)

    def name_object(self) -> None:
        """Name a new object: as a hook or a subclass has said, else by the default. Raises BadTemplate."""
        if not self.name_is_given:
            self._take_name(self.default_object_name())

    def default_object_name(self) -> str:
        """Give the name by a subclass's own default, else by `name_template`. Raises BadTemplate."""
        return str(self.trait_defaults("object_name") or self.render_object_name())

    def means(self, name: str, image: str) -> bool:
        """Tell whether a kept object of this name, made from this image, is the one to start.

        Its id is, unless names part several objects of one server, by hook, subclass or `{imagename}`.
        """
        if self.name_is_given:
            return name == self.object_name
        by_template = type(self)._object_name_default is ServerState._object_name_default
        if image == self.image or (by_template and "imagename" not in self.name_template):
            return True
        return name == self.default_object_name()

    def _take_name(self, name: str) -> None:
        self.object_name = name
        self.name_is_given = False

    async def rename(self, old_name: str, new_name: str) -> None:
        """Take another name (JupyterHub 6): volumes stay the same, a kept container is made anew."""
        with hub_errors.for_the_hub(self.log, self._log_name):
            await maybe_future(super().rename(old_name, new_name))  # type: ignore[misc]
            if self.object_id and not self.removes and self.on_drift == "reuse":
                raise errors.RenameRefused(
                    "The server cannot have another name: its container was made for the present one.",
                    advice="`on_drift` is 'reuse': choose 'warn' or 'recreate', or remove the container.",
                )
            try:
                await self.resolve_spawn_values("volumes", "read_only_volumes", "mounts")
                self.volume_names |= self._names_to_keep(new_name)
            except errors.AsyncDockerSpawnerError as exc:
                raise errors.RenameRefused(
                    "The server cannot have another name: which volumes it has cannot be told.",
                    advice=str(exc),
                ) from exc
            finally:
                self.forget_spawn_values()
            self.former_names = [*self.former_names, old_name]
        self.keep_state(commit=True)

    def _names_to_keep(self, new_name: str) -> dict[str, str]:
        """Give, by template, the names that would become others with the server's."""
        then = volume_owners.StandIn(self, servername=new_name)

        def stays(template: str, name: str) -> bool:
            try:
                return self._rendered_for(template, then) == name
            except Exception:  # noqa: BLE001
                # A site's function may expect a whole spawner.
                return False

        names = {each: self._format_volume_name(each) for each in self.source_templates("volume", "bind")}
        return {each: name for each, name in names.items() if not stays(each, name)}

    def get_state(self) -> dict[str, Any]:
        """DockerSpawner's keys, and what tells this spawn from others."""
        state: dict[str, Any] = super().get_state()  # type: ignore[misc]
        if self.object_id or self.owed or (self.spawn is not None and self.spawn.live):
            state["object_name"] = self.object_name
            if self.object_id:
                state["object_id"] = self.object_id
                if self.removal is not None:
                    state["remove"] = self.removal
            if self.spawn is not None:
                state["spawn_id"] = self.spawn.spawn_id
                state["phase"] = self.spawn.phase
        kept = {key: getattr(self, key) for key in _KEPT if getattr(self, key)}
        return {**state, **kept}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up what a former Hub process, or DockerSpawner, has saved."""
        super().load_state(state)  # type: ignore[misc]
        self.object_id = state.get("object_id") or state.get("container_id") or ""
        self.removal = state.get("remove")
        if state.get("object_name"):
            self._take_name(state["object_name"])
        if state.get("spawn_id"):
            phase = state.get("phase", lifecycle.RUNNING)
            self.spawn = lifecycle.Spawn(
                state["spawn_id"], phase=phase, create_lost=phase == lifecycle.STARTING
            )
        for key in _KEPT:
            setattr(self, key, state.get(key) or getattr(type(self), key, {}))

    def clear_state(self) -> None:
        """Forget the spawn; a kept container is remembered by its id and name."""
        super().clear_state()  # type: ignore[misc]
        lifecycle.leave(self)  # type: ignore[arg-type]
        self.forget_spawn_values()
        if self.spawn is not None:
            self.spawn.leave_gate()
        self.spawn = None
        self.shared_port = None
        self._address = None

    def keep_state(self, *, commit: bool = False) -> None:
        """Put the state where the Hub's next commit writes it to the database; or commit it now.

        It is that of whom the row belongs to: a wrapper's has ours in it.
        """
        if self.orm_spawner is None:
            return
        self.orm_spawner.state = self.hub_side.get_state()
        if commit:
            records.commit(self.orm_spawner)

    def settle_debt(self) -> None:
        """Take down, in the database too, that an owed stop is done."""
        self.owed = self.owed_now = False
        # Only that: the row may have a later spawner's state by now.
        records.strike_off(self.orm_spawner)

    def note_end(self, text: str) -> None:
        """Remember why the server ended, for its user to see."""
        self.last_end = text

    _address: tuple[str, int] | None = None
