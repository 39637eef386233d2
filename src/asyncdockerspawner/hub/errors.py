"""Our errors, and a site's, as the Hub's: with a sentence that its page shows; the rest goes to the log.

The page says what happened and whom to ask, the log which option, and what to do.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

from tornado import web

from asyncdockerspawner import errors

try:
    from jupyterhub.spawner import SpawnException
except ImportError:  # JupyterHub 5
    SpawnException = None

Log = logging.Logger | logging.LoggerAdapter[Any]

ASK = "Tell the administrator: the Hub's log says more."
FAULT = f"The server could not be started: there is an error in the Hub or its configuration. {ASK}"
"""Whose code it was, a site's or ours, the user cannot tell and need not."""


@contextmanager
def for_the_hub(log: Log, name: str) -> Iterator[None]:
    """Raise every exception of the block with a sentence for the Hub's page; the log gets the rest.

    `name` is the user's or server's, for the log. A site's HTTPError stays what it is; its other exceptions
    become one that `except` of their own class still catches.
    """
    try:
        yield
    except errors.AsyncDockerSpawnerError as exc:
        # One that is the Hub's too has been told of already.
        if not isinstance(exc, web.HTTPError) and (text := for_log(exc)) != for_user(exc):
            site_code = isinstance(exc, errors.SiteCodeFailed)
            log.error("%s: %s", name, text, exc_info=exc.__cause__ if site_code else None)
        raise as_hub_error(exc) from exc
    except web.HTTPError as exc:
        if not hasattr(exc, "jupyterhub_message"):
            _saying(exc, _text_of(exc))
        raise
    except Exception as exc:
        log.exception("%s: code of the Hub's configuration, or of this spawner, failed", name)
        raise _of_site_code(exc) from exc


def as_hub_error(exc: errors.AsyncDockerSpawnerError) -> web.HTTPError:
    """Return the exception that the Hub understands: SpawnException on 6.x, an HTTPError on 5.x.

    Refusals count as the user's business, not as failures of the Hub (on 6.x); trouble with the Engine counts
    as a failure.
    """
    status, text, html = _status(exc), for_user(exc), ""
    if isinstance(exc, errors.ServerFailed) and exc.lines:
        html = f"<p>{escape(text)}</p><pre>{escape(exc.lines)}</pre>"
        text = exc.quoted(text)
    found: web.HTTPError
    if SpawnException is not None and isinstance(exc, errors.SpawnRefused):
        found = SpawnException(text, reason=type(exc).__name__, status_code=status)
    else:
        found = web.HTTPError(status, text, reason=type(exc).__name__)
    return _saying(found, text, html)


def for_user(exc: errors.AsyncDockerSpawnerError) -> str:
    """Return what happened, what a user can do, and whom to ask where that is nothing."""
    if exc.advice:
        return f"{exc.message} {ASK}"
    text = next((text for kinds, text, _ in _TEXTS if isinstance(exc, kinds)), "{said}.")
    return text.replace("{said}", exc.message.rstrip("."))


def for_log(exc: errors.AsyncDockerSpawnerError) -> str:
    """Return all that is known, with option and cure."""
    if isinstance(exc, errors.InvalidConfig) and "container name" in exc.message:
        return f"{exc}. See `name_template`, `prefix` and `escape`, which make that name."
    advice = next((advice for kinds, _, advice in _TEXTS if isinstance(exc, kinds)), "")
    return f"{str(exc).rstrip('.')}. {advice}" if advice else str(exc)


_AWAY = (errors.EngineUnavailable, errors.EngineLost, errors.EngineTimeout)
_TEXTS: tuple[tuple[tuple[type[errors.AsyncDockerSpawnerError], ...], str, str], ...] = (
    (
        (errors.SiteCodeFailed,),
        f"The server cannot be started: code of the Hub's configuration failed. {ASK}",
        "",
    ),
    (
        (errors.BadOption,),
        f"The server cannot be started: the Hub's configuration has a mistake. {ASK}",
        "",
    ),
    (_AWAY, "The Docker Engine does not answer. Try again later, or tell the administrator.", ""),
    # The Engine's own sentence has a path of its machine, which is nothing for users.
    ((errors.DiskFull,), "The disk of the Docker Engine's machine is full. Tell the administrator.", ""),
    (
        (errors.InvalidConfig,),
        f"The Docker Engine refuses the server's configuration: {{said}}. {ASK}",
        "Look at `extra_host_config`, `extra_create_kwargs`, `volumes` and the limits.",
    ),
    (
        (errors.StartFailed,),
        f"The server's container cannot be run: {{said}}. {ASK}",
        "See `cmd`, `volumes`, and ports, devices and limits in `extra_host_config`.",
    ),
    ((errors.EngineError,), f"The Docker Engine refuses what the server needs: {{said}}. {ASK}", ""),
)
"""Errors whose message is no sentence for users: what these read, and what the log has in addition."""


def _status(exc: errors.AsyncDockerSpawnerError) -> int:
    if isinstance(exc, errors.SpawnRefused):
        return exc.status
    if isinstance(exc, _AWAY):
        return 503
    return 507 if isinstance(exc, errors.DiskFull) else 500


def _saying(found: web.HTTPError, text: str, html: str = "") -> web.HTTPError:
    """Have the Hub's page, which shows nothing else, say this."""
    found.jupyterhub_message = text  # type: ignore[attr-defined]
    if html:
        found.jupyterhub_html_message = html  # type: ignore[attr-defined]
    return found


def _of_site_code(exc: Exception) -> web.HTTPError:
    """Return the Hub's error for any other exception; `except` of that one's class catches it too.

    A subclass may have its own around `super().start()`; and the Hub knows some, such as its database's.
    """
    text = getattr(exc, "jupyterhub_message", FAULT)
    found = web.HTTPError(500, text, reason=errors.SiteCodeFailed.__name__)
    kind = type(exc)
    # The Hub would take this one for the end of its own `start_timeout`.
    if not isinstance(exc, TimeoutError):
        try:
            both: Any = type(kind.__name__, (web.HTTPError, kind), {"__module__": kind.__module__})
            made = both.__new__(both)
        except TypeError:  # a class that cannot be one of two
            pass
        else:
            made.__dict__.update(exc.__dict__, **found.__dict__)
            found = made
    return _saying(found, text, getattr(exc, "jupyterhub_html_message", ""))


def _text_of(exc: web.HTTPError) -> str:
    if message := getattr(exc, "message", ""):  # a SpawnException's
        return str(message)
    # tornado doubles the signs of a text that comes without values for them.
    return exc.log_message % exc.args if exc.log_message else str(exc.reason or "")
