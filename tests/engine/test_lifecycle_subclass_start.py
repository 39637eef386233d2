"""Subclasses that set things in their own `start` before ours runs, over the fake Engine and a real one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import docker
import pytest
from tornado import web
from traitlets import default

from asyncdockerspawner import DockerSpawner
from asyncdockerspawner.images import pulls
from tests.fake_engine import FakeEngine
from tests.support.site import Site
from tests.support.waiting import until
from tests.support.world import MakeWorld, World

MISSING = "registry.invalid/none:1"
NOWHERE = {"base_url": "unix:///nowhere/docker.sock"}
BY_IMAGE = "{prefix}-{username}-{imagename}"


def of(world: World, spawner_class: type[DockerSpawner]) -> World:
    """The same world with spawners of another class."""
    world.settings["spawner_class"] = spawner_class
    return world


class Sets(DockerSpawner):
    """Sets options in its start, as most subclasses do."""

    options: dict[str, Any] = {}  # noqa: RUF012 - each test puts another one here
    image_at_start = ""

    async def start(self) -> Any:
        self.image_at_start = self.image
        for name, value in self.options.items():
            setattr(self, name, value)
        return await super().start()


def that_sets(**options: Any) -> type[Sets]:
    return type("SetsThese", (Sets,), {"options": options})


@pytest.fixture
def other_image(site: Site) -> Iterator[str]:
    """A second image whose servers answer."""
    if site.fake is not None:
        site.fake.add_image("other:1")
        yield "other:1"
        return
    name = f"t{site.hub_id}"
    parameters = {"repo": name, "tag": "1"}
    site.http.post(f"/images/{site.kind('stub')['image']}/tag", params=parameters).raise_for_status()
    yield f"{name}:1"
    site.http.delete(f"/images/{name}:1", params={"force": 1}).raise_for_status()


def image_of(site: Site, spawner: DockerSpawner) -> str:
    return str(site.inspect(spawner.object_id)["Config"]["Image"])


async def test_an_image_that_start_sets_is_the_one_though_the_configured_one_cannot_be_had(
    make_world: MakeWorld, site: Site
) -> None:
    image = site.kind("stub")["image"]
    world = of(make_world(image=MISSING, pull_policy="never"), that_sets(image=image))
    spawner = await world.spawn()
    assert site.inspect(spawner.object_id)["Config"]["Image"] == image
    assert await spawner.poll() is None
    await world.user.stop("")
    assert site.containers() == []


@pytest.mark.parametrize("site", ["fake"], indirect=True)
async def test_a_configured_image_that_cannot_be_had_is_not_tried_before_each_start(
    make_world: MakeWorld, site: Site, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = of(make_world(image=MISSING), that_sets(image="stub:1"))
    for name in ("one", "two", "three"):
        await world.spawn(name)
        await world.user.stop(name)
    asked = [entry["query"]["fromImage"] for entry in fake.requests("POST", "/images/create")]
    assert asked.count(MISSING.partition(":")[0]) == len(asked) == 1
    # Ten minutes later it is.
    monkeypatch.setattr(pulls, "PUT_OFF_SECONDS", 0.0)
    world.spawner("three").engine.pulls.put_off(MISSING)
    await world.spawn("four")
    await world.user.stop("four")
    assert len(fake.requests("POST", "/images/create")) == 2


@pytest.mark.parametrize("site", ["fake"], indirect=True)
async def test_what_could_not_be_had_before_a_start_that_changes_nothing_is_told_without_a_second_try(
    make_world: MakeWorld, fake: FakeEngine
) -> None:
    world = of(make_world(image=MISSING), that_sets(mem_limit="128M"))
    with pytest.raises(Exception, match=r"none:1 could not be pulled"):
        await world.spawn()
    assert len(fake.requests("POST", "/images/create")) == 1
    # The next user's start needs it, and may have more luck.
    fake.add_pullable(MISSING)
    await world.spawn("lab")
    await world.user.stop("lab")


@pytest.mark.parametrize("site", ["fake"], indirect=True)
async def test_what_start_changes_of_a_pull_is_tried_with_the_change(
    make_world: MakeWorld, fake: FakeEngine
) -> None:
    auth = {"registry.test": {"username": "robot", "password": "secret"}}
    changes: list[dict[str, Any]] = [{"pull_policy": "ifnotpresent"}, {"registry_auth": auth}]
    for number, options in enumerate(changes):
        image = f"registry.test/late:{number}"
        policy = "never" if "pull_policy" in options else "ifnotpresent"

        class Late(that_sets(**options)):  # type: ignore[misc]
            async def start(self) -> Any:
                fake.add_pullable(self.image)
                return await super().start()

        world = of(make_world(image=image, pull_policy=policy), Late)
        await world.spawn(f"s{number}")
        await world.user.stop(f"s{number}")


async def test_a_choice_counts_more_than_an_image_that_start_sets(
    make_world: MakeWorld, site: Site, other_image: str
) -> None:
    stub = site.kind("stub")["image"]
    options = {"image": MISSING, "pull_policy": "never", "allowed_images": {"R": other_image}}
    world = of(make_world(**options), that_sets(image=stub))
    chosen = await world.spawn(image="R")
    usual = await world.spawn("lab")
    assert image_of(site, chosen) == other_image
    assert image_of(site, usual) == stub
    await world.user.stop("")
    await world.user.stop("lab")


async def test_what_start_allows_or_chooses_itself_counts(
    make_world: MakeWorld, site: Site, other_image: str
) -> None:
    world = of(make_world(), that_sets(allowed_images=[other_image]))
    assert image_of(site, await world.spawn(image=other_image)) == other_image
    await world.user.stop("")
    of(world, that_sets(allowed_images=[other_image], user_options={"image": other_image}))
    assert image_of(site, await world.spawn("lab")) == other_image
    await world.user.stop("lab")
    of(world, that_sets(allowed_images=[]))
    with pytest.raises(Exception, match="does not let users choose"):
        await world.spawn("third", image=other_image)
    assert site.containers() == []


@pytest.mark.parametrize("kind", ["client", "client_kwargs"])
async def test_the_engine_that_start_chooses_is_the_one(make_world: MakeWorld, site: Site, kind: str) -> None:
    here = {"base_url": site.url}

    class Picky(Sets):
        options = {"client_kwargs": here} if kind == "client_kwargs" else {"url": site.url}

        if kind == "client":

            @property
            def client(self) -> Any:
                return docker.APIClient(base_url=self.url, version="1.41")

    world = of(make_world(client_kwargs=NOWHERE), Picky)
    spawner = await world.spawn()
    assert site.names() == [f"t{site.hub_id}-alice"]
    assert await spawner.poll() is None
    await world.user.stop("")
    assert site.containers() == []


@pytest.mark.parametrize("site", ["fake"], indirect=True)
async def test_the_turn_to_start_is_one_of_the_engine_that_start_chooses(
    make_world: MakeWorld, site: Site
) -> None:
    other = {"base_url": site.url, "timeout": 31}
    world = of(make_world(concurrent_starts=1), that_sets(client_kwargs=other))
    slots = list[Any]()

    class Looks(that_sets(client_kwargs=other)):  # type: ignore[misc]
        async def start(self) -> Any:
            slots.append(self.engine.start_slots)
            return await super().start()

        async def create_object(self) -> Any:
            slots.append(self.engine.start_slots)
            assert [each._in_use for each in slots] == [0, 1]
            return await super().create_object()

    await of(world, Looks).spawn()
    assert [each._in_use for each in slots] == [0, 0]
    await world.user.stop("")


async def test_a_name_with_the_image_in_it_is_that_of_the_image_that_start_sets(
    make_world: MakeWorld, site: Site, other_image: str
) -> None:
    stub = site.kind("stub")["image"]
    world = make_world(name_template=BY_IMAGE, remove=False)
    made: dict[str, str] = {}
    for image in (stub, other_image, stub, other_image):
        of(world, that_sets(image=image))
        spawner = await world.spawn()
        made.setdefault(image, spawner.object_id)
        # Each image has a container of its own, which is kept and found again.
        assert (spawner.object_id, image_of(site, spawner)) == (made[image], image)
        assert site.inspect(spawner.object_id)["Name"] == f"/{spawner.object_name}"
        await world.user.stop("")
    assert len(set(made.values())) == len(site.containers()) == 2
    # A Hub that has forgotten them finds them by their names.
    world.user.orm_user.orm_spawners[""].state = {}
    world = world.restarted()
    of(world, that_sets(image=stub))
    assert (await world.spawn()).object_id == made[stub]
    await world.user.stop("")


async def test_a_chosen_image_has_a_container_of_its_own_where_names_tell_images(
    make_world: MakeWorld, site: Site, other_image: str
) -> None:
    stub = site.kind("stub")["image"]
    world = make_world(name_template=BY_IMAGE, remove=False, allowed_images=[stub, other_image])
    made: dict[str, str] = {}
    for image in (stub, other_image, stub):
        spawner = await world.spawn(image=image)
        made.setdefault(image, spawner.object_id)
        assert (spawner.object_id, image_of(site, spawner)) == (made[image], image)
        await world.user.stop("")


@pytest.mark.parametrize("who", ["hook", "start", "default", "decorated default"])
async def test_an_object_name_that_somebody_sets_counts(
    make_world: MakeWorld, site: Site, other_image: str, who: str
) -> None:
    name = f"t{site.hub_id}-of-my-own"

    class Named(DockerSpawner):
        async def start(self) -> Any:
            if who == "start":
                self.object_name = name
            return await super().start()

        if who == "default":

            def _object_name_default(self) -> str:
                return name

        elif who == "decorated default":

            @default("object_name")
            def _name_of_mine(self) -> str:
                return name

    def hook(spawner: DockerSpawner) -> None:
        spawner.object_name = name

    options = {"pre_spawn_hook": hook} if who == "hook" else {}
    world = of(make_world(remove=False, allowed_images=[other_image], **options), Named)
    made = await world.spawn(image=other_image)
    assert site.names() == [name]
    await world.user.stop("")
    # With another image it is the same name, so the same container.
    again = await world.spawn(image=None)
    assert again.object_id == made.object_id
    await world.user.stop("")
    assert site.names() == [name]


class Courses(DockerSpawner):
    """Has a list of its own, which its start brings."""

    images: dict[str, str] | None = None
    asked = 0

    async def check_allowed(self, image: str) -> str:
        self.asked += 1
        if self.images is None:
            raise web.HTTPError(403, "no list")
        return self.images[image]


async def test_a_list_that_start_brings_decides(make_world: MakeWorld, site: Site, other_image: str) -> None:
    class Brings(Courses):
        async def start(self) -> Any:
            self.images = {"physics": other_image}
            return await super().start()

    world = of(make_world(), Brings)
    spawner = await world.spawn(image="physics")
    assert image_of(site, spawner) == other_image
    await world.user.stop("")


@pytest.mark.parametrize("site", ["fake"], indirect=True)
async def test_a_refusal_of_check_allowed_alone_stands_and_its_failure_waits_for_the_start(
    make_world: MakeWorld, site: Site
) -> None:
    world = of(make_world(), Courses)
    spawner = world.new_spawner()
    spawner.user_options = {"image": "physics"}
    with pytest.raises(web.HTTPError, match="no list"):
        await spawner._run_apply_user_options(spawner.user_options)
    with pytest.raises(web.HTTPError, match="no list"):
        await spawner.run_pre_spawn_hook()
    # What is no answer is no refusal: a hook or a second try may mend it.
    spawner.images = {}
    spawner.asked = 0
    await spawner._run_apply_user_options(spawner.user_options)
    await spawner.run_pre_spawn_hook()
    assert spawner.asked == 2
    with pytest.raises(KeyError):
        await spawner.start()
    # Nothing has changed since, so that nobody was asked again.
    assert spawner.asked == 2
    assert spawner._managed.spawn is not None
    assert spawner._managed.spawn.slot is not None
    assert spawner._managed.spawn.slot.released
    spawner.clear_state()
    assert site.containers() == []


@pytest.mark.parametrize("site", ["fake"], indirect=True)
async def test_a_hook_that_fails_and_a_full_queue_are_final_whatever_start_would_do(
    make_world: MakeWorld, fake: FakeEngine
) -> None:
    def hook(spawner: DockerSpawner) -> None:
        if spawner.name == "hooked":
            raise RuntimeError("no")

    world = of(
        make_world(pre_spawn_hook=hook, concurrent_starts=1, queue_timeout=0.1), that_sets(image="stub:1")
    )
    with pytest.raises(Exception, match="configuration failed"):
        await world.spawn("hooked")
    fake.rule("POST", "/start$", hang=True, times=1)
    first = asyncio.ensure_future(world.spawn("first"))
    await until(lambda: fake.requests("POST", "/containers/{ref}/start"))
    with pytest.raises(Exception, match="waited"):
        await world.spawn("second")
    assert not world.spawner("second").image_at_start
    first.cancel()
    await asyncio.wait([first])


@pytest.mark.parametrize("site", ["fake"], indirect=True)
@pytest.mark.parametrize("moment", ["pull", "queue"])
async def test_a_cancellation_before_the_start_is_final_whatever_start_would_do(
    make_world: MakeWorld, fake: FakeEngine, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulls, "GRACE_SECONDS", 0.05)
    world = of(make_world(concurrent_starts=1), that_sets(image="stub:1"))
    slots = world.new_spawner("late").engine.start_slots
    first: asyncio.Future[Any] = asyncio.ensure_future(asyncio.sleep(0))
    if moment == "pull":
        world.settings["config"].DockerSpawner.image = MISSING
        fake.rule("POST", "^/images/create$", hang=True)
    else:
        fake.rule("POST", "/start$", hang=True, times=1)
        first = asyncio.ensure_future(world.spawn("first"))
        await until(lambda: fake.requests("POST", "/containers/{ref}/start"))
    spawner = world.new_spawner("late")
    preparing = asyncio.ensure_future(spawner.run_pre_spawn_hook())
    await until(lambda: slots.waiting or fake.requests("POST", "/images/create"))
    preparing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await preparing
    assert spawner._managed.spawn is None
    first.cancel()
    await asyncio.wait([first])
    assert (slots.waiting, slots._in_use) == (0, 0)


@pytest.mark.parametrize("site", ["fake"], indirect=True)
async def test_an_image_that_pull_image_puts_in_the_place_of_another_is_the_one(
    make_world: MakeWorld, site: Site, fake: FakeEngine
) -> None:
    fake.add_image("mirror/one:1")

    class Mirrored(DockerSpawner):
        async def pull_image(self, image: str) -> None:
            self.image = f"mirror/{image}"
            await super().pull_image(self.image)

    world = of(make_world(image="usual:1", allowed_images=["one:1"]), Mirrored)
    assert image_of(site, await world.spawn(image="one:1")) == "mirror/one:1"
    await world.user.stop("")
