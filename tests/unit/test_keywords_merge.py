"""Laying mappings over one another."""

from __future__ import annotations

import copy
from collections import OrderedDict
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncdockerspawner.keywords.merge import deep_merge, plain, without_empty

keys = st.sampled_from("abc")
leaves = st.none() | st.integers() | st.lists(st.integers(), max_size=2)
documents = st.dictionaries(
    keys, st.recursive(leaves, lambda inner: st.dictionaries(keys, inner), max_leaves=6)
)


@pytest.mark.parametrize(
    ("base", "over", "merged"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": {"x": 1, "y": 1}}, {"a": {"y": 2}}, {"a": {"x": 1, "y": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"x": 1}}, {"a": 5}, {"a": 5}),
        ({"a": 5}, {"a": {"x": 1}}, {"a": {"x": 1}}),
        ({"a": 5}, {"a": None}, {"a": None}),
        (
            MappingProxyType({"a": OrderedDict(x=1)}),
            {"a": MappingProxyType({"y": (1,)})},
            {"a": {"x": 1, "y": [1]}},
        ),
    ],
)
def test_mappings_merge_and_everything_else_replaces(base: Any, over: Any, merged: Any) -> None:
    assert deep_merge(base, over) == merged


def test_lists_are_joined_where_their_entries_can_be_told() -> None:
    def name_of(entry: str) -> str:
        return entry.partition("=")[0]

    base, over = {"p": {"env": ["A=1", "B=1"]}, "l": [1]}, {"p": {"env": ("B=2", "C=2")}, "l": [2]}
    merged = deep_merge(base, over, {"env": name_of})
    assert merged == {"p": {"env": ["A=1", "B=2", "C=2"]}, "l": [2]}
    assert deep_merge(base, {"p": {"env": None}}, {"env": name_of})["p"] == {"env": None}
    assert deep_merge({}, over, {"env": name_of}) == deep_merge({}, over)


def test_what_tells_nothing_goes_and_false_and_empty_texts_stay() -> None:
    document: dict[str, Any] = {
        "a": None,
        "b": {"c": None, "d": {}},
        "e": [],
        "f": [{"g": None}],
        "h": 0,
        "i": "",
        "j": False,
    }
    assert without_empty(document) == {"f": [{}], "h": 0, "i": "", "j": False}


@given(documents, documents)
def test_merging_leaves_its_inputs_alone_and_shares_nothing_with_them(
    base: dict[str, Any], over: dict[str, Any]
) -> None:
    before = copy.deepcopy((base, over))
    merged = deep_merge(base, over)
    for item in merged.values():
        if isinstance(item, list | dict):
            item.clear()
    assert (base, over) == before


@given(documents)
def test_an_empty_side_changes_nothing(document: dict[str, Any]) -> None:
    assert deep_merge(document, {}) == deep_merge({}, document) == plain(document) == document
