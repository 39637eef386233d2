"""How a table of keywords is applied to what a site wrote: docker-py's keywords, or the Engine's own keys.

A table: keyword → (key, converter). A converter takes a value and the option's name for its complaint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.keywords.limits import whole_number
from asyncdockerspawner.keywords.merge import plain
from asyncdockerspawner.keywords.spelling import unknown_keyword

Converter: TypeAlias = Callable[[Any, str], Any]
Table: TypeAlias = Mapping[str, tuple[str, Converter]]

NOTHING = ""
"""The key of keywords that have none at the Engine."""


def unchanged(value: Any, option: str) -> Any:
    """Return a value that docker-py and the Engine write alike."""
    del option
    return plain(value)


def text(value: Any) -> str:
    """Write a value as text; what was read from a file as bytes is UTF-8, as docker-py takes it."""
    return value.decode() if isinstance(value, bytes) else str(value)


def texts(value: Any, option: str) -> list[str]:
    """Read a list of strings; one string alone is a list of one."""
    return [value] if isinstance(value, str) else [str(each) for each in items(value, option)]


def count(value: Any, option: str) -> int:
    """Read a whole number."""
    return whole_number(value, option=option)


def pairs(value: Any, option: str) -> Mapping[Any, Any]:
    """Check for a mapping."""
    if not isinstance(value, Mapping):
        raise BadOption(f"{option} is {value!r}, but it must be a dict.")
    return value


def port_key(port: object) -> str:
    """Write a container's port as the Engine does, `8888/tcp`; one without protocol is TCP."""
    return str(port) if "/" in str(port) else f"{port}/tcp"


def renamed(value: Any, table: Mapping[str, str], option: str) -> JsonObject:
    """Rename a part's keys to the Engine's; None is docker-py's "not set"."""
    keys = {**table, **{key: key for key in table.values()}}
    found: JsonObject = {}
    for keyword, item in pairs(value, option).items():
        if keyword not in keys:
            raise unknown_keyword(option, keyword, keys)
        if item is None:
            continue
        if keys[keyword] in found:
            raise _twice(option, keys[keyword])
        found[keys[keyword]] = plain(item)
    return found


def convert(keywords: Mapping[str, Any], table: Table, keys: Iterable[str], option: str) -> JsonObject:
    """Convert keywords by a table; keys of the Engine pass as they are, those for `NOTHING` are only checked.

    None unsets: it stays in the answer, lies over a computed value and is dropped before sending.
    """
    known_keys = frozenset(keys)
    converted: JsonObject = {}
    for keyword, value in keywords.items():
        if keyword in table:
            key, converter = table[keyword]
        elif keyword in known_keys:
            key, converter = keyword, unchanged
        else:
            raise unknown_keyword(option, keyword, (*table, *known_keys))
        if key != NOTHING and key in converted:
            raise _twice(option, key)
        converted[key] = None if value is None else converter(value, f"{option}.{keyword}")
    converted.pop(NOTHING, None)
    return converted


def items(value: Any, option: str) -> list[Any]:
    """Check for a list; a set is one in an order that lasts, else a kept container would seem to differ."""
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    if not isinstance(value, list | tuple):
        raise BadOption(f"{option} is {value!r}, but it must be a list.")
    return list(value)


def _twice(option: str, key: str) -> BadOption:
    return BadOption(f"{option} sets {key} twice, by docker-py's word and by the Engine's key.")
