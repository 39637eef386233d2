"""What keeps a user's fresh volume from its owner for now or for good, over the fake Engine and real ones."""

from __future__ import annotations

from typing import Any

import pytest

from asyncdockerspawner import errors
from asyncdockerspawner.client.archives import LARGEST_FILE
from asyncdockerspawner.client.tar import File, Folder, packed
from tests.fake_engine import FakeEngine
from tests.support.clients import opened
from tests.support.owned_volumes import JOVYAN, NEW, OWN, ROOTS, asked, folder, mine, seen_by_others
from tests.support.site import Site
from tests.support.waiting import until
from tests.support.world import MakeWorld, open_world
from tests.testbed.user_images import ensure_linked_image

WORK = "/home/jovyan/work"


async def test_another_users_kept_container_does_not_make_a_volume_its_own(
    make: MakeWorld, fake: FakeEngine, fake_site: Site
) -> None:
    owners = {"alice": "1001:100", "bob": "1002:100"}
    volume = f"t{fake_site.hub_id}-alice"

    def hook(spawner: Any) -> None:
        spawner.volumes = {volume: NEW}

    world = make(
        volumes={mine(fake_site): NEW},
        extra_create_kwargs=JOVYAN,
        remove=False,
        volume_owner=lambda spawner: owners[spawner.user.name],
    )
    fake.rule("PUT", "/archive$", status=500, message="lchown: operation not permitted", times=1)
    spawner = await world.spawn()
    assert folder(fake_site, spawner.object_id) == ROOTS
    world.settings["config"].DockerSpawner.pre_spawn_hook = hook
    bobs = open_world(fake_site, world.folder, world.settings, "bob")
    for _ in range(2):
        spawner = await bobs.spawn()
        assert folder(fake_site, spawner.object_id) == ROOTS
        await bobs.user.stop("")
    await world.user.stop("")
    # Hers it still becomes.
    spawner = await world.spawn()
    assert folder(fake_site, spawner.object_id)[:2] == (1001, 100)
    await world.user.stop("")


async def test_a_link_where_a_volume_is_mounted_stays_and_leads_to_the_users_volume(
    make_world: MakeWorld, site: Site, log: pytest.LogCaptureFixture
) -> None:
    if site.fake is None:
        image = ensure_linked_image()
    else:
        image = "linked:1"
        site.fake.add_image(image, labels={"fake.folders": "/data", "fake.links": f"{WORK}:/data"})
    world = make_world(image=image, volumes={mine(site): WORK}, extra_create_kwargs=JOVYAN)
    for _ in range(2):
        spawner = await world.spawn()
        shown = site.http.get(f"/containers/{spawner.object_id}/archive", params={"path": "/data"})
        # Engines of today neither show nor take files of a container with such a mount.
        refused = shown.status_code == 500
        if refused:
            assert "path escapes from parent. Set its owner by hand" in log.text
        else:
            assert folder(site, spawner.object_id, "/data") == OWN
        assert len(site.containers()) == 1
        await world.user.stop("")
    assert seen_by_others(site, f"t{site.hub_id}-alice")["v"] == (ROOTS if refused else OWN)


async def test_a_folder_is_never_put_where_something_else_is(site: Site) -> None:
    async with opened(site.url) as client:
        body = {"Image": site.kind("stub")["image"], "Labels": {"asyncdockerspawner.hub": site.hub_id}}
        ref = await client.containers.create(f"t{site.hub_id}", body)
        with pytest.raises(errors.EngineRefused, match="cannot overwrite"):
            await client.archives.put(ref, "/", packed([Folder(path="/bin/sh")], "/"))


@pytest.mark.parametrize("first", ["read-only", "root"])
async def test_a_server_that_needs_no_owner_leaves_it_to_the_next_that_does(
    make: MakeWorld, fake: FakeEngine, fake_site: Site, first: str
) -> None:
    world = make(remove=True)
    config = world.settings["config"].DockerSpawner
    if first == "root":
        config.volumes = {mine(fake_site): NEW}
    else:
        config.read_only_volumes, config.extra_create_kwargs = {mine(fake_site): NEW}, JOVYAN
    costs = []
    for _ in range(3):
        fake.clear_requests()
        spawner = await world.spawn()
        costs.append([each for each in asked(fake) if "volumes" in each or "archive" in each])
        assert folder(fake_site, spawner.object_id) == ROOTS
        await world.user.stop("")
    # What is known of such servers is not asked again.
    assert len(costs[0]) > 0
    assert costs[1:] == [[], []]
    config.read_only_volumes, config.volumes, config.extra_create_kwargs = {}, {mine(fake_site): NEW}, JOVYAN
    world = world.restarted()
    spawner = await world.spawn()
    assert folder(fake_site, spawner.object_id) == OWN
    await world.user.stop("")


async def test_a_helper_that_cannot_be_removed_at_once_is_removed_later_and_the_owner_is_set(
    make: MakeWorld, fake: FakeEngine, fake_site: Site
) -> None:
    world = make(
        volumes={mine(fake_site): NEW}, extra_create_kwargs=JOVYAN, extra_host_config={"read_only": True}
    )
    fake.rule("DELETE", "^/containers/", status=500, message="device or resource busy", times=2)
    spawner = await world.spawn()
    told = [each["message"] async for each in spawner.progress()]
    assert not any("It may not be possible" in each for each in told)
    assert folder(fake_site, spawner.object_id) == OWN
    await until(lambda: len(fake_site.containers()) == 1)
    await world.user.stop("")


async def test_an_archive_without_entries_is_told(
    make: MakeWorld, fake: FakeEngine, fake_site: Site, log: pytest.LogCaptureFixture
) -> None:
    world = make(volumes={mine(fake_site): NEW}, extra_create_kwargs=JOVYAN)
    fake.rule("GET", "/archive$", status=200, message="", times=1)
    spawner = await world.spawn()
    assert f"keeps its owner: {NEW} cannot be read (nothing came)" in log.text
    await world.user.stop("")
    spawner = await world.spawn()
    assert folder(fake_site, spawner.object_id) == OWN
    await world.user.stop("")


async def test_a_users_huge_passwd_is_not_read(
    make: MakeWorld, fake: FakeEngine, fake_site: Site, log: pytest.LogCaptureFixture
) -> None:
    world = make(volumes={mine(fake_site): NEW}, extra_create_kwargs=JOVYAN, remove=False)
    fake.rule("GET", "/archive$", status=500, message="not now", times=1)
    spawner = await world.spawn()
    await world.user.stop("")
    for size, owner in ((LARGEST_FILE + 1, ROOTS), (LARGEST_FILE, OWN)):
        known = b"jovyan:x:1000:100::/:\n"
        huge = File(path="/etc/passwd", content=known + b"\n" * (size - len(known)))
        await spawner.engine.client.archives.put(spawner.object_id, "/etc", packed([huge], "/etc"))
        spawner = await world.spawn()
        assert folder(fake_site, spawner.object_id) == owner
        await world.user.stop("")
    assert log.text.count("keeps its owner: /etc/passwd cannot be read (it is larger than 524288 bytes)") == 1


async def test_what_is_refused_is_told_and_the_server_starts(
    make: MakeWorld, fake: FakeEngine, fake_site: Site, log: pytest.LogCaptureFixture
) -> None:
    world = make(volumes={mine(fake_site): NEW}, extra_create_kwargs=JOVYAN)
    fake.rule("PUT", "/archive$", status=500, message=f"lchown {NEW}: operation not permitted")
    for number in (1, 2):
        spawner = await world.spawn()
        told = [each["message"] async for each in spawner.progress()]
        assert (
            f"It may not be possible to save files in {NEW}: it could not be made the server's own." in told
        )
        said = f"the volume t{fake_site.hub_id}-alice, at {NEW}, keeps its owner: lchown {NEW}: operation not"
        assert log.text.count(said) == number
        assert await spawner.poll() is None
        await world.user.stop("")


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (("POST", "^/volumes/create$"), "Users' volumes carry no labels, and keep the owner"),
        (("GET", "/archive$"), "does not let GET /containers"),
        (("PUT", "/archive$"), "does not let PUT /containers"),
    ],
)
async def test_a_filter_before_the_engine_is_told_of_once(  # noqa: PLR0917 - fixtures and cases
    make: MakeWorld,
    fake: FakeEngine,
    fake_site: Site,
    log: pytest.LogCaptureFixture,
    rule: tuple[str, str],
    said: str,
) -> None:
    log.set_level("WARNING", logger="asyncdockerspawner")
    world = make(volumes={mine(fake_site): NEW}, extra_create_kwargs=JOVYAN)
    fake.rule(*rule, status=403, message="Forbidden")
    spawner = await world.spawn()
    told = [each["message"] async for each in spawner.progress()]
    assert sum("It may not be possible to save files in" in each for each in told) == 1
    await world.user.stop("")
    for _ in range(2):
        await world.spawn()
        await world.user.stop("")
    assert log.text.count(said) == 1


async def test_a_user_that_the_image_does_not_have_is_the_engines_to_refuse(
    make_world: MakeWorld, site: Site, log: pytest.LogCaptureFixture
) -> None:
    world = make_world(volumes={mine(site): NEW}, extra_create_kwargs={"user": "nobody-knows"})
    if site.fake is None:
        with pytest.raises(Exception, match="nobody-knows"):
            await world.spawn()
    else:
        await world.spawn()
        await world.user.stop("")
    assert "keeps its owner: there is no user 'nobody-knows' in its /etc/passwd" in log.text


async def test_a_volume_whose_driver_refuses_to_make_it_is_the_containers_matter(
    make: MakeWorld, fake: FakeEngine, fake_site: Site, log: pytest.LogCaptureFixture
) -> None:
    fake.rule("POST", "^/volumes/create$", status=500, message="no such driver today")
    world = make(volumes={mine(fake_site): NEW}, extra_create_kwargs=JOVYAN)
    spawner = await world.spawn()
    assert "keeps its owner: no such driver today" in log.text
    told = [each["message"] async for each in spawner.progress()]
    assert any("It may not be possible to save files in the volume" in each for each in told)
    assert folder(fake_site, spawner.object_id) == ROOTS
    await world.user.stop("")
    world = make(volumes={mine(fake_site, "-x"): NEW}, delete_volumes_on_user_delete=True)
    with pytest.raises(Exception, match="no such driver today"):
        await world.spawn()


@pytest.mark.parametrize(
    ("mount", "owner"),
    [
        ({"source": "{}", "target": NEW, "no_copy": True}, OWN),
        ({"Source": "{}", "Target": NEW, "Type": "volume", "VolumeOptions": {"NoCopy": True}}, OWN),
        ({"source": "{}", "target": NEW, "labels": {"a": "b"}}, ROOTS),
    ],
    ids=["docker-py's words", "the Engine's", "options"],
)
async def test_a_mount_is_seen_to_unless_it_has_options_for_its_making(
    make: MakeWorld, fake_site: Site, mount: dict[str, Any], owner: Any
) -> None:
    named = {word: mine(fake_site) if value == "{}" else value for word, value in mount.items()}
    world = make(mounts=[named], extra_create_kwargs=JOVYAN)
    spawner = await world.spawn()
    assert folder(fake_site, spawner.object_id) == owner
    await world.user.stop("")
