"""Servers that have no network of their own: each is ready on its own port, or not at all."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from asyncdockerspawner import DockerSpawner
from asyncdockerspawner.workloads import ports
from tests.support.site import SHELL, Site
from tests.support.world import MakeWorld, World
from tests.testbed.plain_http import NO_TLS
from tests.testbed.processes import free_port

ON_THE_REAL = pytest.mark.parametrize("site", ["real"], indirect=True)
ON_THE_MACHINE = {"network_mode": "host"}
# Knows its own prefix only, as a single-user server does, and needs a while before it listens.
OWN_PREFIX = (
    "P=${JUPYTERHUB_SERVICE_URL#*//*:}; D=/www$JUPYTERHUB_SERVICE_PREFIX; /bin/busybox mkdir -p $D; "
    "echo mine >${D}index.html; /bin/busybox sleep 0.3; "
    'exec /bin/busybox httpd -f -p "127.0.0.1:${P%%/*}" -h /www'
)


async def in_a_function(_spawner: DockerSpawner) -> dict[str, str]:
    return dict(ON_THE_MACHINE)


def by_hook(spawner: DockerSpawner) -> None:
    spawner.extra_host_config = {"NetworkMode": "host"}


WAYS: dict[str, dict[str, Any]] = {
    "network_name": {"network_name": "host"},
    "network_mode": {"extra_host_config": ON_THE_MACHINE},
    "function": {"extra_host_config": in_a_function},
    "hook": {"pre_spawn_hook": by_hook},
}


@pytest.fixture
def machine(make_world: MakeWorld, site: Site) -> MakeWorld:
    """Make a world whose servers listen where they are told, and take their time."""

    def make(username: str = "alice", **options: Any) -> World:
        if site.fake is None:
            options = {"cmd": [*SHELL, OWN_PREFIX], "stop_timeout": 0, **options}
        else:
            options.setdefault("environment", {"FAKE_IMPORTS": "0.3"})
        return make_world(username=username, **options)

    return make


def use(world: World, cls: type[DockerSpawner]) -> World:
    """Have the Hub use a subclass, with the same options."""
    world.settings["spawner_class"] = cls
    world.settings["config"][cls.__name__].update(world.settings["config"].DockerSpawner)
    return world


class AsManualsSay(DockerSpawner):
    """Reaches its servers as manuals for the machine's own network say."""

    async def get_ip_and_port(self) -> tuple[str, int]:
        return self.host_ip, self.port


def answers(spawner: DockerSpawner) -> int:
    return httpx.get(spawner.server.url, follow_redirects=True, verify=NO_TLS).status_code


@pytest.mark.parametrize("way", WAYS)
async def test_each_server_is_ready_on_a_port_of_its_own_however_it_came_to_share_the_network(
    machine: MakeWorld, site: Site, way: str
) -> None:
    world = machine(**WAYS[way])
    first, second = await asyncio.gather(world.spawn("one"), world.spawn("two"))
    assert len({first.server.port, second.server.port, 8888}) == 3
    assert [(each.port, answers(each)) for each in (first, second)] == [
        (each.server.port, 200) for each in (first, second)
    ]
    for each in (first, second):
        told = site.inspect(each.object_id)["Config"]["Env"]
        assert f"JUPYTERHUB_SERVICE_URL=http://0.0.0.0:{each.port}/user/alice/{each.name}/" in told
    await asyncio.gather(world.user.stop("one"), world.user.stop("two"))


async def test_the_port_of_ones_own_is_read_by_a_subclass_also_after_a_restart_of_the_hub(
    machine: MakeWorld,
) -> None:
    world = use(machine(extra_host_config=ON_THE_MACHINE), AsManualsSay)
    first, second = await world.spawn("one"), await world.spawn("two")
    urls = [first.server.url, second.server.url]
    assert len(set(urls)) == 2
    world = world.restarted()
    for name, url in zip(("one", "two"), urls, strict=True):
        assert await world.spawner(name).poll() is None
        assert url.startswith("http://127.0.0.1:")
        assert await world.spawner(name).get_url() == url
        assert f":{world.spawner(name).port}/" in url
    await asyncio.gather(world.user.stop("one"), world.user.stop("two"))


async def test_a_kept_container_keeps_its_port(machine: MakeWorld) -> None:
    world = machine(extra_host_config=ON_THE_MACHINE, remove=False, on_drift="recreate")
    made = await world.spawn()
    port, ref = made.server.port, made.object_id
    await world.user.stop("")
    again = await world.restarted().spawn()
    assert (again.object_id, again.server.port, again.port) == (ref, port, port)
    await again.user.stop("")


async def test_a_second_server_on_a_port_that_was_set_is_refused_by_name(
    machine: MakeWorld, site: Site
) -> None:
    options = {"extra_host_config": ON_THE_MACHINE, "port": free_port()}
    alice, bob = machine(**options), machine("bob", **options)
    first = await alice.spawn("lab")
    assert first.server.port == options["port"]
    with pytest.raises(Exception, match="server of user 'alice', server 'lab'") as caught:
        await bob.spawn()
    assert "Leave `port` unset" in str(caught.value.__cause__)
    assert [each["Id"] for each in site.containers()] == [first.object_id]
    assert answers(first) == 200
    await alice.user.stop("lab")
    assert (await bob.spawn()).server.port == options["port"]
    await bob.user.stop("")


async def test_of_two_that_come_at_once_for_a_port_that_was_set_one_is_refused(machine: MakeWorld) -> None:
    world = machine(network_name="host", port=free_port())
    ended = await asyncio.gather(world.spawn("one"), world.spawn("two"), return_exceptions=True)
    (refused,) = [each for each in ended if isinstance(each, Exception)]
    assert "is taken by the server" in str(refused)
    (ready,) = [each for each in ended if isinstance(each, DockerSpawner)]
    assert answers(ready) == 200
    await world.user.stop(ready.name)


@pytest.fixture
def occupied(request: pytest.FixtureRequest) -> Iterator[int]:
    """A port of the machine that is another program's, which listens there or not."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        if request.param == "listening":
            held.listen()
        yield held.getsockname()[1]


@pytest.mark.parametrize("occupied", ["listening", "bound"], indirect=True)
async def test_a_server_whose_port_is_somebody_elses_is_made_again_with_another_one(
    machine: MakeWorld, site: Site, occupied: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = iter([occupied, occupied, occupied])
    draw = ports.free_port
    monkeypatch.setattr(ports, "free_port", lambda taken=(): next(drawn, 0) or draw(taken))
    world = machine(extra_host_config=ON_THE_MACHINE)
    spawner = await world.spawn()
    assert spawner.server.port != occupied
    assert answers(spawner) == 200
    assert [each["Id"] for each in site.containers()] == [spawner.object_id]
    lines = [event["message"] async for event in spawner.progress()]
    assert [line for line in lines if "somebody else's" in line] != []
    await world.user.stop("")
    # The fourth failure is the last one.
    drawn = iter([occupied] * 4)
    with pytest.raises(Exception, match=f"Port {occupied} of the network of the Engine's machine is taken"):
        await world.restarted().spawn()
    assert site.containers() == []


@pytest.mark.parametrize("occupied", ["listening", "bound"], indirect=True)
async def test_a_port_that_was_set_and_is_somebody_elses_is_told(
    machine: MakeWorld, site: Site, occupied: int
) -> None:
    with pytest.raises(Exception, match=f"Port {occupied} of .* is taken by somebody") as caught:
        await machine(extra_host_config=ON_THE_MACHINE, port=occupied, failure_log_lines=0).spawn()
    assert "Leave `port` unset" in str(caught.value.__cause__)
    assert site.containers() == []


async def test_a_port_of_zero_and_an_empty_address_are_the_usual_ones_and_said_once(
    make_world: MakeWorld, site: Site, log: pytest.LogCaptureFixture
) -> None:
    world = make_world(port=0, ip="")
    first, second = await world.spawn("one"), await world.spawn("two")
    for each in (first, second):
        found = site.inspect(each.object_id)["Config"]
        assert list(found["ExposedPorts"]) == ["8888/tcp"]
        assert any(entry.startswith("JUPYTERHUB_SERVICE_URL=http://:8888/") for entry in found["Env"])
    assert [log.text.count(said) for said in ("`port` is 0", "`ip` is empty")] == [1, 1]
    await asyncio.gather(world.user.stop("one"), world.user.stop("two"))


@pytest.fixture
def other(site: Site) -> Iterator[dict[str, Any]]:
    """A container whose network others share; it listens on 8888 itself."""
    made = site.http.post("/containers/create", json={"Image": site.kind("stub")["image"]}).json()["Id"]
    try:
        site.http.post(f"/containers/{made}/start").raise_for_status()
        yield site.inspect(made)
    finally:
        site.remove(made)


async def test_the_network_of_another_container_needs_a_subclass_that_knows_its_address(
    make_world: MakeWorld, site: Site, other: dict[str, Any]
) -> None:
    with pytest.raises(Exception, match="in the network of another container") as caught:
        await make_world(network_name=f"container:{other['Id']}").spawn()
    assert f"'container:{other['Id']}'" in str(caught.value.__cause__)
    assert "Override `get_ip_and_port`" in str(caught.value.__cause__)
    assert site.containers() == []


@ON_THE_REAL
async def test_servers_in_the_network_of_another_container_have_ports_of_their_own(
    make_world: MakeWorld, other: dict[str, Any]
) -> None:
    class Beside(DockerSpawner):
        """Knows where the other container is reached."""

        async def get_ip_and_port(self) -> tuple[str, int]:
            return other["NetworkSettings"]["IPAddress"], self.port

    command = OWN_PREFIX.replace("127.0.0.1:", "")
    options = {"cmd": [*SHELL, command], "stop_timeout": 0}
    world = use(make_world(network_name=f"container:{other['Id']}", **options), Beside)
    first, second = await asyncio.gather(world.spawn("one"), world.spawn("two"))
    # The usual port is the other container's own.
    assert len({first.server.port, second.server.port, 8888}) == 3
    assert [answers(first), answers(second)] == [200, 200]
    await asyncio.gather(world.user.stop("one"), world.user.stop("two"))


@pytest.mark.fake_engine
def test_a_free_port_is_none_that_is_taken() -> None:
    assert ports.free_port(range(ports.LOWEST, ports.HIGHEST)) == ports.HIGHEST
    assert ports.LOWEST <= ports.free_port() <= ports.HIGHEST
