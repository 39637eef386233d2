"""Our errors as code written for docker-py catches them.

`except docker.errors.APIError as e: if e.response.status_code == 404` works, and so does everything that
catches ours. docker-py is never imported here: code that names its errors has done that itself, and the
import would hold the event loop for a fifth of a second.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

from asyncdockerspawner import errors


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


class DockerPyWords:
    """The attributes of docker-py's `APIError`; `response` is None where there was no answer."""

    response: Response | None
    explanation: str
    request = None
    args: tuple[Any, ...]

    @property
    def status_code(self) -> int | None:
        """The HTTP status."""
        return None if self.response is None else self.response.status_code

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
        return str(self.args[0])


def as_docker_py(exc: errors.EngineError) -> errors.EngineError:
    """Give the error again, as one of its own class and of docker-py's, where docker-py is in use."""
    status = _status(exc)
    ours = next(each for each in type(exc).__mro__ if not issubclass(each, DockerPyWords))
    kind: Any = _kind(ours, _foreign(exc, status))
    found = kind.__new__(kind)
    found.__dict__.update(exc.__dict__)
    found.args = exc.args
    found.explanation = exc.message
    found.response = None if status is None else Response(status, json.dumps({"message": exc.message}))
    return cast("errors.EngineError", found)


def _status(exc: errors.EngineError) -> int | None:
    if exc.status is not None:
        return exc.status
    if isinstance(exc, errors.ObjectNotFound):
        return 404
    # What fails inside a stream comes after a status of 200.
    return 500 if isinstance(exc, errors.PullError) else None


def _foreign(exc: errors.EngineError, status: int | None) -> type[Exception] | None:
    """Find the class that docker-py, or requests below it, would have raised."""
    if status is None:
        name = "ReadTimeout" if isinstance(exc, errors.EngineTimeout) else "ConnectionError"
        return getattr(sys.modules.get("requests.exceptions"), name, None)
    if status != 404:
        name = "APIError"
    elif isinstance(exc, errors.ImageNotFound | errors.PullError):
        name = "ImageNotFound"
    else:
        name = "NotFound"
    return getattr(sys.modules.get("docker.errors"), name, None)


_kinds: dict[tuple[type, type | None], type] = {}


def _kind(ours: type, foreign: type | None) -> type:
    if (ours, foreign) not in _kinds:
        bases = (DockerPyWords, ours) if foreign is None else (DockerPyWords, ours, foreign)
        _kinds[ours, foreign] = type(ours.__name__, bases, {"__module__": ours.__module__})
    return _kinds[ours, foreign]
