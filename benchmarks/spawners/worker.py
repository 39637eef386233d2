"""Spawner objects of one class, driven as the Hub does, in whatever environment that class is installed.

`python -m benchmarks.spawners.worker SOCKET`, from the project's folder, takes requests from the socket, each
a line of JSON, and answers each when it is done, so that several are under way at a time:
`{"id": 1, "call": "start", "words": {…}}` → `{"id": 1, "answer": {…}}` or `{"id": 1, "error": "…"}`.
The first one is `begin`. Nothing of this project but the gauge is imported here, and JupyterHub.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import logging
import secrets
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import jupyterhub
from jupyterhub import orm, roles
from jupyterhub.objects import Hub, Server
from jupyterhub.user import User
from jupyterhub.utils import maybe_future
from traitlets.config import Config

from benchmarks.spawners.gauge import Gauge

LONGEST_LINE = 1 << 27
ANSWERS_WITHIN = 120.0
ASKED_EVERY = 0.02


class Worker:
    """A Hub's database and users in memory, and their spawners."""

    def __init__(self) -> None:
        self.db: Any = None
        self.settings: dict[str, Any] = {}
        self.users: dict[str, Any] = {}
        self.spawners: dict[str, Any] = {}
        self.database_seconds = 0.0
        """CPU that the Hub's own commits have cost."""

    async def begin(self, spawner_class: str, options: dict[str, Any], hub_ip: str) -> None:
        """Take the class and its options. Servers are told of a Hub at `hub_ip`, where nobody listens."""
        module, _, name = spawner_class.rpartition(".")
        config = Config()
        config.DockerSpawner.update(Config(options))
        self.settings = {
            "config": config,
            # Of this, our spawners make the name of their Hub: each process is one of its own.
            "cookie_secret": secrets.token_bytes(32),
            "hub": Hub(ip=hub_ip, connect_ip=hub_ip, base_url="/hub/"),
            "internal_ssl": False,
            "spawner_class": getattr(importlib.import_module(module), name),
        }
        if jupyterhub.version_info[0] < 6:
            self.settings["statsd"] = importlib.import_module("jupyterhub.emptyclass").EmptyClass()
        self.db = orm.new_session_factory("sqlite:///:memory:")()
        for role in roles.get_default_roles():
            roles.create_role(self.db, role)
        self.db.add(orm.OAuthClient(identifier="jupyterhub"))
        self.db.commit()

    async def add(self, users: list[str]) -> None:
        """Make users, each with a spawner that has started nothing."""
        for name in users:
            self._add(name, None)
        self.db.commit()

    async def adopt(self, states: dict[str, Any]) -> None:
        """Make users whose servers ran when the Hub ended, with the state that it has of each."""
        for name, state in states.items():
            self._add(name, state)
        self.db.commit()

    def _add(self, name: str, state: dict[str, Any] | None) -> None:
        orm_user = orm.User(name=name)
        self.db.add(orm_user)
        roles.assign_default_roles(self.db, orm_user)
        server = orm.Server(base_url=f"/user/{name}/", ip="127.0.0.1", port=8888, proto="http")
        orm_spawner = orm.Spawner(name="", user=orm_user, state=state, server=server)
        self.db.add(orm_spawner)
        self.users[name] = user = User(orm_user, self.settings)
        spawner = user._new_spawner("", spawner_class=self.settings["spawner_class"])
        spawner.server = Server(orm_server=server)
        spawner.api_token = "token"  # noqa: S105 - of no Hub
        spawner.admin_access = False
        self.spawners[name] = spawner

    async def start(self, users: list[str], image: str = "", *, answered: bool = True) -> dict[str, Any]:
        """Start their servers at once; each is ready when it has `answered`, or when `start()` says so."""

        async def one(name: str) -> None:
            spawner = self.spawners[name]
            if image:
                spawner.image = image
            await maybe_future(spawner.run_pre_spawn_hook())
            start = asyncio.ensure_future(maybe_future(spawner.start()))
            # The Hub commits when it has called `start`: what that costs is no spawner's.
            before = time.process_time()
            self.db.commit()
            self.database_seconds += time.process_time() - before
            address = await start
            if answered:
                async with asyncio.timeout(ANSWERS_WITHIN):
                    await _answer_of(*address)

        return await self._together(users, one)

    async def poll(self, users: list[str]) -> dict[str, Any]:
        """Ask each whether it runs; one that does not is a fault."""
        return await self._together(users, self._runs, in_turn=False)

    async def _runs(self, name: str) -> None:
        if (status := await self.spawners[name].poll()) is not None:
            raise RuntimeError(f"{name} does not run: {status}")

    async def find_again(self, users: list[str]) -> dict[str, Any]:
        """Ask each what a Hub asks at its start: whether it runs, and where."""

        async def one(name: str) -> None:
            await self._runs(name)
            await self.spawners[name].get_url()

        return await self._together(users, one, in_turn=False)

    async def nothing(self, users: list[str]) -> dict[str, Any]:
        """Do nothing for each, which is what `poll` costs besides the poll."""

        async def one(name: str) -> None:
            del name

        return await self._together(users, one, in_turn=False)

    async def stop(self, users: list[str]) -> dict[str, Any]:
        """Stop them all at once."""

        async def one(name: str) -> None:
            await self.spawners[name].stop()
            self.spawners[name].clear_state()

        return await self._together(users, one)

    async def rest(self, seconds: float) -> dict[str, Any]:
        """Do nothing for so long; gives what that cost."""
        async with Gauge() as gauge:
            await asyncio.sleep(seconds)
        return gauge.document()

    async def collect(self) -> dict[str, Any]:
        """Free what nobody needs; gives what is left."""
        gc.collect()
        async with Gauge() as gauge:
            pass
        return gauge.document()

    async def forget(self, users: list[str]) -> None:
        """Stop what still runs, and remove users."""

        async def one(name: str) -> None:
            spawner = self.spawners.pop(name, None)
            with suppress(Exception):
                if spawner is not None and spawner.get_state():
                    await spawner.stop()
            user = self.users.pop(name, None)
            if user is not None:
                self.db.delete(user.orm_user)

        await asyncio.gather(*map(one, users))
        self.db.commit()

    async def _together(
        self, users: list[str], action: Callable[[str], Awaitable[None]], *, in_turn: bool = True
    ) -> dict[str, Any]:
        async def one(name: str) -> float:
            await action(name)
            return time.monotonic() - begun

        tasks, self.database_seconds = [], 0.0
        async with Gauge() as gauge:
            begun = time.monotonic()
            for name in users:
                # As requests come to a Hub, of which each is read in a turn of the loop.
                tasks.append(asyncio.create_task(one(name)))
                if in_turn:
                    await asyncio.sleep(0)
            results = await asyncio.gather(*tasks, return_exceptions=True)
        cost = gauge.document()
        return {
            "seconds": [each for each in results if isinstance(each, float)],
            "faults": [repr(each) for each in results if isinstance(each, BaseException)],
            "cost": {**cost, "cpu_seconds": cost["cpu_seconds"] - self.database_seconds},
        }


async def _answer_of(host: str, port: int) -> None:
    """Return when a server answers HTTP."""
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(b"GET / HTTP/1.0\r\n\r\n")
                if await reader.read(1):
                    return
            finally:
                writer.close()
        await asyncio.sleep(ASKED_EVERY)


async def serve(path: str) -> None:
    """Take requests until the socket's other end is closed."""
    reader, writer = await asyncio.open_unix_connection(path, limit=LONGEST_LINE)
    worker, tasks = Worker(), set[asyncio.Task[None]]()

    async def answer(request: dict[str, Any]) -> None:
        try:
            answer = {"answer": await getattr(worker, request["call"])(**request["words"])}
        except Exception as exc:  # noqa: BLE001 - it is told to who asked
            answer = {"error": repr(exc)}
        writer.write(json.dumps({"id": request["id"], **answer}).encode() + b"\n")

    while line := await reader.readline():
        task = asyncio.create_task(answer(json.loads(line)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(serve(sys.argv[1]))
