"""A long JSON array, an object at a time: of ten thousand tasks, none is decoded together with the others."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator

from asyncdockerspawner.client.translate import UnreadableAnswer
from asyncdockerspawner.jsontypes import JsonObject

IDLE_TIMEOUT = 60.0
"""Seconds: a list that says nothing for so long has broken off."""
_BETWEEN = re.compile(r"[\s,\[\]]*")


async def elements(chunks: AsyncIterator[bytes]) -> AsyncGenerator[JsonObject]:
    """Yield each object of an array as soon as it is there; of `null`, none. Raises UnreadableAnswer."""
    decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
    rest = ""
    async for chunk in chunks:
        rest += decode(chunk)
        at = 0
        while (found := _next(rest, at)) is not None:
            element, at = found
            yield element
        rest = rest[at:]
    if _BETWEEN.sub("", rest) not in {"", "null"}:
        raise UnreadableAnswer(f"no array of JSON objects: {rest[:80]!r}")


_DECODER = json.JSONDecoder()


def _next(text: str, at: int) -> tuple[JsonObject, int] | None:
    """Return the next object and where it ends; None where there is none yet, or anything else."""
    between = _BETWEEN.match(text, at)
    start = between.end() if between else at
    if not text.startswith("{", start):
        return None
    try:
        return _DECODER.raw_decode(text, start)
    except ValueError:
        return None
