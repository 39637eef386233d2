"""Users and servers that the Hub forgets: what goes with them, and what is somebody else's and stays."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from jupyterhub import orm
from tornado import web

from asyncdockerspawner.lifecycle import deletion
from asyncdockerspawner.names.naming import default_format_volume_name
from tests.support.site import Site
from tests.support.waiting import until
from tests.support.world import MakeWorld, World

ON_THE_FAKE = pytest.mark.parametrize("site", ["fake"], indirect=True)


@pytest.fixture(autouse=True)
def no_volume_stays(site: Site) -> Any:
    yield
    for container in site.containers():
        site.remove(container["Id"])
    for name in site.volumes():
        site.http.delete(f"/volumes/{name}", params={"force": 1})


async def used(make_world: MakeWorld, *names: str, **options: Any) -> World:
    """A user whose servers of these names have run once, and are asked to take their volumes along."""
    world = make_world(**{"remove": False, "delete_volumes_on_user_delete": True, **options})
    for name in names:
        await world.spawn(name)
        await world.user.stop(name)
    return world.restarted()


async def delete_user(world: World) -> None:
    """Do as JupyterHub does, in its order: the default server before most others, then the rows."""
    for name in sorted(world.user.orm_user.orm_spawners):
        await world.new_spawner(name).delete_forever()
    world.db.delete(world.user.orm_user)
    world.db.commit()


def mine(site: Site, *ends: str) -> dict[str, str]:
    return {f"t{site.hub_id}-{{username}}{end}": f"/{end or 'home'}" for end in ends}


async def test_a_volume_that_a_named_servers_kept_container_has_goes_with_the_user(
    make_world: MakeWorld, site: Site
) -> None:
    world = await used(make_world, "", "lab", volumes=mine(site, "", "--{servername}"))
    assert len(site.volumes()) == 3
    await delete_user(world)
    assert site.names() == []
    await until(lambda: site.volumes() == {})


async def test_a_volume_that_carries_no_label_goes_with_the_user_who_had_it_in_a_named_server_only(
    make_world: MakeWorld, site: Site
) -> None:
    site.http.post("/volumes/create", json={"Name": f"t{site.hub_id}-alice"}).raise_for_status()
    world = await used(make_world, "lab", volumes=mine(site, ""))
    await delete_user(world)
    await until(lambda: site.volumes() == {})


async def test_a_sites_own_names_are_asked_for_users_who_exist_until_volumes_are_to_be_deleted(
    make_world: MakeWorld, site: Site
) -> None:
    asked = set()

    def named(template: str, spawner: Any) -> str:
        asked.add((spawner.user.name, spawner.name))
        return default_format_volume_name(template, spawner)

    shared = {f"t{site.hub_id}-all": "/all"}
    templates = {**mine(site, "", "--{servername}"), **shared}
    options = {"volumes": templates, "format_volume_name": named, "delete_volumes_on_user_delete": False}
    world = await used(make_world, "", "lab", **options)
    assert asked == {("alice", ""), ("alice", "lab")}
    # What they had until then is known when it is asked for.
    world.settings["config"].DockerSpawner.delete_volumes_on_user_delete = True
    await delete_user(world.restarted())
    await until(lambda: set(site.volumes()) == set(shared))


@pytest.mark.parametrize("failure", [web.HTTPError(500, "no directory today"), LookupError("no directory")])
async def test_a_sites_names_that_fail_leave_volumes_and_no_container(
    make_world: MakeWorld, site: Site, log: pytest.LogCaptureFixture, failure: Exception
) -> None:
    world = await used(make_world, "", volumes={f"t{site.hub_id}-{{username}}": "/home"})

    def failing(template: str, spawner: Any) -> str:
        raise failure

    world.settings["config"].DockerSpawner.format_volume_name = failing
    await world.restarted().new_spawner("").delete_forever()
    assert site.names() == []
    assert "that carry no label stay" in log.text


@ON_THE_FAKE
async def test_what_cannot_be_deleted_now_goes_when_the_engine_is_back(
    make_world: MakeWorld, site: Site, log: pytest.LogCaptureFixture
) -> None:
    assert site.fake is not None
    world = await used(make_world, "", "lab", volumes=mine(site, "", "--{servername}"))
    with site.fake.away():
        async with asyncio.timeout(20):
            await delete_user(world)
        assert "Could not" in log.text
    await until(lambda: site.names() == [] and site.volumes() == {})


@ON_THE_FAKE
async def test_a_deletion_that_is_asked_for_again_and_again_is_done_once(
    make_world: MakeWorld, site: Site
) -> None:
    assert site.fake is not None
    world = await used(make_world, "", volumes=mine(site, ""))
    spawner = world.new_spawner("")
    with site.fake.away():
        for _ in range(20):
            await spawner.delete_forever()
        assert len(spawner.engine.janitor._tasks) == 2
    await until(lambda: site.names() == [] and site.volumes() == {})


@ON_THE_FAKE
async def test_what_somebody_else_uses_by_the_time_that_the_engine_is_back_stays(
    make_world: MakeWorld, site: Site, log: pytest.LogCaptureFixture
) -> None:
    assert site.fake is not None
    world = await used(make_world, "", volumes=mine(site, "", "-more"))
    body = {"Image": "stub:1", "HostConfig": {"Binds": [f"t{site.hub_id}-alice:/w"]}}
    with site.fake.away():
        await delete_user(world)
        site.fake.come_back()
        made = site.http.post("/containers/create", json=body).raise_for_status().json()["Id"]
    await until(lambda: site.names() == [] and set(site.volumes()) == {f"t{site.hub_id}-alice"})
    await until(lambda: "stays" in log.text)
    site.remove(made)


@pytest.mark.parametrize("whose", [{"hub": "another"}, {"hub": "", "user": "bob"}])
async def test_a_volume_that_is_another_hubs_or_users_stays(
    make_world: MakeWorld, site: Site, log: pytest.LogCaptureFixture, whose: dict[str, str]
) -> None:
    labels = {f"asyncdockerspawner.{word}": text or site.hub_id for word, text in whose.items()}
    name = f"t{site.hub_id}-alice"
    site.http.post("/volumes/create", json={"Name": name, "Labels": labels}).raise_for_status()
    world = await used(make_world, "", volumes=mine(site, ""))
    await delete_user(world)
    assert set(site.volumes()) == {name}
    assert f"{name} stays" in log.text


async def test_a_volume_of_a_renamed_user_stays_when_a_new_one_of_the_old_name_is_deleted(
    make_world: MakeWorld, site: Site, log: pytest.LogCaptureFixture
) -> None:
    world = await used(make_world, "", volumes=mine(site, ""), remove=True)
    world.user.orm_user.name = "alicia"
    world.db.add(orm.User(name="alice"))
    world.db.commit()
    world = make_world(volumes=mine(site, ""), delete_volumes_on_user_delete=True)
    await delete_user(world)
    assert set(site.volumes()) == {f"t{site.hub_id}-alice"}
    assert "alicia/" in log.text


async def test_a_server_takes_no_volume_along_that_a_renamed_one_still_has(
    make_world: MakeWorld, site: Site
) -> None:
    world = await used(make_world, "old", volumes=mine(site, "--{servername}"), remove=True)
    spawner = world.new_spawner("old")
    state = {**spawner.get_state(), "volume_names": {}}
    spawner.orm_spawner.name, spawner.orm_spawner.state = "new", state
    world.db.commit()
    world = world.restarted()
    await world.new_spawner("old").delete_forever()
    assert set(site.volumes()) == {f"t{site.hub_id}-alice--old"}


async def test_a_server_that_is_deleted_takes_nothing_of_the_users_along_where_the_user_stays(
    make_world: MakeWorld, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Hub breaks off the deletion of a user who has a running server; what is left goes on."""
    monkeypatch.setattr(deletion, "GONE_PAUSES", (0.1,) * 5)
    world = await used(make_world, "", "lab", volumes=mine(site, "", "--{servername}"))
    spawner = world.new_spawner("")
    await spawner.delete_forever()
    assert set(site.volumes()) == {f"t{site.hub_id}-alice", f"t{site.hub_id}-alice--lab"}
    await world.new_spawner("lab").delete_forever()
    errands = spawner.engine.janitor._errands
    await until(lambda: not any("other servers had" in each.get_name() for each in errands))
    assert set(site.volumes()) == {f"t{site.hub_id}-alice"}
