"""A real JupyterHub with its proxy for each test, marked by a label of its own at the Engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import jupyterhub
import pytest

from tests.fake_engine import FakeEngine
from tests.support.hub_api import HubAPI
from tests.support.hub_site import LONG_SECONDS, PATIENT, HubSite, MakeHub, new_hub_id, prefix_of
from tests.support.workloads import Containers, Services
from tests.testbed.engine import ensure_engine
from tests.testbed.hub import HubProcess
from tests.testbed.images import ensure_stub_image
from tests.testbed.own_engine import OwnEngine, own_engine
from tests.testbed.singleuser import ensure_singleuser_image
from tests.testbed.swarm import Swarm

OUTLIVING = {"fake", "live_engine", "stopping_engine", "swarm", "lone_swarm"}
"""Fixtures of what Hubs run on."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a browser."""
    for item in items:
        if "page" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")


@pytest.fixture(scope="session")
def engine() -> Iterator[httpx.Client]:
    with ensure_engine().client(60) as client:
        yield client


@pytest.fixture(scope="session")
def stub_image() -> str:
    return ensure_stub_image()


@pytest.fixture
def other_image(engine: httpx.Client, stub_image: str) -> Iterator[str]:
    """A second name of the stub image."""
    name = f"t{new_hub_id()}"
    parameters = {"repo": name, "tag": "1"}
    engine.post(f"/images/{stub_image}/tag", params=parameters).raise_for_status()
    yield f"{name}:1"
    engine.delete(f"/images/{name}:1").raise_for_status()


@pytest.fixture(scope="session")
def singleuser_image() -> str:
    return ensure_singleuser_image(jupyterhub.__version__)


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeEngine]:
    with FakeEngine.start(tmp_path) as started:
        yield started


@pytest.fixture
def live_engine(tmp_path: Path) -> Iterator[OwnEngine]:
    """An Engine of this test's own, whose containers outlive it."""
    with own_engine(tmp_path, live_restore=True) as started:
        yield started


@pytest.fixture
def stopping_engine(tmp_path: Path) -> Iterator[OwnEngine]:
    """An Engine of this test's own that stops its containers when it is restarted."""
    with own_engine(tmp_path, live_restore=False) as started:
        yield started


def swarm_values(swarm: Swarm) -> dict[str, Any]:
    """Give the options of a Hub on this machine, which reaches servers at their nodes' ports."""
    return {"client_kwargs": {"base_url": swarm.manager.url}, "use_internal_ip": False}


@pytest.fixture
async def make_hub(
    request: pytest.FixtureRequest, tmp_path: Path, engine: httpx.Client, stub_image: str
) -> AsyncIterator[MakeHub]:
    """Hubs that are stopped at the end; what they left at the Engine is removed."""
    for outliving in {"fake", "live_engine", "stopping_engine", "swarm", "lone_swarm"} & set(
        request.fixturenames
    ):
        request.getfixturevalue(outliving)  # it has to be there until the Hubs have ended
    made: list[HubSite] = []

    def make(
        *,
        config: str = "",
        cleanup_servers: bool = True,
        fake: FakeEngine | None = None,
        own: OwnEngine | None = None,
        swarm: Swarm | None = None,
        hub_id: str | None = None,
        environ: Mapping[str, str] | None = None,
        internal_ssl: bool = False,
        **options: Any,
    ) -> HubSite:
        hub_id = hub_id or new_hub_id()
        values: dict[str, Any] = {"hub_id": hub_id, "prefix": prefix_of(hub_id), "image": stub_image}
        if fake is not None:
            values |= {"client_kwargs": {"base_url": fake.url}, "image": "stub:1"}
        if own is not None:
            values["client_kwargs"] = {"base_url": own.url}
        # A service is always removed.
        values |= {"remove": True} if swarm is None else swarm_values(swarm)
        lines = [f"c.DockerSpawner.{key} = {value!r}" for key, value in {**values, **options}.items()]
        patience = [PATIENT] if "singleuser" in str(options.get("image")) else []
        process = HubProcess(
            tmp_path / hub_id,
            config="\n".join([*patience, *lines, config, ""]),
            cleanup_servers=cleanup_servers,
            env=dict(environ or {}),
            preloaded=True,
            spawner_class="docker" if swarm is None else "asyncdockerspawner.SwarmSpawner",
            host_address="" if swarm is None else swarm.host_address,
            internal_ssl=internal_ssl,
        )
        api = HubAPI(process.url, process.token, deadline=LONG_SECONDS)
        there = fake.http if fake else own.http if own else swarm.http if swarm else engine
        workload = Containers if swarm is None else Services
        site = HubSite(process, api, there, hub_id, fake, workload=workload, swarm=swarm)
        made.append(site)
        process.start()
        return site

    yield make
    for site in made:
        await site.end()


@pytest.fixture
async def hub(make_hub: MakeHub) -> HubSite:
    """A Hub whose servers are stubs that start in an instant."""
    return make_hub()
