"""Users with another name, and new users who take the former one: each has their own; over both Engines."""

from __future__ import annotations

from typing import Any

import pytest
from jupyterhub import orm, roles
from jupyterhub.user import User

from asyncdockerspawner import DockerSpawner
from asyncdockerspawner.engine import registry
from tests.fake_engine import FakeEngine
from tests.support.site import SHELL, Site
from tests.support.world import MakeWorld, World, open_world

WITH_A_FILE = [*SHELL, "/bin/busybox mkdir -p /home; echo data > /home/mine; exec /serve"]


def renamed(world: World, name: str = "bob") -> World:
    """An admin has given the user another name, and the Hub has been started again."""
    world.user.orm_user.name = name
    world.db.commit()
    world.db.close()
    return open_world(world.site, world.folder, world.settings, name)


def somebody_new(world: World, name: str = "alice") -> World:
    """Another user of the same Hub."""
    orm_user = orm.User(name=name)
    world.db.add(orm_user)
    roles.assign_default_roles(world.db, orm_user)
    world.db.commit()
    return World(world.site, world.folder, world.settings, world.db, User(orm_user, world.settings))


async def kept(make_world: MakeWorld, *, file: bool = True, **options: Any) -> tuple[World, str]:
    """A stopped container of alice, in which there is a file, and its id."""
    unchanged = {"extra_create_kwargs": {"working_dir": "/www"}}
    world = make_world(remove=False, **({"cmd": WITH_A_FILE} if file else unchanged), **options)
    made = (await world.spawn()).object_id
    await world.user.stop("")
    if file and world.site.fake is not None:
        changes = [{"Path": "/home", "Kind": 0}, {"Path": "/home/mine", "Kind": 1}]
        world.site.fake.set_changes(made, changes)
    return world, made


def environment(site: Site, ref: str) -> dict[str, str]:
    return dict(each.partition("=")[::2] for each in site.inspect(ref)["Config"]["Env"])


async def lines(spawner: DockerSpawner) -> str:
    return "\n".join([event["message"] async for event in spawner.progress()])


async def test_a_new_user_of_a_former_name_does_not_get_what_is_kept_for_the_renamed_one(
    make_world: MakeWorld, site: Site
) -> None:
    world, made = await kept(make_world)
    bob = renamed(world)
    alice = somebody_new(bob)
    ids = []
    for _ in range(2):
        spawner = await alice.spawn()
        ids.append(spawner.object_id)
        assert await spawner.poll() is None
        if len(ids) == 1:
            await alice.user.stop("")
    assert made not in ids
    assert ids[0] == ids[1]
    # The owner's start touches nothing of it, and finds the own files put aside.
    theirs = await bob.spawn()
    assert theirs.object_id not in {made, *ids}
    assert await alice.spawner().poll() is None
    assert site.inspect(ids[0])["State"]["Running"] is True
    told = environment(site, theirs.object_id)
    assert (told["JUPYTERHUB_USER"], told["JUPYTERHUB_SERVICE_PREFIX"]) == ("bob", "/user/bob/")
    aside = site.inspect(made)
    assert aside["State"]["Running"] is False
    assert aside["Name"].endswith(f"-kept-{made[:12]}")
    assert f"a new one is made. Files outside of its volumes are in {aside['Name'][1:]}" in await lines(
        theirs
    )
    await alice.user.stop("")
    await bob.user.stop("")


@pytest.mark.parametrize("on_drift", ["warn", "reuse", "recreate"])
async def test_a_kept_container_of_a_renamed_user_is_made_anew(
    make_world: MakeWorld, site: Site, on_drift: str
) -> None:
    world, made = await kept(make_world, file=False, on_drift=on_drift)
    bob = renamed(world)
    spawner = await bob.spawn()
    assert spawner.object_id != made
    told = environment(site, spawner.object_id)
    assert (told["JUPYTERHUB_USER"], told["JUPYTERHUB_SERVICE_PREFIX"]) == ("bob", "/user/bob/")
    assert "made for user 'alice' at /user/alice/" in await lines(spawner)
    assert [one["Id"] for one in site.containers()] == [spawner.object_id]
    again = spawner.object_id
    await bob.user.stop("")
    # Once is enough.
    assert (await bob.spawn()).object_id == again
    await bob.user.stop("")


async def test_so_it_is_where_the_hub_has_not_been_restarted_since(make: MakeWorld, fake: FakeEngine) -> None:
    world, made = await kept(make)
    world.user.orm_user.name = "bob"
    world.db.commit()
    spawner = await world.spawn()
    assert spawner.object_id != made
    assert environment(world.site, spawner.object_id)["JUPYTERHUB_USER"] == "bob"
    await world.user.stop("")


async def test_a_running_server_of_a_renamed_user_goes_on_at_its_own_prefix(
    make_world: MakeWorld, site: Site
) -> None:
    world = make_world(remove=False)
    running = (await world.spawn()).object_id
    await registry.close_engines()
    bob = renamed(world)
    spawner = bob.spawner()
    assert await spawner.poll() is None
    url = await spawner.get_url()
    assert url == spawner.server.url
    assert url.endswith("/user/alice/")
    # The name of its container is not free, and nobody's server is stopped for that.
    alice = somebody_new(bob)
    with pytest.raises(Exception, match="its name at the Docker Engine is taken"):
        await alice.spawn()
    await alice.user.stop("")
    assert site.inspect(running)["State"]["Running"] is True
    assert await spawner.poll() is None
    await bob.user.stop("")
    assert site.inspect(running)["State"]["Running"] is False
    mine = await alice.spawn()
    assert mine.object_id != running
    await alice.user.stop("")


async def test_a_new_user_removes_nothing_that_is_kept_for_another(make: MakeWorld, fake: FakeEngine) -> None:
    world, made = await kept(make)
    world.settings["config"].DockerSpawner.remove = True
    alice = somebody_new(renamed(world))
    await alice.spawn()
    await alice.user.stop("")
    await alice.new_spawner().delete_forever()
    assert [one["Id"] for one in fake.containers()] == [made]
    alice.new_spawner().object_name = fake.containers()[0]["Name"].lstrip("/")
    other = somebody_new(alice, "carol").new_spawner()
    other.object_name = f"th{other.hub_id}"
    await other.delete_forever()
    assert [one["Id"] for one in fake.containers()] == [made]


async def test_a_start_that_a_killed_hub_has_begun_is_not_found_in_somebody_elses_server(
    make: MakeWorld, fake: FakeEngine
) -> None:
    world = make()
    running = await world.spawn()
    name = running.object_name
    bob = renamed(world)
    alice = somebody_new(bob)
    mine = alice.new_spawner()
    mine.load_state({"object_name": name, "spawn_id": "0123456789abcdef", "phase": "starting"})
    assert await mine.poll() == 0
    await mine.stop()
    assert await bob.spawner().poll() is None
    await bob.user.stop("")
    assert fake.containers() == []


async def test_a_server_that_two_rows_name_is_of_the_one_it_speaks_of(
    make: MakeWorld, fake: FakeEngine
) -> None:
    # As it was left where a new user had been given a renamed one's container.
    world, made = await kept(make)
    bob = renamed(world)
    alice = somebody_new(bob)
    alice.new_spawner().orm_spawner.state = dict(bob.user.orm_user.orm_spawners[""].state)
    alice.db.commit()
    # Her first try fails, as the Hub revokes the token of his that is inside.
    with pytest.raises(ValueError, match="Invalid token"):
        await alice.spawn()
    hers = await alice.spawn()
    assert hers.object_id == made
    his = await bob.spawn()
    assert his.object_id != made
    assert await hers.poll() is None
    await bob.new_spawner("gone").delete_forever()
    await alice.user.stop("")
    await bob.user.stop("")
    assert {one["Id"] for one in fake.containers()} == {made, his.object_id}


async def test_every_kept_container_of_a_renamed_user_stays_their_own(
    make: MakeWorld, fake: FakeEngine
) -> None:
    fake.add_image("other:1")
    world = make(
        remove=False, name_template="{prefix}-{username}-{imagename}", allowed_images=["stub:1", "other:1"]
    )
    ids = []
    for image in ("stub:1", "other:1"):
        ids.append((await world.spawn(image=image)).object_id)
        await world.user.stop("")
    alice = somebody_new(renamed(world))
    for image in ("stub:1", "other:1"):
        assert (await alice.spawn(image=image)).object_id not in ids
        await alice.user.stop("")
    assert {one["Id"] for one in fake.containers()} > set(ids)


async def test_a_sites_own_environment_may_say_for_whom_a_server_is(make: MakeWorld) -> None:
    world, made = await kept(make, environment={"JUPYTERHUB_USER": "guest"})
    spawner = await world.restarted().spawn()
    assert spawner.object_id == made
    await spawner.user.stop("")
