"""How the Hub itself asks servers over TLS, with its own certificate, under `internal_ssl`."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jupyterhub.utils import make_ssl_context

from asyncdockerspawner import errors

_FILES = ("internal_ssl_key", "internal_ssl_cert", "internal_ssl_ca")


def client_context(settings: Mapping[str, Any]) -> ssl.SSLContext | None:
    """Return what the Hub shows to servers and trusts; None where its settings name no certificate.

    Source: `jupyterhub.user.User._wait_up`. Raises BadOption where the files cannot be read.
    """
    paths = [str(settings.get(name) or "") for name in _FILES]
    if not all(paths):
        return None
    try:
        return _context(*paths, tuple(os.stat(path).st_mtime_ns for path in paths))
    except OSError as exc:
        raise errors.BadOption(
            f"`internal_ssl`: the Hub's own certificate cannot be read ({exc}): "
            f"{', '.join(paths)}. See `JupyterHub.internal_certs_location`."
        ) from exc


@lru_cache(maxsize=8)
def _context(key: str, cert: str, ca: str, written: tuple[int, ...]) -> ssl.SSLContext:
    """Make it once for files that stay as they are: it reads all authorities of the system besides."""
    del written
    context: ssl.SSLContext = make_ssl_context(key, cert, cafile=ca)
    return context
