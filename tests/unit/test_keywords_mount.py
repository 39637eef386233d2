"""docker-py's words for a mount in the Engine's keys."""

from __future__ import annotations

import copy
from types import MappingProxyType
from typing import Any

import pytest

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.keywords.mount import engine_mount, engine_mounts, mount_of_bind

RAW = {"Target": "/t", "Source": "s", "Type": "volume", "VolumeOptions": {"NoCopy": True}}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"source": "v"}, {"Type": "volume", "Source": "v"}),
        ({"source": "v", "read_only": True}, {"Type": "volume", "Source": "v", "ReadOnly": True}),
        ({"type": "bind", "consistency": "cached"}, {"Type": "bind", "Consistency": "cached"}),
        (
            {"type": "bind", "propagation": "rslave"},
            {"Type": "bind", "BindOptions": {"Propagation": "rslave"}},
        ),
        (
            {"type": "tmpfs", "tmpfs_size": "1k", "tmpfs_mode": 0o700},
            {"Type": "tmpfs", "TmpfsOptions": {"SizeBytes": 1024, "Mode": 0o700}},
        ),
        (
            {"no_copy": True, "labels": {"a": "b"}, "subpath": "c"},
            {"Type": "volume", "VolumeOptions": {"NoCopy": True, "Labels": {"a": "b"}, "Subpath": "c"}},
        ),
        (
            {"driver_config": {"name": "local", "options": {"o": "x"}}},
            {
                "Type": "volume",
                "VolumeOptions": {"DriverConfig": {"Name": "local", "Options": {"o": "x"}}},
            },
        ),
        (
            {"type": "image", "ImageOptions": {"Subpath": "a"}},
            {"Type": "image", "ImageOptions": {"Subpath": "a"}},
        ),
        ({"type": "cluster", "ClusterOptions": {}}, {"Type": "cluster", "ClusterOptions": {}}),
        (
            {"type": "bind", "BindOptions": {"NonRecursive": True}},
            {"Type": "bind", "BindOptions": {"NonRecursive": True}},
        ),
        # The two ways of writing go together.
        (
            {"VolumeOptions": {"NoCopy": True, "Subpath": "a"}, "subpath": "b"},
            {"Type": "volume", "VolumeOptions": {"NoCopy": True, "Subpath": "b"}},
        ),
    ],
)
def test_a_word_becomes_the_engines_key(words: dict[str, Any], expected: dict[str, Any]) -> None:
    assert engine_mount({"target": "/t", **words}, "mounts[0]") == {"Target": "/t", **expected}


def test_the_engines_own_keys_pass_as_they_are() -> None:
    assert engine_mount(MappingProxyType(RAW), "mounts[0]") == RAW


def test_a_default_written_out_leaves_nothing_at_any_type() -> None:
    words = {"no_copy": False, "propagation": "", "labels": {}, "tmpfs_size": 0, "subpath": None}
    for kind in ("bind", "volume", "tmpfs", "image"):
        assert engine_mount({"target": "/t", "type": kind, **words}, "m") == {"Target": "/t", "Type": kind}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"source": "v"}, "mounts[0] has no target"),
        ({"target": "", "source": "v"}, "mounts[0] has no target"),
        ({"target": "/t", "tagret": "/t"}, "did you mean 'target'?"),
        ({"target": "/t", "Target": "/u"}, "sets Target twice"),
        ({"target": "/t", "propagation": "rslave"}, "'propagation', which a mount of the type 'volume'"),
        ({"target": "/t", "type": "image", "no_copy": True}, "'no_copy', which a mount of the type 'image'"),
        ({"target": "/t", "type": "tmpfs", "tmpfs_size": "much"}, "mounts[0].tmpfs_size is 'much'"),
        ({"target": "/t", "type": "tmpfs", "tmpfs_mode": "700"}, "write 0o1777"),
        ({"target": "/t", "driver_config": {"nmae": "x"}}, "mounts[0].driver_config has the unknown key"),
        ({"target": "/t", "driver_config": "nfs"}, "mounts[0].driver_config is 'nfs'"),
        ("v:/t", "mounts[0] is 'v:/t', but it must be a dict"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_number(words: Any, said: str) -> None:
    with pytest.raises(BadOption) as caught:
        engine_mounts([words], "mounts")
    assert said in str(caught.value)


BIND = {"Type": "bind", "Source": "/s", "Target": "/t"}


@pytest.mark.parametrize(
    ("bind", "expected"),
    [
        ("/t", BIND),
        ({"bind": "/t", "ro": False}, BIND),
        ({"bind": "/t", "mode": "ro"}, {**BIND, "ReadOnly": True}),
        ({"bind": "/t", "propagation": "rslave"}, {**BIND, "BindOptions": {"Propagation": "rslave"}}),
        ({"bind": "/t", "mode": "z"}, None),
        ({"bind": "/t", "mode": "ro,Z"}, None),
    ],
)
def test_a_bind_as_a_mount(bind: Any, expected: Any) -> None:
    assert mount_of_bind("/s", bind, "option") == expected
    assert mount_of_bind("volume", bind, "option") is None


def test_a_bind_that_cannot_be_read_names_its_option() -> None:
    with pytest.raises(BadOption, match="the_option has the propagation 'x'"):
        mount_of_bind("/s", {"bind": "/t", "propagation": "x"}, "the_option")


def test_the_second_mount_is_told_from_the_first() -> None:
    with pytest.raises(BadOption, match=r"mounts\[1\]"):
        engine_mounts([{"target": "/t"}, {}], "mounts")


def test_what_is_no_list_is_refused() -> None:
    with pytest.raises(BadOption, match=r"mounts is .*must be a list"):
        engine_mounts({"target": "/t"}, "mounts")


def test_what_was_given_is_neither_changed_nor_shared() -> None:
    given = [copy.deepcopy(RAW), {"target": "/u", "labels": {"a": "b"}}]
    before = copy.deepcopy(given)
    first, second = engine_mounts(given, "mounts")
    first["VolumeOptions"]["NoCopy"] = second["VolumeOptions"]["Labels"]["a"] = "changed"
    assert given == before
