"""Functions that a site has configured: whose they are when they fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tornado import web

from asyncdockerspawner import errors


@contextmanager
def of_option(option: str) -> Iterator[None]:
    """Name the option whose function fails: SiteCodeFailed, with what it raised as the cause.

    An error that somebody has put into words for the user or the Hub goes on as it is, and so do ours.
    """
    try:
        yield
    except (errors.AsyncDockerSpawnerError, web.HTTPError):
        raise
    except Exception as exc:
        if hasattr(exc, "jupyterhub_message"):
            raise
        raise errors.SiteCodeFailed(f"`{option}`: the configured function failed with {exc!r}.") from exc
