"""A server in a container of its own, behind the verbs of every workload."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

from asyncdockerspawner import errors
from asyncdockerspawner.client.client import Client
from asyncdockerspawner.client.execs import Ended
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.workloads.container import drift, endpoint, read
from asyncdockerspawner.workloads.container.body import ContainerBody, build_container
from asyncdockerspawner.workloads.container.furnish import furnish
from asyncdockerspawner.workloads.furnishing import Furnished, Furnishing
from asyncdockerspawner.workloads.launch import LaunchInputs
from asyncdockerspawner.workloads.observed import Observed
from asyncdockerspawner.workloads.protocol import ContainerVerbs


class Ends(Protocol):
    """Ends what goes with a container."""

    async def __call__(self, container_id: str, *, force: bool) -> None:
        """Do it before the container is removed; without `force`, only where it does not run."""


@dataclass(frozen=True, slots=True)
class Steps:
    """Logs what was done to which container, and how long that took, in the Hub's log."""

    log: logging.Logger | logging.LoggerAdapter[Any]
    known: Callable[[str], Observed | None]
    """Returns what is known of a container without asking."""
    image: str
    """What a container is made from that nothing is known of yet."""

    @contextmanager
    def step(self, done: str, ref: str) -> Iterator[None]:
        """Log what the block has done, if it succeeds."""
        known, begin = self.known(ref), time.monotonic()
        yield
        image = (known.image if known else "") or self.image
        name = (known.name if known else "") or ref
        self.log_done(done, name, ref, image, begin)

    def log_done(self, done: str, name: str, ref: str, image: str, begin: float) -> None:
        """Log what was begun at `begin`, by the monotonic clock."""
        seconds = time.monotonic() - begin
        self.log.info("%s %s (id %s, image %s) in %.1f s", done, name, ref[:12], image, seconds)


def _endpoint_again(endpoint: JsonObject, container_id: str) -> JsonObject:
    """Ask for an endpoint like a former one: its aliases, links and fixed addresses."""
    again = {key: endpoint[key] for key in ("IPAMConfig", "Links", "DriverOpts") if endpoint.get(key)}
    # The Engine gives this one itself.
    aliases = [each for each in endpoint.get("Aliases") or () if each != container_id[:12]]
    return {**again, "Aliases": aliases} if aliases else again


class ContainerWorkload:
    """A server in a container of its own."""

    def __init__(self, client: Client, steps: Steps | None = None, ends: Ends | None = None) -> None:
        self._client = client
        self._containers = client.containers
        self._steps = steps
        self._ends = ends

    def _step(self, done: str, ref: str) -> AbstractContextManager[None]:
        return self._steps.step(done, ref) if self._steps is not None else nullcontext()

    @property
    def container(self) -> ContainerVerbs:
        """What only a container can: this is one."""
        return self

    @property
    def service(self) -> None:
        """What only a service can: a container cannot."""

    async def inspect(self, ref: str) -> JsonObject | None:
        """Return `GET /containers/REF/json`, or None."""
        return await self._containers.inspect(ref)

    def body(self, inputs: LaunchInputs) -> ContainerBody:
        """Return what the container is made from."""
        return ContainerBody(build_container(inputs))

    async def observed(self, document: JsonObject) -> Observed:
        """Read the container's document; all of it is there."""
        return read.observed(document)

    async def find(self, ref: str) -> Observed | None:
        """Return what `GET /containers/REF/json` tells, or None."""
        document = await self.inspect(ref)
        return None if document is None else await self.observed(document)

    async def create(self, name: str, body: JsonObject) -> str:
        """Create the container. Raises NameConflict, ImageNotFound, InvalidConfig."""
        begin = time.monotonic()
        made = await self._containers.create(name, body)
        if self._steps is not None:
            self._steps.log_done("Created", name, made, str(body.get("Image") or ""), begin)
        return made

    async def start(self, ref: str) -> None:
        """Start the container. Raises BadOption where a network of it is unknown, with those that there are.

        A network that was made anew since the container last ran is another one to the Engine: it is
        connected to that first.
        """
        reconnected = False
        while True:
            try:
                with self._step("Started", ref):
                    await self._containers.start(ref)
            except (errors.StartFailed, errors.ObjectNotFound) as exc:
                missing = isinstance(exc, errors.ObjectNotFound) or exc.status == 404
                document = await self.inspect(ref) if missing else None
                if document is None:
                    raise
                if reconnected or not await self._put_back(document):
                    raise await self._missing(document, exc) from exc
                reconnected = True
            else:
                return

    async def _put_back(self, document: JsonObject) -> bool:
        """Put the container into networks that have the names of its former ones; False if there are none."""
        try:
            return await self._reconnected(document)
        except errors.EngineRefused:
            # A filter before the Engine's socket may let nobody ask for networks.
            return False

    async def _reconnected(self, document: JsonObject) -> bool:
        networks, moved = self._client.networks, False
        for name, joined in ((document.get("NetworkSettings") or {}).get("Networks") or {}).items():
            present = await networks.inspect(name)
            if present is None or present["Id"] == joined.get("NetworkID") or not joined.get("NetworkID"):
                continue
            container_id = str(document["Id"])
            await networks.disconnect(name, container_id, force=True)
            await networks.connect(name, container_id, _endpoint_again(joined, container_id))
            moved = True
        return moved

    async def _missing(self, document: JsonObject, exc: errors.EngineError) -> errors.BadOption:
        """Return the error that names the network, or whose, the container cannot be started in."""
        what = f"{exc.message}."
        if isinstance(exc, errors.StartFailed):
            what += await self._networks_there_are()
        known = await self.observed(document)
        if known.never_started:
            return errors.BadOption(
                "The server cannot be started: a network of its container does not exist.",
                advice=f"`network_name`, `extra_networks` (or network_mode in `extra_host_config`): {what}",
            )
        return errors.BadOption(
            "The server cannot be started: a network of its kept container does not exist any more.",
            advice=f"It is {known.name}: {what} Make that anew under its name, or remove the container with "
            f"the files that are in it alone: `docker rm -v {known.name}`.",
        )

    async def _networks_there_are(self) -> str:
        try:
            return f" The Engine's networks are {', '.join(await self._client.networks.names())}."
        except errors.EngineError:
            # It is advice; what has failed is told also without.
            return ""

    async def stop(self, ref: str, *, grace: int | None = None) -> None:
        """Stop the container."""
        try:
            with self._step("Stopped", ref):
                await self._containers.stop(ref, grace=grace)
        except errors.ObjectNotFound:
            return

    async def remove(self, ref: str, *, force: bool) -> None:
        """Remove the container with its anonymous volumes, and its sandbox; named volumes stay."""
        if self._ends is not None:
            await self._ends(ref, force=force)
        with self._step("Removed", ref):
            await self._containers.remove(ref, force=force)

    async def last_lines(self, ref: str, count: int) -> str:
        """Return the last lines of stdout and stderr."""
        try:
            return await self._containers.logs(ref, tail=count)
        except errors.EngineError:
            return ""

    def address(
        self, observed: Observed, *, port: int, network_name: str, use_internal_ip: bool
    ) -> tuple[str, int]:
        """Return the address at which the Hub reaches the server. Raises NoEndpoint, NoAddressYet."""
        return endpoint.resolve(
            observed,
            port=port,
            network_name=network_name,
            use_internal_ip=use_internal_ip,
            engine_host=self._client.settings.host,
        )

    async def user_files(self, observed: Observed) -> Sequence[str] | None:
        """Pick them from `GET /containers/REF/changes`; None where the Engine's storage cannot tell."""
        try:
            changed = await self._containers.changes(observed.id)
        except errors.EngineRefused:
            return None
        return drift.files_of_the_user(changed, observed)

    async def rename(self, ref: str, name: str) -> None:
        """Rename the container. Raises NameConflict."""
        await self._containers.rename(ref, name)

    async def connect(self, ref: str, network: str) -> None:
        """Connect the container; of a network that is unknown, the Engine complains at the start."""
        await self._client.networks.connect(network, ref)

    async def furnish(
        self, ref: str, furnishing: Furnishing, volumes: Collection[str], remove: Callable[[str], object]
    ) -> Furnished:
        """Put files into the container, by `PUT /containers/REF/archive`."""
        return await furnish(self._client, ref, furnishing, volumes, remove)

    async def run(self, ref: str, command: Sequence[str], timeout: float) -> Ended:
        """Run the command with `exec`. Raises EngineTimeout where it does not end in time."""
        try:
            return await self._client.execs.run(ref, command, timeout=timeout)
        except TimeoutError as exc:
            raise errors.EngineTimeout("run a command in", ref, f"it runs after {timeout:.0f} s") from exc
