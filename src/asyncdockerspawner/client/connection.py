"""One Engine's connection: version, timeouts, pools, and the way from request to answer.

aiodocker's own decoding, events, pulls and time limits are not used: see the traps named in each comment.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Required, TypedDict, Unpack
from urllib.parse import quote

import aiohttp

from asyncdockerspawner import errors
from asyncdockerspawner.client import api_version, translate, transport
from asyncdockerspawner.client.settings import EngineSettings
from asyncdockerspawner.jsontypes import JsonObject

CALLS_AT_ONCE = 64
"""A bounded pool is faster than an unbounded one, and stays below small accept backlogs."""
UNSENT_PAUSES = (0.1, 0.4)
"""Seconds before a request that never left is sent again."""
LOST_PAUSES = (0.1, 0.5)
"""Seconds before a request that may be repeated is sent again after its answer was lost."""
PING_TIMEOUT = 5.0
"""How long an Engine that was away may take to answer a ping."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An Engine's answer of 2xx or 3xx; `data` is the decoded JSON, or None without a body."""

    status: int
    data: Any


class Parts(TypedDict, total=False):
    """What every request may have beside its method, path and body."""

    operation: Required[str]
    """What errors call it, as in "create container"."""
    subject: str
    """The name or id that it is about."""
    params: Mapping[str, Any] | None
    headers: Mapping[str, str] | None
    versioned: bool
    """False: in the Engine's newest version, before one is agreed on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """What is asked, and what errors call it."""

    method: str
    path: str
    operation: str
    subject: str = ""
    params: Mapping[str, Any] | None = None
    headers: Mapping[str, str] | None = None
    data: transport.Body = None
    idle: float | None = None
    versioned: bool = True

    @classmethod
    def of(
        cls, method: str, path: str, body: Any, *, idle: float | None = None, **parts: Unpack[Parts]
    ) -> _Call:
        """Make a call: bytes, and a body that comes in pieces, stay as they are; all else becomes JSON.

        Raises BadOption for a body that JSON has no words for.
        """
        try:
            data = body if body is None or isinstance(body, bytes | AsyncIterable) else json.dumps(body)
        except (TypeError, ValueError) as exc:
            raise errors.BadOption(
                f"To {parts['operation']}, an option's value cannot be sent as JSON: {exc}."
            ) from exc
        return cls(method=method, path=path, data=data, idle=idle, **parts)

    def failed(self, exc: Exception, request: str = "") -> errors.EngineError:
        """Return our error for one of FOREIGN; `request` names what was asked, as in "GET /info"."""
        return translate.from_exception(exc, operation=self.operation, subject=self.subject, request=request)


_KNOCK = _Call(method="GET", path="_ping", operation="ping", versioned=False)
_VERSION = _Call(method="GET", path="version", operation="ask version", versioned=False)
_SHORT_LIST = _Call(method="GET", path="containers/json", operation="list containers", params={"limit": 1})


class Connection:
    """Requests to one Engine from one event loop; connections open as they are needed.

    Short calls and streams have pools of their own, so that no stream ever keeps a call waiting.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        connectors = [transport.open_connector(settings, limit) for limit in (CALLS_AT_ONCE, 0)]
        self._connectors = connectors
        self.docker, self._streams = (transport.open_docker(settings, each) for each in connectors)
        self._negotiation = asyncio.Lock()
        self._negotiated = settings.api_version is not None
        self._not_agreed: Exception | None = None
        self._away: errors.EngineError | None = None
        self._knocking = asyncio.Lock()

    async def request(  # noqa: PLR0913 - an HTTP request has this many parts
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        timeout: float | None = None,
        repeatable: bool = False,
        decoded: bool = True,
        **parts: Unpack[Parts],
    ) -> Answer:
        """Send one request and read its whole answer within `timeout` seconds.

        One that may be repeated (`repeatable`; GET always is) is sent again where its answer was lost. Raises
        a subclass of EngineError for everything but 2xx and 3xx, and BadOption for a body that cannot be
        sent; any other exception is a fault of this program's.
        """
        call = _Call.of(method, path, body, **parts)
        pauses = LOST_PAUSES if repeatable or method == "GET" else ()
        for pause in (*pauses, None):
            try:
                return await self._answered(call, timeout, decoded=decoded)
            except errors.EngineLost:
                if pause is None:
                    raise
            await asyncio.sleep(pause)
        raise AssertionError("the last try returns or raises")

    async def _answered(self, call: _Call, timeout: float | None, *, decoded: bool) -> Answer:
        try:
            async with asyncio.timeout(timeout or self.settings.timeout):
                response = await self._send(self.docker, call)
                try:
                    text = await response.read()
                finally:
                    transport.cut(response)
            return Answer(response.status, translate.json_of(text) if decoded and text.strip() else None)
        except translate.FOREIGN as exc:
            raise self._failure(exc, call) from exc

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        timeout: float | None = None,
        idle: float | None = None,
        **parts: Unpack[Parts],
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a streaming answer; yields its bytes as they come, and closes it whatever happens.

        aiodocker never closes a response that is left early: its connection leaks, and the Engine goes on
        pulling. Hence the explicit close. The answer has to begin within `timeout` seconds, and `idle`
        seconds without a byte end it, with EngineTimeout. One that is not `versioned` may settle the version
        for all that follows. Raises as `request` does; what else goes wrong in the reader stays what it is.
        """
        call = _Call.of(method, path, body, idle=idle, **parts)
        try:
            async with asyncio.timeout(timeout or self.settings.timeout):
                response = await self._send(self._streams, call)
        except translate.FOREIGN as exc:
            raise self._failure(exc, call) from exc
        try:
            self._learn(response.headers.get("Api-Version"))
            yield _Chunks(response, call)
        # What `objects` finds in the bytes, and the time that a reader gives them.
        except (translate.UnreadableAnswer, TimeoutError) as exc:
            raise call.failed(exc) from exc
        finally:
            transport.cut(response)

    async def version(self) -> api_version.Version:
        """Return the version of the API that is spoken."""
        await self._negotiate()
        return api_version.version(self.docker.api_version.removeprefix("v"))

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
                if not self._negotiated:
                    self._adopt(await self._offer())
            except Exception as exc:
                self._not_agreed = exc
                raise

    async def _offer(self) -> api_version.Offer:
        """Ask the Engine which versions it speaks."""
        try:
            response = await self._send(self.docker, _VERSION)
            return api_version.offer_in(await response.read())
        except errors.Forbidden:
            pass
        # Lists of containers are let through by every filter that lets servers start.
        self._speak(api_version.NEWEST)
        try:
            response = await self._try(self.docker, _SHORT_LIST)
        except errors.VersionRefused as exc:
            return api_version.offer_in_refusal(exc.message)
        transport.cut(response)
        return api_version.offer_in_header(response.headers.get("Api-Version"))

    def _learn(self, header: str | None) -> None:
        """Adopt the version that an answer names, unless it is newer: then its oldest counts too."""
        if header and not self._negotiated:
            offer = api_version.offer_in_header(header)
            if offer.newest <= api_version.NEWEST:
                self._adopt(offer)

    def _adopt(self, offer: api_version.Offer) -> None:
        self._speak(api_version.common(offer, self.settings.url))
        self._negotiated = True

    def _speak(self, version: api_version.Version) -> None:
        self.docker.api_version = self._streams.api_version = f"v{api_version.text(version)}"

    async def _send(self, docker: transport.Docker, call: _Call) -> aiohttp.ClientResponse:
        """Send as soon as the Engine is there and the version is agreed on."""
        await self._found_again(call)
        if not call.versioned:
            return await self._try(docker, call)
        await self._negotiate_for(call)
        spoken = docker.api_version
        try:
            return await self._try(docker, call)
        except errors.VersionRefused as exc:
            if self.settings.api_version is not None:
                message = f"{exc.message.rstrip('.')}. Leave `version` out of `client_kwargs`"
                raise errors.VersionRefused(call.operation, call.subject, message, status=400) from exc
            # Another Engine answers than the one that was asked: it has been updated meanwhile.
            self._negotiated = self._negotiated and docker.api_version != spoken
            await self._negotiate_for(call)
            return await self._try(docker, call)

    async def _negotiate_for(self, call: _Call) -> None:
        try:
            await self._negotiate()
        except errors.EngineUnavailable as exc:
            raise errors.EngineUnavailable(call.operation, call.subject, exc.message) from exc

    async def _try(self, docker: transport.Docker, call: _Call) -> aiohttp.ClientResponse:
        for pause in (*UNSENT_PAUSES, None):
            if docker.session.closed:
                raise errors.EngineUnavailable(call.operation, call.subject, "the client has been closed")
            try:
                return await transport.send(
                    docker,
                    call.method,
                    call.path,
                    params=call.params,
                    headers=call.headers,
                    data=call.data,
                    idle=call.idle,
                    versioned=call.versioned,
                )
            except translate.FOREIGN as exc:
                found = self._failure(exc, call)
                if not isinstance(found, errors.EngineUnavailable):
                    raise found from exc
                if pause is None:
                    self._away = found
                    raise found from exc
            await asyncio.sleep(pause)
        raise AssertionError("the last try returns or raises")

    async def _found_again(self, call: _Call) -> None:
        """Where the Engine could not be reached or did not answer, one asks for all whether it is back.

        Nobody hammers at an Engine that is away, and nobody waits for the failures of all who came before.
        """
        before = self._away
        if before is None:
            return
        async with self._knocking:
            if self._away is before:
                self._away = await self._knock()
            if self._away is not None:
                raise errors.EngineUnavailable(call.operation, call.subject, self._away.message)

    async def _knock(self) -> errors.EngineError | None:
        """Ping; returns what is wrong, or None. Whatever else it answers, it is there."""
        try:
            async with asyncio.timeout(PING_TIMEOUT):
                # In the calls' pool it would wait behind those that have no answer.
                transport.cut(await self._try(self._streams, _KNOCK))
        except TimeoutError:
            return errors.EngineTimeout("ping", "", f"it does not answer within {PING_TIMEOUT:.0f} s")
        except translate.NO_ANSWER as exc:
            return exc
        except errors.EngineError:
            pass
        return None

    def _failure(self, exc: Exception, call: _Call) -> errors.EngineError:
        """Return our error for a foreign one; after one without an answer, the next request asks first."""
        found = call.failed(exc, f"{call.method} /{call.path}")
        if isinstance(found, errors.EngineTimeout):
            self._away = found
        return found


class _Chunks(AsyncIterator[bytes]):
    """A stream's bytes; only what breaks off the connection becomes an error of ours."""

    def __init__(self, response: aiohttp.ClientResponse, call: _Call) -> None:
        self._bytes = aiter(response.content.iter_any())
        self._call = call

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._bytes)
        except translate.FOREIGN as exc:
            raise self._call.failed(exc) from exc


def segment(ref: str, *, parts: bool = False) -> str:
    """Return a name or id as it stands in a path; with `parts` it may have slashes, as an image's does.

    Raises ObjectNotFound for what would lead elsewhere: the Engine redirects `/volumes/v/../x` to
    `/volumes/x`, and aiohttp follows, also with a DELETE.
    """
    if not {"", ".", ".."}.isdisjoint(ref.split("/")) or ("/" in ref and not parts):
        raise errors.ObjectNotFound("find", ref, "nothing can have such a name")
    return quote(ref, safe="")


async def objects(
    chunks: AsyncIterator[bytes], *, on_unreadable: Callable[[bytes], None] | None = None
) -> AsyncGenerator[JsonObject]:
    """Yield the JSON objects of a stream, one a line.

    Anything else goes to `on_unreadable` and is left out; without that, UnreadableAnswer.
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
        found = translate.json_of(line)
        if not isinstance(found, dict):
            raise translate.UnreadableAnswer(f"no JSON object: {line[:80]!r}")  # noqa: TRY301
    except translate.UnreadableAnswer:
        if on_unreadable is None:
            raise
        on_unreadable(line)
        return None
    return found
