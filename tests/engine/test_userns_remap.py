"""A real Engine whose containers have other user ids than its machine (userns-remap)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado import web

from asyncdockerspawner import SystemUserSpawner
from tests.support.inside import said
from tests.support.site import SHELL, Site
from tests.support.world import World, new_world
from tests.testbed.own_engine import TEST_SECONDS, OwnEngine, own_engine
from tests.testbed.system_users import SystemUsers

pytestmark = pytest.mark.timeout(TEST_SECONDS)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnEngine]:
    folder = tmp_path_factory.mktemp("engine")
    with own_engine(folder, live_restore=False, userns_remap=True) as started:
        yield started


@pytest.fixture
def remapped(engine: OwnEngine) -> Iterator[Site]:
    """The Engine; what a test leaves is removed."""
    site = Site(engine.url, engine.http)
    yield site
    for one in site.containers():
        site.remove(one["Id"])


async def test_homes_are_for_servers_with_the_machines_own_ids_and_the_log_says_so(
    remapped: Site, system_users: SystemUsers, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    alice = system_users.user("alice")

    def world(folder: str, **options: Any) -> World:
        (tmp_path / folder).mkdir()
        options |= {"host_homedir_format_string": "", "passwd_entry": True}
        made = new_world(remapped, tmp_path / folder, username=alice.name, **options)
        made.settings["spawner_class"] = SystemUserSpawner
        return made

    with pytest.raises(web.HTTPError):
        await world("mapped").spawn()
    assert 'set `extra_host_config = {"userns_mode": "host"}`' in log.text
    volumes = {"{prefix}-{username}": "/data"}
    with_own_ids = world("own", volumes=volumes, extra_host_config={"userns_mode": "host"})
    spawner = await with_own_ids.spawn()
    told = said(remapped.http, spawner.object_id, *SHELL, "id -un; id -u; touch ~/kept")
    assert told.split() == [alice.name, str(alice.uid)]
    kept = (alice.home / "kept").stat()
    assert (kept.st_uid, kept.st_gid) == (alice.uid, alice.gid)
    # What is put in would be another user's.
    assert 'keeps its owner: with `userns_mode` "host", an Engine with userns-remap gives' in log.text
    await with_own_ids.user.stop("")


async def test_a_fresh_volume_is_the_servers_users_inside(remapped: Site, tmp_path: Path) -> None:
    user = {"user": "jovyan"}
    world = new_world(remapped, tmp_path, volumes={"{prefix}-{username}": "/data"}, extra_create_kwargs=user)
    spawner = await world.spawn()
    command = "touch /data/kept; ls -nd /data /data/kept"
    told = said(remapped.http, spawner.object_id, *SHELL, command).splitlines()
    assert [line.split()[2:4] for line in told] == [["1000", "100"]] * 2
    await world.user.stop("")
