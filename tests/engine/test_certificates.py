"""Key and certificates of servers under `internal_ssl`: made by the Hub's own code, read and handed on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from certipy import Certipy
from tornado import web

from asyncdockerspawner import DockerSpawner
from asyncdockerspawner.spawners import certificates
from asyncdockerspawner.workloads.furnishing import CERTIFICATES
from tests.support.internal_ssl import alternative_names
from tests.support.site import Site
from tests.support.world import MakeWorld

pytestmark = pytest.mark.fake_engine
LOCAL = {"localhost", "127.0.0.1"}


async def names_of(spawner: DockerSpawner) -> set[str]:
    """Have certificates made and moved, as the Hub does it; gives the names that they are for."""
    await spawner.move_certs(await spawner.create_certs())
    return names_in(spawner)


def names_in(spawner: DockerSpawner) -> set[str]:
    moved = spawner._certificates.moved
    assert moved is not None
    return alternative_names(moved.files["certfile"].content)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, set()),
        ({"host_ip": "10.1.2.3"}, {"10.1.2.3"}),
        ({"host_ip": "0.0.0.0"}, set()),  # noqa: S104 - published, not bound
        ({"host_ip": "docker.example.org"}, {"docker.example.org"}),
        ({"host_ip": "::1"}, {"::1"}),
        ({"extra_host_config": {"port_bindings": {8888: ("10.7.7.7",), 9999: ("10.8.8.8",)}}}, {"10.7.7.7"}),
        ({"extra_host_config": {"PortBindings": {"8888/tcp": [{"HostIp": "10.7.7.7"}, {}]}}}, {"10.7.7.7"}),
        ({"extra_host_config": lambda _: {"port_bindings": {8888: ("10.7.7.7", 80)}}}, {"10.7.7.7"}),
        ({"extra_host_config": {"port_bindings": {8888: None}}}, set()),
        ({"extra_host_config": {"no_such_word": 1}}, set()),
        ({"ssl_alt_names": ["DNS:of-the-site", "IP:10.9.9.9"]}, {"of-the-site", "10.9.9.9"}),
        ({"ssl_alt_names": lambda spawner: [f"DNS:{spawner.user.name}.org"]}, {"alice.org"}),
    ],
    ids=[
        "usual",
        "address",
        "every-address",
        "name",
        "ipv6",
        "bound",
        "in-engine's-words",
        "by-a-function",
        "anywhere",
        "mistaken",
        "a-list",
        "a-function",
    ],
)
async def test_a_certificate_is_for_every_way_to_the_server(
    make_secure: MakeWorld, options: dict[str, Any], expected: set[str]
) -> None:
    spawner = make_secure(**options).new_spawner()
    assert await names_of(spawner) == LOCAL | {spawner.object_name} | expected
    # Nothing of ours stays in the site's own option.
    assert spawner.ssl_alt_names == options.get("ssl_alt_names", [f"DNS:{spawner.object_name}"])


async def test_names_of_a_site_may_take_time(make_secure: MakeWorld) -> None:
    async def asked_for(spawner: Any) -> list[str]:
        await asyncio.sleep(0)
        return ["DNS:asked.example.org"]

    spawner = make_secure().new_spawner()
    spawner.ssl_alt_names = asked_for
    assert "asked.example.org" in await names_of(spawner)
    assert spawner.ssl_alt_names is asked_for


async def test_local_names_are_left_out_as_the_hub_leaves_them_out(make_secure: MakeWorld) -> None:
    spawner = make_secure(ssl_alt_names_include_local=False, host_ip="10.1.2.3").new_spawner()
    # The Engine of these tests is reached at this machine.
    assert await names_of(spawner) == {spawner.object_name, "10.1.2.3", "127.0.0.1"}


async def test_two_servers_of_a_user_have_each_their_own_name(make_secure: MakeWorld) -> None:
    world = make_secure()
    one, two = world.new_spawner("one"), world.new_spawner("two")
    paths = await one.create_certs()
    # The Hub has one place for both, and the second one's are written there now.
    assert await two.create_certs() == paths
    assert await one.move_certs(paths) == await two.move_certs(paths)
    assert names_in(one) == LOCAL | {one.object_name}
    assert names_in(two) == LOCAL | {two.object_name}


async def test_a_later_name_of_the_server_is_in_its_next_certificate_alone(make_secure: MakeWorld) -> None:
    spawner = make_secure().new_spawner()
    await names_of(spawner)
    former = spawner.object_name
    spawner.clear_state()
    spawner.object_name = "another"
    assert await names_of(spawner) == LOCAL | {"another"} - {former}


async def test_names_that_have_changed_since_are_found_out(make_secure: MakeWorld) -> None:
    spawner = make_secure().new_spawner()
    spawner.cert_paths = await spawner.move_certs(await spawner.create_certs())
    before = spawner._certificates.moved
    await certificates.ensure(spawner)
    assert spawner._certificates.moved is before
    spawner.host_ip = "10.1.2.3"
    await certificates.ensure(spawner)
    assert names_in(spawner) == LOCAL | {spawner.object_name, "10.1.2.3"}


async def test_a_spawner_for_which_the_hub_has_asked_for_none_makes_its_own(make_secure: MakeWorld) -> None:
    spawner = make_secure().new_spawner()
    await certificates.ensure(spawner)
    assert names_in(spawner) == LOCAL | {spawner.object_name}
    assert spawner.cert_paths == {
        "keyfile": f"{CERTIFICATES}/key.pem",
        "certfile": f"{CERTIFICATES}/cert.pem",
        "cafile": f"{CERTIFICATES}/ca.pem",
    }


class MakesItsOwn(DockerSpawner):
    """Has certificates from elsewhere."""

    async def create_certs(self) -> dict[str, str]:
        folder = Path(self.internal_certs_location)
        files = Certipy(store_dir=str(folder)).create_signed_pair(
            "own", "notebooks-ca", alt_names=["DNS:own"], overwrite=True
        )["files"]
        return {"keyfile": files["key"], "certfile": files["cert"], "cafile": files["ca"]}


async def test_what_a_class_makes_anew_is_read_anew(make_secure: MakeWorld) -> None:
    spawner = make_secure(spawner_class=MakesItsOwn).new_spawner()
    spawner.cert_paths = await spawner.move_certs(await spawner.create_certs())
    before = spawner._certificates.moved
    spawner.host_ip = "10.1.2.3"
    await certificates.ensure(spawner)
    after = spawner._certificates.moved
    assert before is not None
    assert after is not None
    assert before.files["certfile"].content != after.files["certfile"].content
    assert certificates._read({kind: file.hub_path for kind, file in after.files.items()}) == after


class MovesThemItself(DockerSpawner):
    """Has them mounted."""

    async def move_certs(self, paths: dict[str, str]) -> dict[str, str]:
        return {kind: f"/mounted/{kind}" for kind in paths}


async def test_what_a_class_makes_itself_is_handed_on(make_secure: MakeWorld) -> None:
    spawner = make_secure(spawner_class=MakesItsOwn).new_spawner()
    assert await names_of(spawner) == {"own"}


async def test_what_a_class_moves_itself_is_left_alone(make_secure: MakeWorld) -> None:
    spawner = make_secure(spawner_class=MovesThemItself).new_spawner()
    spawner.cert_paths = await spawner.move_certs(await spawner.create_certs())
    await certificates.ensure(spawner)
    assert spawner._certificates.moved is None
    assert spawner.cert_paths["keyfile"] == "/mounted/keyfile"


async def test_a_class_that_does_both_itself_is_not_asked_twice(make_secure: MakeWorld) -> None:
    class DoesBoth(MovesThemItself, MakesItsOwn):
        pass

    spawner = make_secure(spawner_class=DoesBoth).new_spawner()
    spawner.cert_paths = await spawner.move_certs(await spawner.create_certs())
    spawner.host_ip = "10.1.2.3"
    await certificates.ensure(spawner)
    assert spawner._certificates.made is None


def no_such_kind(spawner: DockerSpawner) -> None:
    spawner.ssl_alt_names = ["of-no-kind"]


def one_text(spawner: DockerSpawner) -> None:
    spawner.ssl_alt_names = lambda spawner: "DNS:no-list"


def no_folder(spawner: DockerSpawner) -> None:
    spawner.internal_certs_location = "/proc/no-such-folder"


def no_trust(spawner: DockerSpawner) -> None:
    spawner.internal_trust_bundles = {"notebooks-ca": "/nowhere/notebooks-ca.crt"}


def failing(spawner: DockerSpawner) -> None:
    def names(spawner: Any) -> list[str]:
        raise LookupError("no directory")

    spawner.ssl_alt_names = names


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (no_such_kind, "see `ssl_alt_names`"),
        (one_text, "has to give a list of texts like 'DNS:name' and 'IP:10.0.0.1', not 'DNS:no-list'"),
        (no_folder, "see `JupyterHub.internal_certs_location`"),
        (no_trust, "/nowhere/notebooks-ca.crt"),
        (failing, "`ssl_alt_names`: the configured function failed"),
    ],
)
async def test_what_cannot_be_made_or_read_is_told_in_a_sentence_and_leaves_nothing(
    make_secure: MakeWorld,
    fake_site: Site,
    log: pytest.LogCaptureFixture,
    mistake: Callable[[DockerSpawner], None],
    told: str,
) -> None:
    world = make_secure(pre_spawn_hook=mistake)
    with pytest.raises(web.HTTPError) as caught:
        await world.spawn()
    assert "Tell the administrator" in caught.value.jupyterhub_message  # type: ignore[attr-defined]
    assert told in log.text
    assert fake_site.containers() == []
    spawner = world.spawner()
    assert spawner.engine.start_slots.waiting == 0
    assert await spawner.poll() == 0


async def test_neither_log_nor_state_has_a_key(make_secure: MakeWorld, log: pytest.LogCaptureFixture) -> None:
    spawner = make_secure().new_spawner()
    await names_of(spawner)
    moved = spawner._certificates.moved
    assert moved is not None
    assert b"PRIVATE KEY" in moved.files["keyfile"].content
    assert "PRIVATE KEY" not in f"{log.text}{spawner.get_state()}{spawner._certificates!r}"
    spawner.clear_state()
    assert spawner._certificates.made is spawner._certificates.moved is None
