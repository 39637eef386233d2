"""Servers that run and do not answer, or crash and are started again; over the fake Engine and a real one."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import httpx
import pytest

from asyncdockerspawner import DockerSpawner
from asyncdockerspawner.client import probe
from tests.support.site import SHELL, Site
from tests.support.world import MakeWorld, World
from tests.testbed.plain_http import NO_TLS

ON_THE_REAL = pytest.mark.parametrize("site", ["real"], indirect=True)
PATIENCE = 25
"""Seconds; the time limits of these spawns come to far more."""


async def failure(world: World) -> str:
    """Give what user and log are told of a spawn that fails."""
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(Exception) as caught:  # noqa: PT011 - any exception; its message is what counts
            await world.spawn()
    return f"{caught.value.jupyterhub_message} {caught.value.__cause__}"  # type: ignore[attr-defined]


def words(site: Site, text: str, then: str) -> dict[str, Any]:
    """Options of a server that writes a line and goes on without listening."""
    if site.fake is not None:
        return {"environment": {"FAKE_HTTP": "0", "FAKE_STDERR": text}}
    return {"cmd": [*SHELL, f"echo {text} >&2; {then}"], "stop_timeout": 0}


async def test_a_server_that_never_listens_is_given_up_with_its_last_lines(
    make_world: MakeWorld, site: Site
) -> None:
    options = words(site, "busy", "/bin/busybox sleep 60")
    message = await failure(make_world(start_timeout=60, http_timeout=1, **options))
    assert "has not answered within 1 s. Nothing listens on its port 8888" in message
    assert "busy" in message
    assert site.containers() == []


async def test_a_server_that_listens_to_itself_only_is_told_so(make_world: MakeWorld, site: Site) -> None:
    options = words(site, "busy", "exec /bin/busybox httpd -f -p 127.0.0.1:8888 -h /www")
    message = await failure(make_world(http_timeout=1, ip="127.0.0.1", **options))
    assert "`ip` is 127.0.0.1, so it listens to itself only" in message


async def test_a_kept_container_that_does_not_answer_is_stopped_and_stays(
    make_world: MakeWorld, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "TRY_TIMEOUT", 0.3)
    world = make_world(remove=False)
    ref = (await world.spawn()).object_id
    await world.user.stop("")
    world.settings["config"].DockerSpawner.http_timeout = 1
    use(world, Elsewhere)
    with silent() as address:
        Elsewhere.where = address
        assert "accepts connections" in await failure(world.restarted())
    (left,) = site.containers()
    assert (left["Id"], left["State"]) == (ref, "exited")


class Elsewhere(DockerSpawner):
    """Takes its servers for being somewhere else."""

    where = ("127.0.0.1", 1)

    async def get_ip_and_port(self) -> tuple[str, int]:
        return self.where


def use(world: World, cls: type[DockerSpawner]) -> World:
    """Have the Hub use a subclass, with the same options."""
    world.settings["spawner_class"] = cls
    world.settings["config"][cls.__name__].update(world.settings["config"].DockerSpawner)
    return world


def silent() -> Any:
    """Somebody who accepts connections and says nothing."""
    return Listener(backlog=64)


class Listener:
    """A socket that listens for so many connections, which nobody takes."""

    def __init__(self, backlog: int) -> None:
        self._sockets = [socket.socket()]
        self._backlog = backlog

    def __enter__(self) -> tuple[str, int]:
        (server,) = self._sockets
        server.bind(("127.0.0.1", 0))
        server.listen(self._backlog)
        address: tuple[str, int] = server.getsockname()
        return address

    def fill(self) -> None:
        """Connect until no connection is accepted any more: who comes then finds no way there."""
        address = self._sockets[0].getsockname()
        while True:
            client = socket.socket()
            self._sockets.append(client)
            client.settimeout(0.2)
            try:
                client.connect(address)
            except TimeoutError:
                return

    def __exit__(self, *_: object) -> None:
        for each in self._sockets:
            each.close()


async def test_an_address_that_the_hub_cannot_reach_is_told(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "CONNECT_TIMEOUT", 0.2)
    world = use(make_world(http_timeout=1), Elsewhere)
    listener = Listener(backlog=0)
    with listener as Elsewhere.where:
        listener.fill()
        message = await failure(world)
    assert "cannot reach its address: server and Hub are in different networks" in message
    assert ":".join(map(str, Elsewhere.where)) in message


@pytest.mark.parametrize(
    ("said", "what"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not a Hub's server: it does not speak HTTP"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "answers with an error of its own"),
    ],
)
async def test_whoever_answers_instead_of_the_server_is_told(
    make_world: MakeWorld, said: bytes, what: str
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    Elsewhere.where = server.sockets[0].getsockname()
    try:
        assert what in await failure(use(make_world(http_timeout=1), Elsewhere))
    finally:
        server.close()


async def test_a_server_that_is_started_again_and_again_fails_its_spawn_with_code_and_last_lines(
    make_world: MakeWorld, site: Site
) -> None:
    tried: list[DockerSpawner] = []
    policy = {"restart_policy": {"Name": "always"}}
    message = await failure(make_world("dies", extra_host_config=policy, pre_spawn_hook=tried.append))
    assert "exited with code 3 before it answered, and again" in message
    assert "boom" in message
    assert site.containers() == []
    lines = [event["message"] async for event in tried[0].progress()]
    assert [line for line in lines if "code 3" in line and "boom" in line and "started again" in line] != []


def served(spawner: DockerSpawner) -> int:
    return httpx.get(spawner.server.host, verify=NO_TLS).status_code


HEALS = "if [ -e /once ]; then exec /serve; fi; echo > /once; echo first boom >&2; {}exit 4"


@ON_THE_REAL
@pytest.mark.parametrize("crash", ["", "/bin/busybox sleep 1; "])
async def test_a_crash_that_the_restart_policy_heals_is_a_line_and_the_servers_new_port_is_the_hubs(
    make_world: MakeWorld, crash: str
) -> None:
    policy = {"restart_policy": {"Name": "on-failure", "MaximumRetryCount": 3}}
    world = make_world(cmd=[*SHELL, HEALS.format(crash)], extra_host_config=policy)
    spawner = await world.spawn()
    lines = [event["message"] async for event in spawner.progress()]
    assert [line for line in lines if "code 4" in line and "first boom" in line] != []
    assert served(spawner) == 200
    await world.user.stop("")
