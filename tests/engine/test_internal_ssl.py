"""Servers under `internal_ssl`, from certificate to first answer, over the fake Engine."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from asyncdockerspawner import DockerSpawner
from asyncdockerspawner.spawners import certificates
from asyncdockerspawner.workloads.furnishing import CERTIFICATES as FOLDER
from tests.fake_engine import FakeEngine
from tests.support.files import inside
from tests.support.internal_ssl import alternative_names
from tests.support.site import Site
from tests.support.waiting import until
from tests.support.world import MakeWorld

pytestmark = pytest.mark.fake_engine
LOCAL = {"localhost", "127.0.0.1"}


@pytest.fixture
def secure(make_secure: MakeWorld) -> MakeWorld:
    """Make worlds of a Hub with `internal_ssl` that is in no container."""
    return partial(make_secure, use_internal_hostname=False)


def files_of(site: Site, spawner: DockerSpawner) -> dict[str, bytes]:
    """Give what is in the server's folder; nobody but its user may read any of it."""
    found = inside(site, spawner.object_id, FOLDER)
    files = {name: entry for name, entry in found.items() if name != FOLDER.strip("/")}
    assert {name: entry[:3] for name, entry in files.items()} == dict.fromkeys(files, (0, 0, 0o400))
    return {name.rpartition("/")[2]: entry.content for name, entry in files.items()}


async def test_a_server_answers_with_its_certificate_from_spawn_to_stop(
    secure: MakeWorld, fake_site: Site, fake: FakeEngine, log: pytest.LogCaptureFixture
) -> None:
    world = secure()
    spawner = await world.spawn()
    files = files_of(fake_site, spawner)
    assert set(files) == {"key.pem", "cert.pem", "ca.pem"}
    assert alternative_names(files["cert.pem"]) == LOCAL | {spawner.object_name}
    assert spawner.server.url.startswith("https://127.0.0.1:")
    assert await spawner.poll() is None
    key = files["key.pem"].decode()
    assert "PRIVATE KEY" in key
    document = str(fake_site.inspect(spawner.object_id))
    assert "PRIVATE KEY" not in f"{document}{log.text}{spawner.orm_spawner.state}"
    assert "The server answers" in str([event async for event in spawner.progress()])
    await world.user.stop("")
    assert fake_site.containers() == []


async def test_a_kept_container_gets_a_new_key_and_is_no_other_for_it(
    secure: MakeWorld, fake_site: Site, log: pytest.LogCaptureFixture
) -> None:
    world = secure(remove=False)
    spawner = await world.spawn()
    ref, before = spawner.object_id, files_of(fake_site, spawner)
    await world.user.stop("")
    spawner = await world.spawn()
    assert spawner.object_id == ref
    assert files_of(fake_site, spawner)["key.pem"] != before["key.pem"]
    assert "other settings" not in log.text
    await world.user.stop("")


async def test_a_hub_that_comes_back_finds_its_server_by_https(secure: MakeWorld) -> None:
    world = secure()
    address = (await world.spawn()).server.url
    world = world.restarted()
    spawner = world.spawner()
    assert await spawner.poll() is None
    assert address.startswith("https://")
    assert await spawner.get_url() == address
    await world.user.stop("")


class NamesItLate(DockerSpawner):
    """Decides in its start what the server is called."""

    async def start(self) -> Any:
        self.object_name = f"{self.object_name}-late"
        return await super().start()


class ReachesItLate(DockerSpawner):
    """Decides as late as it can where the server is reached."""

    async def create_object(self) -> Any:
        made = await super().create_object()
        self.host_ip = "10.1.2.3"
        return made

    async def get_ip_and_port(self) -> Any:
        return "127.0.0.1", (await super().get_ip_and_port())[1]


@pytest.mark.parametrize(("kind", "late"), [(NamesItLate, "{}-late"), (ReachesItLate, "10.1.2.3")])
async def test_certificates_have_the_names_that_a_start_decides(
    secure: MakeWorld, fake_site: Site, kind: type[DockerSpawner], late: str
) -> None:
    world = secure(spawner_class=kind)
    spawner = await world.spawn()
    names = alternative_names(files_of(fake_site, spawner)["cert.pem"])
    assert late.format(f"t{fake_site.hub_id}-alice") in names
    await world.user.stop("")


@pytest.mark.parametrize("before", [True, False], ids=["with", "without"])
async def test_a_kept_container_of_before_or_after_is_made_anew(
    secure: MakeWorld, fake_site: Site, before: bool
) -> None:
    world = secure(remove=False)
    world.settings["internal_ssl"] = before
    former = (await world.spawn()).object_id
    await world.user.stop("")
    world.settings["internal_ssl"] = not before
    spawner = await world.spawn()
    assert spawner.object_id != former
    how = "with" if before else "without"
    events = [event async for event in spawner.progress()]
    assert f"was made {how} `internal_ssl`, so a new one is made" in str(events)
    assert [each["Id"] for each in fake_site.containers()] == [spawner.object_id]
    await world.user.stop("")


async def test_a_kept_container_that_looks_elsewhere_goes_on_with_what_it_finds_there(
    secure: MakeWorld, fake_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = secure(remove=False)
    spawner = await world.spawn()
    ref, before = spawner.object_id, files_of(fake_site, spawner)
    await world.user.stop("")
    # As DockerSpawner's do, whose volume has them.
    monkeypatch.setattr(certificates, "CERTIFICATES", "/not-where-it-looks")
    spawner = await world.spawn()
    assert spawner.object_id == ref
    assert files_of(fake_site, spawner) == before
    assert inside(fake_site, ref, "/not-where-it-looks") == {}
    await world.user.stop("")


async def test_a_server_that_dies_early_says_why(
    secure: MakeWorld, fake_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(spawner: Any) -> dict[str, bytes]:
        return {}

    monkeypatch.setattr(certificates, "contents", nothing)
    with pytest.raises(Exception, match="exited with code 1") as caught:
        await secure().spawn()
    assert f"No such file or directory: '{FOLDER}/cert.pem'" in str(caught.value)
    await until(lambda: fake_site.containers() == [])


class SaysNothingOfTLS(DockerSpawner):
    """Has an image whose server does not heed what the Hub tells it."""

    def get_env(self) -> dict[str, Any]:
        return {key: "" if "_SSL_" in key else value for key, value in super().get_env().items()}


async def test_a_server_that_speaks_no_tls_is_told(
    secure: MakeWorld, fake_site: Site, log: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Exception, match="has not answered within 2 s"):
        await secure(spawner_class=SaysNothingOfTLS, http_timeout=2).spawn()
    assert "without TLS, which `internal_ssl` asks for" in log.text
    await until(lambda: fake_site.containers() == [])


class ReachedByName(DockerSpawner):
    """Is reached at a name, as in the Engine's own networks, and at the port that is published."""

    name_in_the_network = "localhost"

    @property
    def internal_hostname(self) -> str:
        return self.name_in_the_network

    async def get_ip_and_port(self) -> Any:
        return self.internal_hostname, (await super().get_ip_and_port())[1]


async def test_a_server_that_is_reached_by_its_name_has_it_in_its_certificate(
    secure: MakeWorld, fake_site: Site, log: pytest.LogCaptureFixture
) -> None:
    world = secure(spawner_class=ReachedByName, ssl_alt_names_include_local=False)
    spawner = await world.spawn()
    assert alternative_names(files_of(fake_site, spawner)["cert.pem"]) == LOCAL
    assert spawner.server.url.startswith("https://localhost:")
    assert "name service" not in log.text
    await world.user.stop("")


async def test_a_name_that_the_hub_cannot_know_is_told(
    secure: MakeWorld, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("aiodns", reason="JupyterHub 5 does not bring it")
    # No label may be that long: nobody has to be asked about it.
    monkeypatch.setattr(ReachedByName, "name_in_the_network", f"{'a' * 64}.example")
    spawner = secure(spawner_class=ReachedByName).new_spawner()
    await spawner.run_pre_spawn_hook()
    spawner.cert_paths = await spawner.move_certs(await spawner.create_certs())
    await spawner.start()
    assert log.text.count("set `use_internal_hostname` to False") == 1
    await spawner.stop()
