"""JupyterHub's spawner, as far as this package relies on it, with types.

Source: `jupyterhub.spawner.Spawner`, which has none.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from jupyterhub.spawner import Spawner
from jupyterhub.utils import url_escape_path, url_path_join

from asyncdockerspawner.lifecycle.protocols import Log


class HubSpawner(Spawner):
    """What the Hub has set on a spawner, and calls of it. Outside of a Hub much of it is None."""

    log: Log
    user: Any
    """The Hub's `User`; None for a spawner by itself, as in sites' tests."""
    name: str
    """The server's name; empty for the default server."""
    hub: Any
    server: Any
    """The Hub's record of where the server is, while it is started or runs."""
    orm_spawner: Any
    api_token: str
    ready: bool
    internal_ssl: bool
    cert_paths: dict[str, str]
    ssl_alt_names: Any
    ssl_alt_names_include_local: bool
    user_options: dict[str, Any]
    environment: Mapping[str, Any]
    hub_connect_url: str | None
    pre_spawn_hook: Any
    cmd: Any
    ip: str
    mem_limit: Any
    cpu_limit: Any
    start_timeout: float
    http_timeout: float
    _log_name: str

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(self.log, logging.Logger):
            # What all spawners share has no log of the Hub's; the Hub does the same for tornado.
            logging.getLogger("asyncdockerspawner").parent = self.log

    # The Hub takes no class, be it a base, that leaves these to its own.
    async def start(self) -> tuple[str, int]:
        """Start the server and return its address."""
        raise NotImplementedError

    async def stop(self, now: bool = False) -> None:
        """Stop the server."""
        raise NotImplementedError

    async def poll(self) -> int | None:
        """None while the server runs, else its exit code."""
        raise NotImplementedError


def username(spawner: HubSpawner) -> str:
    """Return the user's name; a spawner without a user has none."""
    return str(getattr(spawner.user, "name", ""))


def hub_side(spawner: HubSpawner) -> HubSpawner:
    """Return the spawner that the Hub has for this server: this one, or one that wraps it."""
    found: Any = (getattr(spawner.user, "spawners", None) or {}).get(spawner.name)
    if found is None or isinstance(found, HubSpawner):
        return spawner
    wrapper: HubSpawner = found
    return wrapper


def server_prefix(spawner: HubSpawner) -> str:
    """Return the path below which the Hub serves the server."""
    # The Hub's record keeps the prefix that a running server has, also where its user is renamed.
    if (server := hub_side(spawner).server) is not None:
        return str(server.base_url)
    base_url = getattr(spawner.user, "base_url", None) or "/"
    return str(url_path_join(base_url, url_escape_path(spawner.name), "/"))


def hub_api_url(spawner: HubSpawner) -> str:
    """Return the address at which servers reach the Hub's API; empty without a Hub."""
    if spawner.hub is None:
        return ""
    if spawner.hub_connect_url is None:
        return str(spawner.hub.api_url)
    return str(url_path_join(spawner.hub_connect_url, urlsplit(spawner.hub.api_url).path))
