"""Image references, split for a pull."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncdockerspawner.errors import BadReference, ImageUnavailable
from asyncdockerspawner.images.references import Reference, is_image_id, parse, split_reference

HEX = "0123456789abcdef" * 4
DIGEST = f"sha256:{HEX}"
words = st.from_regex(r"[a-z0-9]+([._-][a-z0-9]+)*", fullmatch=True).filter(lambda word: len(word) < 100)
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


# ---- the grammar ----

components = st.from_regex(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*", fullmatch=True).filter(
    lambda word: len(word) < 40
)
references = st.builds(
    Reference,
    registry=st.sampled_from(
        [
            "",
            "quay.io",
            "localhost",
            "localhost:5000",
            "127.0.0.1:5000",
            "[::1]:5000",
            "[2001:db8::1]",
            "Reg",
            "a-b.c:1",
        ]
    ),
    path=st.lists(components, min_size=1, max_size=4)
    .map("/".join)
    .filter(lambda path: path.split("/")[0] != "localhost"),
    tag=st.one_of(st.just(""), tags),
    digest=st.sampled_from(["", DIGEST, "sha512:" + HEX * 2, "multihash+base58:" + HEX]),
).filter(
    lambda reference: (
        reference.registry or "." not in reference.path.split("/")[0] or "/" not in reference.path
    )
)


@given(references)
def test_what_was_put_together_is_taken_apart_again(reference: Reference) -> None:
    assert parse(str(reference)) == reference


@given(references)
def test_what_a_reference_means_means_itself(reference: Reference) -> None:
    assert parse(reference.canonical).canonical == reference.canonical
    assert parse(reference.canonical).host == reference.host


@given(st.text(max_size=60))
def test_any_text_is_a_reference_or_a_clear_error(text: str) -> None:
    try:
        shown = str(parse(text))
    except BadReference as exc:
        shown = str(exc)
    assert shown == text.removesuffix(":") or "no image reference" in shown


@pytest.mark.parametrize(
    ("image", "canonical", "host"),
    [
        ("busybox", "docker.io/library/busybox:latest", "docker.io"),
        ("jupyter/base-notebook:x", "docker.io/jupyter/base-notebook:x", "docker.io"),
        ("docker.io/busybox", "docker.io/library/busybox:latest", "docker.io"),
        ("index.docker.io/busybox:1", "docker.io/library/busybox:1", "docker.io"),
        ("localhost/a", "localhost/a:latest", "localhost"),
        ("Reg/a", "Reg/a:latest", "Reg"),
        ("[::1]:5000/a/b:1", "[::1]:5000/a/b:1", "[::1]:5000"),
        (f"reg.test:5000/a:1@{DIGEST}", f"reg.test:5000/a@{DIGEST}", "reg.test:5000"),
    ],
)
def test_what_is_left_out_is_known(image: str, canonical: str, host: str) -> None:
    assert (parse(image).canonical, parse(image).host) == (canonical, host)


@pytest.mark.parametrize(
    ("image", "part"),
    [
        ("", "lower-case"),
        ("Busybox", "lower-case"),
        ("a//b", "lower-case"),
        ("a b", "lower-case"),
        ("a/b/", "lower-case"),
        ("-reg.test/a", "no registry"),
        ("[::g]:5000/a", "no registry"),
        ("reg.test:port/a", "no registry"),
        ("a:-tag", "a tag has"),
        ("a:" + "t" * 129, "a tag has"),
        ("a:b c", "a tag has"),
        ("a@sha256:123", "no digest"),
        ("a@", "no digest"),
        ("a@b@c", "no digest"),
        ("/".join(["a" * 50] * 6), "255 characters"),
        ("a:ä", "a tag has"),
        ("a\n", "lower-case"),
        ("X" * 5000, "lower-case"),
    ],
)
def test_what_is_wrong_is_told(image: str, part: str) -> None:
    with pytest.raises(BadReference, match=part) as caught:
        parse(image)
    assert len(str(caught.value)) < 600
