"""Our errors as the Hub's, with a sentence that its page shows."""

from __future__ import annotations

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
    return found


def _status(exc: errors.AsyncDockerSpawnerError) -> int:
    if isinstance(exc, errors.SpawnRefused):
        return exc.status
    if isinstance(exc, errors.EngineUnavailable | errors.EngineLost | errors.EngineTimeout):
        return 503
    return 500


def _message(exc: errors.AsyncDockerSpawnerError) -> str:
    if isinstance(exc, errors.EngineUnavailable | errors.EngineLost | errors.EngineTimeout):
        return (
            f"The Docker Engine does not answer: {exc.message}. Try again later, or tell the administrator."
        )
    if isinstance(exc, errors.InvalidConfig) and "container name" in exc.message:
        return f"{exc.message}. See `name_template`, `prefix` and `escape`, which make that name."
    if isinstance(exc, errors.InvalidConfig):
        return (
            f"The Docker Engine refuses the server's configuration: {exc.message}. Look at "
            "`extra_host_config`, `extra_create_kwargs`, `volumes` and the limits."
        )
    if isinstance(exc, errors.StartFailed):
        return f"The server's container cannot be run: {exc.message}. See `cmd`, `volumes`, ports, devices."
    return str(exc)
