"""Who owns a user's fresh volume, over the fake Engine and a real one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asyncdockerspawner import DockerSpawner
from asyncdockerspawner.names.naming import default_format_volume_name
from tests.fake_engine import FakeEngine
from tests.support.engines import end_engines
from tests.support.files import Entry, inside
from tests.support.owned_volumes import (
    JOVYAN,
    NEW,
    OWN,
    ROOTS,
    asked,
    can_write,
    fill,
    folder,
    mine,
    seen_by_others,
)
from tests.support.service_worlds import Sites
from tests.support.site import Site
from tests.support.waiting import until
from tests.support.world import MakeWorld, World


async def test_a_fresh_volume_is_the_servers_users(make_world: MakeWorld, site: Site) -> None:
    world = make_world(volumes={mine(site): NEW}, extra_create_kwargs=JOVYAN)
    spawner = await world.spawn()
    assert folder(site, spawner.object_id) == OWN
    assert can_write(site, spawner.object_id)
    await world.user.stop("")
    # Another of its user's servers finds it as it is.
    spawner = await world.spawn("lab")
    assert can_write(site, spawner.object_id)
    await world.user.stop("lab")


async def test_it_costs_requests_until_it_is_done_and_none_afterwards(
    make: MakeWorld, fake: FakeEngine, fake_site: Site
) -> None:
    world = make(volumes={mine(fake_site): NEW}, extra_create_kwargs=JOVYAN)
    costs = []
    for _ in range(3):
        fake.clear_requests()
        await world.spawn()
        # The watch may ask for what it has heard of, at any time.
        costs.append([each for each in asked(fake) if each != "GET /containers/{ref}/json"])
        await world.user.stop("")
    create, start = "POST /containers/create", "POST /containers/{ref}/start"
    read, put = "GET /containers/{ref}/archive", "PUT /containers/{ref}/archive"
    assert costs[0] == ["POST /volumes/create", create, read, read, put, start]
    assert costs[1:] == [[create, read, start], [create, start]]


@pytest.mark.parametrize(
    ("path", "user", "found"),
    [
        ("/www", "jovyan", {"www": ROOTS, "www/index.html": Entry(0, 0, 0o644, b"stub\n")}),
        ("/home/jovyan/work", "root", {"work": OWN}),
        ("/new", "", {"new": ROOTS}),
        ("/new", "0:0", {"new": ROOTS}),
        ("/a/b/c", "1000", {"c": OWN}),
        ("/a/b/c", "4242:users", {"c": Entry(4242, 100, 0o755)}),
    ],
    ids=["content", "folder of the image", "root", "root in numbers", "deep", "no entry"],
)
async def test_what_the_image_brings_stays_as_it_is(
    make_world: MakeWorld, site: Site, path: str, user: str, found: dict[str, Entry]
) -> None:
    world = make_world(volumes={mine(site): path}, extra_create_kwargs={"user": user} if user else {})
    spawner = await world.spawn()
    assert inside(site, spawner.object_id, path) == found
    await world.user.stop("")


async def give(spawner: Any) -> str:
    await asyncio.sleep(0)
    return {"alice": "2000:3000"}[spawner.user.name]


@pytest.mark.parametrize(
    ("owner", "found"),
    [
        ("2000:3000", Entry(2000, 3000, 0o755)),
        (lambda _: "3000000000:7", Entry(3_000_000_000, 7, 0o755)),
        (give, Entry(2000, 3000, 0o755)),
        (None, ROOTS),
        (lambda _: None, ROOTS),
    ],
    ids=["ids", "function", "async function", "none", "none of a function"],
)
async def test_a_site_may_say_who_owns_it(
    make_world: MakeWorld, site: Site, owner: Any, found: Entry
) -> None:
    world = make_world(volumes={mine(site): NEW}, extra_create_kwargs=JOVYAN, volume_owner=owner)
    spawner = await world.spawn()
    assert folder(site, spawner.object_id) == found
    await world.user.stop("")
    labelled = set(site.volumes()[f"t{site.hub_id}-alice"])
    assert bool(labelled) is (found != ROOTS)


@pytest.mark.parametrize(
    "owner", ["jovyan", "1000", "-1:5", "1000:100:5", "", 7, "4294967295:100", "0:99999999999"]
)
async def test_an_owner_that_is_none_is_said(
    make: MakeWorld, log: pytest.LogCaptureFixture, owner: Any
) -> None:
    with pytest.raises(Exception, match=r"'volume_owner' trait.*'image', 'UID:GID' in numbers, or None"):
        make(volume_owner=owner).spawner()
    with pytest.raises(Exception, match="the Hub's configuration has a mistake"):
        await make(volume_owner=lambda _: owner).spawn()
    told = (
        f"`volume_owner`: the configured function gave {owner!r}: it has to be 'image', 'UID:GID' in numbers"
    )
    assert told in log.text


async def test_volumes_that_are_not_this_users_alone_keep_their_owner(
    make_world: MakeWorld, site: Site
) -> None:
    base = f"t{site.hub_id}"
    own = {"asyncdockerspawner.hub": site.hub_id, "asyncdockerspawner.user": "alice"}
    made_before = {
        "before": {},
        "elsewhere": {**own, "asyncdockerspawner.hub": "another"},
        "bobs": {**own, "asyncdockerspawner.user": "bob"},
    }
    for name, labels in made_before.items():
        body = {"Name": f"{base}-{name}-alice", "Labels": labels}
        site.http.post("/volumes/create", json=body).raise_for_status()
    fill(site, f"{base}-full-alice", own)
    templates = {f"{base}-{name}-{{username}}": f"/{name}" for name in [*made_before, "full"]}
    shared = {f"{base}-all": "/all"}
    read_only = {f"{base}-ro-{{username}}": "/ro"}
    world = make_world(
        volumes={**templates, **shared}, read_only_volumes=read_only, extra_create_kwargs=JOVYAN
    )
    spawner = await world.spawn()
    for path in (*(f"/{name}" for name in made_before), "/full", "/all", "/ro"):
        assert folder(site, spawner.object_id, path) == ROOTS, path
    assert site.volumes()[f"{base}-all"] == {}
    await world.user.stop("")


async def test_a_host_path_keeps_its_owner(make_world: MakeWorld, site: Site, tmp_path: Any) -> None:
    world = make_world(volumes={str(tmp_path): "/host"}, extra_create_kwargs=JOVYAN)
    before = (tmp_path.stat().st_uid, tmp_path.stat().st_mode)
    spawner = await world.spawn()
    assert (tmp_path.stat().st_uid, tmp_path.stat().st_mode) == before
    assert folder(site, spawner.object_id, "/host")[:2] == (0, 0)
    await world.user.stop("")


async def test_a_read_only_container_has_its_users_volume_too(make_world: MakeWorld, site: Site) -> None:
    read_only = {"read_only": True, "tmpfs": {"/run": "", "/tmp": ""}}
    world = make_world(volumes={mine(site): NEW}, extra_create_kwargs=JOVYAN, extra_host_config=read_only)
    spawner = await world.spawn()
    assert can_write(site, spawner.object_id)
    # What had the volume for a moment is gone.
    assert len(site.containers()) == 1
    await world.user.stop("")


async def test_a_volume_in_which_others_are_mounted_is_as_empty_as_they_let_it_be(
    make_world: MakeWorld, site: Site
) -> None:
    base = f"t{site.hub_id}"
    fill(site, f"{base}-all", {})
    inner = {mine(site, "-a"): f"{NEW}/a", f"{base}-all": f"{NEW}/deep/all"}
    world = make_world(
        volumes={mine(site): NEW, **inner},
        extra_create_kwargs=JOVYAN,
        extra_host_config={"tmpfs": {f"{NEW}/tmp": ""}},
    )
    for _ in range(2):
        spawner = await world.spawn()
        assert [folder(site, spawner.object_id, path) for path in (NEW, f"{NEW}/a")] == [OWN, OWN]
        assert folder(site, spawner.object_id, f"{NEW}/deep/all") == ROOTS
        assert len(site.containers()) == 1
        await world.user.stop("")
    found = seen_by_others(site, f"{base}-alice")
    assert {name: each[:2] for name, each in found.items() if name in {"v", "v/deep", "v/a"}} == {
        "v": (1000, 100),
        "v/deep": (0, 0),
        "v/a": (0, 0),
    }


async def test_a_first_start_that_fails_does_not_spoil_it(make_world: MakeWorld, site: Site) -> None:
    world = make_world(volumes={mine(site): NEW}, extra_create_kwargs=JOVYAN, volume_owner=None)
    config = world.settings["config"].DockerSpawner
    config.delete_volumes_on_user_delete, config.cmd = True, ["/no/such/command"]
    if site.fake is not None:
        site.fake.rule("POST", "/start$", status=400, message="OCI runtime create failed", times=1)
    # As if the first had failed before its owner was set.
    with pytest.raises(Exception, match=r"could not be started|cannot be started|OCI runtime"):
        await world.spawn()
    assert set(site.volumes()) == {f"t{site.hub_id}-alice"}
    config.volume_owner = "image"
    config.pop("cmd")
    await end_engines()
    world = world.restarted()
    spawner = await world.spawn()
    assert can_write(site, spawner.object_id)
    await world.user.stop("")


async def test_an_owner_that_could_not_be_set_for_now_is_set_by_the_next_start(
    make: MakeWorld, fake: FakeEngine, fake_site: Site
) -> None:
    world = make(volumes={mine(fake_site): NEW}, extra_create_kwargs=JOVYAN)
    for method in ("PUT", "GET"):
        fake.rule(method, "/archive$", reset_before=True)
        with pytest.raises(Exception, match="Docker Engine"):
            await world.spawn()
        fake.clear_rules()
        await until(lambda: fake_site.containers() == [])
    spawner = await world.spawn()
    assert folder(fake_site, spawner.object_id) == OWN
    await world.user.stop("")


async def test_a_kept_container_of_an_earlier_hub_is_seen_to_once(
    make: MakeWorld, fake: FakeEngine, fake_site: Site
) -> None:
    world = make(volumes={mine(fake_site): NEW, "all": "/all"}, extra_create_kwargs=JOVYAN, remove=False)
    fake.rule("PUT", "/archive$", status=500, message="lchown: operation not permitted", times=1)
    spawner = await world.spawn()
    assert folder(fake_site, spawner.object_id) == ROOTS
    await world.user.stop("")
    await end_engines()
    world = world.restarted()
    for _ in range(2):
        spawner = await world.spawn()
        assert folder(fake_site, spawner.object_id) == OWN
        await world.user.stop("")
    fake.clear_requests()
    await world.spawn()
    await world.user.stop("")
    assert [each for each in asked(fake) if "volumes" in each or "archive" in each] == []


async def test_a_folder_of_the_images_that_is_roots_is_seen_to_at_every_start_until_it_holds_files(
    make: MakeWorld, fake: FakeEngine, fake_site: Site
) -> None:
    image = "empty-folder:1"
    fake.add_image(image, labels={"fake.folders": "/data"})
    world = make(image=image, volumes={mine(fake_site): "/data"}, extra_create_kwargs=JOVYAN)
    for _ in range(3):
        spawner = await world.spawn()
        assert folder(fake_site, spawner.object_id, "/data") == OWN
        await world.user.stop("")
    assert len(fake.requests("PUT", "/containers/{ref}/archive")) == 3


@pytest.mark.parametrize(
    ("options", "owned", "others"),
    [
        ({}, False, False),
        ({"volume_owner": "1000:100"}, True, True),
        ({"delete_volumes_on_user_delete": True}, True, True),
    ],
)
async def test_a_sites_own_names_are_asked_for_others_where_the_site_has_asked_for_it(
    make: MakeWorld, fake_site: Site, options: dict[str, Any], owned: bool, others: bool
) -> None:
    names = set()

    def named(template: str, spawner: Any) -> str:
        names.add(spawner.user.name)
        return default_format_volume_name(template, spawner)

    own = {"volumes": {mine(fake_site): NEW}, "format_volume_name": named, "extra_create_kwargs": JOVYAN}
    world = make(**own, **options)
    spawner = await world.spawn()
    assert (folder(fake_site, spawner.object_id) == OWN) is owned
    assert (names > {"alice"}) is others
    await world.user.stop("")


async def test_a_subclass_may_have_its_own_way_with_volumes(make: MakeWorld, fake_site: Site) -> None:
    class OwnBinds(DockerSpawner):
        @property
        def volume_binds(self) -> Any:
            return {f"t{fake_site.hub_id}-own": {"bind": NEW, "mode": "rw"}}

    world = make(volumes={"{project}": "/p"}, extra_create_kwargs=JOVYAN)
    world.settings["spawner_class"] = OwnBinds
    spawner = await world.spawn()
    assert folder(fake_site, spawner.object_id) == ROOTS
    await world.user.stop("")


async def test_two_servers_of_a_user_that_start_at_once_share_it(make_world: MakeWorld, site: Site) -> None:
    world = make_world(volumes={mine(site): NEW}, extra_create_kwargs=JOVYAN)
    first, second = await asyncio.gather(world.spawn("one"), world.spawn("two"))
    for spawner in (first, second):
        assert can_write(site, spawner.object_id)
    await asyncio.gather(world.user.stop("one"), world.user.stop("two"))


async def test_a_volume_that_was_removed_is_seen_to_again(
    make: MakeWorld, fake: FakeEngine, fake_site: Site
) -> None:
    world = make(volumes={mine(fake_site): NEW}, extra_create_kwargs=JOVYAN)
    for _ in range(2):
        spawner = await world.spawn()
        assert folder(fake_site, spawner.object_id) == OWN
        await world.user.stop("")
        await world.spawn()
        await world.user.stop("")
        await spawner.docker("remove_volume", f"t{fake_site.hub_id}-alice")


@pytest.mark.parametrize(
    "route", ["POST /containers/create", "GET /archive", "PUT /archive", "DELETE /containers"]
)
async def test_a_start_that_is_cancelled_meanwhile_leaves_no_container(
    make: MakeWorld, fake: FakeEngine, fake_site: Site, route: str
) -> None:
    method, path = route.split()
    options = {"extra_host_config": {"read_only": True}, "extra_create_kwargs": JOVYAN}
    world: World = make(volumes={mine(fake_site): NEW}, **options)
    # The server's own creation comes first.
    nth = {"nth": 2} if method == "POST" else {"times": 1}
    fake.rule(method, path, delay_during=1, delay_before=0.5, **nth)
    spawning = asyncio.create_task(world.spawn())

    def under_way() -> bool:
        found = [each for each in fake.requests(method) if path in each["path"]]
        return len(found) == nth.get("nth", 1) and found[-1]["end"] is None

    await until(under_way)
    spawning.cancel()
    await asyncio.gather(spawning, return_exceptions=True)
    await until(lambda: fake_site.containers() == [])


async def test_a_services_volumes_are_not_seen_to(
    make_services: Sites, fake: FakeEngine, fake_site: Site
) -> None:
    world = make_services(volumes={mine(fake_site): NEW})
    await world.spawn()
    await world.user.stop("")
    assert [each for each in asked(fake) if "volumes" in each or "archive" in each] == []


async def test_with_userns_remap_root_is_whoever_that_is_on_the_machine(
    make: MakeWorld, fake: FakeEngine, fake_site: Site
) -> None:
    fake.map_ids("userns")
    world = make(volumes={mine(fake_site): NEW}, extra_create_kwargs=JOVYAN)
    for _ in range(2):
        spawner = await world.spawn()
        # So does a real Engine with userns-remap tell it.
        assert folder(fake_site, spawner.object_id) == Entry(101_000, 100_100, 0o755)
        await world.user.stop("")
    assert len(fake.requests("PUT", "/containers/{ref}/archive")) == 1
