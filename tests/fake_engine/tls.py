"""Servers that the Hub has told of certificates: they listen with them, or die for want of one."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path, PurePosixPath

from tests.fake_engine import archives
from tests.fake_engine.filesystem import Node
from tests.fake_engine.state import Container, EngineState

FILES = ("JUPYTERHUB_SSL_CERTFILE", "JUPYTERHUB_SSL_KEYFILE", "JUPYTERHUB_SSL_CLIENT_CA")


class NoCertificate(Exception):
    """A server cannot read one of its files."""


def context_of(engine: EngineState, container: Container) -> ssl.SSLContext | None:
    """Return what a server listens with; None without TLS. Raises NoCertificate."""
    paths = [container.variable(name) for name in FILES]
    if not any(paths):
        return None
    found = archives.files_of(engine, container)
    certificate, key, trusted = (_content(found.get(PurePosixPath(path)), path) for path in paths)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=trusted.decode())
    context.verify_mode = ssl.CERT_REQUIRED
    with tempfile.NamedTemporaryFile() as pair:
        Path(pair.name).write_bytes(key + certificate)
        context.load_cert_chain(pair.name)
    return context


def _content(node: Node | None, path: str) -> bytes:
    if node is None:
        raise NoCertificate(f"FileNotFoundError: [Errno 2] No such file or directory: '{path}'")
    if node.mode & 0o077:
        raise NoCertificate(f"PermissionError: others may read '{path}'")
    return node.content
