"""Image references, split for a pull."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncdockerspawner.errors import ImageUnavailable
from asyncdockerspawner.references import is_image_id, split_reference

HEX = "0123456789abcdef" * 4
words = st.from_regex(r"[a-z0-9]+([._-][a-z0-9]+)*", fullmatch=True)
hosts = st.sampled_from(["", "quay.io/", "localhost:5000/", "10.0.0.1:5000/org/", "[::1]:5000/"])
tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)


@pytest.mark.parametrize(
    ("image", "name", "tag"),
    [
        ("busybox", "busybox", "latest"),
        ("busybox:", "busybox", "latest"),
        ("busybox:1.30.1", "busybox", "1.30.1"),
        ("quay.io/jupyterhub/singleuser:5.3", "quay.io/jupyterhub/singleuser", "5.3"),
        ("my.reg:5000/foo", "my.reg:5000/foo", "latest"),
        ("my.reg:5000/foo:bar", "my.reg:5000/foo", "bar"),
        (f"foo@sha256:{HEX}", "foo", f"sha256:{HEX}"),
        (f"my.reg:5000/foo:bar@sha256:{HEX}", "my.reg:5000/foo", f"sha256:{HEX}"),
    ],
)
def test_a_reference_splits_into_name_and_tag_or_digest(image: str, name: str, tag: str) -> None:
    assert split_reference(image) == (name, tag)


@given(hosts, words, tags)
def test_name_and_tag_come_back_as_they_were_joined(host: str, name: str, tag: str) -> None:
    assert split_reference(f"{host}{name}:{tag}") == (f"{host}{name}", tag)
    assert split_reference(f"{host}{name}") == (f"{host}{name}", "latest")


@given(hosts, words, tags)
def test_a_digest_beats_the_tag(host: str, name: str, tag: str) -> None:
    assert split_reference(f"{host}{name}:{tag}@sha256:{HEX}") == (f"{host}{name}", f"sha256:{HEX}")


@pytest.mark.parametrize("image", [HEX, f"sha256:{HEX}"])
def test_an_image_id_is_recognised_and_cannot_be_pulled(image: str) -> None:
    assert is_image_id(image)
    with pytest.raises(ImageUnavailable, match="tag or digest"):
        split_reference(image)


@pytest.mark.parametrize(
    "image", ["busybox", HEX[:12], f"foo@sha256:{HEX}", f"sha256:{HEX[:-1]}", HEX.upper()]
)
def test_a_reference_is_no_image_id(image: str) -> None:
    assert not is_image_id(image)
