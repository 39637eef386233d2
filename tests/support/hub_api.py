"""A driver of the Hub's REST API: users, servers, their progress, and the servers' answers through the proxy.

Every call has a deadline. What a user would read on the Hub's page is the text of the exception.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from tests.testbed.plain_http import NO_TLS

Json = dict[str, Any]

ALREADY_RUNNING = "already running"
KEEPALIVE_SECONDS = 2.0


class HubRefused(Exception):
    """The Hub's answer was an error: its status and the text it gave.

    `retry_after` is in how many seconds it wants to be asked again, where it says so.
    """

    def __init__(self, message: str, status: int = 0, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.retry_after = retry_after


class ServerFailed(HubRefused):
    """A server did not start, or did not stop, or not in time."""


class HubAPI:
    """The Hub at `public_url` (its proxy's address and `base_url`), spoken to with an admin token."""

    def __init__(
        self,
        public_url: str,
        token: str,
        *,
        deadline: float = 120.0,
        poll_every: float = 0.1,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.public_url = public_url.rstrip("/") + "/"
        self.deadline = deadline
        self.poll_every = poll_every
        self.throttled = 0
        """How often a start was told to come again later."""
        self._client = httpx.AsyncClient(
            headers={"Authorization": f"token {token}"},
            timeout=httpx.Timeout(30.0, read=deadline),
            # The proxy closes what was quiet for 5 s, maybe just while a request is on its way to it.
            limits=httpx.Limits(
                max_connections=None, max_keepalive_connections=None, keepalive_expiry=KEEPALIVE_SECONDS
            ),
            trust_env=False,  # the Hub is on this machine: no proxy of the environment stands between
            verify=True if public_url.startswith("https:") else NO_TLS,
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    # ---- the Hub ----

    async def version(self) -> str:
        """JupyterHub's version, which every Hub tells everybody."""
        return str(_document(await self._request("GET", ""))["version"])

    async def info(self) -> Json:
        """What the Hub says of itself; a Hub that answers is up."""
        return _document(await self._request("GET", "info"))

    async def wait_until_up(self, deadline: float | None = None) -> None:
        """Return when the Hub answers through its proxy."""
        limit = deadline or self.deadline
        try:
            async with asyncio.timeout(limit):
                await self._until(self._answers)
        except TimeoutError:
            raise HubRefused(f"the Hub at {self.public_url} did not answer within {limit:g} s") from None

    async def _until(self, true: Callable[[], Awaitable[bool]]) -> None:
        while not await true():  # noqa: ASYNC110 - the truth is in the Hub, only asking tells
            await asyncio.sleep(self.poll_every)

    async def _answers(self) -> bool:
        try:
            await self.info()
        except (httpx.TransportError, HubRefused):
            return False
        return True

    # ---- users ----

    async def user(self, name: str) -> Json:
        """The user's document, with its active servers by name under `servers`."""
        return _document(await self._request("GET", _user_path(name)))

    async def create_user(self, name: str) -> Json:
        """Make one user."""
        return _document(await self._request("POST", _user_path(name)))

    async def create_users(self, names: Iterable[str]) -> None:
        """Make many users in one request."""
        await self._request("POST", "users", {"usernames": list(names)})

    async def delete_user(self, name: str) -> None:
        """Delete a user; the Hub stops its servers first. A user that is gone is fine."""
        response = await self._send("DELETE", _user_path(name))
        if response.status_code != 404:
            _check(response)

    # ---- servers ----

    async def start_server(self, user: str, name: str = "", options: Mapping[str, Any] | None = None) -> None:
        """Start a server and return when the Hub says that it is ready. `ServerFailed` has the Hub's text.

        A Hub to which too many come at once (`concurrent_spawn_limit`) is asked again when it says so, within
        the deadline. Nothing is asked once it is ready: the Hub would answer that between others' starts.
        """
        label = _label(user, name)
        try:
            async with asyncio.timeout(self.deadline):
                response = await self._admitted(user, name, options)
                if response.status_code == 202:
                    await self._wait_until_ready(user, name)
        except TimeoutError:
            raise ServerFailed(f"{label} was not ready within {self.deadline:g} s") from None
        except httpx.TransportError as exc:
            raise ServerFailed(f"{label}: the Hub broke off: {exc!r}") from exc

    async def _admitted(self, user: str, name: str, options: Mapping[str, Any] | None) -> httpx.Response:
        """Ask for a start until the Hub takes it, unless that would be too late."""
        now = asyncio.get_running_loop().time
        end = now() + self.deadline
        while True:
            try:
                return await self.request_start(user, name, options)
            except ServerFailed as exc:
                if exc.retry_after is None or now() + exc.retry_after > end:
                    raise
                self.throttled += 1
                await asyncio.sleep(max(exc.retry_after, self.poll_every))

    async def request_start(
        self, user: str, name: str = "", options: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        """Ask for a start without waiting longer than the Hub itself does: 201 is ready, 202 is under way."""
        response = await self._send("POST", _server_path(user, name), dict(options or {}))
        if response.status_code not in (201, 202):
            text = f"{_label(user, name)}: {_error_text(response)}"
            raise ServerFailed(text, response.status_code, _retry_after(response))
        return response

    async def _wait_until_ready(self, user: str, name: str) -> None:
        """Follow the progress stream to its end; where it ends early, ask again."""
        while not await self._progress_says_ready(user, name):
            server = await self.server(user, name)
            if server is None:
                raise ServerFailed(f"{_label(user, name)}: the start ended without a reason")
            if server.get("ready"):
                return
            await asyncio.sleep(self.poll_every)

    async def _progress_says_ready(self, user: str, name: str) -> bool:
        """Whether the stream ended with `ready`.

        No stream (400: the start is over) says nothing, and neither does one that breaks off.
        """
        last: list[Json] = []
        try:
            async with aclosing(self.progress(user, name)) as events:
                async for event in events:
                    last = [event]
        except HubRefused as exc:
            if exc.status != 400:
                raise
            return False
        except (httpx.ReadError, httpx.RemoteProtocolError, json.JSONDecodeError):
            return False
        if last and last[0].get("failed"):
            raise ServerFailed(f"{_label(user, name)}: {last[0].get('message', 'failed')}")
        return bool(last and last[0].get("ready"))

    async def server(self, user: str, name: str = "") -> Json | None:
        """The active server's document, or None where there is none."""
        found: Json | None = (await self.user(user))["servers"].get(name)
        return found

    async def poll_server(self, user: str, name: str = "") -> None:
        """Have the Hub poll a running server now, as a second start request does."""
        response = await self._send("POST", _server_path(user, name))
        text = _error_text(response)
        if response.status_code != 400 or ALREADY_RUNNING not in text:
            raise ServerFailed(f"{_label(user, name)} should be running: {text}", response.status_code)

    async def stop_server(self, user: str, name: str = "", *, remove: bool = False) -> None:
        """Stop a server and wait until it is gone; `remove` forgets a named server too."""
        try:
            async with asyncio.timeout(self.deadline):
                body = {"remove": True} if remove else None
                response = await self._send("DELETE", _server_path(user, name), body)
                if response.status_code not in (202, 204):
                    raise ServerFailed(f"{_label(user, name)}: {_error_text(response)}", response.status_code)
                if response.status_code == 202:
                    await self._until(lambda: self._is_gone(user, name))
        except TimeoutError:
            raise ServerFailed(f"{_label(user, name)} was not gone within {self.deadline:g} s") from None

    async def _is_gone(self, user: str, name: str) -> bool:
        return await self.server(user, name) is None

    async def progress(self, user: str, name: str = "") -> AsyncGenerator[Json, None]:
        """The events of a start, until the Hub ends the stream (`ready` or `failed` is the last)."""
        path = _user_path(user, "servers", name) if name else _user_path(user, "server")
        async with self._client.stream("GET", self._api(f"{path}/progress")) as response:
            if response.status_code >= 400:
                await response.aread()
                _check(response)
            async for line in response.aiter_lines():
                if line.startswith("data:"):
                    yield json.loads(line.removeprefix("data:"))

    async def server_status(self, user: str, name: str = "", path: str = "api/status") -> httpx.Response:
        """What the user's server answers at `path`, through the proxy."""
        parts = ("user", _quoted(user), *((_quoted(name),) if name else ()), path)
        async with asyncio.timeout(self.deadline):
            return await self._client.get(self.public_url + "/".join(parts))

    # ---- requests ----

    def _api(self, path: str) -> str:
        return f"{self.public_url}hub/api/{path}"

    async def _send(self, method: str, path: str, body: Json | None = None) -> httpx.Response:
        return await self._client.request(method, self._api(path), json=body)

    async def _request(self, method: str, path: str, body: Json | None = None) -> httpx.Response:
        response = await self._send(method, path, body)
        _check(response)
        return response


def _quoted(name: str) -> str:
    """As the Hub escapes user and server names in its addresses."""
    return quote(name, safe="@~")


def _user_path(name: str, *rest: str) -> str:
    return "/".join(("users", *map(_quoted, (name, *rest))))


def _server_path(user: str, name: str) -> str:
    return _user_path(user, "servers", name) if name else _user_path(user, "server")


def _label(user: str, name: str) -> str:
    return f"server {name!r} of {user}" if name else f"server of {user}"


def _document(response: httpx.Response) -> Json:
    document: Json = response.json()
    return document


def _check(response: httpx.Response) -> None:
    if response.status_code >= 400:
        raise HubRefused(_error_text(response), response.status_code, _retry_after(response))


def _error_text(response: httpx.Response) -> str:
    """The message in the Hub's JSON error, else the answer's text."""
    try:
        document = response.json()
    except ValueError:
        document = None
    text = document.get("message") if isinstance(document, dict) else None
    return str(text or response.text[:500] or f"HTTP {response.status_code}")


def _retry_after(response: httpx.Response) -> float | None:
    """The seconds in Retry-After of an answer that means it so; a date there is taken for none."""
    told = response.headers.get("Retry-After", "")
    return float(told) if response.status_code in (429, 503) and told.isdigit() else None
