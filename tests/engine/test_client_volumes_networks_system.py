"""The client's verbs on volumes, networks and the Engine itself, over the fake Engine and a real one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from asyncdockerspawner import errors
from tests.support.clients import body, opened
from tests.support.site import Site


@pytest.fixture
def volume(site: Site) -> Iterator[str]:
    """The name of a volume that is gone after the test."""
    name = f"t{site.hub_id}-volume"
    yield name
    for container in site.containers():
        site.remove(container["Id"])
    assert site.http.delete(f"/volumes/{name}").status_code in {204, 404}


async def test_a_volume_is_made_once_however_often_it_is_asked_for(site: Site, volume: str) -> None:
    async with opened(site.url) as client:
        made = await asyncio.gather(*(client.volumes.create(volume, labels={"a": "1"}) for _ in range(10)))
        again = await client.volumes.create(volume, labels={"a": "2"})
        assert {one.name for one in made} == {volume}
        assert again.labels == {"a": "1"}
        assert await client.volumes.inspect(volume) == again


async def test_a_volume_in_use_stays(site: Site, volume: str) -> None:
    async with opened(site.url) as client:
        await client.volumes.create(volume, labels={})
        made = await client.containers.create(
            f"t{site.hub_id}-x", body(site, HostConfig={"Binds": [f"{volume}:/data"]})
        )
        with pytest.raises(errors.EngineRefused, match="in use") as caught:
            await client.volumes.remove(volume)
        assert caught.value.status == 409
        await client.containers.remove(made)
        # Named volumes outlive the containers that used them.
        assert await client.volumes.inspect(volume) is not None
        await client.volumes.remove(volume)
        assert await client.volumes.inspect(volume) is None


async def test_an_absent_volume_is_nothing_and_needs_no_removal(site: Site, volume: str) -> None:
    async with opened(site.url) as client:
        assert await client.volumes.inspect(volume) is None
        await client.volumes.remove(volume)
        assert await client.volumes.inspect(volume) is None


async def test_a_volume_with_a_bad_name_is_refused(site: Site) -> None:
    async with opened(site.url) as client:
        with pytest.raises(errors.InvalidConfig, match="bad name!"):
            await client.volumes.create("bad name!", labels={})


async def test_a_volume_whose_name_is_a_path_reaches_no_other_volume(site: Site, volume: str) -> None:
    async with opened(site.url) as client:
        await client.volumes.create(volume, labels={})
        await client.volumes.remove(f"v/../{volume}")
        assert await client.volumes.inspect(f"v/../{volume}") is None
        assert await client.volumes.inspect(volume) is not None


async def test_networks_are_found_by_name_and_listed(site: Site) -> None:
    async with opened(site.url) as client:
        found = await client.networks.inspect("bridge")
        assert found is not None
        assert (found["Name"], found["Driver"]) == ("bridge", "bridge")
        assert await client.networks.inspect(f"t{site.hub_id}-none") is None
        assert await client.networks.inspect("x/../bridge") is None
        names = await client.networks.names()
        assert names == sorted(names)
        assert {"bridge", "host", "none"} <= set(names)


async def test_the_engine_tells_its_version_and_size(site: Site) -> None:
    async with opened(site.url) as client:
        version = await client.system.version()
        info = await client.system.info()
    assert {"ApiVersion", "Version"} <= set(version)
    assert info["NCPU"] >= 1
    assert info["MemTotal"] > 0
