"""A Hub's own user and database objects over one Engine, without a Hub."""

from __future__ import annotations

import importlib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jupyterhub
from jupyterhub import orm, roles
from jupyterhub.objects import Hub
from jupyterhub.user import User
from tornado import netutil
from traitlets.config import Config

from asyncdockerspawner import DockerSpawner
from tests.support.databases import open_database
from tests.support.site import Site

COOKIE_SECRET = b"x" * 32


class _AddressesOnly(netutil.Resolver):
    """Resolves nothing: what JupyterHub 5 asks servers with would take a thread to resolve an address."""

    async def resolve(self, host: str, port: int, family: int = socket.AF_UNSPEC) -> list[tuple[int, Any]]:
        return [(socket.AF_INET, (host, port))]


HUB_5_SETTINGS: dict[str, Any] = {}
if jupyterhub.version_info[0] < 6:
    netutil.Resolver.configure(_AddressesOnly)
    HUB_5_SETTINGS["statsd"] = importlib.import_module("jupyterhub.emptyclass").EmptyClass()


@dataclass
class World:
    """A Hub's database, user and configuration over one Engine."""

    site: Site
    folder: Path
    settings: dict[str, Any]
    db: Any
    user: User

    def spawner(self, name: str = "") -> DockerSpawner:
        """The spawner as the Hub has it now."""
        return self.user.spawners[name]  # type: ignore[no-any-return]

    def new_spawner(self, name: str = "") -> DockerSpawner:
        """A spawner as the Hub makes it when a spawn begins, before any of the spawn's steps."""
        if name not in self.user.orm_user.orm_spawners:
            self.db.add(orm.Spawner(name=name, user=self.user.orm_user))
            self.db.commit()
        return self.user._new_spawner(name, spawner_class=self.settings["spawner_class"])  # type: ignore[no-any-return]

    def restarted(self) -> World:
        """As a Hub that starts again sees it: new objects over the committed database."""
        self.db.commit()
        self.db.close()
        return open_world(self.site, self.folder, self.settings)

    async def spawn(self, name: str = "", **options: Any) -> DockerSpawner:
        await self.user.spawn(name, options=options or None)
        return self.spawner(name)


def open_world(site: Site, folder: Path, settings: dict[str, Any], username: str = "alice") -> World:
    db = open_database(folder / "hub.sqlite")
    orm_user = db.query(orm.User).filter_by(name=username).one_or_none()
    if orm_user is None:
        orm_user = orm.User(name=username)
        db.add(orm_user)
        roles.assign_default_roles(db, orm_user)
        db.commit()
    return World(site, folder, settings, db, User(orm_user, settings))


def new_world(site: Site, folder: Path, kind: str = "stub", username: str = "alice", **options: Any) -> World:
    """Make a world whose servers are of a kind, with more options of the spawner."""
    config = Config()
    values = {"remove": True, "start_timeout": 30, "prefix": f"t{site.hub_id}", "hub_id": site.hub_id}
    values |= {"client_kwargs": {"base_url": site.url}, "pull_policy": "ifnotpresent"}
    values |= site.workload.options
    config.DockerSpawner.update(Config({**values, **site.kind(kind), **options}))
    settings = {
        "config": config,
        "cookie_secret": COOKIE_SECRET,
        "hub": Hub(ip="172.17.0.1", connect_ip="172.17.0.1", base_url="/hub/"),
        "internal_ssl": False,
        "spawner_class": site.workload.spawner,
        **HUB_5_SETTINGS,
    }
    return open_world(site, folder, settings, username)


MakeWorld = Callable[..., World]
