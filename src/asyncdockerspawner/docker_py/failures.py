"""Our errors as code written for docker-py and DockerSpawner catches them.

`except docker.errors.APIError as e: if e.response.status_code == 404` works, and so does everything that
catches ours. docker-py is never imported here: code that names its errors has done that itself, and the
import would hold the event loop for a fifth of a second.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from typing import Any, ClassVar, ParamSpec, TypeVar

from asyncdockerspawner import errors

P = ParamSpec("P")
R = TypeVar("R")
Error = TypeVar("Error", bound=errors.AsyncDockerSpawnerError)


class Unsupported(errors.BadOption, AttributeError):
    """docker-py has it, or seems to, but it cannot be had here; the text says what to use instead."""


@dataclass(frozen=True, slots=True)
class Response:
    """What code looks at in the `response` of docker-py's errors."""

    status_code: int
    text: str

    @property
    def reason(self) -> str:
        """The status in words."""
        try:
            return HTTPStatus(self.status_code).phrase
        except ValueError:
            return ""

    @property
    def content(self) -> bytes:
        """The text's bytes."""
        return self.text.encode()

    def json(self) -> Any:
        """The Engine's answer, as it gives its errors."""
        return json.loads(self.text)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a class of errors is made of."""

    ours: type[errors.AsyncDockerSpawnerError]
    theirs: tuple[str, str] | None = None
    """Module and name of the class that docker-py, or requests below it, would have raised."""
    shown: type[Exception] | None = None
    """The Hub's."""


class DockerPyAttributes:
    """The attributes of docker-py's `APIError`; `response` is None where there was no answer."""

    parts: ClassVar[Parts]
    response: Response | None = None
    status_code: int | None = None
    explanation: str
    request = None
    text: str

    def is_error(self) -> bool:
        """Tell whether the Engine answered with an error."""
        return self.is_client_error() or self.is_server_error()

    def is_client_error(self) -> bool:
        """Tell whether the status is one of 4xx."""
        return 400 <= (self.status_code or 0) < 500

    def is_server_error(self) -> bool:
        """Tell whether the status is one of 5xx."""
        return 500 <= (self.status_code or 0) < 600

    def __str__(self) -> str:
        # docker-py's own would tell of a URL that there is none of.
        return self.text

    def __reduce__(self) -> tuple[Any, ...]:
        # Its class is made when it is needed, and so cannot be imported.
        return _made, (self.parts, self.args, self.__dict__)  # type: ignore[attr-defined]


def as_docker_py(exc: Error) -> Error:
    """Return an error of the Engine's as one of its own class and of docker-py's, where that is in use.

    Any other error stays what it is.
    """
    found: Error
    if parts := _parts(exc):
        # docker-py may have been imported since it was made.
        found = _made(parts, exc.args, exc.__dict__)
        return exc if type(found) is type(exc) else found
    answer = _answer_behind(exc)
    if answer is None:
        return exc
    status, theirs = answer
    message = exc.message if isinstance(exc, errors.EngineError) else str(exc)
    response = None if status is None else Response(status, json.dumps({"message": message}))
    attributes = {"text": str(exc), "explanation": message, "response": response, "status_code": status}
    found = _made(Parts(type(exc), theirs), exc.args, {**exc.__dict__, **attributes})
    return found


def in_both(shown: Exception, exc: errors.AsyncDockerSpawnerError) -> Exception:
    """Return the Hub's error again, as one that is caught as `exc`, and as docker-py's, too.

    `status_code` is the Engine's where it has answered: whoever catches docker-py's looks at that.
    """
    ours: Any = as_docker_py(exc)
    parts = _parts(ours) or Parts(type(ours))
    attributes = {**shown.__dict__, **ours.__dict__}
    attributes["status_code"] = ours.__dict__.get("status_code") or shown.__dict__["status_code"]
    attributes["text"] = getattr(shown, "jupyterhub_message", str(exc))
    found: Exception = _made(Parts(parts.ours, parts.theirs, type(shown)), shown.args, attributes)
    return found


def raises_docker_pys(seam: Callable[P, Awaitable[R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Wrap a seam so that it raises errors that are docker-py's too."""

    @wraps(seam)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await seam(*args, **kwargs)
        except errors.AsyncDockerSpawnerError as exc:
            found = as_docker_py(exc)
            if found is exc:
                raise
            raise found from exc

    return call


def _parts(exc: Any) -> Parts | None:
    return exc.parts if isinstance(exc, DockerPyAttributes) else None


_UNKNOWN = ("docker.errors", "ImageNotFound")


def _answer_behind(exc: errors.AsyncDockerSpawnerError) -> tuple[int | None, tuple[str, str]] | None:
    """Return the status of the Engine's answer, and the class that would have been raised for it."""
    found = exc if isinstance(exc, errors.EngineError) else exc.__cause__
    if not isinstance(found, errors.EngineError):
        return (404, _UNKNOWN) if isinstance(exc, errors.ImageUnavailable) else None
    status = _status(found)
    if status is None:
        name = "ReadTimeout" if isinstance(found, errors.EngineTimeout) else "ConnectionError"
        return None, ("requests.exceptions", name)
    if status != 404:
        return status, ("docker.errors", "APIError")
    unknown = isinstance(found, errors.ImageNotFound | errors.PullError)
    return status, _UNKNOWN if unknown else ("docker.errors", "NotFound")


def _status(exc: errors.EngineError) -> int | None:
    if exc.status is not None:
        return exc.status
    if isinstance(exc, errors.PullError):
        # What fails inside a stream comes after a status of 200.
        return 404 if exc.reason in {errors.PullReason.DENIED, errors.PullReason.UNKNOWN} else 500
    return 404 if isinstance(exc, errors.ObjectNotFound) else None


_kinds: dict[tuple[Parts, type | None], Any] = {}


def _made(parts: Parts, args: tuple[Any, ...], attributes: Mapping[str, Any]) -> Any:
    """Make an error without calling what makes one of any of its classes."""
    module, name = parts.theirs or ("", "")
    theirs = getattr(sys.modules.get(module), name, None)
    kind: Any = _kinds.get((parts, theirs))
    if kind is None:
        bases: list[Any] = [DockerPyAttributes, parts.shown, parts.ours, theirs]
        members = {"__module__": parts.ours.__module__, "parts": parts}
        kind = _kinds[parts, theirs] = type(parts.ours.__name__, tuple(filter(None, bases)), members)
    found = kind.__new__(kind)
    found.args = args
    found.__dict__.update(attributes)
    return found
