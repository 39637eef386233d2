"""The same tests over the fake Engine and over a real one, with the Hub's own user and database objects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from traitlets.log import get_logger

from asyncdockerspawner import DockerSpawner
from tests.fake_engine import FakeEngine
from tests.fake_engine.swarm.client import FakeSwarm
from tests.support import guards
from tests.support.databases import close_databases, open_databases
from tests.support.engines import end_engines
from tests.support.internal_ssl import hub_settings
from tests.support.service_worlds import Sites
from tests.support.site import Site, real_client, site_over
from tests.support.workloads import Containers, Services
from tests.support.world import MakeWorld, World, new_world
from tests.testbed.swarm import Swarm


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What the spawners log, from DEBUG on."""
    caplog.set_level("DEBUG", logger=get_logger().name)
    return caplog


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs no real Engine, and what does."""
    # A hook of one folder's conftest is given the items of all folders.
    for item in (each for each in items if each.path.is_relative_to(Path(__file__).parent)):
        if item.get_closest_marker("fake_engine"):
            continue  # it says so itself: it has a server of its own in an Engine's place
        if item.get_closest_marker("swarm"):
            continue
        params = item.callspec.params if hasattr(item, "callspec") else {}
        site = params.get("site")
        if site == "real" and params.get("workload") is Services:
            item.add_marker("swarm")
            continue
        uses = {"fake", "fake_engine"} & set(getattr(item, "fixturenames", ()))
        item.add_marker("fake_engine" if site == "fake" or (uses and site is None) else "real_engine")


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


@pytest.fixture
def workload(request: pytest.FixtureRequest) -> type[Containers]:
    """The kind of object that servers are in this test: containers, unless it is for each kind."""
    kind: type[Containers] = getattr(request, "param", Containers)
    return kind


@pytest.fixture(params=["fake", "real"])
def site(request: pytest.FixtureRequest, workload: type[Containers]) -> Iterator[Site]:
    """The Engine of this test; what its Hub made there is removed afterwards."""
    if request.param == "fake":
        fake: FakeEngine = request.getfixturevalue("fake")
        yield site_over(fake, workload=workload)
        return
    if workload is Services:
        swarm: Swarm = request.getfixturevalue("swarm")
        made = Site(swarm.manager.url, swarm.http, workload=workload)
        yield made
        for service in made.containers():
            made.remove(service["Id"])
        return
    url, http = real_client()
    made = Site(url, http, workload=workload)
    try:
        yield made
    finally:
        for container in made.containers():
            made.remove(container["Id"])
        for name in made.volumes():
            http.delete(f"/volumes/{name}", params={"force": 1})
        http.close()


@pytest.fixture(autouse=True)
async def nothing_is_left_behind(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Fail a test that uses an executor, starts a thread, or leaves a connection or a task."""
    loop = asyncio.get_running_loop()
    if aiohttp.resolver.aiodns_default:
        # JupyterHub 6's own HTTP client has a resolver, whose library keeps a thread from its first use on.
        await aiohttp.AsyncResolver().close()
    tasks, databases = asyncio.all_tasks(), open_databases()
    with guards.no_threads(loop):
        yield
        await end_engines()
    close_databases(databases)
    left = {task for task in asyncio.all_tasks() - tasks - {asyncio.current_task()} if not task.done()}
    assert left == set(), request.node.name


@pytest.fixture
def fake_site(fake: FakeEngine, workload: type[Containers]) -> Site:
    """The fake Engine, for a test that is over that alone."""
    return site_over(fake, workload=workload)


@pytest.fixture
def make(fake_site: Site, tmp_path: Path) -> MakeWorld:
    """Give `new_world` for the fake Engine and this test's folder."""
    return partial(new_world, fake_site, tmp_path)


@pytest.fixture(scope="session")
def hub_with_tls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the settings of a Hub with `internal_ssl` have; one for all tests, as keys take time to make."""
    return hub_settings(tmp_path_factory.mktemp("internal-ssl"))


@pytest.fixture
def make_secure(make: MakeWorld, hub_with_tls: dict[str, Any]) -> MakeWorld:
    """Make worlds of a Hub with `internal_ssl`, which may have spawners of another class."""

    def made(*args: Any, spawner_class: type[DockerSpawner] = DockerSpawner, **options: Any) -> World:
        world = make(*args, **options)
        world.settings.update({**hub_with_tls, "spawner_class": spawner_class})
        return world

    return made


@pytest.fixture
def make_world(site: Site, tmp_path: Path) -> MakeWorld:
    """Give `new_world` for this test's Engine and folder."""
    return partial(new_world, site, tmp_path)


@pytest.fixture
def fake_swarm(fake: FakeEngine) -> FakeSwarm:
    """The swarm that the fake Engine manages."""
    fake.swarm.become("manager")
    return fake.swarm


@pytest.fixture
def make_services(fake_swarm: FakeSwarm, make: MakeWorld) -> Sites:
    """Make worlds whose servers are services of the fake Engine's swarm."""
    return Sites(make)


@pytest.fixture
def service_name(fake_site: Site) -> str:
    """The name of the default server's service."""
    return f"t{fake_site.hub_id}-alice"
