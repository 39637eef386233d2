"""The spawner as far as the walks see it, and the record of one spawn."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from asyncdockerspawner import labels
from asyncdockerspawner.engine.engine import Engine
from asyncdockerspawner.workloads import Workload

STARTING = "starting"
RUNNING = "running"


@dataclass(slots=True)
class Spawn:
    """One spawn: `spawn_id` names the creation and is a label of what it creates."""

    spawn_id: str
    phase: str = STARTING
    live: bool = False
    """Prepared or launching in this process; not so for a spawn that was read from the database."""
    resumed: bool = False
    made: str = ""
    """Id of what this spawn created; never that of something it found."""
    creating: asyncio.Task[str] | None = None
    launching: asyncio.Task[Any] | None = None


class Host(Protocol):
    """The spawner, as far as the walks see it. The seams may be plain functions or give any awaitable."""

    log: logging.Logger | logging.LoggerAdapter[Any]
    api_token: str
    image: str
    pull_policy: str
    remove: bool
    start_timeout: float
    object_id: str
    object_name: str
    spawn: Spawn | None

    @property
    def engine(self) -> Engine: ...
    @property
    def workload(self) -> Workload: ...
    @property
    def owner(self) -> labels.Owner: ...
    @property
    def identity(self) -> Mapping[str, str]: ...
    @property
    def probe_url(self) -> str | None: ...

    def render_object_name(self) -> str: ...
    def keep_state(self) -> None: ...
    async def apply_choice(self) -> None: ...
    def note_address(self, ip: str, port: int) -> None: ...

    def pull_image(self, image: str) -> Any: ...
    def get_object(self) -> Any: ...
    def create_object(self) -> Any: ...
    def start_object(self) -> Any: ...
    def stop_object(self) -> Any: ...
    def remove_object(self) -> Any: ...
    def get_ip_and_port(self) -> Any: ...


async def resolved(value: Any) -> Any:
    """Await whatever a seam gave, if it can be awaited."""
    return await value if inspect.isawaitable(value) else value
