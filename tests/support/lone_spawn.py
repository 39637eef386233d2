"""One spawn, poll and stop in a process of its own, without the Hub's HTTP client.

`python -m tests.support.lone_spawn unix:///PATH unix|tcp` prints a line of JSON: what was seen of threads.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import threading  # noqa: TID251 - to count them
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
from jupyterhub import orm
from jupyterhub.objects import Hub, Server
from traitlets.config import Config

from asyncdockerspawner import DockerSpawner
from asyncdockerspawner.engine import registry
from tests.support.servers import forwarding
from tests.support.site import Site
from tests.support.world import COOKIE_SECRET, open_world
from tests.testbed.plain_http import NO_TLS


async def spawn(url: str, folder: Path) -> dict[str, Any]:
    """Spawn, poll and stop on the Engine at `url`."""
    config = Config()
    options = {
        "image": "stub:1",
        "remove": True,
        "client_kwargs": {"base_url": url},
        "environment": {"A": "1"},
    }
    config.DockerSpawner.update(Config(options))
    hub = Hub(ip="172.17.0.1", connect_ip="172.17.0.1", base_url="/hub/")
    settings = {"config": config, "cookie_secret": COOKIE_SECRET, "hub": hub, "internal_ssl": False}
    with httpx.Client(verify=NO_TLS) as http:
        world = open_world(Site(url, http), folder, {**settings, "spawner_class": DockerSpawner})
    spawner = world.new_spawner()
    orm_server = orm.Server(base_url="/user/alice/")
    world.db.add(orm_server)
    world.db.commit()
    spawner.server = Server(orm_server=orm_server)
    spawner.api_token = "token"
    await spawner.run_pre_spawn_hook()
    address = await spawner.start()
    running = await spawner.poll()
    threads = threading.active_count()
    await spawner.stop()
    await registry.close_engines()
    world.db.close()
    return {
        "executor": asyncio.get_running_loop()._default_executor is not None,  # type: ignore[attr-defined]
        "threads": max(threads, threading.active_count()),
        "address": list(address),
        "polls": [running, await spawner.poll()],
    }


async def main(url: str, way: str) -> None:
    """Spawn over the socket, or over TCP to an IP address."""
    async with AsyncExitStack() as stack:
        if way == "tcp":
            port = await stack.enter_async_context(forwarding(url))
            url = f"tcp://127.0.0.1:{port}"
        with tempfile.TemporaryDirectory() as folder:
            sys.stdout.write(json.dumps(await spawn(url, Path(folder))))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
