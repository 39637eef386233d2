"""What our own requests do to containers, told to who keeps books of them.

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


Heard = Callable[[Answer | BaseException], None]
"""Is called with what came of the request."""
Listener = Callable[[ContainerRequest], Heard]
"""Is called when a request is about to be sent; gives who is to hear what comes of it."""

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


class TellingConnection(Connection):
    """A connection whose listeners hear of every request about a container, and of what came of it."""

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        self.listeners: list[Listener] = []

    async def request(self, method: str, path: str, **words: Any) -> Answer:
        """Send one request, as `Connection` does."""
        asked = container_request(method, path, words.get("params"))
        if asked is None:
            return await super().request(method, path, **words)
        all_heard = [listener(asked) for listener in self.listeners]
        try:
            answer = await super().request(method, path, **words)
        # Cancelled, it may have been done all the same.
        except BaseException as exc:
            for heard in all_heard:
                heard(exc)
            raise
        for heard in all_heard:
            heard(answer)
        return answer
