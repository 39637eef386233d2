"""The bare Engine over its socket: how fast it can make containers at all, and what a run has left on it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import aiohttp

from benchmarks.measures.servers import Batch, together

PORT = "8888/tcp"
WIDTHS = (2, 4, 8, 16, 32)
"""How many creates and starts at once are tried for the best rate."""
LOOK_EVERY, RUNS_WITHIN = 0.2, 120.0
"""Seconds between looks at a service's task, and until it has to run."""
TRIED = 24
"""Containers for each width."""


class BareEngine:
    """A few calls on the Engine's HTTP API with nothing between: not the client under test."""

    def __init__(self, url: str, deadline: float = 120.0) -> None:
        scheme, _, place = url.partition("://")
        unix = scheme == "unix"
        self._session = aiohttp.ClientSession(
            base_url="http://engine" if unix else f"http://{place}",
            connector=aiohttp.UnixConnector(place, limit=0) if unix else aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=deadline),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def version(self) -> dict[str, Any]:
        """The Engine's version and the machine it runs on."""
        found: dict[str, Any] = await self._call("GET", "/version")
        return found

    async def create(self, name: str, image: str, more: Mapping[str, Any] | None = None) -> str:
        """Make a container that publishes its port on 127.0.0.1, with `more` in its body; its id."""
        body = {
            **(more or {}),
            "Image": image,
            "ExposedPorts": {PORT: {}},
            "HostConfig": {"PortBindings": {PORT: [{"HostIp": "127.0.0.1", "HostPort": ""}]}},
        }
        made = await self._call("POST", "/containers/create", body, name=name)
        return str(made["Id"])

    async def start(self, container: str) -> None:
        """Start a container."""
        await self._call("POST", f"/containers/{container}/start")

    async def stop(self, container: str) -> None:
        """Stop a container's process; one that has ended is fine."""
        await self._call("POST", f"/containers/{container}/stop", fine=(304,))

    async def kill(self, container: str) -> None:
        """Kill a container's process."""
        await self._call("POST", f"/containers/{container}/kill")

    async def inspect(self, container: str) -> dict[str, Any]:
        """A container's document."""
        found: dict[str, Any] = await self._call("GET", f"/containers/{container}/json")
        return found

    async def names_with(self, prefix: str, *, running: bool = False) -> dict[str, str]:
        """Names by id of all containers, or of those that are `running`, whose name begins with `prefix`."""
        filters = json.dumps({"name": [f"^/{prefix}"]})
        found = await self._call("GET", "/containers/json", all=str(int(not running)), filters=filters)
        return {one["Id"]: one["Names"][0].lstrip("/") for one in found}

    async def remove(self, container: str) -> None:
        """Remove a container, running or not; one that is gone already is fine."""
        await self._call("DELETE", f"/containers/{container}", force="1", v="1", fine=(404, 409))

    async def remove_image(self, reference: str) -> None:
        """Remove an image by its id, whatever else its names are; one that is not there is fine."""
        found = await self._call("GET", f"/images/{reference}/json", fine=(404,))
        if "Id" in found:
            await self._call("DELETE", f"/images/{found['Id']}", force="1", fine=(404,))

    async def remove_all(self, prefix: str) -> list[str]:
        """Remove by id every container whose name begins with `prefix`; the names."""
        found = await self.names_with(prefix)
        await asyncio.gather(*map(self.remove, found))
        return sorted(found.values())

    async def serve(self, name: str, image: str) -> str:
        """Make a service of one task on the swarm's manager, and wait until that runs; its id."""
        body = {
            "Name": name,
            "TaskTemplate": {
                "ContainerSpec": {"Image": image},
                "Placement": {"Constraints": ["node.role == manager"]},
            },
            "EndpointSpec": {"Ports": [{"TargetPort": 8888, "PublishMode": "host"}]},
        }
        made = str((await self._call("POST", "/services/create", body))["ID"])
        filters = json.dumps({"service": [made]})
        async with asyncio.timeout(RUNS_WITHIN):
            while True:
                tasks = await self._call("GET", "/tasks", filters=filters)
                if any(task["Status"]["State"] == "running" for task in tasks):
                    return made
                await asyncio.sleep(LOOK_EVERY)

    async def remove_service(self, service: str) -> None:
        """Remove a service, whose task the swarm then ends."""
        await self._call("DELETE", f"/services/{service}", fine=(404,))

    async def _call(
        self, method: str, path: str, body: Any = None, fine: tuple[int, ...] = (), **query: str
    ) -> Any:
        async with self._session.request(method, path, json=body, params=query) as response:
            if response.status >= 400 and response.status not in fine:
                raise RuntimeError(f"{method} {path}: {response.status} {await response.text()}")
            return await response.json() if response.content_type == "application/json" else None


class Floor:
    """The bare Engine, asked for what starts and stops need, as many at once as it is fastest with."""

    def __init__(
        self,
        engine: BareEngine,
        prefix: str,
        image: str,
        at_once: int = WIDTHS[1],
        more: Mapping[str, Any] | None = None,
    ) -> None:
        self._engine = engine
        self._prefix = prefix
        self._image = image
        self.at_once = at_once
        self._more = more
        self._ids = dict[str, str]()

    async def tune(self) -> None:
        """Find out how many creates and starts at once the Engine does most at."""
        rates = {}
        for width in WIDTHS:
            self.at_once = width
            users = [f"tune{width}-{number}" for number in range(TRIED)]
            rates[width] = (await self.start(users)).rate
            await self.forget(users)
        self.at_once = max(rates, key=rates.__getitem__)

    async def add(self, users: Sequence[str]) -> None:
        """Nothing: the Engine knows no users."""

    async def start(self, users: Sequence[str], image: str = "") -> Batch:
        """Create, start and inspect a container for each."""
        places = asyncio.Semaphore(self.at_once)

        async def one(user: str) -> None:
            async with places:
                name = f"{self._prefix}-{user}"
                made = await self._engine.create(name, image or self._image, self._more)
                self._ids[user] = made
                await self._engine.start(made)
                await self._engine.inspect(made)

        return await together(users, one)

    async def poll(self, users: Sequence[str]) -> Batch:
        """Inspect each."""
        return await together(users, lambda user: self._engine.inspect(self._ids[user]))

    async def stop(self, users: Sequence[str]) -> Batch:
        """Stop and remove each."""

        async def one(user: str) -> None:
            made = self._ids.pop(user)
            await self._engine.stop(made)
            await self._engine.remove(made)

        return await together(users, one)

    async def forget(self, users: Sequence[str]) -> None:
        """Remove what is left of them."""
        left = [self._ids.pop(user) for user in users if user in self._ids]
        await asyncio.gather(*map(self._engine.remove, left))
