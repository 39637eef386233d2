"""What every release of aiodocker has to do, over the fake Engine at an address: a test runs it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable
from typing import Any

import aiodocker
import aiohttp
import pytest

from asyncdockerspawner import errors
from asyncdockerspawner.client.client import Client
from asyncdockerspawner.client.settings import resolve


async def refused(asked: Awaitable[Any], kind: type[errors.EngineError], words: str) -> None:
    """See that it is refused as this kind of error, with these words in it."""
    with pytest.raises(kind, match=words) as caught:
        await asked
    assert type(caught.value) is kind


async def main(url: str, nowhere: str) -> None:
    """Use each way through the client: calls, streams, refusals, an Engine that is away."""
    client = Client(resolve({"base_url": url}, {}, {}))
    assert await client.containers.list({}) == []
    # What hooks get works too.
    assert await client.connection.docker.containers.list(all=True) == []
    # The session's own limit, 300 s in old releases, must not end a stream, nor a call.
    for docker in (client.connection.docker, client.connection._streams):
        docker.session._timeout = aiohttp.ClientTimeout(total=0.2)
    async with client.events.containers() as events:
        made = await client.containers.create("own", {"Image": "stub:1", "Labels": {"a": "b"}})
        assert (await anext(events)).action == "create"
        await refused(
            client.containers.create("own", {"Image": "stub:1"}), errors.NameConflict, "is already in use"
        )
        await refused(
            client.containers.create("two", {"Image": "no:1"}), errors.ImageNotFound, "No such image"
        )
        await refused(client.containers.rename("none", "two"), errors.ObjectNotFound, "No such container")
        assert await client.containers.inspect("none") is None
        assert [each["Id"] for each in await client.containers.list({"a": "b"})] == [made]
        assert await client.containers.list({"a": "c"}) == []
        assert await client.containers.start(made)
        assert not await client.containers.start(made)
        # So long, only the stream is silent.
        await asyncio.sleep(0.5)
        assert await client.containers.logs(made, tail=5) is not None
        await client.containers.remove(made, force=True)
        seen = [(await anext(events)).action for _ in range(4)]
        assert seen == ["start", "kill", "die", "destroy"], seen
    lines = list[Any]()
    await client.images.pull("registry.test/pullable", "1", auth={"username": "u"}, on_line=lines.append)
    assert lines
    await refused(client.images.pull("registry.test/none", "1"), errors.PullError, "manifest unknown")
    await client.close()
    away = Client(resolve({"base_url": nowhere, "version": "1.41"}, {}, {}))
    await refused(away.system.info(), errors.EngineUnavailable, "is it running")
    await away.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]), debug=False)
    print(aiodocker.__version__)  # noqa: T201 - the test reads it
