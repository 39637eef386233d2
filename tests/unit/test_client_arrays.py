"""A long JSON array, an object at a time."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from asyncdockerspawner.client.arrays import elements
from asyncdockerspawner.client.translate import UnreadableAnswer

TASKS = [{"ID": "a", "Spec": {"Env": ["X=}],{"], "n": [1, {"b": None}]}}, {}, {"ID": "ä€"}]


async def pieces(text: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(text), size):
        yield text[at : at + size]


async def read(text: bytes, size: int = 1000) -> list[object]:
    return [each async for each in elements(pieces(text, size))]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("indent", [None, 2])
async def test_each_comes_whole_wherever_the_pieces_are_cut(size: int, indent: int | None) -> None:
    text = json.dumps(TASKS, indent=indent, ensure_ascii=False).encode() + b"\n"
    assert await read(text, size) == TASKS


async def test_each_comes_as_soon_as_it_is_there() -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b'[{"ID": "a"}, {"ID"'
        raise AssertionError("nobody has asked for more")

    assert await anext(elements(endless())) == {"ID": "a"}


@pytest.mark.parametrize("text", [b"[]\n", b"null\n", b"", b" [ ] "])
async def test_none_is_none(text: bytes) -> None:
    assert await read(text) == []


@pytest.mark.parametrize("text", [b"<html>", b'[{"ID": "a"}, 7]', b'[{"ID": ', b"{no}", b"[null]x"])
async def test_anything_else_cannot_be_read(text: bytes) -> None:
    with pytest.raises(UnreadableAnswer, match="no array"):
        await read(text)
