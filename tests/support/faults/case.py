"""One operation in a Hub and an Engine of its own: what it sees there, and what may be there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from asyncdockerspawner import DockerSpawner
from asyncdockerspawner.engine import registry
from tests.fake_engine import FakeEngine
from tests.support.engines import engines_of
from tests.support.world import World

Json = dict[str, Any]
EVENTUALLY = 8.0
"""Seconds that work in the background has to end well."""


@dataclass
class Case:
    """One operation in a Hub and an Engine of its own."""

    fake: FakeEngine
    world: World
    restarted: Callable[[World], World]
    made: str = ""
    kept: set[str] = field(default_factory=set)
    """Containers that must be there, whatever happens."""
    old: set[str] = field(default_factory=set)
    """Containers that may be there, and run, until the next spawn."""
    refused: bool = False
    """The Engine answers that it will not, which is not asked again for long."""
    polls: set[int | None] = field(default_factory=set)
    told: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def spawner(self) -> DockerSpawner:
        """The user's spawner as the Hub has it now."""
        return self.world.spawner()

    @property
    def row(self) -> Any:
        """The server in the Hub's database."""
        return self.world.user.orm_user.orm_spawners[""]

    def die(self, exit_code: int) -> None:
        """End the server's process by itself."""
        self.world.site.workload.die(self.made, self.fake, exit_code)

    def configure(self, **options: Any) -> None:
        """Change the configuration, for spawners that are made from now on."""
        self.world.settings["config"].DockerSpawner.update(options)

    async def spawn(self) -> str:
        """Start the server as the Hub does; its container's id."""
        self.made = (await self.world.spawn()).object_id
        return self.made

    async def stop(self) -> None:
        """Stop the server as the Hub does."""
        await self.world.user.stop("")

    async def end_process(self) -> None:
        """Let the Hub's process end: what it knows of the Engine is gone, and work under way is cut off."""
        engines = registry._engines.get(asyncio.get_running_loop(), {})
        for settings, engine in list(engines.items()):
            if settings.url == self.fake.url:
                await engine.aclose()
                del engines[settings]

    async def next_process(self) -> None:
        """Start the Hub again over the same database."""
        await self.end_process()
        self.world = self.restarted(self.world)

    def look_around(self) -> None:
        """Let the Hub look for what an earlier process has left, as the first server of a process does."""
        self.world.new_spawner("other")._managed.watch.begin()

    async def becomes(self, running: set[str], *, what: str, final: bool = False) -> None:
        """Wait until these run, what is kept is there, and, unless it is `final`, only what may be there."""
        end = time.monotonic() + EVENTUALLY
        wanted = dict.fromkeys(self.kept, False) | dict.fromkeys(running, True)
        while not self._as(wanted, found := await self.quiet(), final=final):
            assert time.monotonic() < end, f"{what}: {_short(found)} instead of {_short(wanted)}"
            await asyncio.sleep(0.05)

    def _as(self, wanted: dict[str, bool], found: dict[str, bool], *, final: bool) -> bool:
        if not self.kept <= found.keys():
            return False
        certain = (wanted.keys() | found.keys()) - self.old
        return final or all(found.get(key) is wanted.get(key) for key in certain)

    async def quiet(self) -> dict[str, bool]:
        """Wait until nobody does anything any more: neither the janitor nor the Engine; its containers."""
        end = time.monotonic() + EVENTUALLY
        while busy := self._under_way():
            assert time.monotonic() < end, f"still under way: {busy}"
            await asyncio.sleep(0.04)
        state = self.fake.state()
        if set(state["in_flight"]) - {"*", "GET /events"}:
            await asyncio.sleep(0.04)
            return await self.quiet()
        return self.world.site.objects.state_of_all(self.fake)

    def _under_way(self) -> list[str]:
        found: list[str] = []
        for engine in engines_of(self.fake.url):
            tasks: set[asyncio.Task[Any]] = {*engine.janitor._errands, *engine.janitor._tails.values()}
            calls, streams = engine.client.connection._connectors
            fillings = [each._filling for each in engine._sandboxes.values()]
            tasks |= {each for each in fillings if each is not None and not each.done()}
            found += [task.get_name() for task in tasks]
            found += ["a call"] * len(calls._acquired)
            # That of the events may be open, and may be opening again.
            found += ["a stream"] * (len(streams._acquired) - len(engine._watches))
        return found

    def holds_nothing(self) -> None:
        """Fail where something of a server that is over is still held."""
        for engine in engines_of(self.fake.url):
            slots = (engine.start_slots, engine.swarm_slots)
            held = {
                "places": sum(each._in_use + each.waiting for each in slots),
                "pulls": len(engine.pulls._shared),
                "followers": sum(len(watch._followers) for watch in engine._watches.values()),
                "sandboxes": sum(len(each._users) for each in engine._sandboxes.values()),
                "waiters": sum(len(watch._exit_events) for watch in engine._watches.values()),
            }
            assert not any(held.values()), f"still held: {held}"


def _short(found: Mapping[str, bool]) -> dict[str, str]:
    return {key[:6]: "runs" if runs else "is there" for key, runs in found.items()}


class Operation:
    """What the Hub asks of its spawner. The faults hit what `act` asks of the Engine."""

    name: ClassVar[str]
    kind: ClassVar[str] = "stub"
    options: ClassVar[Json] = {}
    begins: ClassVar[str] = ""
    """Its requests before this one are those of another operation here."""
    keeps: ClassVar[bool] = False
    renews: ClassVar[bool] = False
    """The next spawn makes another container than the one that is kept."""
    spares_old: ClassVar[bool] = False
    """An old container may stay for good, as where nobody can tell whether it holds files."""
    may_be_cancelled: ClassVar[bool] = True
    constants: ClassVar[Mapping[str, Any]] = {}

    async def prepare(self, case: Case) -> None:
        """Bring the Hub where the operation begins."""

    async def act(self, case: Case) -> None:
        """Do it."""
        raise NotImplementedError

    def bearable(self, case: Case, outcome: BaseException | None, *, final: bool) -> bool:
        """Tell whether the Hub and the user can live with how it ended; `final`: see `Fault.is_last_word`."""
        return outcome is None

    def running(self, case: Case, outcome: BaseException | None) -> set[str]:
        """Give the containers that run after it."""
        return set()

    async def finish(self, case: Case) -> None:
        """Bring the Hub where the user's next spawn may begin."""
