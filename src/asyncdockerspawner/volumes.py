"""Whose volumes are: those that only this user, or only this server, can have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

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
        """Give the spawner's fields with the other names in them."""
        namespace: Mapping[str, str] = self._spawner.namespace_of(self.user.name, self.name)
        return namespace

    def __getattr__(self, word: str) -> Any:
        return getattr(self._spawner, word)


def scopes(templates: Iterable[str], spawner: Any, render: Render) -> dict[str, str]:
    """Give the rendered names that no other user has, and whether another server of the user has them.

    A template that cannot be rendered for somebody else says nothing, so it is nobody's.
    """
    found: dict[str, str] = {}
    for template in templates:
        name = render(template, spawner)
        # A site's function may expect a whole spawner, and fail.
        with suppress(Exception):
            others = render(template, StandIn(spawner, username=_OTHER))
            sisters = render(template, StandIn(spawner, servername=f"{spawner.name}-{_OTHER}"))
            if others != name:
                found[name] = SERVER if sisters != name else USER
    return found
