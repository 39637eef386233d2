"""Lay one nested mapping over another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asyncdockerspawner.jsontypes import JsonObject


def plain(value: Any) -> Any:
    """Copy into dictionaries and lists of its own, as they go over the wire.

    docker-py's types (`Mount`, `DeviceRequest`, …) are mappings with the Engine's keys.
    """
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def deep_merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> JsonObject:
    """Return `base` overlaid by `over`: mappings go into each other, anything else replaces."""
    merged: JsonObject = plain(base)
    for key, item in over.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(item, Mapping):
            merged[key] = deep_merge(below, item)
        else:
            merged[key] = plain(item)
    return merged
