"""Sockets, TLS, and one request through `aiodocker.Docker`, of whose private parts only this room knows.

That is `Docker._do_query`, its request core, the same in every release from 0.21 on but for this: until 0.25
its parameters have no defaults, and what it is not told is sent as text/plain and ends after 300 s.
"""

from __future__ import annotations

import inspect
import ipaddress
import json
import socket
import ssl
from collections.abc import AsyncIterable, Mapping
from typing import Any

import aiodocker
import aiohttp

from asyncdockerspawner import errors
from asyncdockerspawner.client.settings import EngineSettings
from asyncdockerspawner.client.translate import UnreadableAnswer

CONNECT_TIMEOUT = 5.0
RELEASES = "aiodocker>=0.21,<0.28"
"""As in pyproject.toml: those that have been tried."""

Docker = aiodocker.Docker
Body = str | bytes | AsyncIterable[bytes] | None


async def send(  # noqa: PLR0913 - an HTTP request has this many parts
    docker: Docker,
    method: str,
    path: str,
    *,
    params: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    data: Body = None,
    idle: float | None = None,
    versioned: bool = True,
) -> aiohttp.ClientResponse:
    """Send a request and return its answer of 2xx or 3xx, whose body may still be under way.

    `idle` seconds without a byte end it; the caller bounds the rest. Raises aiodocker's DockerError for
    answers of 4xx and 5xx and where the Engine cannot be reached, TimeoutError, aiohttp's errors, and
    UnreadableAnswer. Anything else is a fault of this program's.
    """
    words = {name: _word(value) for name, value in (params or {}).items()}
    try:
        return await docker._do_query(
            path,
            method,
            params=words or None,
            data=data,
            headers={"Content-Type": "application/json", **(headers or {})},
            # Never a number: aiodocker ignores whole ones and warns about others. And never nothing.
            timeout=aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT, sock_read=idle),
            chunked=None,
            read_until_eof=True,
            versioned_api=versioned,
        )
    except Exception as exc:
        if docker.session.closed:
            # aiohttp is caught in the middle of things.
            raise aiohttp.ClientConnectionError("the client has been closed") from exc
        if _is_about_the_answer(exc):
            raise UnreadableAnswer(str(exc)) from exc
        raise


def cut(response: aiohttp.ClientResponse) -> None:
    """Abandon what is left of an answer; after one that was read to its end, the connection is used again."""
    if response.connection is not None and response.connection.transport is not None:
        # Over TLS, closing waits for the other side's farewell, up to 30 s and also after our own close().
        response.connection.transport.abort()
    response.close()


def open_docker(settings: EngineSettings, connector: aiohttp.BaseConnector) -> Docker:
    """Return a Docker over this connector, which whoever opened it closes."""
    # With a connector of our own, aiodocker leaves the URL as it is; a socket needs some host in it.
    url = "http://localhost" if settings.url.startswith("unix:") else settings.url
    return Docker(url=url, connector=connector, api_version=f"v{settings.api_version or '1.41'}")


def open_connector(settings: EngineSettings, limit: int) -> aiohttp.BaseConnector:
    """Return a pool of at most `limit` connections to the Engine; 0 is without limit."""
    if settings.url.startswith("unix:"):
        return aiohttp.UnixConnector(settings.url.removeprefix("unix://"), limit=limit)
    tls = _ssl_context(settings) if settings.url.startswith("https:") else False
    return aiohttp.TCPConnector(limit=limit, ssl=tls, resolver=resolver_for(settings.host))


def resolver_for(host: str) -> aiohttp.abc.AbstractResolver:
    """Return what resolves this host without a thread of ours. Raises BadOption where that takes `aiodns`."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        try:
            # aiohttp's default resolver may be a thread.
            return aiohttp.AsyncResolver()
        except RuntimeError as exc:
            raise errors.BadOption(
                f"To reach {host} by its name, install `aiodns`, or give its IP address."
            ) from exc
    return _AddressesOnly()


class _AddressesOnly(aiohttp.abc.AbstractResolver):
    """Resolves nothing: aiohttp asks no resolver about an IP address, but makes one that has a thread."""

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> Any:
        raise OSError(f"{host} is not an IP address")

    async def close(self) -> None:
        """Do nothing: there is nothing to close."""


def _ssl_context(settings: EngineSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca if settings.verify else None)
        if settings.cert:
            context.load_cert_chain(settings.cert, settings.key)
    except OSError as exc:
        raise errors.BadOption(
            f"The TLS files for the Engine cannot be read ({exc}): check DOCKER_CERT_PATH or `tls_config`."
        ) from exc
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _word(value: Any) -> str:
    """Write a value of the query as the Engine reads it, so that aiodocker has nothing left to write."""
    if isinstance(value, bool):
        return "1" if value else "0"
    return value if isinstance(value, str) else json.dumps(value)


def _is_about_the_answer(exc: Exception) -> bool:
    """Tell aiodocker's trouble with an error's body from a fault in how it was called.

    It wants a JSON object with a `message` in UTF-8, and looks for that itself.
    """
    if isinstance(exc, json.JSONDecodeError | UnicodeDecodeError):
        return True
    trace = exc.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    module = "" if trace is None else str(trace.tb_frame.f_globals.get("__name__"))
    return isinstance(exc, KeyError | TypeError) and module.partition(".")[0] == aiodocker.__name__


def _check_release() -> None:
    words = ("params", "data", "headers", "timeout", "chunked", "read_until_eof", "versioned_api")
    try:
        inspect.signature(Docker._do_query).bind(None, "path", "method", **dict.fromkeys(words))
        inspect.signature(Docker).bind(url="", connector=None, api_version="")
    except (AttributeError, TypeError) as exc:
        found = getattr(aiodocker, "__version__", "of an unknown release")
        raise ImportError(
            f"asyncdockerspawner cannot work with aiodocker {found}: run pip install '{RELEASES}'."
        ) from exc


_check_release()
