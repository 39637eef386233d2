"""Options that decide what happens around a container's life; over the fake Engine and a real one."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from asyncdockerspawner import DockerSpawner
from tests.support.site import SHELL, Site
from tests.support.waiting import until
from tests.support.world import MakeWorld

ON_THE_REAL = pytest.mark.parametrize("site", ["real"], indirect=True)


@pytest.fixture(autouse=True)
def no_volume_stays(site: Site) -> Any:
    yield
    for name in site.volumes():
        site.http.delete(f"/volumes/{name}", params={"force": 1})


async def test_functions_are_called_once_for_each_spawn_and_seen_by_the_environment(
    make_world: MakeWorld, site: Site
) -> None:
    calls: list[str] = []

    def limit(spawner: DockerSpawner) -> str:
        calls.append("mem_limit")
        return "64M" if spawner.name == "lab" else "32M"

    async def mounted(spawner: DockerSpawner) -> dict[str, str]:
        calls.append("volumes")
        await asyncio.sleep(0)
        return {f"t{site.hub_id}-{{username}}": f"/w/{spawner.name}"}

    world = make_world(mem_limit=limit, volumes=mounted, cpu_limit=lambda _: 0.5)
    spawner = await world.spawn("lab")
    found = site.inspect(spawner.object_id)
    assert found["HostConfig"]["Memory"] == 64 * 2**20
    assert found["HostConfig"]["CpuQuota"] == 50_000
    assert found["HostConfig"]["Binds"] == [f"t{site.hub_id}-alice:/w/lab:rw"]
    assert f"MEM_LIMIT={64 * 2**20}" in found["Config"]["Env"]
    assert sorted(calls) == ["mem_limit", "volumes"]
    assert spawner.mem_limit == 64 * 2**20
    await world.user.stop("lab")
    await world.spawn("lab")
    assert sorted(calls) == ["mem_limit", "mem_limit", "volumes", "volumes"]
    await world.user.stop("lab")


@pytest.mark.parametrize("option", ["mem_limit", "volumes", "network_name"])
async def test_a_function_that_fails_is_named_in_the_log(
    make_world: MakeWorld, site: Site, log: pytest.LogCaptureFixture, option: str
) -> None:
    with pytest.raises(Exception, match="code of the Hub's configuration failed"):
        await make_world(**{option: lambda _: 1 / 0}).spawn()
    assert f"`{option}`" in log.text
    assert "ZeroDivisionError: division by zero" in log.text
    assert site.containers() == []


async def test_mounts_of_all_kinds_reach_the_container(
    make_world: MakeWorld, site: Site, tmp_path: Any
) -> None:
    (tmp_path / "alice").mkdir()
    world = make_world(
        mounts=[
            {"target": "/a", "source": f"t{site.hub_id}-{{username}}"},
            {"target": "/b", "source": f"{tmp_path}/{{username}}", "type": "bind", "read_only": True},
            {"target": "/c", "type": "tmpfs", "tmpfs_size": "1m"},
        ]
    )
    found = site.inspect((await world.spawn()).object_id)["HostConfig"]["Mounts"]
    assert [(one["Target"], one["Type"]) for one in found] == [
        ("/a", "volume"),
        ("/b", "bind"),
        ("/c", "tmpfs"),
    ]
    assert (found[0]["Source"], found[1]["ReadOnly"]) == (f"t{site.hub_id}-alice", True)
    assert found[2]["TmpfsOptions"] == {"SizeBytes": 2**20}
    await world.user.stop("")


async def test_volumes_of_one_user_say_whose_they_are_and_shared_ones_do_not(
    make_world: MakeWorld, site: Site
) -> None:
    base = f"t{site.hub_id}"
    templates = {
        f"{base}-{{username}}": "/u",
        f"{base}-{{servername}}-{{username}}": "/s",
        f"{base}-all": "/x",
    }
    world = make_world(volumes=templates, delete_volumes_on_user_delete=True)
    await world.spawn("lab")
    await world.user.stop("lab")
    found = site.volumes()
    assert found[f"{base}-alice"] == {
        "asyncdockerspawner.hub": site.hub_id,
        "asyncdockerspawner.user": "alice",
    }
    assert found[f"{base}-lab-alice"]["asyncdockerspawner.server"] == "lab"
    assert found[f"{base}-all"] == {}


@pytest.mark.parametrize("asked", [True, False])
async def test_a_deleted_user_takes_container_and_if_asked_the_own_volumes_along(
    make_world: MakeWorld, site: Site, asked: bool
) -> None:
    base = f"t{site.hub_id}"
    templates = {
        f"{base}-{{username}}": "/u",
        f"{base}-{{servername}}-{{username}}": "/s",
        f"{base}-all": "/x",
    }
    world = make_world(volumes=templates, remove=False, delete_volumes_on_user_delete=asked)
    for name in ("", "lab"):
        await world.spawn(name)
        await world.user.stop(name)
    world = world.restarted()
    lab = world.new_spawner("lab")
    await lab.delete_forever()
    assert site.names() == [f"{base}-alice"]
    of_the_user = {f"{base}-alice", f"{base}-all", f"{base}--alice"}
    assert set(site.volumes()) == (of_the_user if asked else {*of_the_user, f"{base}-lab-alice"})
    await world.new_spawner("").delete_forever()
    assert site.names() == []
    assert set(site.volumes()) == ({f"{base}-all"} if asked else {*of_the_user, f"{base}-lab-alice"})


async def test_a_volume_that_was_made_without_a_label_is_deleted_if_it_is_the_users_alone(
    make_world: MakeWorld, site: Site
) -> None:
    base = f"t{site.hub_id}"
    for name in (f"{base}-alice", f"{base}-all"):
        site.http.post("/volumes/create", json={"Name": name}).raise_for_status()
    templates = {f"{base}-{{username}}": "/u", f"{base}-all": "/x", "/tmp": "/host"}
    world = make_world(volumes=templates, delete_volumes_on_user_delete=True)
    await world.spawn()
    await world.user.stop("")
    await world.restarted().new_spawner("").delete_forever()
    assert set(site.volumes()) == {f"{base}-all"}


async def test_a_volume_in_use_stays_and_is_told(
    make_world: MakeWorld, site: Site, log: pytest.LogCaptureFixture
) -> None:
    world = make_world(volumes={f"t{site.hub_id}-{{username}}": "/u"}, delete_volumes_on_user_delete=True)
    await world.spawn("busy")
    await world.new_spawner("").delete_forever()
    assert set(site.volumes()) == {f"t{site.hub_id}-alice"}
    assert "stays" in log.text
    await world.user.stop("busy")


@ON_THE_REAL
async def test_ports_that_a_site_binds_are_published_though_the_image_exposes_none(
    make_world: MakeWorld, site: Site
) -> None:
    world = make_world(extra_host_config={"port_bindings": {9999: ("127.0.0.1",), "53/udp": None}})
    found = site.inspect((await world.spawn()).object_id)["NetworkSettings"]["Ports"]
    assert set(found) == {"8888/tcp", "9999/tcp", "53/udp"}
    assert all(int(binding["HostPort"]) for bindings in found.values() for binding in bindings)
    await world.user.stop("")


async def test_an_images_healthcheck_can_be_turned_off(make_world: MakeWorld, site: Site) -> None:
    world = make_world(healthcheck="none")
    found = site.inspect((await world.spawn()).object_id)
    assert found["Config"]["Healthcheck"] == {"Test": ["NONE"]}
    assert "Health" not in found["State"]
    await world.user.stop("")


@ON_THE_REAL
@pytest.mark.parametrize("way", ["mounts", "extra_host_config"])
async def test_names_are_filled_into_the_options_of_volume_drivers_and_not_into_the_engines_templates(
    make_world: MakeWorld, site: Site, way: str
) -> None:
    driver = {"name": "local", "options": {"type": "tmpfs", "device": "for-{username}", "o": "size=1m"}}
    name = f"t{site.hub_id}-{{username}}"
    mount = {"source": name, "target": "/x", "driver_config": driver, "labels": {"of": "{username}"}}
    options = {"log_config": {"type": "json-file", "config": {"tag": "{{.Name}}/{{.ID}}"}}}
    if way == "mounts":
        world = make_world(mounts=[mount], extra_host_config=options)
    else:
        world = make_world(extra_host_config={**options, "mounts": [mount]})
    found = site.inspect((await world.spawn()).object_id)
    assert found["HostConfig"]["LogConfig"]["Config"]["tag"] == "{{.Name}}/{{.ID}}"
    made = site.http.get(f"/volumes/t{site.hub_id}-alice").json()
    assert made["Options"]["device"] == "for-alice"
    assert made["Labels"] == {"of": "alice"}
    await world.user.stop("")


@ON_THE_REAL
@pytest.mark.parametrize("now", [True, False])
async def test_a_stubborn_server_is_given_its_grace_unless_it_must_end_now(
    make_world: MakeWorld, site: Site, now: bool
) -> None:
    world = make_world("slowstop", stop_timeout=30 if now else 1)
    spawner = await world.spawn()
    async with asyncio.timeout(15):
        await spawner.stop(now=now)
    assert site.containers() == []


async def test_a_failed_container_is_kept_if_asked_for_and_gives_way_to_the_next(
    make_world: MakeWorld, site: Site, log: pytest.LogCaptureFixture
) -> None:
    world = make_world("dies", keep_failed=True)
    with pytest.raises(Exception, match="code 3"):
        await world.spawn()
    (left,) = site.containers()
    assert left["State"] == "exited"
    assert "is kept" in log.text
    world.settings["config"].DockerSpawner.update(site.kind("stub") | {"cmd": site.kind("stub").get("cmd")})
    world.settings["config"].DockerSpawner.environment = {}
    spawner = await world.restarted().spawn()
    assert [one["Id"] for one in site.containers()] == [spawner.object_id]
    await spawner.user.stop("")


async def test_a_chosen_image_is_the_one_that_is_allowed(make_world: MakeWorld, site: Site) -> None:
    image = site.kind("stub")["image"]
    world = make_world(allowed_images=lambda _: {"the <b>stub</b>": image})
    spawner = await world.spawn(image="the <b>stub</b>")
    assert spawner.image == image
    await world.user.stop("")
    with pytest.raises(Exception, match="the <b>stub</b>"):
        await world.spawn(image="evil:1")


@pytest.mark.parametrize(
    "choice", [["a"], {"a": 1}, 5, "x" * 10_000, "a\nb", "{username}", "{0}", "", None, True]
)
async def test_hostile_choices_create_nothing(make_world: MakeWorld, site: Site, choice: Any) -> None:
    world = make_world(allowed_images={"good": site.kind("stub")["image"]})
    if choice in ("", None):
        # Nothing was chosen.
        await world.spawn(image=choice)
        await world.user.stop("")
        return
    with pytest.raises(Exception, match="image") as caught:
        await world.spawn(image=choice)
    assert caught.value.status_code == 400  # type: ignore[attr-defined]
    assert len(caught.value.jupyterhub_message) < 1000  # type: ignore[attr-defined]
    assert site.containers() == []


@ON_THE_REAL
async def test_a_container_is_in_all_its_networks_before_it_starts(
    make_world: MakeWorld, site: Site, log: pytest.LogCaptureFixture
) -> None:
    names = [f"t{site.hub_id}-{word}" for word in ("one", "two")]
    for name in names:
        site.http.post("/networks/create", json={"Name": name, "CheckDuplicate": True}).raise_for_status()
    try:
        world = make_world(extra_networks=names)
        found = site.inspect((await world.spawn()).object_id)["NetworkSettings"]["Networks"]
        assert set(found) == {"bridge", *names}
        assert all(one["IPAddress"] for one in found.values())
        await world.user.stop("")
        with pytest.raises(Exception, match=r"a network of its container does not exist"):
            await make_world(extra_networks=["nowhere"]).spawn()
        assert re.search(r"`extra_networks`.*networks are bridge", log.text)
        assert site.containers() == []
    finally:
        for name in names:
            site.http.delete(f"/networks/{name}")


async def test_a_name_inside_the_network_is_used_where_it_is_asked_for(
    make_world: MakeWorld, site: Site
) -> None:
    spawner = make_world(use_internal_hostname=True).new_spawner("")
    assert await spawner.get_ip_and_port() == (f"t{site.hub_id}-alice", 8888)


async def test_a_container_that_the_engine_removes_by_itself_gives_its_name_free_in_time(
    make_world: MakeWorld, site: Site
) -> None:
    for remove in (True, False):
        world = make_world(remove=remove, extra_host_config={"auto_remove": True})
        ids = set()
        for _ in range(3):
            ids.add((await world.spawn()).object_id)
            await world.user.stop("")
        assert len(ids) == 3
        await until(lambda: site.containers() == [])


async def test_an_address_that_comes_late_is_waited_for(make_world: MakeWorld, site: Site) -> None:
    asked = 0

    class Late(DockerSpawner):
        """Its Engine gives addresses late."""

        def get_network_ip(self, network_settings: Any) -> str:
            nonlocal asked
            asked += 1
            address = network_settings["Networks"]["bridge"]["IPAddress"] if asked >= 4 else ""
            return super().get_network_ip({"Networks": {"bridge": {"IPAddress": address}}})

    world = make_world(use_internal_ip=True)
    world.settings["spawner_class"] = Late
    world.settings["config"].Late.update(world.settings["config"].DockerSpawner)
    spawner = world.new_spawner("")
    await spawner.run_pre_spawn_hook()
    if site.fake is None:
        ip, port = await spawner.start()
        assert (ip.count("."), port) == (3, 8888)
    else:
        # Nobody answers at the fake's addresses; what counts is that one was found.
        task = asyncio.ensure_future(spawner.start())
        async with asyncio.timeout(10):
            while spawner._managed.url is None:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.wait([task])
    assert asked >= 4
    await spawner.stop()


@ON_THE_REAL
async def test_a_server_is_published_and_reached_over_ipv6(make_world: MakeWorld, site: Site) -> None:
    world = make_world(host_ip="::1")
    spawner = await world.spawn()
    assert spawner.server.ip == "::1"
    assert spawner.server.url.startswith("http://[::1]:")
    assert await spawner.poll() is None
    assert (await spawner.get_url()).startswith("http://[::1]:")


OLD = "HTTP/1.1 200 OK\\r\\nX-JupyterHub-Version: 4.1.6\\r\\nContent-Length: 0\\r\\n\\r\\n"


@ON_THE_REAL
async def test_a_server_of_another_major_version_is_warned_about_once_in_the_log_and_always_on_the_page(
    make_world: MakeWorld, log: pytest.LogCaptureFixture
) -> None:
    command = f"while true; do printf '{OLD}' | /bin/busybox nc -l -p 8888 >/dev/null; done"
    world = make_world(cmd=[*SHELL, command], stop_timeout=0)
    for _ in range(2):
        spawner = await world.spawn()
        lines = [event["message"] async for event in spawner.progress()]
        assert any("has JupyterHub 4.1.6" in line for line in lines)
        await world.user.stop("")
    assert log.text.count("has JupyterHub 4.1.6") == 1
