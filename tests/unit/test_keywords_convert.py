"""A table of words applied to what a site wrote."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.keywords.convert import (
    NOTHING,
    Table,
    convert,
    items,
    pairs,
    port_key,
    renamed,
    text,
    texts,
    unchanged,
)


def checked(value: Any, option: str) -> Any:
    if value == "bad":
        raise BadOption(f"{option} is bad.")
    return f"{option}={value}"


TABLE: Table = {
    "a_word": ("AWord", unchanged),
    "checked": ("Checked", checked),
    "only_said": (NOTHING, checked),
}
KEYS = {"AWord", "Checked", "Raw"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"a_word": 1}, {"AWord": 1}),
        ({"AWord": 1, "Raw": 2}, {"AWord": 1, "Raw": 2}),
        # A key of the Engine's is not converted, and complaints name the word as it was written.
        ({"checked": "x"}, {"Checked": "opt.checked=x"}),
        ({"Checked": "x"}, {"Checked": "x"}),
        ({"only_said": "x"}, {}),
        ({"a_word": None, "Raw": None, "only_said": None}, {"AWord": None, "Raw": None}),
        ({}, {}),
    ],
)
def test_words_become_keys(words: dict[str, Any], expected: dict[str, Any]) -> None:
    assert convert(words, TABLE, KEYS, "opt") == expected


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"a_wrod": 1}, "opt has the unknown key 'a_wrod'; did you mean 'a_word'?"),
        ({"Raww": 1}, "did you mean 'Raw'?"),
        ({"a_word": 1, "AWord": 1}, "opt sets AWord twice"),
        ({"AWord": None, "a_word": None}, "opt sets AWord twice"),
        ({"checked": "bad"}, "opt.checked is bad"),
        ({"only_said": "bad"}, "opt.only_said is bad"),
    ],
)
def test_what_no_table_has_is_refused(words: dict[str, Any], said: str) -> None:
    with pytest.raises(BadOption) as caught:
        convert(words, TABLE, KEYS, "opt")
    assert said in str(caught.value)


def test_a_value_taken_as_it_is_is_a_copy() -> None:
    given = {"deep": [{"a": 1}]}
    taken = unchanged(MappingProxyType(given), "opt")
    taken["deep"][0]["a"] = 2
    assert given == {"deep": [{"a": 1}]}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("one", ["one"]),
        ("", [""]),
        (["a", 1], ["a", "1"]),
        (("a",), ["a"]),
        ({"b", "a"}, ["a", "b"]),
        (frozenset({2, 1}), ["1", "2"]),
        ([], []),
    ],
)
def test_texts_are_read_from_lists_and_their_like(value: Any, expected: list[str]) -> None:
    assert texts(value, "opt") == expected


@pytest.mark.parametrize("value", [5, {"a": 1}, b"a", True])
def test_what_is_no_list_of_texts_is_refused(value: Any) -> None:
    with pytest.raises(BadOption, match=r"opt is .* but it must be a list"):
        texts(value, "opt")


@pytest.mark.parametrize("value", ["text", 5, {"a": 1}])
def test_a_list_is_insisted_on(value: Any) -> None:
    with pytest.raises(BadOption, match=r"opt is .* but it must be a list"):
        items(value, "opt")


def test_a_set_is_a_list_in_an_order_that_lasts() -> None:
    assert items({("b", 1), ("a", 2)}, "opt") == [("a", 2), ("b", 1)]


@pytest.mark.parametrize("value", ["text", ["a"], 5])
def test_a_mapping_is_insisted_on(value: Any) -> None:
    with pytest.raises(BadOption, match=r"opt is .* but it must be a dict"):
        pairs(value, "opt")


@pytest.mark.parametrize(("value", "expected"), [("a", "a"), (5, "5"), (b"\xc3\xa9", "é"), (True, "True")])
def test_a_value_is_written_as_text(value: Any, expected: str) -> None:
    assert text(value) == expected


@pytest.mark.parametrize(
    ("port", "key"), [(8888, "8888/tcp"), ("53", "53/tcp"), ("53/udp", "53/udp"), ("1-3/tcp", "1-3/tcp")]
)
def test_a_port_without_protocol_is_tcp(port: object, key: str) -> None:
    assert port_key(port) == key


def test_keys_of_a_part_are_renamed_and_none_is_not_set() -> None:
    table = {"name": "Name", "soft": "Soft"}
    assert renamed({"name": "n", "soft": None}, table, "opt") == {"Name": "n"}
    assert renamed({"Name": "n", "soft": 1}, table, "opt") == {"Name": "n", "Soft": 1}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"nmae": "n"}, "opt has the unknown key 'nmae'; did you mean 'name'?"),
        ({"name": "n", "Name": "m"}, "opt sets Name twice"),
        (["name"], "must be a dict"),
    ],
)
def test_a_part_that_cannot_be_used_is_refused(value: Any, said: str) -> None:
    with pytest.raises(BadOption) as caught:
        renamed(value, {"name": "Name"}, "opt")
    assert said in str(caught.value)
