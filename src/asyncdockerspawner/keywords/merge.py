"""Lay one nested mapping over another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from asyncdockerspawner.jsontypes import JsonObject

Joins: TypeAlias = Mapping[str, Callable[[Any], object]]
"""Key whose list is joined → what tells an entry of it from the others."""


def plain(value: Any) -> Any:
    """Copy into dictionaries and lists of its own, as they go over the wire.

    docker-py's types (`Mount`, `DeviceRequest`, …) are mappings with the Engine's keys.
    """
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def deep_merge(base: Mapping[str, Any], over: Mapping[str, Any], joins: Joins | None = None) -> JsonObject:
    """Return `base` overlaid by `over`: mappings go into each other, anything else replaces.

    Lists under a key of `joins` are joined: an entry of `over` replaces the one of `base` that is told alike.
    """
    merged: JsonObject = plain(base)
    for key, item in over.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(item, Mapping):
            merged[key] = deep_merge(below, item, joins)
        elif joins and key in joins and isinstance(below, list) and isinstance(item, list | tuple):
            merged[key] = _joined(below, item, joins[key])
        else:
            merged[key] = plain(item)
    return merged


def without_empty(value: Any) -> Any:
    """Return a document without keys that hold None, nothing, or only such: they tell the Engine nothing."""
    if isinstance(value, list):
        return [without_empty(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    kept = ((key, without_empty(item)) for key, item in value.items())
    return {key: item for key, item in kept if item is not None and item not in ({}, [])}


def _joined(base: Sequence[Any], over: Sequence[Any], told: Callable[[Any], object]) -> list[Any]:
    entries = {told(each): plain(each) for each in base}
    return list((entries | {told(each): plain(each) for each in over}).values())
