"""One Engine's connection: version, deadlines, pools, and the way from request to answer.

Stands on aiodocker's request core (`Docker._do_query`, private, hence the narrow version range). Its own
decoding, events, pulls and time limits are not used: see the traps named in each comment.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiodocker
import aiohttp

from asyncdockerspawner import errors
from asyncdockerspawner.client import translate
from asyncdockerspawner.client.settings import EngineSettings
from asyncdockerspawner.jsontypes import JsonObject

NEWEST_API = (1, 47)
"""The newest API version this code was written for; a newer Engine is spoken to in this one."""
OLDEST_API = (1, 40)
CALLS_AT_ONCE = 64
"""A bounded pool is faster than an unbounded one, and stays below small accept backlogs."""
CONNECT_SECONDS = 5.0
UNSENT_PAUSES = (0.1, 0.4)
"""Seconds before a request that never left is sent again."""
LOST_PAUSES = (0.1, 0.5)
"""Seconds before a request that may be repeated is sent again after its answer was lost."""
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError)
"""What reading raises where an answer is not what it should be."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An Engine's answer of 2xx or 3xx; `data` is the decoded JSON, or None without a body."""

    status: int
    data: Any


class Connection:
    """Requests to one Engine from one event loop; connections open as they are needed.

    Short calls and streams have pools of their own, so that no stream ever keeps a call waiting.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        connectors = [_connector(settings, limit) for limit in (CALLS_AT_ONCE, 0)]
        self._connectors = connectors
        self.docker, self._streams = (_docker(settings, connector) for connector in connectors)
        self._negotiation = asyncio.Lock()
        self._negotiated = settings.api_version is not None
        self._not_agreed: Exception | None = None
        self._away: errors.EngineUnavailable | None = None
        self._knocking = asyncio.Lock()

    async def request(  # noqa: PLR0913 - an HTTP request has this many parts
        self,
        method: str,
        path: str,
        *,
        operation: str,
        subject: str = "",
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        deadline: float | None = None,
        versioned: bool = True,
        repeatable: bool = False,
        decoded: bool = True,
    ) -> Answer:
        """Send one request and read its whole answer within `deadline` seconds.

        One that may be repeated (`repeatable`; GET always is) is sent again where its answer was lost. Bytes
        are sent as they are, anything else as JSON. Raises a subclass of EngineError for everything but 2xx
        and 3xx.
        """
        try:
            data = body if body is None or isinstance(body, bytes) else json.dumps(body)
        except (TypeError, ValueError) as exc:
            raise errors.BadOption(
                f"To {operation}, an option's value cannot be sent as JSON: {exc}."
            ) from exc
        pauses = LOST_PAUSES if repeatable or method == "GET" else ()
        for pause in (*pauses, None):
            try:
                async with asyncio.timeout(deadline or self.settings.timeout):
                    if versioned:
                        await self._negotiate()
                    response = await self._send(
                        self.docker,
                        method,
                        path,
                        params=params,
                        headers=headers,
                        data=data,
                        versioned=versioned,
                    )
                    try:
                        text = await response.read()
                    finally:
                        _cut(response)
                    return Answer(response.status, json.loads(text) if decoded and text.strip() else None)
            except errors.EngineUnavailable as exc:
                raise errors.EngineUnavailable(operation, subject, exc.message) from exc
            except errors.EngineError:
                raise
            # aiodocker and json raise KeyError, ValueError and TypeError for answers they cannot read.
            except Exception as exc:
                found = translate.from_exception(exc, operation=operation, subject=subject)
                if pause is None or not isinstance(found, errors.EngineLost):
                    raise found from exc
            await asyncio.sleep(pause)
        raise AssertionError("the last try returns or raises")

    @asynccontextmanager
    async def stream(  # noqa: PLR0913 - see request
        self,
        method: str,
        path: str,
        *,
        operation: str,
        subject: str = "",
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        deadline: float | None = None,
        idle: float | None = None,
        versioned: bool = True,
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a streaming answer; gives its bytes as they come, and closes it whatever happens.

        aiodocker never closes a response that is left early: its connection leaks, and the Engine goes on
        pulling. Hence the explicit close. The answer has to begin within `deadline` seconds, and `idle`
        seconds without a byte end it, with EngineTimeout. One that is not `versioned` is in the Engine's
        newest version, and settles the version for all that follows. A body that comes in pieces is sent as
        it is, anything else as JSON.
        """
        try:
            async with asyncio.timeout(deadline or self.settings.timeout):
                if versioned:
                    await self._negotiate()
                data = body if body is None or isinstance(body, AsyncIterable) else json.dumps(body)
                response = await self._send(
                    self._streams,
                    method,
                    path,
                    params=params,
                    headers=headers,
                    data=data,
                    idle=idle,
                    versioned=versioned,
                )
        except errors.EngineUnavailable as exc:
            raise errors.EngineUnavailable(operation, subject, exc.message) from exc
        except errors.EngineError:
            raise
        except Exception as exc:
            raise translate.from_exception(exc, operation=operation, subject=subject) from exc
        try:
            if not self._negotiated and (offered := response.headers.get("Api-Version")):
                self._adopt(offered)
            yield response.content.iter_any()
        except errors.EngineError:
            raise
        # What the reader raises about the answer; not what goes wrong in the reader itself.
        except (aiohttp.ClientError, OSError, *UNREADABLE) as exc:
            raise translate.from_exception(exc, operation=operation, subject=subject) from exc
        finally:
            _cut(response)

    async def close(self) -> None:
        """Close every connection; answers under way are cut off."""
        for docker, connector in zip((self.docker, self._streams), self._connectors, strict=True):
            await docker.session.close()
            await connector.close()

    async def _negotiate(self) -> None:
        if self._negotiated:
            return
        before = self._not_agreed
        # Without the lock, fifty first calls would ask for the version fifty times.
        async with self._negotiation:
            # And without an Engine, each would wait for the failures of all before it.
            if self._not_agreed is not None and self._not_agreed is not before:
                raise self._not_agreed
            try:
                await self._agree_on_version()
            except Exception as exc:
                self._not_agreed = exc
                raise

    async def _agree_on_version(self) -> None:
        if self._negotiated:
            return
        response = await self._send(self.docker, "GET", "version", versioned=False)
        self._adopt(str(json.loads(await response.read())["ApiVersion"]))

    def _adopt(self, offered: str) -> None:
        """Speak the newest version that both sides know."""
        newest = tuple(int(part) for part in offered.split("."))
        if newest < OLDEST_API:
            oldest = ".".join(map(str, OLDEST_API))
            raise errors.EngineRefused(
                "negotiate version",
                self.settings.url,
                f"the Engine's API {offered} is too old; {oldest} is the oldest supported",
            )
        version = "v" + ".".join(map(str, min(newest, NEWEST_API)))
        self.docker.api_version = self._streams.api_version = version
        self._negotiated = True

    async def _send(  # noqa: PLR0913 - see request
        self,
        docker: aiodocker.Docker,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        data: str | bytes | AsyncIterable[bytes] | None = None,
        idle: float | None = None,
        versioned: bool = True,
    ) -> aiohttp.ClientResponse:
        await self._found_again()
        return await self._try(
            docker, method, path, params=params, headers=headers, data=data, idle=idle, versioned=versioned
        )

    async def _try(  # noqa: PLR0913 - see request
        self,
        docker: aiodocker.Docker,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        data: str | bytes | AsyncIterable[bytes] | None = None,
        idle: float | None = None,
        versioned: bool = True,
    ) -> aiohttp.ClientResponse:
        for pause in (*UNSENT_PAUSES, None):
            try:
                return await docker._do_query(
                    path,
                    method,
                    params=dict(params) if params else None,
                    headers=headers,
                    data=data,
                    # Never a number: aiodocker ignores ints and warns about floats.
                    timeout=aiohttp.ClientTimeout(sock_connect=CONNECT_SECONDS, sock_read=idle),
                    versioned_api=versioned,
                )
            except aiodocker.DockerError as exc:
                found = translate.from_exception(exc, operation=method, subject=path)
                if not isinstance(found, errors.EngineUnavailable):
                    raise
                if pause is None:
                    self._away = found
                    raise
                await asyncio.sleep(pause)
        raise AssertionError("the last try returns or raises")

    async def _found_again(self) -> None:
        """Where the Engine could not be reached, one asks for all whether it is back.

        Nobody hammers at an Engine that is away, and nobody waits for the failures of all who came before.
        """
        before = self._away
        if before is None:
            return
        async with self._knocking:
            if self._away is None:
                return
            if self._away is not before:
                raise errors.EngineUnavailable(self._away.operation, self._away.subject, self._away.message)
            _cut(await self._try(self.docker, "GET", "_ping", versioned=False))
            self._away = None


def _cut(response: aiohttp.ClientResponse) -> None:
    """Give up what is left of an answer; one that was read to its end leaves its connection for the next."""
    if response.connection is not None and response.connection.transport is not None:
        # Over TLS, closing waits for the other side's farewell, up to 30 s and also after our own close().
        response.connection.transport.abort()
    response.close()


def _docker(settings: EngineSettings, connector: aiohttp.BaseConnector) -> aiodocker.Docker:
    # With a connector of our own, aiodocker leaves the URL as it is; a socket needs some host in it.
    url = "http://localhost" if settings.url.startswith("unix:") else settings.url
    return aiodocker.Docker(url=url, connector=connector, api_version=f"v{settings.api_version or '1.41'}")


def _connector(settings: EngineSettings, limit: int) -> aiohttp.BaseConnector:
    if settings.url.startswith("unix:"):
        return aiohttp.UnixConnector(settings.url.removeprefix("unix://"), limit=limit)
    tls = _ssl_context(settings) if settings.url.startswith("https:") else False
    return aiohttp.TCPConnector(limit=limit, ssl=tls, resolver=resolver_for(settings.host))


class _AddressesOnly(aiohttp.abc.AbstractResolver):
    """Resolves nothing: aiohttp asks no resolver about an IP address, but makes one that has a thread."""

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> Any:
        raise OSError(f"{host} is not an IP address")

    async def close(self) -> None:
        """Have nothing to close."""


def resolver_for(host: str) -> aiohttp.abc.AbstractResolver:
    """Give what resolves this host without a thread of ours. Raises BadOption where that takes `aiodns`."""
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


def segment(ref: str, *, parts: bool = False) -> str:
    """Give a name or id as it stands in a path; with `parts`, it may have slashes in it, as an image's does.

    Raises ObjectNotFound for what would lead elsewhere: the Engine redirects `/volumes/v/../x` to
    `/volumes/x`, and aiohttp follows, also with a DELETE.
    """
    if not {"", ".", ".."}.isdisjoint(ref.split("/")) or ("/" in ref and not parts):
        raise errors.ObjectNotFound("find", ref, "nothing can have such a name")
    return quote(ref, safe="")


async def objects(
    chunks: AsyncIterator[bytes], *, on_unreadable: Callable[[bytes], None] | None = None
) -> AsyncGenerator[JsonObject]:
    """Give the JSON objects of a stream, one a line.

    Anything else goes to `on_unreadable` and is left out; without that, ValueError.
    """
    rest = b""
    async for chunk in chunks:
        *complete, rest = (rest + chunk).split(b"\n")
        for line in complete:
            if (found := _object(line, on_unreadable)) is not None:
                yield found
    if (found := _object(rest, on_unreadable)) is not None:
        yield found


def _object(line: bytes, on_unreadable: Callable[[bytes], None] | None) -> JsonObject | None:
    if not line.strip():
        return None
    try:
        found = json.loads(line)
        if not isinstance(found, dict):
            raise ValueError(f"no JSON object: {line[:80]!r}")  # noqa: TRY004, TRY301 - what a server sent
    except ValueError:
        if on_unreadable is None:
            raise
        on_unreadable(line)
        return None
    return found
