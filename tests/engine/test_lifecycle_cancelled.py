"""A start that is cancelled, times out or fails leaves nothing, and keeps nobody waiting."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tornado import gen

from asyncdockerspawner import DockerSpawner
from asyncdockerspawner.engine import registry
from tests.support.engines import settle
from tests.support.site import Site
from tests.support.starts import cancelled, direct, nothing_left
from tests.support.waiting import until
from tests.support.workloads import EACH_KIND
from tests.support.world import MakeWorld

MOMENTS = [0.010 + 0.010 * step for step in range(25)]
CROWD_SECONDS = 60.0
"""For many removals at a time."""


@EACH_KIND
async def test_a_start_cancelled_at_any_moment_leaves_nothing(make_world: MakeWorld, site: Site) -> None:
    # One task prepares them all, so no start slot would ever come free.
    world = make_world("silent", concurrent_starts=0)
    spawners = [await direct(world, f"s{number}") for number in range(len(MOMENTS))]
    if site.fake is not None:
        # Longer than the limit: nobody is to wait for it.
        site.fake.rule("DELETE", "^/(containers|services)/", delay_before=4)
    unwound = [await cancelled(spawner, moment) for spawner, moment in zip(spawners, MOMENTS, strict=True)]
    assert max(unwound) < 3
    assert await nothing_left(site, CROWD_SECONDS)
    for spawner in spawners:
        # The answer to its removal may not have been read yet.
        await spawner.engine.janitor.settled(spawner.object_name)
        assert await spawner.poll() == 0


@EACH_KIND
async def test_many_starts_cancelled_together_leave_nothing(make_world: MakeWorld, site: Site) -> None:
    # One task prepares them all, so no start slot would ever come free.
    world = make_world("silent", concurrent_starts=0)
    spawners = [await direct(world, f"s{number}") for number in range(12)]
    await asyncio.gather(*(cancelled(spawner, 0.05 * number) for number, spawner in enumerate(spawners)))
    assert await nothing_left(site, CROWD_SECONDS)


@pytest.mark.parametrize("moment", [0.005, 0.02, 0.1, 0.3])
async def test_a_resumed_container_survives_a_cancelled_start(
    make_world: MakeWorld, site: Site, moment: float
) -> None:
    world = make_world(remove=False)
    made = (await world.spawn()).object_id
    await world.user.stop("")
    spawner = world.new_spawner("")
    await spawner.run_pre_spawn_hook()
    await cancelled(spawner, moment)
    await settle(spawner.engine)
    assert [one["Id"] for one in site.containers()] == [made]
    await spawner.stop()
    assert site.inspect(made)["State"]["Running"] is False


@EACH_KIND
async def test_the_next_spawn_waits_for_the_clean_up_of_the_last(make_world: MakeWorld, site: Site) -> None:
    world = make_world("silent")
    spawner = await direct(world)
    await cancelled(spawner, 0.15)
    world.settings["config"].DockerSpawner.update(site.kind("stub") | {"cmd": site.kind("stub").get("cmd")})
    spawned = await world.restarted().spawn()
    assert [one["Id"] for one in site.containers()] == [spawned.object_id]
    await spawned.user.stop("")
    assert await nothing_left(site)


@EACH_KIND
async def test_a_start_that_takes_too_long_is_stopped_and_removed(make_world: MakeWorld, site: Site) -> None:
    world = make_world(**site.workload.impatient)
    if site.fake is None:
        world = make_world(**site.workload.impatient, extra_host_config=never)
    else:
        site.fake.rule(*site.workload.creating, delay_after=3)
    with pytest.raises(TimeoutError):
        await world.spawn()
    assert await nothing_left(site)


async def never(_: DockerSpawner) -> dict[str, Any]:
    await asyncio.sleep(30)
    return {}


class Old(DockerSpawner):
    """A subclass in the style of old: the Hub cannot cancel what runs inside."""

    @gen.coroutine
    def start(self) -> Any:  # type: ignore[override]
        yield gen.sleep(0.01)
        result = yield super().start()
        return result


async def test_a_generator_start_that_the_hub_gave_up_is_ended_by_stop(
    make_world: MakeWorld, site: Site
) -> None:
    world = make_world("silent")
    world.settings["spawner_class"] = Old
    world.settings["config"].Old.update(world.settings["config"].DockerSpawner)
    spawner = world.new_spawner("")
    await spawner.run_pre_spawn_hook()
    future = spawner.start()
    await until(lambda: spawner._managed.spawn and spawner._managed.spawn.launching and site.containers())
    assert await spawner.poll() is None
    await spawner.stop()
    with pytest.raises(asyncio.CancelledError):
        await future
    assert await nothing_left(site)


async def test_plain_functions_and_generators_may_override_the_seams(
    make_world: MakeWorld, site: Site
) -> None:
    seen: list[str] = []

    class Site14(DockerSpawner):
        """Overrides in every style that sites have written."""

        def get_env(self) -> dict[str, Any]:
            seen.append("get_env")
            return {**super().get_env(), "EXTRA": "1"}

        def create_object(self) -> Any:
            seen.append("create_object")
            return super().create_object()

        @gen.coroutine
        def get_ip_and_port(self) -> Any:  # type: ignore[override]
            seen.append("get_ip_and_port")
            result = yield super().get_ip_and_port()
            return result

        async def stop_object(self) -> None:
            seen.append("stop_object")
            await super().stop_object()

    world = make_world()
    world.settings["spawner_class"] = Site14
    spawner = await world.spawn()
    assert "EXTRA=1" in site.inspect(spawner.object_id)["Config"]["Env"]
    await world.user.stop("")
    assert seen == ["create_object", "get_env", "get_ip_and_port", "stop_object"]


async def test_changes_in_the_sites_hook_and_in_get_env_reach_the_container(
    make_world: MakeWorld, site: Site
) -> None:
    def hook(spawner: DockerSpawner) -> None:
        spawner.extra_create_kwargs["labels"] = {"team": "{username}"}

    world = make_world(pre_spawn_hook=hook, extra_create_kwargs={"hostname": "lab"})
    config = site.inspect((await world.spawn()).object_id)["Config"]
    assert (config["Hostname"], config["Labels"]["team"]) == ("lab", "alice")
    await world.user.stop("")


@EACH_KIND
async def test_a_stop_without_an_engine_is_done_when_it_is_back(make_world: MakeWorld, site: Site) -> None:
    if site.fake is None:
        # A real Engine cannot be taken away from the others who use it; the socket in between can.
        return await stop_through_a_broken_relay(make_world, site)
    world = make_world()
    spawner = await world.spawn()
    with site.fake.away():
        assert await spawner.poll() is None
        await world.user.stop("")
    assert len(site.containers()) == 1
    assert await nothing_left(site)
    return None


async def stop_through_a_broken_relay(make_world: MakeWorld, site: Site) -> None:
    path = site.url.removeprefix("unix://")
    folder = make_world().folder
    relay = Relay(path, f"{folder}/relay.sock")
    await relay.open()
    world = make_world(client_kwargs={"base_url": f"unix://{folder}/relay.sock"})
    spawner = await world.spawn()
    await relay.close()
    assert await spawner.poll() is None
    await world.user.stop("")
    assert len(site.containers()) == 1
    await relay.open()
    assert await nothing_left(site)
    await registry.close_engines()
    await relay.close()


class Relay:
    """Passes bytes between two Unix sockets until it is closed."""

    def __init__(self, target: str, path: str) -> None:
        self.target, self.path = target, path
        self.tasks: set[asyncio.Task[None]] = set()
        self.server: asyncio.Server | None = None

    async def open(self) -> None:
        self.server = await asyncio.start_unix_server(self._serve, self.path)

    async def close(self) -> None:
        assert self.server is not None
        self.server.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            there, back = await asyncio.open_unix_connection(self.target)
            await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
        except asyncio.CancelledError:
            # The stream server logs a cancelled handler as an error.
            pass
        finally:
            self.tasks.discard(task)
            writer.transport.abort()
            back.transport.abort()

    @staticmethod
    async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()
