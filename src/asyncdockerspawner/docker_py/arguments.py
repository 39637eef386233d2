"""Names, filters and times as docker-py takes them, written for the Engine."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from asyncdockerspawner.client.connection import segment
from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.jsontypes import JsonObject


def name_of(value: Any, word: str) -> str:
    """Read a name or id; a document of the Engine's stands for its id."""
    if isinstance(value, Mapping):
        value = value.get("Id") or value.get("ID") or value.get("Name")
    if not isinstance(value, str) or not value:
        raise BadOption(f"{word} is {value!r}, but it must be a name or an id.")
    # The Engine's documents have a container's name with a slash before it.
    return value.lstrip("/") if word == "container" else value


def path_part(value: Any, word: str) -> str:
    """Write a name or id as it stands in a path."""
    return segment(name_of(value, word), parts=word == "image")


def filter_lists(filters: Mapping[str, Any] | None) -> JsonObject | None:
    """Write filters as the Engine reads them: lists of strings."""
    found: JsonObject = {}
    for key, value in (filters or {}).items():
        several = value if isinstance(value, list | tuple | set) else [value]
        found[key] = [str(each).lower() if isinstance(each, bool) else str(each) for each in several]
    return found or None


def seconds(value: Any, word: str) -> float | None:
    """Write a moment as the Engine reads it: seconds since 1970; without a zone it is UTC."""
    if isinstance(value, datetime):
        return (value.replace(tzinfo=UTC) if value.tzinfo is None else value).timestamp()
    if value is None:
        return None
    if isinstance(value, int | float) and value > 0:
        return value
    raise BadOption(f"{word} is {value!r}, but it must be a datetime or a positive number.")
