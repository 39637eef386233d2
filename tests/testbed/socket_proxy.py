"""A filter before an Engine's socket with the switches and answers of Tecnativa's docker-socket-proxy."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from tests.testbed.counting_proxy import CountingProxy, listening

FORBIDDEN = "<html><body><h1>403 Forbidden</h1>\nRequest forbidden by administrative rules.\n</body></html>\n"
_ON_BY_DEFAULT = {"EVENTS": True, "PING": True, "VERSION": True}


class SocketProxy(CountingProxy):
    """Lets through the sections of the API that are switched on; what writes needs POST besides.

    Each switch is the first part of a path in capitals, such as CONTAINERS; only EVENTS, PING and VERSION are
    on unless they are switched off.
    """

    def __init__(self, engine: str, **switches: bool) -> None:
        super().__init__(engine)
        self._switches = {**_ON_BY_DEFAULT, **switches}
        self.refused: set[tuple[str, str]] = set()
        """Method and section of what was not let through."""

    def refusal(self, method: str, path: str) -> bytes | None:
        """HAProxy's page for what is not switched on."""
        section = path.split("/")[1].lstrip("_").upper()
        writes = method not in {"GET", "HEAD"}
        if self._switches.get(section) and (not writes or self._switches.get("POST")):
            return None
        self.refused.add((method, section))
        return (
            "HTTP/1.1 403 Forbidden\r\n"
            f"content-length: {len(FORBIDDEN)}\r\n"
            "cache-control: no-cache\r\n"
            "content-type: text/html\r\n"
            "connection: close\r\n"
            f"\r\n{FORBIDDEN}"
        ).encode()


@contextlib.asynccontextmanager
async def socket_proxy(engine: str, **switches: bool) -> AsyncIterator[SocketProxy]:
    """A filter before the Engine at a URL, in the loop that runs now."""
    async with listening(SocketProxy(engine, **switches)) as made:
        yield made
