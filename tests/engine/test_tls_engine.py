"""A real Engine that listens on TCP and takes no client without a certificate of its authority."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import docker
import pytest
from tornado import web

from asyncdockerspawner import errors
from asyncdockerspawner.client.client import Client
from asyncdockerspawner.client.settings import resolve
from tests.support.clients import opened
from tests.support.engines import end_engines
from tests.support.site import Site
from tests.support.waiting import until
from tests.support.world import World, new_world
from tests.testbed.certificates import Certificates, make_certificates
from tests.testbed.own_engine import TEST_SECONDS, OwnEngine, own_engine
from tests.testbed.proc import own_tcp_sockets

pytestmark = pytest.mark.timeout(TEST_SECONDS)

Words = dict[str, Any]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Files of an authority that the Engine does not believe."""
    return make_certificates(tmp_path_factory.mktemp("other"))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, files: Certificates) -> Iterator[OwnEngine]:
    with own_engine(tmp_path_factory.mktemp("engine"), live_restore=False, tls=files) as started:
        yield started


@pytest.fixture
def tls_site(engine: OwnEngine) -> Iterator[Site]:
    """The Engine, known by its address; what a test leaves is removed over its socket."""
    site = Site(engine.tcp_url, engine.http)
    yield site
    for one in site.containers():
        site.remove(one["Id"])


@pytest.fixture(autouse=True)
async def _connections_are_gone() -> AsyncIterator[None]:
    before = own_tcp_sockets()
    yield
    await end_engines()
    # asyncio closes what was refused in the middle of a handshake a moment after that has been told.
    await until(lambda: own_tcp_sockets() <= before)


@pytest.fixture(autouse=True)
def no_docker_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)


def proof(of: Certificates, **words: Any) -> Words:
    return {"client_cert": of.pair, "ca_cert": of.ca, **words}


def by_environment(engine: OwnEngine, of: Certificates) -> dict[str, str]:
    return {"DOCKER_HOST": engine.tcp_url, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(of.client)}


async def answers(
    client_kwargs: Words, tls_config: Words | None = None, environ: Mapping[str, str] | None = None
) -> bool:
    """Ask the Engine that these settings come to for its CPUs. Raises what its client raises."""
    client = Client(resolve(client_kwargs, tls_config or {}, environ or {}))
    try:
        return int((await client.system.info())["NCPU"]) >= 1
    finally:
        await client.close()


async def test_a_client_with_a_certificate_is_answered_and_told_of_events(
    engine: OwnEngine, files: Certificates
) -> None:
    async with opened(engine.tcp_url, tls=proof(files)) as client:
        assert (await client.system.info())["NCPU"] >= 1
        async with client.events.containers():
            assert await client.containers.inspect("none") is None


@pytest.mark.parametrize(
    ("certificate", "authority", "said"),
    [
        ("none", "right", r"no TLS connection.*DOCKER_CERT_PATH or `tls_config`"),
        ("another authority's", "right", r"no TLS connection.*DOCKER_CERT_PATH or `tls_config`"),
        ("right", "another", r"no TLS connection.*certificate verify failed.*DOCKER_CERT_PATH or `tls_conf"),
        ("right", "the system's", r"no TLS connection.*certificate verify failed.*DOCKER_CERT_PATH"),
    ],
)
async def test_who_has_not_the_right_files_reads_that_it_is_about_tls(
    engine: OwnEngine,
    files: Certificates,
    others: Certificates,
    *,
    certificate: str,
    authority: str,
    said: str,
) -> None:
    pairs = {"right": files.pair, "another authority's": others.pair}
    authorities = {"right": files.ca, "another": others.ca}
    words = {"client_cert": pairs.get(certificate), "ca_cert": authorities.get(authority)}
    async with opened(engine.tcp_url, tls=words) as client:
        for _ in range(2):
            with pytest.raises(errors.EngineUnavailable, match=said):
                await client.system.info()
            with pytest.raises(errors.EngineUnavailable, match=said):
                async with client.events.containers():
                    pass


async def test_a_client_that_does_not_verify_takes_any_server_but_must_prove_itself(
    engine: OwnEngine, files: Certificates, others: Certificates
) -> None:
    unverified = {"client_cert": files.pair, "ca_cert": others.ca, "verify": False}
    assert await answers({"base_url": engine.tcp_url, "tls": unverified})
    with pytest.raises(errors.EngineUnavailable, match="no TLS connection"):
        await answers({"base_url": engine.tcp_url, "tls": {"verify": False}})


async def test_a_key_of_another_certificate_is_a_wrong_option(
    engine: OwnEngine, files: Certificates, others: Certificates
) -> None:
    mixed = {"client_cert": (files.pair[0], others.pair[1]), "ca_cert": files.ca}
    with pytest.raises(errors.BadOption, match=r"TLS files.*DOCKER_CERT_PATH or `tls_config`"):
        await answers({"base_url": engine.tcp_url, "tls": mixed})


async def test_the_environment_says_who_we_are(engine: OwnEngine, files: Certificates) -> None:
    assert await answers({}, {}, by_environment(engine, files))


async def test_the_files_are_looked_for_at_home(
    engine: OwnEngine, files: Certificates, tmp_path: Path
) -> None:
    shutil.copytree(files.client, tmp_path / ".docker")
    environ = {"DOCKER_HOST": engine.tcp_url, "DOCKER_TLS_VERIFY": "1", "HOME": str(tmp_path)}
    assert await answers({}, {}, environ)


async def test_a_certificate_path_without_verification_needs_no_authority(
    engine: OwnEngine, files: Certificates, tmp_path: Path
) -> None:
    # As docker-py and the docker command have it: DOCKER_CERT_PATH alone proves us, and believes anybody.
    for name in ("cert.pem", "key.pem"):
        shutil.copyfile(files.client / name, tmp_path / name)
    environ = {"DOCKER_HOST": engine.tcp_url, "DOCKER_CERT_PATH": str(tmp_path)}
    assert await answers({}, {}, environ)


async def test_client_kwargs_win_over_the_environment_which_wins_over_tls_config(
    engine: OwnEngine, files: Certificates, others: Certificates
) -> None:
    right, wrong = by_environment(engine, files), by_environment(engine, others)
    address = {"DOCKER_HOST": engine.tcp_url}
    assert await answers({}, proof(files), address)
    assert await answers({}, proof(others), right)
    assert await answers({"tls": proof(files)}, proof(others), wrong)
    assert await answers({"tls": docker.tls.TLSConfig(**proof(files, verify=True))}, {}, wrong)
    assert await answers({"base_url": engine.tcp_url}, proof(files), {"DOCKER_HOST": "tcp://127.0.0.1:9"})
    for client_kwargs, tls_config, environ in (
        ({}, proof(files), wrong),
        ({"tls": proof(others)}, proof(files), right),
        ({"tls": docker.tls.TLSConfig(**proof(others, verify=True))}, {}, right),
        ({"tls": True}, {}, address),
    ):
        with pytest.raises(errors.EngineUnavailable, match="no TLS connection"):
            await answers(client_kwargs, tls_config, environ)


def world_of(site: Site, folder: Path, **options: Any) -> World:
    """A Hub's spawners on this Engine, which no `client_kwargs` name."""
    return new_world(site, folder, **{"client_kwargs": {}, **options})


WAYS = ("client_kwargs", "client_kwargs of docker-py", "tls_config", "environment")


@pytest.mark.parametrize("way", WAYS)
async def test_a_server_lives_its_life_over_tls(
    tls_site: Site,
    engine: OwnEngine,
    files: Certificates,
    tmp_path: Path,
    *,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    options: dict[str, Words] = {
        "client_kwargs": {"client_kwargs": {"base_url": engine.tcp_url, "tls": proof(files)}},
        "client_kwargs of docker-py": {
            "client_kwargs": {
                "base_url": engine.tcp_url,
                "tls": docker.tls.TLSConfig(**proof(files, verify=True)),
            }
        },
        "tls_config": {"tls_config": proof(files)},
        "environment": {},
    }
    world = world_of(tls_site, tmp_path, **options[way])
    environ = by_environment(engine, files)
    for name in {"tls_config": ["DOCKER_HOST"], "environment": list(environ)}.get(way, []):
        monkeypatch.setenv(name, environ[name])

    spawner = await world.spawn()
    assert spawner.engine.settings.url == engine.tcp_url.replace("tcp:", "https:")
    assert (spawner.server.ip, await spawner.poll()) == ("127.0.0.1", None)
    assert tls_site.names() == [f"t{tls_site.hub_id}-alice"]
    assert spawner._managed.watch.live
    await world.user.stop("")
    assert tls_site.containers() == []

    # Events come over TLS too: the end of a server is known without a question.
    spawner = await world.spawn()
    tls_site.http.post(f"/containers/{spawner.object_id}/kill").raise_for_status()
    async with asyncio.timeout(10):
        while await spawner.poll() is None:  # noqa: ASYNC110 - polls are what the Hub does
            await asyncio.sleep(0.02)
    await world.user.stop("")
    assert tls_site.containers() == []
    world.db.close()


@pytest.mark.parametrize("lacks", ["certificate", "authority", "TLS"])
async def test_a_spawn_without_the_right_files_fails_with_what_to_look_at(
    tls_site: Site, engine: OwnEngine, files: Certificates, tmp_path: Path, lacks: str
) -> None:
    words: dict[str, Words] = {
        "certificate": {"tls": {"ca_cert": files.ca}},
        "authority": {"tls": {"client_cert": files.pair}},
        "TLS": {},
    }
    world = world_of(tls_site, tmp_path, client_kwargs={"base_url": engine.tcp_url, **words[lacks]})
    with pytest.raises(web.HTTPError, match="tell the administrator") as caught:
        await world.spawn()
    logged = str(caught.value.__cause__)
    assert re.search("TLS.*tls_config", logged)
    # Neither a socket nor the container's own options have a part in it.
    assert "socket" not in logged
    assert "extra_host_config" not in logged
    assert tls_site.containers() == []
    world.db.close()


async def test_a_kept_server_is_taken_for_running_while_the_files_are_wrong_and_is_found_when_they_are_right(
    tls_site: Site, engine: OwnEngine, files: Certificates, others: Certificates, tmp_path: Path
) -> None:
    world = world_of(tls_site, tmp_path, client_kwargs={"base_url": engine.tcp_url, "tls": proof(files)})
    made = (await world.spawn()).object_id
    section = world.settings["config"].DockerSpawner
    section.client_kwargs = {"base_url": engine.tcp_url, "tls": proof(others)}
    world = world.restarted()
    assert await world.new_spawner().poll() is None
    section.client_kwargs = {"base_url": engine.tcp_url, "tls": proof(files)}
    world = world.restarted()
    assert await world.new_spawner().poll() is None
    assert world.spawner().object_id == made
    await world.user.stop("")
    assert tls_site.containers() == []
    world.db.close()
