"""Kept containers whose networks are not what they were; over the fake Engine and a real one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from asyncdockerspawner import errors
from tests.support.site import Site
from tests.support.world import MakeWorld, World


@pytest.fixture
def networks(site: Site) -> Iterator[list[str]]:
    """The names of two networks of this test's own."""
    names = [f"t{site.hub_id}-{word}" for word in ("one", "two")]
    for name in names:
        make(site, name)
    yield names
    for container in site.containers():
        site.remove(container["Id"])
    for name in names:
        site.http.delete(f"/networks/{name}")


def make(site: Site, name: str) -> str:
    made = site.http.post("/networks/create", json={"Name": name, "CheckDuplicate": True})
    return str(made.raise_for_status().json()["Id"])


async def kept(world: World) -> str:
    """Start a server and stop it; gives the id of its container."""
    ref = (await world.spawn()).object_id
    await world.user.stop("")
    return ref


async def test_a_kept_container_is_put_into_networks_that_were_made_anew(
    make_world: MakeWorld, site: Site, networks: list[str]
) -> None:
    one, two = networks
    aliases = {"networking_config": {"EndpointsConfig": {one: {"Aliases": ["lab"]}}}}
    world = make_world(
        network_name=one, extra_networks=[two], remove=False, extra_create_kwargs=aliases, stop_timeout=1
    )
    ref = await kept(world)
    ids = {}
    for name in networks:
        site.http.delete(f"/networks/{name}").raise_for_status()
        ids[name] = make(site, name)
    spawner = await world.restarted().spawn()
    assert spawner.object_id == ref
    found = site.inspect(ref)["NetworkSettings"]["Networks"]
    assert {name: each["NetworkID"] for name, each in found.items()} == ids
    assert found[one]["Aliases"].count("lab") == 1
    assert spawner.server.ip == found[one]["IPAddress"]
    await spawner.user.stop("")


async def test_a_kept_container_whose_network_is_gone_says_what_to_make_or_to_remove(
    make_world: MakeWorld, site: Site, networks: list[str]
) -> None:
    world = make_world(network_name=networks[0], remove=False)
    ref = await kept(world)
    site.http.delete(f"/networks/{networks[0]}").raise_for_status()
    with pytest.raises(Exception, match="a network of its kept container does not exist any more") as caught:
        await world.restarted().spawn()
    told = str(caught.value.__cause__)
    assert f"`docker rm -v t{site.hub_id}-alice`" in told
    assert "The Engine's networks are bridge" in told
    assert site.inspect(ref)["State"]["Running"] is False


async def test_a_kept_container_in_the_network_of_one_that_is_gone_says_so(
    make_world: MakeWorld, site: Site
) -> None:
    body = {"Image": site.kind("stub")["image"], "Labels": {"asyncdockerspawner.hub": site.hub_id}}
    other = site.http.post("/containers/create", json=body).raise_for_status().json()["Id"]
    world = make_world(remove=False)
    mine = await kept(world)
    body |= {"HostConfig": {"NetworkMode": f"container:{other}"}, "Cmd": ["/bin/busybox", "sleep", "60"]}
    name = f"t{site.hub_id}-beside"
    beside = site.http.post("/containers/create", params={"name": name}, json=body).json()["Id"]
    site.http.post(f"/containers/{other}/start").raise_for_status()
    for verb in ("start", "stop"):
        site.http.post(f"/containers/{beside}/{verb}", params={"t": 0}).raise_for_status()
    site.remove(other)
    with pytest.raises(errors.BadOption, match=f"No such container: {other}.*`docker rm -v {name}`"):
        await world.new_spawner("")._managed.workload.start(beside)
    site.remove(beside)
    site.remove(mine)
