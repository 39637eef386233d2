"""A Hub whose spawner is exchanged keeps its servers: from DockerSpawner 14 to ours, and back."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sqlite3
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from tests.support import inside
from tests.support.hub_api import HubAPI, Json
from tests.support.hub_site import LONG_SECONDS, PATIENT, SHELL, HubSite, new_hub_id, prefix_of, until
from tests.support.system_users import owner_of
from tests.testbed.dockerspawner import dockerspawner_python
from tests.testbed.hub import HubProcess
from tests.testbed.steps import TestbedError
from tests.testbed.system_users import SystemUsers

DOCKERSPAWNER, OURS = "dockerspawner.DockerSpawner", "asyncdockerspawner.DockerSpawner"
BOTH_WAYS = [(DOCKERSPAWNER, OURS), (OURS, DOCKERSPAWNER)]
IDS = ["to-ours", "back"]
USER, ESCAPED = "ana_1@example.org", "ana-5f1-40example-2eorg"
SERVERS = ["", "lab"]
NAMES = [ESCAPED, f"{ESCAPED}--lab"]
WORK = "/home/jovyan/work"
STARTING = ["/bin/sh", "-c", "sleep 4; exec jupyterhub-singleuser"]
"""A real server that takes so long to answer that the Hub is killed while it starts."""


@dataclass
class MovingSite(HubSite):
    """A Hub whose spawner may be exchanged; its containers are known by name: not all carry a label."""

    def containers(self) -> list[Json]:
        filters = json.dumps({"name": [f"^/{self.prefix}-"]})
        answer = self.engine.get("/containers/json", params={"all": 1, "filters": filters})
        return list(answer.raise_for_status().json())

    def ids(self) -> dict[str, str]:
        """Give the id of each container, by its name without the prefix."""
        return {str(one["Names"][0]).removeprefix(f"/{self.prefix}-"): one["Id"] for one in self.containers()}

    def states(self) -> list[str]:
        return [str(one["State"]) for one in self.containers()]

    def labels(self) -> list[str]:
        """Give the keys of our own labels, of all containers."""
        return [key for one in self.containers() for key in one["Labels"] if "asyncdockerspawner.hub" in key]

    def run_by(self, spawner: str, python: Path) -> None:
        """Start the Hub with this spawner; where it runs with another, stop it first, but not its servers."""
        if self.process._hub is not None and self.process._hub.alive:
            assert self.process.stop() == 0
        self.process.spawner_class, self.process._python = spawner, str(python)
        self.process.start()

    async def start_all(self) -> None:
        await asyncio.gather(*(self.api.start_server(USER, name) for name in SERVERS))

    async def stop_all(self) -> None:
        await asyncio.gather(*(self.api.stop_server(USER, name) for name in SERVERS))

    async def all_answer(self) -> None:
        for name in SERVERS:
            await until(partial(self.answers, USER, name), is_=True)


class MakeSite(Protocol):
    """Gives a Hub that runs with the first spawner, in these folders' sight."""

    def __call__(
        self, spawner: str, *, config: str = "", beside: Sequence[Path] = (), **options: Any
    ) -> MovingSite: ...


@pytest.fixture(scope="session")
def pythons() -> dict[str, Path]:
    """The interpreters of both Hubs, of the same JupyterHub."""
    return {DOCKERSPAWNER: dockerspawner_python(), OURS: Path(sys.executable)}


@pytest.fixture
async def make_site(
    pythons: dict[str, Path], tmp_path: Path, engine: httpx.Client, stub_image: str
) -> AsyncIterator[MakeSite]:
    """Hubs that leave their servers alone when they stop; all is ended and removed after the test."""
    made: list[MovingSite] = []

    def make(spawner: str, *, config: str = "", beside: Sequence[Path] = (), **options: Any) -> MovingSite:
        hub_id = new_hub_id()
        # What only one of the two spawners knows would be a warning of the other.
        values = {"prefix": prefix_of(hub_id), "image": stub_image, **options}
        lines = [f"c.DockerSpawner.{key} = {value!r}" for key, value in values.items()]
        lines += [PATIENT]
        seen = [*map(str, beside), os.environ.get("PYTHONPATH", "")]
        process = HubProcess(
            tmp_path / hub_id,
            config="\n".join([*lines, config, ""]),
            cleanup_servers=False,
            env={"PYTHONPATH": os.pathsep.join(filter(None, seen))} if beside else {},
        )
        site = MovingSite(process, HubAPI(process.url, process.token, deadline=LONG_SECONDS), engine, hub_id)
        made.append(site)
        # With DockerSpawner beside ours, there is one interpreter for all.
        site.run_by(spawner, pythons[OURS if beside else spawner])
        return site

    yield make
    for site in made:
        await site.end()


@pytest.fixture(params=[True, False], ids=["removing", "keeping"])
def remove(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.mark.parametrize(("first", "second"), BOTH_WAYS, ids=IDS)
async def test_running_servers_are_taken_over_and_stopped(
    make_site: MakeSite, pythons: dict[str, Path], first: str, second: str, remove: bool
) -> None:
    hub = make_site(first, remove=remove)
    await hub.create_users(USER)
    await hub.start_all()
    before = hub.ids()
    assert sorted(before) == NAMES
    assert bool(hub.labels()) == (first == OURS)
    await the_same_servers_run(hub, before)

    hub.run_by(second, pythons[second])
    await the_same_servers_run(hub, before)
    assert (await hub.api.info())["spawner"]["class"].startswith(second.partition(".")[0])

    await hub.stop_all()
    assert not await hub.answers(USER)
    if remove:
        await hub.nothing_left()
        return
    assert hub.states() == ["exited", "exited"]
    await hub.start_all()
    await the_same_servers_run(hub, before)


async def the_same_servers_run(hub: MovingSite, before: dict[str, str]) -> None:
    """Find both servers known to the Hub, answering, saved in its database, in the containers of before."""
    for name, full_name in zip(SERVERS, NAMES, strict=True):
        server = await hub.settled(USER, name)
        assert server is not None
        assert server["ready"]
        assert server["state"]["object_id"] == before[full_name]
        assert server["state"]["object_name"] == f"{hub.prefix}-{full_name}"
    await hub.all_answer()
    for name in SERVERS:
        await hub.api.poll_server(USER, name)
    assert hub.ids() == before
    assert hub.states() == ["running", "running"]


@pytest.mark.parametrize(("first", "second"), BOTH_WAYS, ids=IDS)
async def test_stopped_servers_that_were_kept_are_resumed(
    make_site: MakeSite, pythons: dict[str, Path], singleuser_image: str, first: str, second: str
) -> None:
    hub = make_site(first, remove=False, image=singleuser_image)
    await hub.create_users(USER)
    await hub.start_all()
    before = hub.ids()
    await hub.stop_all()

    hub.run_by(second, pythons[second])
    assert (await hub.api.user(USER))["servers"] == {}
    await hub.start_all()
    assert hub.ids() == before
    # They let the Hub's users in, so the Hub still knows the tokens that they were made with.
    for name in SERVERS:
        assert "started" in await hub.status(USER, name)


@pytest.mark.hub_5
async def test_one_server_goes_from_spawner_to_spawner_and_back_without_noticing(
    make_site: MakeSite, pythons: dict[str, Path], singleuser_image: str, remove: bool
) -> None:
    hub = make_site(DOCKERSPAWNER, remove=remove, image=singleuser_image)
    await hub.create_users(USER)
    await hub.start_all()
    before = hub.ids()
    begun = [(await hub.status(USER, name))["started"] for name in SERVERS]
    for spawner in (OURS, DOCKERSPAWNER, OURS):
        hub.run_by(spawner, pythons[spawner])
        await the_same_servers_run(hub, before)
        assert [(await hub.status(USER, name))["started"] for name in SERVERS] == begun
    await hub.stop_all()
    assert hub.states() == ([] if remove else ["exited", "exited"])


@pytest.mark.parametrize("escape", ["", "c.DockerSpawner.escape = 'legacy'"], ids=["default", "legacy"])
@pytest.mark.parametrize(("first", "second"), BOTH_WAYS, ids=IDS)
async def test_a_users_volume_is_found_by_the_next_container(
    make_site: MakeSite, pythons: dict[str, Path], first: str, second: str, escape: str
) -> None:
    volumes = {"{prefix}-{username}": WORK, "{prefix}-{username}-{servername}": "/home/own"}
    hub = make_site(first, config=escape, remove=True, volumes=volumes)
    await hub.create_users(USER)
    await hub.start_all()
    before, mounted = hub.ids(), mounts(hub)
    assert len(hub.volumes()) == len(SERVERS) + 1
    await hub.stop_all()
    await hub.nothing_left()

    hub.run_by(second, pythons[second])
    await hub.start_all()
    assert mounts(hub) == mounted
    assert len(hub.volumes()) == len(SERVERS) + 1
    assert set(hub.ids()) == set(before)
    assert not set(hub.ids().values()) & set(before.values())


def mounts(hub: MovingSite) -> list[tuple[str, str]]:
    found = [mount for one in hub.containers() for mount in one["Mounts"]]
    return sorted((str(mount["Name"]), str(mount["Destination"])) for mount in found)


async def test_a_server_of_dockerspawner_that_ended_meanwhile_is_gone_and_starts_anew(
    make_site: MakeSite, pythons: dict[str, Path], remove: bool
) -> None:
    hub = make_site(DOCKERSPAWNER, remove=remove)
    await hub.create_users(USER)
    await hub.start_all()
    before = hub.ids()
    hub.process.stop()
    hub.engine.post(f"/containers/{before[ESCAPED]}/kill").raise_for_status()

    hub.run_by(OURS, pythons[OURS])
    assert await hub.settled(USER) is None
    assert await hub.answers(USER, "lab")
    await hub.api.start_server(USER)
    assert await hub.answers(USER)
    assert (hub.ids()[ESCAPED] == before[ESCAPED]) == (not remove)
    assert hub.ids()[NAMES[1]] == before[NAMES[1]]


async def test_servers_that_dockerspawner_was_starting_when_its_hub_was_killed_can_be_started(
    make_site: MakeSite, pythons: dict[str, Path], singleuser_image: str, remove: bool
) -> None:
    config = "c.JupyterHub.tornado_settings = {'slow_spawn_timeout': 0}"
    hub = make_site(DOCKERSPAWNER, config=config, remove=remove, image=singleuser_image, cmd=STARTING)
    await hub.create_users(USER)
    asked = [asyncio.create_task(hub.api.request_start(USER, name)) for name in SERVERS]
    await until(partial(states, hub), is_=["running", "running"], every=0.02)
    hub.process.kill()
    await asyncio.gather(*asked, return_exceptions=True)
    before = hub.ids()
    # As DockerSpawner's Hub leaves it that is killed just before it writes down what it has started.
    with closing(sqlite3.connect(hub.process.directory / "jupyterhub.sqlite")) as database, database:
        database.execute("UPDATE spawners SET state = NULL, server_id = NULL")

    hub.run_by(OURS, pythons[OURS])
    for name in SERVERS:
        assert await hub.settled(USER, name) is None
        await hub.api.start_server(USER, name)
        await until(partial(hub.answers, USER, name), is_=True)
        assert "started" in await hub.status(USER, name)
    assert sorted(hub.ids()) == NAMES
    if not remove:
        assert hub.ids() == before
    await hub.stop_all()
    assert hub.states() == ([] if remove else ["exited", "exited"])


async def states(hub: MovingSite) -> list[str]:
    return hub.states()


# ---- both packages in one environment, as where a site moves, and a third party's beside them ----

INSTALL = "import asyncdockerspawner; asyncdockerspawner.install_as_dockerspawner()"
CLASSROOM = """
import dockerspawner

class ClassroomSpawner(dockerspawner.DockerSpawner):
    def get_env(self):
        return {**super().get_env(), "CLASSROOM": dockerspawner.__version__}
"""
ENTRY = "[jupyterhub.spawners]\nclassroom = classroom:ClassroomSpawner\n"


@pytest.fixture
def dockerspawner_beside(tmp_path: Path) -> Path:
    """A folder with DockerSpawner 14 as it is installed, and nothing else of its environment."""
    (installed,) = dockerspawner_python().parent.parent.glob("lib/python3*/site-packages")
    folder = tmp_path / "beside"
    folder.mkdir()
    for each in installed.glob("dockerspawner*"):
        (folder / each.name).symlink_to(each)
    return folder


@pytest.fixture
def classroom(tmp_path: Path) -> Path:
    """A folder with a third party's distribution, whose spawner is a subclass of DockerSpawner."""
    folder = tmp_path / "classroom"
    metadata = folder / "classroom-1.0.dist-info"
    metadata.mkdir(parents=True)
    (folder / "classroom.py").write_text(CLASSROOM)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: classroom\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY)
    return folder


async def spawner_of(hub: MovingSite) -> str:
    return str((await hub.api.info())["spawner"]["class"])


@pytest.mark.hub_5
async def test_with_both_installed_one_line_of_the_configuration_moves_a_site_and_back(
    make_site: MakeSite, pythons: dict[str, Path], dockerspawner_beside: Path
) -> None:
    hub = make_site(DOCKERSPAWNER, beside=[dockerspawner_beside], remove=True)
    await hub.create_users(USER)
    await hub.start_all()
    before = hub.ids()
    assert (await spawner_of(hub)).startswith("dockerspawner.")
    theirs = hub.process.config
    # Who says "docker" gets ours too, whosever entry point of that name is found.
    for line, spawner in ((INSTALL, DOCKERSPAWNER), ("", DOCKERSPAWNER), (INSTALL, "docker")):
        hub.process.config = f"{theirs}\n{line}\n"
        hub.run_by(spawner, pythons[OURS])
        await the_same_servers_run(hub, before)
        assert (await spawner_of(hub)).startswith("asyncdockerspawner." if line else "dockerspawner.")
    await hub.stop_all()
    await hub.nothing_left()


async def test_a_system_users_server_goes_there_and_back_and_is_resumed_by_both(
    make_site: MakeSite, dockerspawner_beside: Path, system_users: SystemUsers
) -> None:
    theirs, ours = (f"{package}.SystemUserSpawner" for package in ("dockerspawner", "asyncdockerspawner"))
    alice = system_users.user("alice")
    homes = f"c.SystemUserSpawner.host_homedir_format_string = {str(system_users.homes / '{username}')!r}"
    hub = make_site(theirs, beside=[dockerspawner_beside], config=homes, remove=False)
    await hub.create_users(alice.name)
    await hub.api.start_server(alice.name)
    before = hub.ids()
    for spawner in (ours, theirs):
        hub.run_by(spawner, Path(sys.executable))
        for _ in range(2):
            assert (await hub.settled(alice.name) or {})["state"]["user_id"] == alice.uid
            await until(partial(hub.answers, alice.name), is_=True)
            assert (hub.ids(), hub.states()) == (before, ["running"])
            await hub.api.stop_server(alice.name)
            await hub.api.start_server(alice.name)
    said = inside.said(hub.engine, *before.values(), *SHELL, "/bin/busybox touch ~/mine; /bin/busybox id -u")
    assert said == str(alice.uid)
    assert owner_of(alice.home / "mine") == (alice.uid, alice.gid)


async def test_a_third_partys_spawner_of_dockerspawner_runs_on_ours_by_the_start_that_the_error_names(
    make_site: MakeSite, pythons: dict[str, Path], dockerspawner_beside: Path, classroom: Path
) -> None:
    hub = make_site("classroom", beside=[dockerspawner_beside, classroom], remove=True)
    await hub.create_users(USER)
    await hub.start_all()
    before = hub.ids()

    # The Hub imports what has registered an entry point before it reads its configuration.
    hub.process.config += f"\n{INSTALL}\n"
    with pytest.raises(TestbedError):
        hub.run_by("classroom", pythons[OURS])
    log = hub.process.log_text()
    assert "is in use already, by classroom." in log
    command = shlex.split(next(line for line in log.splitlines() if line.strip().startswith("python -c")))
    assert command[0] == "python"

    hub.process.program = command[1:]
    hub.run_by("classroom", pythons[OURS])
    assert (await spawner_of(hub)).startswith("classroom.")
    await the_same_servers_run(hub, before)
    await hub.stop_all()
    await hub.nothing_left()
    await hub.start_all()
    environment = hub.engine.get(f"/containers/{hub.ids()[ESCAPED]}/json").json()["Config"]["Env"]
    assert any(entry.startswith("CLASSROOM=14.0.0+asyncdockerspawner.") for entry in environment)
    assert hub.labels()
    await hub.stop_all()
    await hub.nothing_left()
