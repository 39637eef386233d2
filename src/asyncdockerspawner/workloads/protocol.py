"""What a server runs as, as far as its life goes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from asyncdockerspawner.client.execs import Ended
from asyncdockerspawner.client.volumes import Volume
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.workloads.body import Body
from asyncdockerspawner.workloads.furnishing import Furnished, Furnishing
from asyncdockerspawner.workloads.launch import LaunchInputs
from asyncdockerspawner.workloads.observed import Observed

Log = logging.Logger | logging.LoggerAdapter[Any]


class Workload(Protocol):
    """The verbs of the lifecycle; `ref` is an id or a name."""

    @property
    def container(self) -> ContainerVerbs:
        """What only a container can."""

    @property
    def service(self) -> ServiceVerbs | None:
        """What only a service of a swarm can; None for a container."""

    async def inspect(self, ref: str) -> JsonObject | None:
        """Return the object's document as the Engine has it, or None where there is no such object."""

    async def observed(self, document: JsonObject) -> Observed:
        """Read what `inspect`, or a site's own `get_object`, has given."""

    def body(self, inputs: LaunchInputs) -> Body:
        """Return what an object is made from. Raises BadOption for options that cannot be together."""

    async def find(self, ref: str) -> Observed | None:
        """Return what the Engine tells of the object, or None where there is no such object."""

    async def create(self, name: str, body: JsonObject) -> str:
        """Create the object and give its id."""

    async def start(self, ref: str) -> None:
        """Start the object; one that runs already is as good."""

    async def stop(self, ref: str, *, grace: int | None = None) -> None:
        """Stop the object within `grace` seconds (None: its own); one that is stopped or gone is as good."""

    async def remove(self, ref: str, *, force: bool) -> None:
        """Remove the object and return when it is gone; one that is gone already is as good."""

    async def last_lines(self, ref: str, count: int) -> str:
        """Return the last lines that the server wrote, or nothing where they cannot be had."""

    def address(
        self, observed: Observed, *, port: int, network_name: str, use_internal_ip: bool
    ) -> tuple[str, int]:
        """Return the address at which the Hub reaches a server that listens on `port`. Raises NoEndpoint."""


class ServiceVerbs(Protocol):
    """What can be asked of what may run on any of several machines, and has files of the swarm's."""

    async def move(self, ref: str) -> bool:
        """Have the service started anew on another machine; False where it stays where it is."""

    def volumes(self, nodes: Mapping[str, str]) -> VolumeVerbs:
        """Return what reaches named volumes; `nodes`: volume → node, of those that are on one alone."""

    async def clear_strays(self, hub_id: str, spawn_ids: Callable[[], Collection[str]]) -> None:
        """Remove what this Hub's spawns, but those that `spawn_ids` gives then, have left beside services."""


class VolumeVerbs(Protocol):
    """What is asked of a user's volumes, wherever they are."""

    async def list(self, labels: Mapping[str, str]) -> list[Volume]:
        """Return those that carry every one of these labels, as far as that can be asked."""

    async def inspect(self, name: str) -> Volume | None:
        """Return a volume, or None where there is none."""

    async def remove(self, name: str) -> None:
        """Remove a volume; one that is gone is as good. Raises EngineRefused where it stays."""


class ContainerVerbs(Protocol):
    """What can be asked of a container, and of nothing that is spread over machines."""

    async def user_files(self, observed: Observed) -> Sequence[str] | None:
        """Return paths inside it that may be its user's files; None where nobody can tell."""

    async def rename(self, ref: str, name: str) -> None:
        """Rename it. Raises NameConflict."""

    async def connect(self, ref: str, network: str) -> None:
        """Put it into one more network."""

    async def furnish(
        self, ref: str, furnishing: Furnishing, volumes: Collection[str], remove: Callable[[str], object]
    ) -> Furnished:
        """Put in what the server is to find, and see to these volumes of it. Raises BadOption.

        `remove` is told ids of other containers that were made meanwhile and could not be removed.
        """

    async def run(self, ref: str, command: Sequence[str], timeout: float) -> Ended:
        """Run a command inside; gives its exit code and what it wrote. Raises EngineTimeout."""
