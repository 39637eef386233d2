"""The measuring side of `worker`: starts it in a contender's environment, and asks it."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.contenders import Contender
from benchmarks.measures.servers import Batch, Cost, Servers
from benchmarks.spawners.worker import LONGEST_LINE
from tests.testbed.engine import ensure_engine
from tests.testbed.processes import Background

ROOT = Path(__file__).resolve().parents[2]
READY_WITHIN = 60.0
_numbers = itertools.count()


class Gone(Exception):
    """The process with the spawners has ended."""


class SpawnerProcess:
    """Spawner objects of one contender, in a process of their own."""

    def __init__(
        self, process: Background, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._writer = writer
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._reading = asyncio.create_task(self._read(reader))

    async def add(self, users: Sequence[str]) -> None:
        """Make users, each with a spawner."""
        await self._call("add", users=list(users))

    async def adopt(self, states: Mapping[str, Mapping[str, Any]]) -> None:
        """Make users with the states of servers that run."""
        await self._call("adopt", states=dict(states))

    async def start(self, users: Sequence[str], image: str = "", *, answered: bool = True) -> Batch:
        """Start their servers all at once."""
        return _batch(await self._call("start", users=list(users), image=image, answered=answered))

    async def poll(self, users: Sequence[str]) -> Batch:
        """Poll them all at once."""
        return _batch(await self._call("poll", users=list(users)))

    async def find_again(self, users: Sequence[str]) -> Batch:
        """Have them found as a Hub does at its start."""
        return _batch(await self._call("find_again", users=list(users)))

    async def nothing(self, users: Sequence[str]) -> Batch:
        """Have a task for each, as when they are polled, that does nothing."""
        return _batch(await self._call("nothing", users=list(users)))

    async def stop(self, users: Sequence[str]) -> Batch:
        """Stop them all at once."""
        return _batch(await self._call("stop", users=list(users)))

    async def forget(self, users: Sequence[str]) -> None:
        """Stop what still runs, and remove users."""
        await self._call("forget", users=list(users))

    async def rest(self, seconds: float) -> Cost:
        """Let it do nothing for so long."""
        return Cost(**await self._call("rest", seconds=seconds))

    async def collect(self) -> Cost:
        """Have it free what nobody needs; tells what it holds then."""
        return Cost(**await self._call("collect"))

    def kill(self) -> None:
        """End the process."""
        self._process.kill()

    async def begin(self, contender: Contender, options: Mapping[str, Any]) -> None:
        """Tell it the class and its options."""
        words = {"spawner_class": contender.spawner_class, "options": {**contender.options, **options}}
        await self._call("begin", **words, hub_ip=ensure_engine().host_address())

    async def _call(self, call: str, **words: Any) -> Any:
        number = next(_numbers)
        self._waiting[number] = future = asyncio.get_running_loop().create_future()
        self._writer.write(json.dumps({"id": number, "call": call, "words": words}).encode() + b"\n")
        if self._reading.done():
            self._end()
        return await future

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                answer = json.loads(line)
                future = self._waiting.pop(answer["id"])
                if future.done():
                    continue
                if "error" in answer:
                    future.set_exception(RuntimeError(answer["error"]))
                else:
                    future.set_result(answer["answer"])
        finally:
            self._end()

    def _end(self) -> None:
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(Gone(f"the spawners' process has ended:\n{self._process.tail()}"))
        self._waiting.clear()


async def warm_up(servers: Servers) -> None:
    """One start and stop, so that nobody's first use of a client or a template is measured."""
    await servers.add(["warm"])
    await servers.start(["warm"])
    await servers.stop(["warm"])
    await servers.forget(["warm"])


@asynccontextmanager
async def spawner_process(
    contender: Contender, folder: Path, **options: Any
) -> AsyncIterator[SpawnerProcess]:
    """Start a process with a contender's spawners, with more options; it ends with the block."""
    number = next(_numbers)
    path = folder / f"spawners-{number}.sock"
    came: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
    came = asyncio.get_running_loop().create_future()

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set_result((reader, writer))

    server = await asyncio.start_unix_server(take, path, limit=LONGEST_LINE)
    command = [str(contender.python), "-m", "benchmarks.spawners.worker", str(path)]
    process = Background("spawners", command, folder / f"spawners-{number}.log", _environment(), ROOT)
    try:
        try:
            async with asyncio.timeout(READY_WITHIN):
                reader, writer = await came
        except TimeoutError:
            raise Gone(f"the spawners' process does not come:\n{process.tail()}") from None
        made = SpawnerProcess(process, reader, writer)
        try:
            await made.begin(contender, options)
            yield made
        finally:
            made._reading.cancel()
            writer.close()
    finally:
        server.close()
        process.kill()


def _environment() -> dict[str, str]:
    leak = ("JUPYTERHUB_", "JPY_")
    return {key: value for key, value in os.environ.items() if not key.startswith(leak)}


def _batch(answer: Mapping[str, Any]) -> Batch:
    return Batch(tuple(answer["seconds"]), tuple(answer["faults"]), Cost(**answer["cost"]))
