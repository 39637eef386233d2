"""How a table of words is applied to what a site wrote: docker-py's words, or the Engine's own keys.

A table: word → (key, converter). A converter takes a value and the option's name for its complaint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.keywords.merge import plain
from asyncdockerspawner.keywords.spelling import unknown_word

Converter: TypeAlias = Callable[[Any, str], Any]
Table: TypeAlias = Mapping[str, tuple[str, Converter]]

NOTHING = ""
"""The key of words that have none at the Engine."""


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
    for word, item in pairs(value, option).items():
        if word not in keys:
            raise unknown_word(option, word, keys)
        if item is None:
            continue
        if keys[word] in found:
            raise _twice(option, keys[word])
        found[keys[word]] = plain(item)
    return found


def convert(words: Mapping[str, Any], table: Table, keys: Iterable[str], option: str) -> JsonObject:
    """Convert words by a table; keys of the Engine pass as they are, words for `NOTHING` are only checked.

    None unsets: it stays in the answer, lies over a computed value and is dropped before sending.
    """
    known_keys = frozenset(keys)
    converted: JsonObject = {}
    for word, value in words.items():
        if word in table:
            key, converter = table[word]
        elif word in known_keys:
            key, converter = word, unchanged
        else:
            raise unknown_word(option, word, (*table, *known_keys))
        if key != NOTHING and key in converted:
            raise _twice(option, key)
        converted[key] = None if value is None else converter(value, f"{option}.{word}")
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
