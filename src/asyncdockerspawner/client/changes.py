"""Requests of our own about containers, and their outcomes, for listeners that keep track of containers.

Verbs, docker-py's methods and hooks all pass here. What is asked through `aiodocker.Docker` itself does not:
of that, the Engine's events tell.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import unquote

from asyncdockerspawner.client.connection import Answer, Connection
from asyncdockerspawner.client.settings import EngineSettings


class Verb(Enum):
    """What is asked of a container, as far as it tells how the container is."""

    START = "start"
    RESTART = "restart"
    STOP = "stop"
    RENAME = "rename"
    REMOVE = "remove"
    INSPECT = "inspect"


@dataclass(frozen=True, slots=True)
class ContainerRequest:
    """A request about one container; `ref` is its id, or a name, as the Engine is asked; `name` a new one."""

    verb: Verb
    ref: str
    name: str = ""


OnOutcome = Callable[[Answer | BaseException], None]
"""Is called with the answer, or with what was raised instead."""
Listener = Callable[[ContainerRequest], OnOutcome]
"""Is called before a request is sent; returns what is to be called with its outcome."""

_PATH = re.compile(r"containers/([^/]+)(?:/(start|restart|stop|kill|rename|json))?")
_VERBS: Mapping[tuple[str, str | None], Verb] = {
    ("POST", "start"): Verb.START,
    ("POST", "restart"): Verb.RESTART,
    ("POST", "stop"): Verb.STOP,
    ("POST", "kill"): Verb.STOP,
    ("POST", "rename"): Verb.RENAME,
    ("DELETE", None): Verb.REMOVE,
    ("GET", "json"): Verb.INSPECT,
}
_FATAL = {"KILL", "9"}


def container_request(method: str, path: str, params: Mapping[str, Any] | None) -> ContainerRequest | None:
    """Read a request; None for what is not about a container, or tells nothing of how it is."""
    found = _PATH.fullmatch(path)
    verb = _VERBS.get((method, found[2])) if found else None
    if found is None or verb is None:
        return None
    asked = params or {}
    if found[2] == "kill" and _signal(asked.get("signal")) not in _FATAL:
        # The Engine answers once it has sent the signal, whatever the process makes of it.
        return None
    name = str(asked.get("name") or "").lstrip("/") if verb is Verb.RENAME else ""
    return ContainerRequest(verb, unquote(found[1]).lstrip("/"), name)


def _signal(asked: Any) -> str:
    return str(asked or "KILL").upper().removeprefix("SIG")


class NotifyingConnection(Connection):
    """A connection that notifies listeners of every request about a container, and of its outcome."""

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        self.listeners: list[Listener] = []

    async def request(self, method: str, path: str, **words: Any) -> Answer:
        """Send one request, as `Connection` does."""
        asked = container_request(method, path, words.get("params"))
        if asked is None:
            return await super().request(method, path, **words)
        callbacks = [listener(asked) for listener in self.listeners]
        try:
            answer = await super().request(method, path, **words)
        # Cancelled, it may have been done all the same.
        except BaseException as exc:
            for on_outcome in callbacks:
                on_outcome(exc)
            raise
        for on_outcome in callbacks:
            on_outcome(answer)
        return answer
