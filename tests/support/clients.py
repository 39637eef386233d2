"""Clients over a test's Engine, and bodies of containers for both Engines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from asyncdockerspawner.client.client import Client
from asyncdockerspawner.client.settings import resolve
from tests.support.site import SHELL, Site


@asynccontextmanager
async def opened(url: str, **client_kwargs: Any) -> AsyncIterator[Client]:
    """Give a client with these `client_kwargs`; a connection that is still in use at the end is a failure."""
    client = Client(resolve({"base_url": url, **client_kwargs}, {}, {}))
    try:
        yield client
        assert held(client) == 0
    finally:
        await client.close()


def held(client: Client) -> int:
    """How many connections are in use."""
    return sum(len(connector._acquired) for connector in client.connection._connectors)


def body(site: Site, kind: str = "stub", **words: Any) -> dict[str, Any]:
    """What makes a container that is removed after its test; `words` are the Engine's."""
    options = site.kind(kind)
    made = {"Image": options["image"], **({"Cmd": options["cmd"]} if "cmd" in options else {})}
    labels = {"asyncdockerspawner.hub": site.hub_id, **words.pop("Labels", {})}
    return {**made, **words, "Labels": labels}


def writer(site: Site, out: str = "", err: str = "", **words: Any) -> dict[str, Any]:
    """A container that writes these lines and ends."""
    if site.fake is not None:
        return body(site, Labels={"fake.exit": "0", "fake.stdout": out, "fake.stderr": err}, **words)
    text = '[ -z "$OUT" ] || printf \'%s\\n\' "$OUT"; [ -z "$ERR" ] || printf \'%s\\n\' "$ERR" >&2'
    return body(site, Cmd=[*SHELL, text], Env=[f"OUT={out}", f"ERR={err}"], **words)


async def ended(client: Client, ref: str) -> dict[str, Any]:
    """Wait until a container has run and ended; gives its document."""
    async with asyncio.timeout(20):
        while True:
            found = await client.containers.inspect(ref)
            assert found is not None
            if found["State"]["Status"] == "exited":
                return found
            await asyncio.sleep(0.05)
