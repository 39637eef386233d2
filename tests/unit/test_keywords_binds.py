"""Volumes: DockerSpawner 14's, vector for vector, and how the Engine reads them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from asyncdockerspawner.errors import BadOption, BadTemplate
from asyncdockerspawner.keywords.binds import (
    add_binds,
    bind_strings,
    is_volume,
    join_binds,
    mount_points,
    rendered_mounts,
)
from asyncdockerspawner.names import naming
from asyncdockerspawner.names.templating import render_strict

WORK = {"jupyterhub-user-{username}": "/home/jovyan/work"}
CERTS = {"{prefix}ssl-{username}": {"bind": "/certs", "mode": "ro"}}


def volume_binds(
    volumes: dict[str, Any], read_only: dict[str, Any], format_name: Callable[[str], str]
) -> dict[str, Any]:
    """What the spawner's `volume_binds` gives."""
    return add_binds(read_only, add_binds(volumes, {}, "rw", format_name), "ro", format_name)


class FakeSpawner:
    """Has a namespace, as the naming strategies need."""

    def __init__(self, user: str, server: str, escape: naming.EscapeScheme) -> None:
        self.user, self.server, self.escape = user, server, escape

    def template_namespace(self) -> dict[str, str]:
        return naming.namespace(
            username=self.user,
            servername=self.server,
            image="quay.io/jupyterhub/singleuser:6.1",
            prefix="jupyter",
            escape=self.escape,
        )


def binds_of(
    user: str,
    server: str,
    volumes: dict[str, Any],
    read_only: dict[str, Any],
    *,
    escape: naming.EscapeScheme = naming.escape_dns,
    strategy: Any = naming.default_format_volume_name,
) -> dict[str, Any]:
    spawner = FakeSpawner(user, server, escape)
    return volume_binds(volumes, read_only, partial(strategy, spawner=spawner))


@pytest.mark.parametrize(
    ("name", "volumes", "read_only", "binds", "points"),
    [
        (
            ("alice", ""),
            WORK,
            {},
            {"jupyterhub-user-alice": {"bind": "/home/jovyan/work", "mode": "rw"}},
            ["/home/jovyan/work"],
        ),
        (
            ("Alice@x", ""),
            WORK,
            {},
            {"jupyterhub-user--41lice-40x": {"bind": "/home/jovyan/work", "mode": "rw"}},
            ["/home/jovyan/work"],
        ),
        (
            ("user@email.com", ""),
            {"data/{username}": {"bind": "/home/{raw_username}", "mode": "z"}},
            {},
            {"data/user-40email-2ecom": {"bind": "/home/user@email.com", "mode": "z"}},
            ["/home/user@email.com"],
        ),
        (
            ("alice", "My srv"),
            {"v-{username}-{servername}": "/w/{raw_servername}"},
            {},
            {"v-alice-my-20srv": {"bind": "/w/My srv", "mode": "rw"}},
            ["/w/My srv"],
        ),
        (
            ("alice", ""),
            {"v-{username}-{servername}": "/w"},
            {},
            {"v-alice-": {"bind": "/w", "mode": "rw"}},
            ["/w"],
        ),
        (
            ("alice", ""),
            {"/a": "/a", "/b": {"bind": "/b", "mode": "ro"}},
            {"/c": "/c", "/a": "/a2"},
            {
                "/a": {"bind": "/a2", "mode": "ro"},
                "/b": {"bind": "/b", "mode": "ro"},
                "/c": {"bind": "/c", "mode": "ro"},
            },
            ["/a2", "/b", "/c"],
        ),
        (
            ("alice", ""),
            {"/a": {"bind": "/b", "mode": "Z", "propagation": "rprivate"}},
            # DockerSpawner lets the entry's mode win; here what is read-only stays so.
            {"/c": {"bind": "/c", "mode": "rw"}},
            {
                "/a": {"bind": "/b", "mode": "Z", "propagation": "rprivate"},
                "/c": {"bind": "/c", "mode": "ro"},
            },
            ["/b", "/c"],
        ),
        (
            ("alice", ""),
            {"/a": {"bind": "/b"}},
            {"/c": {"bind": "/c"}},
            {"/a": {"bind": "/b", "mode": "rw"}, "/c": {"bind": "/c", "mode": "ro"}},
            ["/b", "/c"],
        ),
        (("alice", ""), {"/a/{{x}}": "/b"}, {}, {"/a/{x}": {"bind": "/b", "mode": "rw"}}, ["/b"]),
        (
            ("alice", ""),
            {"/img/{imagename}/{prefix}": "/b"},
            {},
            {"/img/quay.io-jupyterhub-singleuser-6.1/jupyter": {"bind": "/b", "mode": "rw"}},
            ["/b"],
        ),
        (("alice", ""), CERTS, {}, {"jupyterssl-alice": {"bind": "/certs", "mode": "ro"}}, ["/certs"]),
        (("A b", ""), CERTS, {}, {"jupyterssl--41-20b": {"bind": "/certs", "mode": "ro"}}, ["/certs"]),
        (("A b", "s"), CERTS, {}, {"jupyterssl--41-20b": {"bind": "/certs", "mode": "ro"}}, ["/certs"]),
        (
            ("alice", ""),
            CERTS,
            {"{prefix}ssl-{username}": "/mycerts"},
            {"jupyterssl-alice": {"bind": "/mycerts", "mode": "ro"}},
            ["/mycerts"],
        ),
        (
            ("alice", ""),
            {"/a": "/same", "/b": "/same"},
            {},
            {"/a": {"bind": "/same", "mode": "rw"}, "/b": {"bind": "/same", "mode": "rw"}},
            ["/same", "/same"],
        ),
        (("alice", ""), {}, {}, {}, []),
    ],
)
def test_volumes_become_dockerspawners_binds(
    name: tuple[str, str], volumes: Any, read_only: Any, binds: dict[str, Any], points: list[str]
) -> None:
    found = binds_of(*name, volumes, read_only)
    assert found == binds
    assert mount_points(found) == points


def test_the_legacy_scheme_names_volumes_as_it_did() -> None:
    found = binds_of("Alice@x", "", WORK, {}, escape=naming.escape_legacy)
    assert found == {"jupyterhub-user-Alice_40x": {"bind": "/home/jovyan/work", "mode": "rw"}}


def test_the_escaped_strategy_names_volumes_as_it_did() -> None:
    volumes = {"data/{username}": {"bind": "/home/{username}", "mode": "z"}}
    strategy = naming.escaped_format_volume_name
    assert binds_of("user@email.com", "", volumes, {}, strategy=strategy) == {
        "data/user-40email-2ecom": {"bind": "/home/user-40email-2ecom", "mode": "z"}
    }


@pytest.mark.parametrize("template", ["/a/{nosuch}", "/a/{"])
def test_a_volume_template_must_be_fully_known(template: str) -> None:
    with pytest.raises(BadTemplate):
        binds_of("alice", "", {template: "/b"}, {})
    with pytest.raises(BadTemplate, match="volumes"):
        volume_binds({"/a": template}, {}, partial(render_strict, namespace={}, option="volumes"))


@pytest.mark.parametrize(("read_only", "mode"), [(True, "ro"), (False, "rw")])
def test_ro_is_a_way_to_say_the_mode(read_only: bool, mode: str) -> None:
    assert volume_binds({"v": {"bind": "/b", "ro": read_only}}, {}, str) == {
        "v": {"bind": "/b", "mode": mode}
    }


@pytest.mark.parametrize("target", [{"mode": "ro"}, {"bind": None}, 5, None, ["/b"]])
def test_an_entry_without_a_path_is_refused_by_its_name(target: Any) -> None:
    with pytest.raises(BadOption, match=r"read_only_volumes\['v'\]"):
        volume_binds({}, {"v": target}, str)


@pytest.mark.parametrize(
    ("binds", "written"),
    [
        ({"v": "/b"}, ["v:/b:rw"]),
        ({"/a": {"bind": "/b"}}, ["/a:/b:rw"]),
        ({"/a": {"bind": "/b", "mode": "z"}}, ["/a:/b:z"]),
        ({"/a": {"bind": "/b", "ro": True}}, ["/a:/b:ro"]),
        ({"/h": {"bind": "/h", "ro": False, "propagation": "rshared"}}, ["/h:/h:rw,rshared"]),
        ({"/h": {"bind": "/h", "mode": "", "propagation": "rslave"}}, ["/h:/h:rslave"]),
        ({"/h": {"bind": "/h", "mode": "", "propagation": ""}}, ["/h:/h"]),
        ({"C:\\data": {"bind": "D:/work", "mode": "rw"}}, ["C:\\data:D:/work:rw"]),
        (["/a:/b:ro", "v:/c"], ["/a:/b:ro", "v:/c"]),
        (("v:/c",), ["v:/c"]),
        ({}, []),
    ],
)
def test_binds_are_written_for_the_engine(binds: Any, written: list[str]) -> None:
    assert bind_strings(binds, option="volumes") == written


@pytest.mark.parametrize(
    ("binds", "word"),
    [
        ({"v": {"bind": "/b", "ro": True, "mode": "ro"}}, "both 'ro' and 'mode'"),
        ({"v": {"bind": "/b", "propagation": "rsharde"}}, "rshared"),
        ({"/data/alice:/etc": {"bind": "/b"}}, "colon"),
        ({"user:/etc": {"bind": "/b"}}, "colon"),
        ({"v": {"bind": "/home/alice:ro"}}, "colon"),
        ({"v": 5}, "'bind'"),
        ("v:/b", "list"),
        ([5], "list"),
        (5, "dict"),
    ],
)
def test_binds_that_cannot_be_written_are_refused_with_the_option(binds: Any, word: str) -> None:
    with pytest.raises(BadOption, match="volumes") as caught:
        bind_strings(binds, option="volumes")
    assert word in str(caught.value)


@pytest.mark.parametrize(
    ("base", "over", "joined"),
    [
        (["a:/a:rw"], ["b:/b:ro"], ["a:/a:rw", "b:/b:ro"]),
        (["a:/a:rw", "c:/c"], ["b:/a/:ro"], ["c:/c", "b:/a/:ro"]),
        (["C:\\a:D:\\w:rw"], ["C:\\b:D:\\w"], ["C:\\b:D:\\w"]),
        (["C:\\a:D:\\w:rw"], ["C:\\b:D:\\x"], ["C:\\a:D:\\w:rw", "C:\\b:D:\\x"]),
        (["/anonymous"], ["/other"], ["/anonymous", "/other"]),
    ],
)
def test_of_two_binds_at_one_path_the_later_is_kept(
    base: list[str], over: list[str], joined: list[str]
) -> None:
    assert join_binds(base, over) == joined


@pytest.mark.parametrize(
    "template", ["/data/{raw_servername}", "/data/{raw_servername}/x", "C:\\data\\{raw_servername}"]
)
def test_a_servers_name_cannot_lead_a_path_out_of_its_folder(template: str) -> None:
    def render(text: str) -> str:
        return text.replace("{raw_servername}", "..")

    with pytest.raises(BadOption, match="volumes"):
        volume_binds({template: "/w"}, {}, render)
    assert volume_binds({"/data/../x": "/w"}, {}, render) == {"/data/../x": {"bind": "/w", "mode": "rw"}}


def test_every_text_of_a_mount_is_a_template_also_those_for_its_driver() -> None:
    driver = {"name": "local", "options": {"type": "nfs", "device": ":/home/{u}", "o": ["rw,uid={u}", 1]}}
    mount = {"target": "/{u}", "source": "v-{u}", "read_only": True, "driver_config": driver, "{u}": 1}
    options = {"type": "nfs", "device": ":/home/alice", "o": ["rw,uid=alice", 1]}
    rendered = {
        "target": "/alice",
        "source": "v-alice",
        "read_only": True,
        "driver_config": {"name": "local", "options": options},
        "{u}": 1,
    }
    assert rendered_mounts([mount], lambda template: template.replace("{u}", "alice")) == [rendered]


def test_a_servers_name_cannot_lead_a_mount_out_of_its_folder() -> None:
    with pytest.raises(BadOption, match=r"mounts: '/data/\{s\}' became '/data/\.\.'"):
        rendered_mounts([{"source": "/data/{s}"}], lambda template: template.replace("{s}", ".."))


@pytest.mark.parametrize(
    ("source", "is_one"),
    [("v", True), ("v.1_2-3", True), ("", False), ("/v", False), ("a/b", False), ("C:\\a", False)],
)
def test_a_volumes_name_is_told_from_a_path(source: str, is_one: bool) -> None:
    assert is_volume(source) == is_one
    assert not is_volume(f"./{source}")
    assert not is_volume(f"~{source}")
