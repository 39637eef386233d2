"""Kept containers that no longer fit the configuration, or their server's name; over both Engines."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.site import SHELL, Site
from tests.support.world import MakeWorld, World


async def kept(make_world: MakeWorld, name: str = "", **options: Any) -> tuple[World, str]:
    """A world with a stopped container, and its id."""
    world = make_world(remove=False, **options)
    made = (await world.spawn(name)).object_id
    await world.user.stop(name)
    return world, made


def configured(world: World, **options: Any) -> World:
    """The Hub started again with other options."""
    world.settings["config"].DockerSpawner.update(options)
    return world.restarted()


def with_a_file(site: Site, ref: str) -> None:
    """Let the user have left a file in a container."""
    if site.fake is not None:
        site.fake.set_changes(ref, [{"Path": "/home", "Kind": 0}, {"Path": "/home/mine", "Kind": 1}])


async def test_a_container_that_differs_is_started_all_the_same_and_told(
    make_world: MakeWorld, log: pytest.LogCaptureFixture
) -> None:
    world, made = await kept(make_world)
    world = configured(world, mem_limit="64M", environment={"A": "1"})
    assert (await world.spawn()).object_id == made
    await world.user.stop("")
    assert "made with other settings (environment, limits)" in log.text


async def test_a_container_that_fits_is_not_talked_about(
    make_world: MakeWorld, log: pytest.LogCaptureFixture
) -> None:
    world, made = await kept(make_world, mem_limit="64M", volumes={"{prefix}-{username}": "/home/w"})
    world = world.restarted()
    assert (await world.spawn()).object_id == made
    await world.user.stop("")
    assert "other settings" not in log.text


async def test_reuse_says_nothing(make_world: MakeWorld, log: pytest.LogCaptureFixture) -> None:
    world, made = await kept(make_world, on_drift="reuse")
    world = configured(world, mem_limit="64M")
    assert (await world.spawn()).object_id == made
    await world.user.stop("")
    assert "other settings" not in log.text


async def test_recreate_replaces_a_container_without_files_of_its_user(
    make_world: MakeWorld, site: Site
) -> None:
    world, made = await kept(make_world, on_drift="recreate", extra_create_kwargs={"working_dir": "/www"})
    world = configured(world, mem_limit=64 * 2**20)
    spawner = await world.spawn()
    assert [one["Id"] for one in site.containers()] == [spawner.object_id]
    assert spawner.object_id != made
    assert site.inspect(spawner.object_id)["HostConfig"]["Memory"] == 64 * 2**20
    await world.user.stop("")


async def test_recreate_keeps_the_files_of_the_user(
    make_world: MakeWorld, site: Site, log: pytest.LogCaptureFixture
) -> None:
    command = [*SHELL, "/bin/busybox mkdir -p /home; echo data > /home/mine; exec /serve"]
    options: dict[str, Any] = {"cmd": command} if site.fake is None else {}
    world, made = await kept(make_world, on_drift="recreate", **options)
    with_a_file(site, made)
    world = configured(world, mem_limit="64M")
    spawner = await world.spawn()
    old = f"{spawner.object_name}-kept-{made[:12]}"
    assert site.names() == [spawner.object_name, old]
    assert site.inspect(made)["State"]["Running"] is False
    assert old in log.text
    await world.user.stop("")
    assert site.names() == [spawner.object_name, old]


@pytest.mark.parametrize("has_files", [True, False])
async def test_where_containers_are_removed_from_now_on_one_that_was_kept_is_only_where_it_has_no_files(
    make_world: MakeWorld, site: Site, has_files: bool
) -> None:
    command = [*SHELL, "/bin/busybox mkdir -p /home; echo data > /home/mine; exec /serve"]
    options: dict[str, Any] = {"cmd": command} if has_files and site.fake is None else {}
    world, made = await kept(make_world, extra_create_kwargs={"working_dir": "/www"}, **options)
    if has_files:
        with_a_file(site, made)
    world = configured(world, remove=True)
    spawner = await world.spawn()
    assert spawner.object_id != made
    await world.user.stop("")
    assert site.names() == ([f"{spawner.object_name}-kept-{made[:12]}"] if has_files else [])


async def test_what_dockerspawner_made_never_differs(
    make_world: MakeWorld, site: Site, log: pytest.LogCaptureFixture
) -> None:
    world, made = await kept(make_world, on_drift="recreate")
    document = site.inspect(made)
    site.remove(made)
    body = {key: document["Config"][key] for key in ("Image", "Env", "Cmd", "ExposedPorts")}
    body["HostConfig"] = {"PortBindings": {"8888/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}}
    name = document["Name"].lstrip("/")
    old = site.http.post("/containers/create", params={"name": name}, json=body).json()["Id"]
    try:
        world = configured(world, mem_limit="64M")
        assert (await world.spawn()).object_id == old
        await world.user.stop("")
    finally:
        site.remove(old)
    assert "other settings" not in log.text


async def test_a_renamed_server_keeps_its_volumes_and_gets_a_container_of_its_new_name(
    make_world: MakeWorld, site: Site
) -> None:
    volumes = {f"t{site.hub_id}-{{username}}-{{servername}}": "/home/work"}
    world, made = await kept(make_world, "old", volumes=volumes, extra_create_kwargs={"working_dir": "/www"})
    bind = site.inspect(made)["HostConfig"]["Binds"]
    spawner = world.new_spawner("old")
    await spawner.rename("old", "new")
    spawner.orm_spawner.name = "new"
    world = world.restarted()
    again = await world.spawn("new")
    found = site.inspect(again.object_id)
    assert found["HostConfig"]["Binds"] == bind
    assert found["Name"].endswith("--new")
    assert "JUPYTERHUB_SERVICE_PREFIX=/user/alice/new/" in found["Config"]["Env"]
    assert site.names() == [found["Name"].lstrip("/")]
    await world.user.stop("new")
    third = await world.restarted().spawn("new")
    assert third.object_id == again.object_id
    await third.user.stop("new")
    site.http.delete(f"/volumes/{bind[0].partition(':')[0]}", params={"force": 1})


async def test_a_rename_is_refused_where_the_container_must_stay(
    make_world: MakeWorld, log: pytest.LogCaptureFixture
) -> None:
    world, _ = await kept(make_world, "old", on_drift="reuse")
    with pytest.raises(Exception, match="its container was made for the present one") as caught:
        await world.new_spawner("old").rename("old", "new")
    assert caught.value.status_code == 409  # type: ignore[attr-defined]
    assert "`on_drift`" in log.text
