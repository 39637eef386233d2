"""Services of the system's users, over the fake Engine's swarm."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tornado import web

from asyncdockerspawner import SystemUserSwarmSpawner
from tests.fake_engine import FakeEngine
from tests.fake_engine.swarm.client import FakeSwarm
from tests.support.service_worlds import Sites, host_of
from tests.support.waiting import until
from tests.support.world import World
from tests.testbed.name_service import NameService

pytestmark = pytest.mark.fake_engine


@pytest.fixture
def make_users(
    make_services: Sites, name_service: NameService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Make worlds of a Hub on a swarm whose name service knows alice."""
    name_service.knows("passwd alice", f"alice:x:71001:71000::{tmp_path}:/bin/sh")
    name_service.knows("initgroups alice", "alice                 71005 71009")
    monkeypatch.setenv("PATH", name_service.environment["PATH"])

    def make(**options: Any) -> World:
        world = make_services(**options)
        world.settings["spawner_class"] = SystemUserSwarmSpawner
        world.settings["config"].SystemUserSpawner.host_homedir_format_string = ""
        return world

    return make


async def test_a_service_runs_as_its_user_in_the_users_home(
    make_users: Any, fake_swarm: FakeSwarm, tmp_path: Path
) -> None:
    world = make_users(extra_container_spec={"groups": ["71009", "71010"]})
    world.settings["config"].SystemUserSpawner.supplementary_groups = True
    world.settings["config"].SystemUserSpawner.homedir_bind_propagation = "rslave"
    world.settings["config"].SwarmSpawner.volumes = {str(tmp_path.parent): "/shared"}
    spawner = await world.spawn()
    container = fake_swarm.state()["services"][0]["Spec"]["TaskTemplate"]["ContainerSpec"]
    assert (container["User"], container["Dir"]) == ("71001:71000", "/home/alice")
    assert container["Groups"] == ["71005", "71009", "71010"]
    assert {"HOME=/home/alice", "NB_UID=71001", "NB_GID=71000", "NB_USER=alice"} <= set(container["Env"])
    mounts = {each["Target"]: each for each in container["Mounts"]}
    home, shared = mounts["/home/alice"], mounts["/shared"]
    assert (home["Type"], home["Source"]) == ("bind", str(tmp_path))
    assert home["BindOptions"] == {"Propagation": "rslave"}
    assert shared["Source"] == str(tmp_path.parent)
    assert spawner.get_state()["user_id"] == 71001
    await world.user.stop("")
    assert fake_swarm.state()["services"] == []


async def test_it_goes_on_at_another_node_where_its_home_is_too(
    make_users: Any, fake_swarm: FakeSwarm
) -> None:
    world = make_users(on_node_loss="move")
    spawner = await world.spawn()
    before = spawner.server.url
    fake_swarm.change_node(host_of(fake_swarm, spawner), state="down")
    await until(lambda: spawner.server.url != before)
    assert await spawner.poll() is None
    await world.user.stop("")


async def test_it_stays_with_files_that_are_nowhere_else(
    make_users: Any, fake_swarm: FakeSwarm, tmp_path: Path
) -> None:
    world = make_users(on_node_loss="move", volumes={str(tmp_path.parent): "/scratch"})
    spawner = await world.spawn()
    told = asyncio.Event()
    spawner.add_poll_callback(told.set)
    fake_swarm.change_node(host_of(fake_swarm, spawner), state="down")
    await asyncio.wait_for(told.wait(), 10)
    assert f"its files are on that node alone ({tmp_path.parent})" in spawner._user_server.record.last_end
    await world.user.stop("")


async def test_where_its_home_is_is_known_after_a_restart_of_the_hub(
    make_users: Any, fake_swarm: FakeSwarm, name_service: NameService, tmp_path: Path
) -> None:
    world = make_users(on_node_loss="move")
    before = await world.spawn()
    name_service.behaves(status=2)
    world.settings["config"].SystemUserSpawner.host_homedir_format_string = "relative/{username}"
    spawner = world.restarted().spawner()
    assert isinstance(spawner, SystemUserSwarmSpawner)
    assert spawner._policy().is_on_all_nodes(str(tmp_path))
    assert not spawner._policy().is_on_all_nodes(str(tmp_path.parent))
    await before.stop()


async def test_a_home_of_the_name_service_is_none_where_a_template_says_where_homes_are(
    make_users: Any, tmp_path: Path
) -> None:
    world = make_users()
    home = tmp_path / "homes" / "alice"
    home.mkdir(parents=True)
    template = f"{tmp_path}/homes/{{username}}"
    world.settings["config"].SystemUserSpawner.host_homedir_format_string = template
    spawner = await world.spawn()
    assert spawner.get_state()["host_home"] == str(tmp_path)
    assert spawner._policy().is_on_all_nodes(str(home))
    assert not spawner._policy().is_on_all_nodes(str(tmp_path))
    await world.user.stop("")


async def test_a_line_in_an_image_on_another_node_is_refused(make_users: Any, fake_swarm: FakeSwarm) -> None:
    world = make_users()
    world.settings["config"].SystemUserSpawner.passwd_entry = True
    with pytest.raises(web.HTTPError) as raised:
        await world.spawn()
    assert "`configs`" in str(raised.value.__cause__)
    world.settings["config"].SystemUserSpawner.run_as_root = True
    await world.spawn()
    await world.user.stop("")


async def test_a_home_that_its_node_does_not_have_is_told(
    make_users: Any, fake_swarm: FakeSwarm, tmp_path: Path
) -> None:
    world = make_users()
    world.settings["config"].SystemUserSpawner.host_homedir_format_string = f"{tmp_path}/none/{{username}}"
    with pytest.raises(web.HTTPError) as raised:
        await world.spawn()
    told = str(raised.value.__cause__)
    assert f"The home {tmp_path}/none/alice does not exist" in told
    assert "`host_home`" in told
    world = make_users(volumes={f"{tmp_path}/another": "/another"})
    with pytest.raises(web.HTTPError, match="a path that is mounted does not exist there"):
        await world.spawn()
    await until(lambda: not fake_swarm.state()["services"])


async def test_whom_nobody_knows_gets_no_service(
    make_users: Any, name_service: NameService, fake: FakeEngine, fake_swarm: FakeSwarm
) -> None:
    name_service.behaves(status=2)
    with pytest.raises(web.HTTPError, match="does not know the user alice"):
        await make_users().spawn()
    assert not fake.requests("POST", "/services/create")
