"""A `start` that takes the steps itself and never comes to ours, over the fake Engine and a real one."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

import pytest
from tornado import gen

from asyncdockerspawner import DockerSpawner
from asyncdockerspawner.images import pulls
from tests.fake_engine import FakeEngine
from tests.support.site import Site
from tests.support.waiting import until
from tests.support.world import MakeWorld, World


class Steps(DockerSpawner):
    """Does what DockerSpawner's own `start` does, word by word of its override points."""

    async def start(self) -> tuple[str, int]:
        await self.pull_image(self.image)
        found = await self.get_object()
        if found and self.remove:
            await self.remove_object()
            found = None
        if found is None:
            made = await self.create_object()
            self.object_id = made[self.object_id_key]
        await self.start_object()
        return await self.address()

    async def address(self) -> tuple[str, int]:
        return await self.get_ip_and_port()


class Generated(DockerSpawner):
    """The same, written when coroutines were generators."""

    @gen.coroutine
    def start(self) -> Generator[Any, Any, Any]:  # type: ignore[override]
        yield self.pull_image(self.image)
        made = yield self.create_object()
        self.object_id = made["Id"]
        yield self.start_object()
        address = yield self.address()
        return address

    async def address(self) -> tuple[str, int]:
        return await self.get_ip_and_port()


START = "/containers/{ref}/start"


class InDockersWords(DockerSpawner):
    """The same with docker-py's methods only."""

    @gen.coroutine
    def start(self) -> Generator[Any, Any, Any]:  # type: ignore[override]
        yield self.docker("pull", *self.image.split(":"))
        made = yield self.docker("create_container", self.image, name=self.object_name)
        self.object_id = made["Id"]
        yield self.docker("start", made)
        return "127.0.0.1", 1


KINDS = [Steps, Generated]


def of(world: World, spawner_class: type[DockerSpawner]) -> World:
    """The same world with spawners of another class."""
    world.settings["spawner_class"] = spawner_class
    return world


def started(fake: FakeEngine) -> list[Any]:
    return fake.requests("POST", START)


@pytest.mark.parametrize("kind", KINDS)
async def test_its_server_is_adopted_and_its_end_is_told_to_the_hub(
    make_world: MakeWorld, site: Site, kind: type[DockerSpawner]
) -> None:
    world = of(make_world(), kind)
    spawner = await world.spawn()
    state = spawner.orm_spawner.state
    assert (state["object_id"], state["phase"]) == (site.containers()[0]["Id"], "running")
    assert await spawner.poll() is None
    told = asyncio.Event()
    spawner.add_poll_callback(told.set)
    site.http.post(f"/containers/{spawner.object_id}/kill").raise_for_status()
    async with asyncio.timeout(30):
        await told.wait()
    assert await spawner.poll() is not None
    await world.user.stop("")
    assert site.containers() == []


async def test_its_place_among_the_starts_is_given_back(make_world: MakeWorld) -> None:
    world = of(make_world(concurrent_starts=1), Steps)
    await asyncio.gather(world.spawn("one"), world.spawn("two"))
    assert world.spawner("one").engine.start_slots._in_use == 0
    await asyncio.gather(world.user.stop("one"), world.user.stop("two"))


async def test_its_kept_container_is_found_again_and_stopped(make_world: MakeWorld, site: Site) -> None:
    world = of(make_world(remove=False), Steps)
    made = (await world.spawn()).object_id
    await world.user.stop("")
    world.user.orm_user.orm_spawners[""].state = {}
    world = world.restarted()
    spawner = await world.spawn()
    assert spawner.object_id == made
    await world.user.stop("")
    assert [one["State"] for one in site.containers()] == ["exited"]


async def test_it_gets_nobody_elses_container(make_world: MakeWorld, site: Site) -> None:
    world = of(make_world(), Steps)
    body = {"Image": site.kind("stub")["image"], "Env": ["JUPYTERHUB_USER=bob"]}
    name = f"t{site.hub_id}-alice"
    foreign = site.http.post("/containers/create", params={"name": name}, json=body).json()["Id"]
    try:
        with pytest.raises(Exception, match="its name at the Docker Engine is taken"):
            await world.spawn()
        assert site.inspect(foreign)["State"]["Status"] == "created"
    finally:
        site.remove(foreign)


@pytest.mark.parametrize("kind", KINDS)
async def test_one_that_fails_leaves_nothing(
    make_world: MakeWorld, site: Site, kind: type[DockerSpawner]
) -> None:
    class Fails(kind):  # type: ignore[misc, valid-type]
        async def address(self) -> tuple[str, int]:
            raise RuntimeError("no address for you")

    world = of(make_world(), Fails)
    with pytest.raises(RuntimeError):
        await world.spawn()
    spawner = world.spawner()
    await spawner.engine.janitor.settled(f"t{site.hub_id}-alice")
    assert site.containers() == []
    assert await spawner.poll() == 0


@pytest.mark.parametrize("site", ["fake"], indirect=True)
async def test_one_after_another_waits_for_what_is_cleared_away_and_is_put_down_before(
    make_world: MakeWorld, fake: FakeEngine
) -> None:
    on_disk = list[str]()

    def looks(spawner: DockerSpawner) -> dict[str, Any]:
        # Called for the body: the name is in use from here on, and another request ends badly.
        assert spawner.object_name in spawner.engine.claims.names()
        world.db.rollback()
        on_disk.append(spawner.orm_spawner.state["phase"])
        return {}

    class Once(Steps):
        tries = 0

        async def address(self) -> tuple[str, int]:
            type(self).tries += 1
            if self.tries == 1:
                raise RuntimeError("not yet")
            return await super().address()

    world = of(make_world(extra_create_kwargs=looks), Once)
    fake.rule("DELETE", "/containers/", delay_before=2, times=1)
    spawner = world.new_spawner()
    await spawner.run_pre_spawn_hook()
    with pytest.raises(RuntimeError):
        await spawner.start()
    await spawner.run_pre_spawn_hook()
    await spawner.start()
    assert on_disk == ["starting", "starting"]
    assert spawner.engine.claims.names() == set()
    await spawner.stop()
    assert fake.containers() == []


@pytest.mark.parametrize("site", ["fake"], indirect=True)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("route", ["/images/create", "/containers/create", START, "between"])
async def test_one_that_takes_too_long_is_ended_wherever_it_is_and_leaves_nothing(
    make_world: MakeWorld,
    fake: FakeEngine,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[DockerSpawner],
    route: str,
) -> None:
    monkeypatch.setattr(pulls, "GRACE_SECONDS", 0.0)
    reached = asyncio.Event()

    class Lingers(kind):  # type: ignore[misc, valid-type]
        created = False

        async def run_pre_spawn_hook(self) -> None:
            # As under a wrapper: nothing has been pulled before.
            return None

        async def pull_image(self, image: str) -> None:
            await super().pull_image(image)
            if route == "between":
                reached.set()
                await asyncio.sleep(1)

        async def create_object(self) -> dict[str, Any]:
            made = await super().create_object()
            self.created = True
            return dict(made)

    fake.add_pullable("registry.test/slow:1")
    world = of(make_world(image="registry.test/slow:1"), Lingers)
    if route != "between":
        fake.rule("POST", f"{route.rpartition('}')[2]}$", delay_before=3, times=1)
    spawner: Any = world.new_spawner()
    task = asyncio.ensure_future(spawner.start())
    await until(lambda: reached.is_set() or fake.requests("POST", route))
    # What the Hub does at `start_timeout`.
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    if await spawner.poll() is None:
        await spawner.stop()
    await spawner.run_post_stop_hook()
    assert spawner._managed.start_call is not None
    assert spawner._managed.start_call.over
    spawner.clear_state()
    assert await spawner.poll() == 0
    await spawner.engine.janitor.settled(spawner.object_name)
    assert fake.containers() == []
    assert spawner.created == (route == START)


@pytest.mark.parametrize("site", ["fake"], indirect=True)
async def test_while_it_goes_on_inside_it_counts_as_running(make_world: MakeWorld, fake: FakeEngine) -> None:
    world = of(make_world(), Generated)
    spawner = world.new_spawner()
    await spawner.run_pre_spawn_hook()
    fake.rule("POST", "/start$", hang=True, times=1)
    task = asyncio.ensure_future(spawner.start())
    await until(lambda: started(fake))
    task.cancel()
    await asyncio.wait([task])
    assert await spawner.poll() is None
    async with asyncio.timeout(8):
        await spawner.stop()
    assert await spawner.poll() == 0
    assert fake.containers() == []


@pytest.mark.parametrize("site", ["fake"], indirect=True)
@pytest.mark.parametrize("route", ["/images/create", "/containers/create", START])
async def test_one_in_dockers_words_is_ended_too(make_world: MakeWorld, fake: FakeEngine, route: str) -> None:
    fake.add_pullable("registry.test/slow:1")
    fake.rule("POST", f"{route.rpartition('}')[2]}$", delay_before=3, times=1)
    world = of(make_world(image="registry.test/slow:1", pull_policy="skip"), InDockersWords)
    spawner = world.new_spawner()
    await spawner.run_pre_spawn_hook()
    task = asyncio.ensure_future(spawner.start())
    await until(lambda: fake.requests("POST", route))
    task.cancel()
    await asyncio.wait([task])
    assert await spawner.poll() is None
    await spawner.stop()
    await spawner.engine.janitor.settled(spawner.object_name)
    assert await spawner.poll() == 0
    assert fake.containers() == []
    assert len(fake.requests("POST", START)) == (route == START)


async def test_a_start_that_tries_ours_twice_is_one_spawn(make_world: MakeWorld, site: Site) -> None:
    class Again(DockerSpawner):
        async def start(self) -> Any:
            self.network_name = "nowhere"
            try:
                return await super().start()
            except Exception:  # noqa: BLE001 - as sites write it
                self.network_name = "bridge"
                return await super().start()

    world = of(make_world(), Again)
    spawner = await world.spawn()
    assert len(site.containers()) == 1
    assert await spawner.poll() is None
    await world.user.stop("")
    assert site.containers() == []


async def test_what_remove_was_for_one_start_decides_at_its_end(make_world: MakeWorld, site: Site) -> None:
    class Once(DockerSpawner):
        async def start(self) -> Any:
            self.remove = not self.name
            return await super().start()

    world = of(make_world(remove=False), Once)
    await world.spawn()
    await world.spawn("kept")
    # Whoever stops them need not know: another spawner object, or a Hub that was started again.
    world = world.restarted()
    of(world, DockerSpawner)
    world.settings["config"].DockerSpawner.remove = True
    for name in ("", "kept"):
        spawner = world.spawner(name)
        assert await spawner.poll() is None
        assert spawner.will_resume == (name == "kept")
        await world.user.stop(name)
    assert site.names() == [f"t{site.hub_id}-alice--kept"]
