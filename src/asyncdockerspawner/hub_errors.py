"""Our errors as the Hub's, with a sentence that its page shows."""

from __future__ import annotations

from html import escape

from tornado import web

from asyncdockerspawner import errors

try:
    from jupyterhub.spawner import SpawnException
except ImportError:  # JupyterHub 5
    SpawnException = None


def as_hub_error(exc: errors.AsyncDockerSpawnerError) -> Exception:
    """Give the exception that the Hub understands: SpawnException on 6.x, an HTTPError on 5.x.

    The Hub's page shows only what it finds in `jupyterhub_message`. Refusals count as the user's business,
    not as failures of the Hub (on 6.x); trouble with the Engine counts as a failure.
    """
    status, message = _status(exc), _message(exc)
    found: Exception
    if SpawnException is not None and isinstance(exc, errors.SpawnRefused):
        found = SpawnException(message, reason=type(exc).__name__, status_code=status)
    else:
        found = web.HTTPError(status, message, reason=type(exc).__name__)
    found.jupyterhub_message = message  # type: ignore[attr-defined]
    if isinstance(exc, errors.ServerDied) and exc.lines:
        shown = f"<p>{escape(exc.message)}</p><pre>{escape(exc.lines)}</pre>"
        found.jupyterhub_html_message = shown  # type: ignore[attr-defined]
    return found


def say_something(exc: Exception, text: str) -> None:
    """Give an exception of a site's own code a sentence, where it has none: the Hub's page would be empty."""
    if not isinstance(exc, web.HTTPError) and not hasattr(exc, "jupyterhub_message"):
        exc.jupyterhub_message = text  # type: ignore[attr-defined]


_AWAY = (errors.EngineUnavailable, errors.EngineLost, errors.EngineTimeout)
_SENTENCES: tuple[tuple[tuple[type[errors.EngineError], ...], str], ...] = (
    (_AWAY, "The Docker Engine does not answer: {said}. Try again later, or tell the administrator."),
    # The Engine's own sentence has a path of its machine, which is nothing for users.
    ((errors.DiskFull,), "The disk of the Docker Engine's machine is full. Tell the administrator."),
    (
        (errors.InvalidConfig,),
        "The Docker Engine refuses the server's configuration: {said}. Look at `extra_host_config`, "
        "`extra_create_kwargs`, `volumes` and the limits.",
    ),
    (
        (errors.StartFailed,),
        "The server's container cannot be run: {said}. See `cmd`, `volumes`, ports, devices.",
    ),
)


def _status(exc: errors.AsyncDockerSpawnerError) -> int:
    if isinstance(exc, errors.SpawnRefused):
        return exc.status
    if isinstance(exc, _AWAY):
        return 503
    return 507 if isinstance(exc, errors.DiskFull) else 500


def _message(exc: errors.AsyncDockerSpawnerError) -> str:
    if not isinstance(exc, errors.EngineError):
        return str(exc)
    said = exc.message.rstrip(".")
    if isinstance(exc, errors.InvalidConfig) and "container name" in said:
        return f"{said}. See `name_template`, `prefix` and `escape`, which make that name."
    sentence = next((sentence for kinds, sentence in _SENTENCES if isinstance(exc, kinds)), "")
    return sentence.replace("{said}", said) or str(exc)
