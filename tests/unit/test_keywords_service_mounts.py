"""What is mounted into a service: of which type, and how."""

from __future__ import annotations

from typing import Any

import pytest
from docker.types import Mount
from hypothesis import given
from hypothesis import strategies as st

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.keywords.service_mounts import (
    memory_mounts,
    mounts_of_binds,
    service_mounts,
    with_driver,
)

VOLUME = {"Type": "volume", "Source": "v", "Target": "/w"}
BIND = {"Type": "bind", "Source": "/h", "Target": "/w"}


@pytest.mark.parametrize(
    ("binds", "expected"),
    [
        ({"v": "/w"}, VOLUME),
        ({"v": {"bind": "/w", "mode": None}}, VOLUME),
        ({"v": {"bind": "/w", "mode": "rw,z"}}, VOLUME),
        ({"v": {"bind": "/w", "mode": "Z"}}, VOLUME),
        ({"v": {"bind": "/w", "ro": True}}, {**VOLUME, "ReadOnly": True}),
        (
            {"v": {"bind": "/w", "mode": "ro,nocopy"}},
            {**VOLUME, "ReadOnly": True, "VolumeOptions": {"NoCopy": True}},
        ),
        ({"v-{{.Node.Hostname}}": "/w"}, {**VOLUME, "Source": "v-{{.Node.Hostname}}"}),
        ({"/h": "/w"}, BIND),
        ({"/h": {"bind": "/w", "mode": "ro"}}, {**BIND, "ReadOnly": True}),
        ({"/h": {"bind": "/w", "propagation": "rslave"}}, {**BIND, "BindOptions": {"Propagation": "rslave"}}),
        ({"/h": {"bind": "/w", "mode": "rw,rshared"}}, {**BIND, "BindOptions": {"Propagation": "rshared"}}),
        ({"/h": {"bind": "/w", "mode": "cached"}}, {**BIND, "Consistency": "cached"}),
        ({"{{.Node.Hostname}}/x": "/w"}, {**BIND, "Source": "{{.Node.Hostname}}/x"}),
        ({r"C:\h": r"C:\w"}, {"Type": "bind", "Source": r"C:\h", "Target": r"C:\w"}),
        (["v:/w"], VOLUME),
        (["v:/w:ro"], {**VOLUME, "ReadOnly": True}),
        ([r"C:\h:C:\w:ro"], {"Type": "bind", "Source": r"C:\h", "Target": r"C:\w", "ReadOnly": True}),
        (["/w"], {"Type": "volume", "Target": "/w"}),
    ],
)
def test_a_bind_becomes_a_mount_of_the_right_type(binds: Any, expected: dict[str, Any]) -> None:
    assert mounts_of_binds(binds, "volumes") == [expected]


@pytest.mark.parametrize(
    ("binds", "said"),
    [
        ({"./data": "/w"}, "'./data' must be an absolute path of the nodes, or the name of a volume"),
        ({"~/data": "/w"}, "must be an absolute path of the nodes"),
        ({"": "/w"}, "must be an absolute path of the nodes"),
        ({"v": "w"}, "'w' in the container must be an absolute path"),
        (
            {"v": {"bind": "/w", "propagation": "rslave"}},
            "'rslave', which the mount of a volume does not have",
        ),
        ({"/h": {"bind": "/w", "mode": "nocopy"}}, "'nocopy', which the mount of a host path does not have"),
        ({"/h": {"bind": "/w", "mode": "wr"}}, "'wr', which the mount of a host path does not have"),
        ({"v": {"mode": "ro"}}, "a dict with the key 'bind'"),
        ({"a": "/w", "b": "/w/"}, "two mounts are at /w"),
        ("v:/w", "must be a list"),
    ],
)
def test_a_bind_that_no_node_could_mount_is_refused(binds: Any, said: str) -> None:
    with pytest.raises(BadOption) as caught:
        mounts_of_binds(binds, "volumes")
    assert str(caught.value).startswith("volumes")
    assert said in str(caught.value)


def test_mounts_are_docker_pys_or_written_as_text() -> None:
    given = ["v:/a", "/h:/b:ro", Mount("/c", "c", no_copy=True), {"target": "/d", "type": "tmpfs"}]
    assert service_mounts(given, "mounts") == [
        {"Type": "volume", "Source": "v", "Target": "/a"},
        {"Type": "bind", "Source": "/h", "Target": "/b", "ReadOnly": True},
        {
            "Type": "volume",
            "Source": "c",
            "Target": "/c",
            "ReadOnly": False,
            "VolumeOptions": {"NoCopy": True},
        },
        {"Type": "tmpfs", "Target": "/d"},
    ]


def test_a_path_that_is_to_be_made_on_the_node_is_said_with_the_engines_key() -> None:
    mount = {"type": "bind", "source": "/h", "target": "/w", "propagation": "rslave"}
    made = service_mounts([{**mount, "BindOptions": {"CreateMountpoint": True}}], "mounts")
    assert made == [{**BIND, "BindOptions": {"CreateMountpoint": True, "Propagation": "rslave"}}]


@pytest.mark.parametrize(
    ("mounts", "said"),
    [
        ([{"target": "/w", "type": "bind", "source": "h"}], "mounts[0]: 'h' must be an absolute path"),
        ([{"target": "w", "source": "v"}], "mounts[0]: 'w' in the container must be an absolute path"),
        (["/a", {"target": "/a"}], "mounts: two mounts are at /a"),
        (["v:/a:up"], "mounts[0] has 'up'"),
        ({"target": "/a"}, "must be a list"),
    ],
)
def test_a_mount_that_a_swarm_would_refuse_is_refused(mounts: Any, said: str) -> None:
    with pytest.raises(BadOption) as caught:
        service_mounts(mounts, "mounts")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", {}),
        ("rw,noexec, nosuid,nodev", {}),
        ("ro", {"ReadOnly": True}),
        ("size=64m", {"TmpfsOptions": {"SizeBytes": 64 * 2**20}}),
        ("size=1024,mode=1777", {"TmpfsOptions": {"SizeBytes": 1024, "Mode": 0o1777}}),
    ],
)
def test_memory_has_a_size_and_a_mode(options: str, expected: dict[str, Any]) -> None:
    assert memory_mounts({"/t": options}, "tmpfs") == [{"Type": "tmpfs", "Target": "/t", **expected}]


@pytest.mark.parametrize("options", ["exec", "uid=1000", "mode=rwx", "size=many", "size"])
def test_what_memory_in_a_service_has_not_is_refused(options: str) -> None:
    with pytest.raises(BadOption, match=r"^tmpfs\['/t'\]"):
        memory_mounts({"/t": options}, "tmpfs")


def test_a_driver_is_for_named_volumes_that_name_none() -> None:
    own = {"Name": "rclone", "Options": {"a": "b"}}
    mounts: list[dict[str, Any]] = [
        VOLUME,
        {**VOLUME, "VolumeOptions": {"NoCopy": True}},
        {**VOLUME, "VolumeOptions": {"DriverConfig": own}},
        BIND,
        {"Type": "volume", "Target": "/anonymous"},
        {"Type": "tmpfs", "Target": "/t"},
    ]
    ours = {"Name": "nfs", "Options": {"o": "rw"}}
    assert with_driver(mounts, "nfs", {"o": "rw"}) == [
        {**VOLUME, "VolumeOptions": {"DriverConfig": ours}},
        {**VOLUME, "VolumeOptions": {"NoCopy": True, "DriverConfig": ours}},
        *mounts[2:],
    ]
    assert with_driver([VOLUME], "nfs", {})[0]["VolumeOptions"] == {"DriverConfig": {"Name": "nfs"}}
    assert with_driver([VOLUME], "nfs", {"a": 1})[0]["VolumeOptions"]["DriverConfig"]["Options"] == {"a": "1"}
    # Options alone are for the driver that the Engine has.
    alone = with_driver([VOLUME], "", {"type": "nfs"})[0]["VolumeOptions"]
    assert alone == {"DriverConfig": {"Name": "local", "Options": {"type": "nfs"}}}
    assert with_driver(mounts, "", {}) == mounts


@given(st.text(max_size=20), st.text(max_size=20), st.sampled_from(["rw", "ro", "", "z", "rslave", "nocopy"]))
def test_no_name_of_a_user_makes_another_type_or_a_way_out(source: str, target: str, mode: str) -> None:
    try:
        (mount,) = mounts_of_binds({source: {"bind": f"/{target}", "mode": mode}}, "volumes")
    except BadOption:
        return
    assert (mount["Source"], mount["Target"]) == (source, f"/{target}")
    assert mount["Type"] == ("bind" if set(source) & set("/\\") else "volume")
