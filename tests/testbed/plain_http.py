"""HTTP clients of local servers without TLS, which are made quickly."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For httpx's `verify`; trusts nobody. By default httpx reads all authorities of the machine for each client,
which takes 50 ms of CPU time: more than the requests of most tests."""


def client_of(socket: Path | str, timeout: float = 60) -> httpx.Client:
    """A client of an Engine at a Unix socket."""
    transport = httpx.HTTPTransport(uds=str(socket), verify=NO_TLS)
    return httpx.Client(transport=transport, base_url="http://engine", timeout=timeout)


def async_client_of(socket: Path | str) -> httpx.AsyncClient:
    """The same, for a running loop."""
    transport = httpx.AsyncHTTPTransport(uds=str(socket), verify=NO_TLS)
    return httpx.AsyncClient(transport=transport, base_url="http://engine", timeout=60)
