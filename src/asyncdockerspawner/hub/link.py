"""What a server tells the Hub, and asks of it: log, database, proxy, and who waits for a spawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from asyncdockerspawner.hub import records
from asyncdockerspawner.hub.base import HubSpawner, hub_api_url, hub_side, server_prefix, username
from asyncdockerspawner.hub.spawn_log import SpawnLog
from asyncdockerspawner.lifecycle.protocols import Log


class HubLink:
    """The Hub behind one spawner: a `lifecycle.protocols.Link`."""

    def __init__(self, spawner: HubSpawner) -> None:
        self._spawner = spawner
        self.names = HubNames(spawner)
        self.spawn_log = SpawnLog()

    @property
    def log(self) -> Log:
        """The spawner's log."""
        return self._spawner.log

    @property
    def api_token(self) -> str:
        """The server's token."""
        return self._spawner.api_token

    @property
    def is_ready(self) -> bool:
        """Whether the Hub takes the server for running."""
        return hub_side(self._spawner).ready

    @property
    def is_wrapped(self) -> bool:
        """Whether the Hub has another spawner for this server."""
        return hub_side(self._spawner) is not self._spawner

    def report(
        self, message: str, *, html: str | None = None, progress: int | None = None, topic: str = ""
    ) -> None:
        """Show a line to the user who waits."""
        self.spawn_log.say(message, html=html, progress=progress, topic=topic)

    def save(self, *, commit: bool = False) -> None:
        """Put the state where the Hub's next commit writes it, or commit it now.

        It is that of whom the row belongs to: a wrapper's has ours in it.
        """
        row = self._spawner.orm_spawner
        if row is None:
            return
        state = hub_side(self._spawner).get_state()
        # As it is in memory: a row that is gone would not be read again, and has no state then.
        if vars(row).get("state") != state:
            # Also an equal one would have the database look through all that is new in it.
            row.state = state
        if commit:
            records.commit(row)

    def strike_off(self) -> None:
        """Take an owed stop out of the database."""
        records.strike_off(self._spawner.orm_spawner)

    def use_token(self, token: str) -> None:
        """Know the server by this token."""
        self._spawner.api_token = hub_side(self._spawner).api_token = token

    async def ended(self) -> None:
        """Have the Hub ask whether the server runs, which it does not."""
        await hub_side(self._spawner).poll_and_notify()

    async def moved(self, ip: str, port: int, *, route: bool = True) -> None:
        """Write the address, and tell the proxy."""
        spawner = self._spawner
        server = hub_side(spawner).server
        if server is None or (server.ip, server.port) == (ip, port):
            return
        self.log.warning(
            "%s is now reached at %s:%d, not %s:%d", spawner._log_name, ip, port, server.ip, server.port
        )
        server.ip, server.port = ip, port
        records.commit(spawner.orm_spawner)
        if route and (proxy := spawner.user.settings.get("proxy")):
            await proxy.add_user(spawner.user, spawner.name)

    def rows(self) -> DatabaseRows:
        """Return the database, as seen by this server."""
        return DatabaseRows(self._spawner)


class HubNames:
    """What the Hub calls one server and itself: a `lifecycle.protocols.Names`."""

    def __init__(self, spawner: HubSpawner) -> None:
        self._spawner = spawner

    @property
    def hub_id(self) -> str:
        """What tells this Hub from others."""
        return str(self._spawner.hub_id)

    @property
    def username(self) -> str:
        """The user's name."""
        return username(self._spawner)

    @property
    def servername(self) -> str:
        """The server's name."""
        return self._spawner.name

    @property
    def prefix(self) -> str:
        """Where the Hub serves the server."""
        return server_prefix(self._spawner)

    @property
    def api_url(self) -> str:
        """Where servers reach the Hub's API."""
        return hub_api_url(self._spawner)


class DatabaseRows:
    """The Hub's database, as seen by one server: a `lifecycle.protocols.Rows`."""

    def __init__(self, spawner: HubSpawner) -> None:
        row = spawner.orm_spawner
        # Taken now: the row may be gone when it is asked.
        self._session: Session | None = records.session_of(row) if records.is_in_database(row) else None
        self._user = spawner.user
        self._username, self._servername = username(spawner), spawner.name

    def naming(self, object_id: str) -> list[str]:
        """Return the other servers whose state names an object."""
        if self._session is None:
            return []
        return records.object_claims(self._session, self._username, self._servername, object_id)

    def with_volume(self, name: str, servername: str | None) -> list[str]:
        """Return the other servers that have a volume."""
        return records.volume_claims(self._database(), self._username, name, servername)

    def user_exists(self) -> bool:
        """Tell whether the database has this user."""
        return bool(records.known_users(self._database(), [self._username]))

    def _database(self) -> Session:
        if self._session is None:
            raise ValueError(f"the server {self._username}/{self._servername} is in no database")
        return self._session

    def sister_states(self) -> Mapping[str, Mapping[str, Any]]:
        """Return name → saved state of the user's other servers."""
        rows = self._user.orm_user.orm_spawners
        return {name: row.state or {} for name, row in rows.items() if name != self._servername}

    def leave_nodes(self, nodes: Mapping[str, str]) -> None:
        """Write them into the state of the user's default server, and what the Hub has of it in memory."""
        row = self._user.orm_user.orm_spawners.get("") if self._session is not None else None
        if row is None or not nodes:
            return
        state = row.state or {}
        row.state = {**state, "volume_nodes": {**nodes, **(state.get("volume_nodes") or {})}}
        records.commit(row)
        default = getattr(self._user.spawners.get(""), "_user_server", None)
        if default is not None:
            default.record.volume_nodes = {**nodes, **default.record.volume_nodes}
