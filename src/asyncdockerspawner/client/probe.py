"""Does a server answer HTTP? A TCP connection proves nothing: Docker's proxy accepts before it listens."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from enum import Enum
from urllib.parse import urlsplit

import aiohttp

from asyncdockerspawner.client.translate import tls_failure
from asyncdockerspawner.client.transport import resolver_for
from asyncdockerspawner.errors import BadOption

PAUSES = (0.02, 0.05, 0.1, 0.2, 0.5)
"""Seconds between tries; the last one repeats."""
CONNECT_TIMEOUT = 3.0
"""Longer, no network takes to say that somebody is there."""
TRY_TIMEOUT = 5.0
LISTENS_TIMEOUT = 1.0


VERSION_HEADER = "X-JupyterHub-Version"
"""In the answers of a single-user server: the version of JupyterHub in its image."""


class Seen(Enum):
    """What the last try has found instead of an answer."""

    NOTHING = "nobody listens"
    UNREACHABLE = "no way there"
    SILENCE = "a connection, and no answer"
    NO_HTTP = "an answer that is no HTTP"
    FAILURE = "an answer of 500 or above"
    NOT_FOUND = "an answer of 404"
    UNKNOWN_NAME = "no such name, as far as we can see"
    NO_TLS = "an answer that is no TLS"
    UNTRUSTED = "a certificate that is not trusted for this address, or ours was not"


class Question:
    """Ask a server until it answers; `seen` says what came instead, so far.

    `url` ends with the server's own prefix. With `own`, an answer counts only if the prefix is known there:
    in a network that servers share, another one may have the port, and answers 404. `tls` is what it is asked
    with where `url` is of https.
    """

    def __init__(self, url: str, *, own: bool = False, tls: ssl.SSLContext | None = None) -> None:
        self._url = url
        self._own = own
        self._tls = tls
        self.seen: Seen | None = None

    async def answer(self) -> str:
        """Return as soon as there is an HTTP answer below 500; the caller bounds the wait.

        Gives the server's version of JupyterHub, where it tells that. Returns at once where the host's name
        cannot be resolved from here without a thread: then only the Hub can tell.
        """
        try:
            resolver = resolver_for(urlsplit(self._url).hostname or "")
        except BadOption:
            return ""
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True, resolver=resolver, ssl=self._tls or True),
            timeout=aiohttp.ClientTimeout(total=TRY_TIMEOUT, sock_connect=CONNECT_TIMEOUT),
        ) as session:
            attempt = 0
            while (version := await self._try(session)) is None:
                await asyncio.sleep(PAUSES[min(attempt, len(PAUSES) - 1)])
                attempt += 1
        return version

    async def _try(self, session: aiohttp.ClientSession) -> str | None:
        try:
            # A single-user server tells its version here; others may know their prefix only.
            status, version = await _status(session, f"{self._url}api")
            if status == 404 and self._own:
                status, _ = await _status(session, self._url)
        except aiohttp.ClientConnectorDNSError:
            self.seen = Seen.UNKNOWN_NAME
            return ""
        except (aiohttp.ClientError, OSError) as exc:
            self.seen = _seen(exc) if self._tls is None else await self._seen_over_tls(exc)
            return None
        if status >= 500 or (status == 404 and self._own):
            self.seen = Seen.FAILURE if status >= 500 else Seen.NOT_FOUND
            return None
        return version

    async def _seen_over_tls(self, exc: Exception) -> Seen:
        url = urlsplit(self._url)
        if isinstance(exc, aiohttp.ServerDisconnectedError):
            # After the handshake: it is our certificate that is not wanted.
            return Seen.UNTRUSTED
        if isinstance(exc, aiohttp.ConnectionTimeoutError) and await listens(
            url.hostname or "", url.port or 443
        ):
            # For aiohttp, the handshake is part of the connecting.
            return Seen.SILENCE
        failure = tls_failure(exc)
        return _seen(exc) if failure is None else _seen_in(failure)


async def listens(host: str, port: int) -> bool:
    """Tell whether somebody accepts connections there now; False where that can't be told in a moment.

    Of names only `localhost` is known: asyncio takes a thread to resolve one.
    """
    ip = "127.0.0.1" if host == "localhost" else host
    try:
        ipaddress.ip_address(ip)
    except ValueError:
        return False
    try:
        async with asyncio.timeout(LISTENS_TIMEOUT):
            _, writer = await asyncio.open_connection(ip, port)
    except OSError:
        return False
    writer.close()
    return True


async def _status(session: aiohttp.ClientSession, url: str) -> tuple[int, str]:
    async with session.get(url, allow_redirects=False) as response:
        return response.status, response.headers.get(VERSION_HEADER, "")


def _seen(exc: Exception) -> Seen:
    if isinstance(exc, aiohttp.ConnectionTimeoutError):
        return Seen.UNREACHABLE
    if isinstance(exc, TimeoutError):
        return Seen.SILENCE
    if isinstance(exc, aiohttp.ClientConnectorError):
        nobody = isinstance(exc.os_error, ConnectionRefusedError | ConnectionResetError)
        return Seen.NOTHING if nobody else Seen.UNREACHABLE
    # Docker's proxy accepts for a server that does not listen, and hangs up.
    return Seen.NO_HTTP if isinstance(exc, aiohttp.ClientResponseError) else Seen.NOTHING


def _seen_in(failure: BaseException) -> Seen:
    """Return what a failure of TLS tells of the server."""
    if isinstance(failure, ssl.CertificateError):
        return Seen.UNTRUSTED
    # An alert tells what the other side thinks of our certificate.
    refused = "ALERT" in (getattr(failure, "reason", None) or "")
    return Seen.UNTRUSTED if refused else Seen.NO_TLS
