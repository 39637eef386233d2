"""One Engine's connection: version, deadlines, pools, and the way from request to answer.

aiodocker's own decoding, events, pulls and time limits are not used: see the traps named in each comment.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
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
KNOCK_SECONDS = 5.0
"""How long an Engine that was away may take to answer a ping."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An Engine's answer of 2xx or 3xx; `data` is the decoded JSON, or None without a body."""

    status: int
    data: Any


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
        and 3xx; any other exception is a fault of this program's.
        """
        try:
            data = body if body is None or isinstance(body, bytes) else json.dumps(body)
        except (TypeError, ValueError) as exc:
            raise errors.BadOption(
                f"To {operation}, an option's value cannot be sent as JSON: {exc}."
            ) from exc
        call = _Call(
            method=method,
            path=path,
            operation=operation,
            subject=subject,
            params=params,
            headers=headers,
            data=data,
            versioned=versioned,
        )
        pauses = LOST_PAUSES if repeatable or method == "GET" else ()
        for pause in (*pauses, None):
            try:
                return await self._answered(call, deadline, decoded=decoded)
            except errors.EngineLost:
                if pause is None:
                    raise
            await asyncio.sleep(pause)
        raise AssertionError("the last try returns or raises")

    async def _answered(self, call: _Call, deadline: float | None, *, decoded: bool) -> Answer:
        try:
            async with asyncio.timeout(deadline or self.settings.timeout):
                response = await self._send(self.docker, call)
                try:
                    text = await response.read()
                finally:
                    transport.cut(response)
            return Answer(response.status, translate.json_of(text) if decoded and text.strip() else None)
        except translate.FOREIGN as exc:
            raise self._failure(exc, call) from exc

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
        newest version, and may settle the version for all that follows. A body that comes in pieces is sent
        as it is, anything else as JSON.
        """
        call = _Call(
            method=method,
            path=path,
            operation=operation,
            subject=subject,
            params=params,
            headers=headers,
            data=body if body is None or isinstance(body, AsyncIterable) else json.dumps(body),
            idle=idle,
            versioned=versioned,
        )
        try:
            async with asyncio.timeout(deadline or self.settings.timeout):
                response = await self._send(self._streams, call)
        except translate.FOREIGN as exc:
            raise self._failure(exc, call) from exc
        try:
            self._learn(response.headers.get("Api-Version"))
            yield response.content.iter_any()
        # What the connection raises, and `objects` about what came; not what goes wrong in the reader itself.
        except translate.FOREIGN as exc:
            raise translate.from_exception(exc, operation=operation, subject=subject) from exc
        finally:
            transport.cut(response)

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
        """Take the version from an answer, where that says all: of a newer Engine the oldest counts too."""
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
                told = f"{exc.message.rstrip('.')}. Leave `version` out of `client_kwargs`"
                raise errors.VersionRefused(call.operation, call.subject, told, status=400) from exc
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
        """Ping; gives what is wrong, or None. Whatever else it answers, it is there."""
        try:
            async with asyncio.timeout(KNOCK_SECONDS):
                # In the calls' pool it would wait behind those that have no answer.
                transport.cut(await self._try(self._streams, _KNOCK))
        except TimeoutError:
            return errors.EngineTimeout("ping", "", f"it does not answer within {KNOCK_SECONDS:.0f} s")
        except translate.NO_ANSWER as exc:
            return exc
        except errors.EngineError:
            pass
        return None

    def _failure(self, exc: Exception, call: _Call) -> errors.EngineError:
        """Give our error for a foreign one, and have the next request ask first where there was no answer."""
        found = translate.from_exception(
            exc, operation=call.operation, subject=call.subject, request=f"{call.method} /{call.path}"
        )
        if isinstance(found, errors.EngineTimeout):
            self._away = found
        return found


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
