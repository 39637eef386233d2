"""Whose volumes are: those that only this user, or only this server, can have."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from enum import StrEnum
from types import SimpleNamespace
from typing import Any

from asyncdockerspawner.names.naming import namespace_of


class Scope(StrEnum):
    """Who alone can have a volume."""

    USER = "user"
    SERVER = "server"


Render = Callable[[str, Any], str]
"""Fills a template for a spawner, or for what stands in for one."""

_OTHER = "somebody-else"


class StandIn:
    """A spawner as it would be for another user or another server, as far as templates see it."""

    def __init__(self, spawner: Any, *, username: str | None = None, servername: str | None = None) -> None:
        self._spawner = spawner
        self.name = spawner.name if servername is None else servername
        self.user = spawner.user if username is None else SimpleNamespace(name=username)

    def template_namespace(self) -> Mapping[str, str]:
        """Return the spawner's fields with the other names in them, as far as they are made in our way.

        What a subclass fills in itself may be the same for somebody else.
        """
        spawner = self._spawner
        own, usual = spawner.template_namespace(), namespace_of(spawner, spawner.user.name, spawner.name)
        others = namespace_of(spawner, self.user.name, self.name)
        return {field: text for field, text in others.items() if own.get(field) == usual[field]}

    def __getattr__(self, word: str) -> Any:
        return getattr(self._spawner, word)


def scopes(templates: Iterable[str], spawner: Any, render: Render) -> dict[str, Scope]:
    """Return the rendered names that no other user has, and whether another server of the user has them.

    A template that cannot be rendered for somebody else says nothing, so it is nobody's.
    """
    found: dict[str, Scope] = {}
    for template in templates:
        name = render(template, spawner)
        # A site's function may expect a whole spawner, and fail.
        with suppress(Exception):
            # Not `name`: a renamed server's is what it was.
            mine = render(template, StandIn(spawner))
            others = render(template, StandIn(spawner, username=_OTHER))
            sisters = render(template, StandIn(spawner, servername=f"{spawner.name}-{_OTHER}"))
            if others != mine:
                found[name] = Scope.SERVER if sisters != mine else Scope.USER
    return found


def as_before(name: str, renamings: Iterable[tuple[str, str]], had: Collection[str]) -> str:
    """Return the name that a renamed server's volume or path `had`; `name` itself where it had no such one.

    `renamings` are the server's present and former names: at one place of `name`, or at all, the former one
    stands in what it had.
    """
    if name in had:
        return name
    return next(
        (old for now, before in renamings for old in _replaced(name, now, before) if old in had), name
    )


def _replaced(text: str, now: str, before: str) -> Iterator[str]:
    if not now:
        return
    yield text.replace(now, before)
    # A place may overlap with the next one.
    for found in re.finditer(f"(?={re.escape(now)})", text):
        yield text[: found.start()] + before + text[found.start() + len(now) :]
