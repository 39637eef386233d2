"""How the fake Engine says no, and small helpers that every room of it uses."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from aiohttp import web

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Refused(Exception):
    """The Engine says no: status and message of its answer, and what it is about."""

    def __init__(self, status: int, message: str, about: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.about = about


def answer(data: object, status: int = 200) -> web.Response:
    """Give a JSON answer, ended by a line break as Go's encoder does."""
    return web.Response(
        status=status,
        body=json.dumps(data).encode() + b"\n",
        headers={"Content-Type": "application/json"},
    )


def nothing(status: int = 204) -> web.Response:
    """Give an answer without a body."""
    return web.Response(status=status)


def flag(query: Mapping[str, str], word: str) -> bool:
    """Read a boolean of the query as the Engine does."""
    return query.get(word, "").strip().lower() not in {"", "0", "no", "false", "none"}


def gone(request: web.Request) -> bool:
    """Tell whether the client has hung up."""
    return request.transport is None or request.transport.is_closing()


def parse_filters(text: str | None) -> dict[str, list[str]]:
    """Read the query's `filters`, in either of the Engine's two notations."""
    if not text:
        return {}
    try:
        read = json.loads(text)
    except ValueError as exc:
        raise Refused(500, f"invalid character '{text[0]}' looking for beginning of value") from exc
    return {word: list(wanted) for word, wanted in read.items()}


def has_labels(labels: Mapping[str, str], wanted: list[str]) -> bool:
    """Tell whether every wanted `key` or `key=value` is there."""
    for label in wanted:
        key, sign, value = label.partition("=")
        if key not in labels or (sign and labels[key] != value):
            return False
    return True
