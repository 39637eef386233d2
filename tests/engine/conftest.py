"""The same tests over the fake Engine and over a real one, with the Hub's own user and database objects."""

from __future__ import annotations

import asyncio
import importlib
import json
import socket
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import jupyterhub
import pytest
from jupyterhub import orm, roles
from jupyterhub.objects import Hub
from jupyterhub.user import User
from tornado import netutil
from traitlets.config import Config
from traitlets.log import get_logger

from asyncdockerspawner import DockerSpawner
from asyncdockerspawner.engine import registry
from asyncdockerspawner.engine.engine import Engine
from tests import guards
from tests.fake_engine import FakeEngine
from tests.testbed.engine import ensure_engine
from tests.testbed.images import ensure_stub_image, ensure_stubborn_image

COOKIE_SECRET = b"x" * 32
SHELL = ["/bin/busybox", "sh", "-c"]
ON_A_REAL_ENGINE: dict[str, dict[str, Any]] = {
    "stub": {},
    "silent": {"cmd": [*SHELL, "trap 'exit 0' TERM; while :; do /bin/busybox sleep 0.1; done"]},
    "dies": {"cmd": [*SHELL, "echo boom >&2; /bin/busybox sleep 0.05; exit 3"]},
    "dies-at-once": {"cmd": [*SHELL, "echo boom >&2; exit 1"]},
    "oom": {"cmd": ["/bin/busybox", "tail", "/dev/zero"], "mem_limit": 16 * 2**20},
    "slowstop": {},
}


class _AddressesOnly(netutil.Resolver):
    """Resolves nothing: what JupyterHub 5 asks servers with would take a thread to resolve an address."""

    async def resolve(self, host: str, port: int, family: int = socket.AF_UNSPEC) -> list[tuple[int, Any]]:
        return [(socket.AF_INET, (host, port))]


HUB_5_SETTINGS: dict[str, Any] = {}
if jupyterhub.version_info[0] < 6:
    netutil.Resolver.configure(_AddressesOnly)
    HUB_5_SETTINGS["statsd"] = importlib.import_module("jupyterhub.emptyclass").EmptyClass()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """What the spawners log, from DEBUG on."""
    monkeypatch.setattr(get_logger(), "handlers", [caplog.handler])
    caplog.set_level("DEBUG", logger=get_logger().name)
    return caplog


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs no real Engine, and what does."""
    # A hook of one folder's conftest is given the items of all folders.
    for item in (each for each in items if each.path.is_relative_to(Path(__file__).parent)):
        site = getattr(item, "callspec", None) and item.callspec.params.get("site")  # type: ignore[attr-defined]
        uses = {"fake", "fake_engine"} & set(getattr(item, "fixturenames", ()))
        item.add_marker("fake_engine" if site == "fake" or (uses and site is None) else "real_engine")


@dataclass
class Site:
    """One Engine: how to reach it, and what to run on it for which kind of server."""

    url: str
    http: httpx.Client
    fake: FakeEngine | None = None
    hub_id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    def kind(self, name: str) -> dict[str, Any]:
        """Give the options that make a server behave as `name` says."""
        if self.fake is not None:
            # What is to die must not answer first.
            silence = {"environment": {"FAKE_HTTP": "0"}} if name in {"dies", "oom"} else {}
            return {"image": f"{name}:1", **silence}
        image = ensure_stubborn_image() if name == "slowstop" else ensure_stub_image()
        return {"image": image, **ON_A_REAL_ENGINE[name]}

    def containers(self) -> list[dict[str, Any]]:
        """Every container of this test's Hub, running or not."""
        filters = json.dumps({"label": [f"asyncdockerspawner.hub={self.hub_id}"]})
        answer = self.http.get("/containers/json", params={"all": 1, "filters": filters})
        return list(answer.raise_for_status().json())

    def names(self) -> list[str]:
        return sorted(str(one["Names"][0]).lstrip("/") for one in self.containers())

    def inspect(self, ref: str) -> dict[str, Any]:
        return dict(self.http.get(f"/containers/{ref}/json").raise_for_status().json())

    def remove(self, ref: str) -> None:
        self.http.delete(f"/containers/{ref}", params={"force": 1, "v": 1})


@pytest.fixture(scope="session")
def fake_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeEngine]:
    with FakeEngine.start(tmp_path_factory.mktemp("fake")) as fake:
        yield fake


@pytest.fixture
def fake(fake_engine: FakeEngine) -> FakeEngine:
    # The last test may have sent it away.
    fake_engine.wait_online()
    fake_engine.reset()
    return fake_engine


def real_client() -> tuple[str, httpx.Client]:
    url = ensure_engine().url
    if url.startswith("unix://"):
        transport = httpx.HTTPTransport(uds=url.removeprefix("unix://"))
        return url, httpx.Client(transport=transport, base_url="http://engine", timeout=60)
    return url, httpx.Client(base_url=url.replace("tcp://", "http://"), timeout=60)


@pytest.fixture(params=["fake", "real"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """The Engine of this test; what its Hub made there is removed afterwards."""
    if request.param == "fake":
        fake: FakeEngine = request.getfixturevalue("fake")
        yield Site(fake.url, fake.http, fake)
        return
    url, http = real_client()
    made = Site(url, http)
    try:
        yield made
    finally:
        for container in made.containers():
            made.remove(container["Id"])
        for volume in http.get("/volumes").json()["Volumes"] or ():
            if volume["Name"].startswith(f"t{made.hub_id}"):
                http.delete(f"/volumes/{volume['Name']}", params={"force": 1})
        http.close()


@pytest.fixture(autouse=True)
async def nothing_is_left_behind(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Fail a test that uses an executor, starts a thread, or leaves a connection or a task."""
    loop = asyncio.get_running_loop()
    if aiohttp.resolver.aiodns_default:
        # JupyterHub 6's own HTTP client has a resolver, whose library keeps a thread from its first use on.
        await aiohttp.AsyncResolver().close()
    tasks, databases = asyncio.all_tasks(), len(_databases)
    with guards.no_threads(loop):
        yield
        await end_engines()
    close_databases(databases)
    left = {task for task in asyncio.all_tasks() - tasks - {asyncio.current_task()} if not task.done()}
    assert left == set(), request.node.name


_databases: list[Any] = []
"""Sessions of the worlds that were opened: those of a module, then those of its present test."""


def close_databases(since: int = 0) -> None:
    """Close what was opened since there were so many, with its connections."""
    for db in _databases[since:]:
        db.close()
        db.get_bind().dispose()
    del _databases[since:]


async def end_engines() -> None:
    """Wait for the background work of this loop's Engines, and close them."""
    for engine in list(registry._engines.get(asyncio.get_running_loop(), {}).values()):
        await settle(engine)
    await registry.close_engines()


async def settle(engine: Engine) -> None:
    """Wait for background work; nothing but the event stream may hold a connection then."""
    async with asyncio.timeout(30):
        for name in list(engine.janitor._tails):
            await engine.janitor.settled(name)
    calls, streams = engine.client.connection._connectors
    end = time.monotonic() + 5
    # The watch may be asking something just now.
    while calls._acquired and time.monotonic() < end:  # noqa: ASYNC110 - aiohttp tells nobody of a release
        await asyncio.sleep(0.01)
    assert len(calls._acquired) == 0
    assert len(streams._acquired) <= len(engine._watches)


async def until(ask: Callable[[], Any], seconds: float = 10.0) -> None:
    """Wait for an answer that is true."""
    async with asyncio.timeout(seconds):
        while not ask():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


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
    db = orm.new_session_factory(f"sqlite:///{folder}/hub.sqlite")()
    _databases.append(db)
    orm_user = db.query(orm.User).filter_by(name=username).one_or_none()
    if orm_user is None:
        for role in roles.get_default_roles():
            roles.create_role(db, role)
        orm_user = orm.User(name=username)
        db.add(orm_user)
        if db.query(orm.OAuthClient).first() is None:
            db.add(orm.OAuthClient(identifier="jupyterhub"))
        roles.assign_default_roles(db, orm_user)
        db.commit()
    return World(site, folder, settings, db, User(orm_user, settings))


def new_world(site: Site, folder: Path, kind: str = "stub", username: str = "alice", **options: Any) -> World:
    """Make a world whose servers are of a kind, with more options of the spawner."""
    config = Config()
    values = {"remove": True, "start_timeout": 30, "prefix": f"t{site.hub_id}", "hub_id": site.hub_id}
    values |= {"client_kwargs": {"base_url": site.url}, "pull_policy": "ifnotpresent"}
    config.DockerSpawner.update(Config({**values, **site.kind(kind), **options}))
    settings = {
        "config": config,
        "cookie_secret": COOKIE_SECRET,
        "hub": Hub(ip="172.17.0.1", connect_ip="172.17.0.1", base_url="/hub/"),
        "internal_ssl": False,
        "spawner_class": DockerSpawner,
        **HUB_5_SETTINGS,
    }
    return open_world(site, folder, settings, username)


@pytest.fixture
def make_world(site: Site, tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Give `new_world` for this test's Engine and folder."""
    worlds: list[World] = []

    def make(kind: str = "stub", username: str = "alice", **options: Any) -> World:
        worlds.append(new_world(site, tmp_path, kind, username, **options))
        return worlds[-1]

    yield make
    for world in worlds:
        world.db.close()
