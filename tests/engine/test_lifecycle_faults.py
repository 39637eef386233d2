"""What goes wrong at the Engine, in hooks and in overrides loses no server and leaves no container."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from tornado import web

from asyncdockerspawner import DockerSpawner
from asyncdockerspawner.lifecycle import cleanup, readiness, wanted
from tests.fake_engine import FakeEngine
from tests.support.engines import settle
from tests.support.site import Site
from tests.support.starts import cancelled, direct, nothing_left
from tests.support.waiting import until
from tests.support.world import MakeWorld, World

INSPECT = "/containers/[^/]+/json"


@pytest.fixture
def site(fake_site: Site) -> Site:
    return fake_site


async def kept(make: MakeWorld) -> tuple[World, str]:
    """A stopped container that may be all that the user has."""
    world = make(remove=False)
    made = (await world.spawn()).object_id
    await world.user.stop("")
    return world, made


@pytest.mark.parametrize("moment", [0.0, 0.05, 0.3])
async def test_a_kept_container_survives_a_start_that_is_cancelled_before_it_is_found(
    make: MakeWorld, site: Site, fake: FakeEngine, moment: float
) -> None:
    world, made = await kept(make)
    fake.rule("GET", INSPECT, delay_before=0.2)
    spawner = await direct(world)
    await cancelled(spawner, moment)
    await settle(spawner.engine)
    assert fake.requests("DELETE") == []
    assert [one["Id"] for one in site.containers()] == [made]
    assert spawner.object_id == made


async def test_a_kept_container_survives_a_fault_while_it_is_looked_for(
    make: MakeWorld, site: Site, fake: FakeEngine
) -> None:
    world, made = await kept(make)
    fake.rule("GET", INSPECT, status=500, message="out of cheese")
    with pytest.raises(Exception, match="cheese"):
        await world.spawn()
    fake.clear_rules()
    assert [one["Id"] for one in site.containers()] == [made]
    assert (await world.spawn()).object_id == made
    await world.user.stop("")


async def test_an_engine_without_events_is_not_asked_in_a_loop(make: MakeWorld, fake: FakeEngine) -> None:
    fake.rule("GET", "/events", status=403, message="forbidden")
    world = make("silent", start_timeout=30, http_timeout=2)
    with pytest.raises(Exception, match="has not answered within 2 s"):
        await world.spawn()
    assert len(fake.requests("GET", "/events")) <= 6


async def test_a_server_that_dies_is_told_without_events_too(
    make: MakeWorld, site: Site, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "BLIND_SECONDS", 0.1)
    fake.rule("GET", "/events", status=403, message="forbidden")
    with pytest.raises(Exception, match="code 3"):
        await make("dies").spawn()
    assert site.containers() == []


async def test_a_server_that_dies_is_told_when_the_stream_is_deaf(
    make: MakeWorld, site: Site, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "LOOK_SECONDS", 0.2)
    world = make("dies")
    spawner = await direct(world)
    monkeypatch.setattr(spawner._managed.watch, "_signal_exit", lambda *_: None)
    with pytest.raises(Exception, match="code 3"):
        await spawner.start()
    assert await nothing_left(site)


async def test_events_that_never_open_hold_a_start_up_only_shortly(make: MakeWorld, fake: FakeEngine) -> None:
    fake.rule("GET", "/events", hang=True)
    begin = time.monotonic()
    spawner = await make().spawn()
    took = time.monotonic() - begin
    await spawner.user.stop("")
    # Not a speed limit: start_timeout would be 30 s.
    assert took < 10


async def test_the_user_is_told_while_the_clean_up_still_waits_for_the_engine(
    make: MakeWorld, site: Site, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleanup, "SWEEP_SECONDS", 0.3)
    fake.rule("POST", "/containers/create", reset_after=True, times=1)
    world = make()
    spawner = await direct(world)
    fake.rule("GET", INSPECT, status=503, message="away")
    with pytest.raises(Exception, match="Engine"):
        await spawner.start()
    async with asyncio.timeout(5):
        await spawner.stop()
        await spawner.run_post_stop_hook()
    fake.clear_rules()
    assert await nothing_left(site)


async def test_a_container_made_after_its_create_timed_out_is_found_and_removed(
    make: MakeWorld, site: Site, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wanted, "LATE_PAUSES", (0.2,) * 40)
    fake.rule("POST", "/containers/create", delay_before=4, times=1)
    world = make(client_kwargs={"base_url": site.url, "timeout": 1})
    with pytest.raises(Exception, match="does not answer"):
        await world.spawn()
    assert fake.containers() == []
    await until(lambda: fake.requests("POST", "/containers/create")[0]["status"] == 201)
    assert await nothing_left(site)


async def test_a_stop_that_fails_in_an_override_is_owed_and_keeps_the_id(make: MakeWorld, site: Site) -> None:
    class Failing(DockerSpawner):
        async def stop_object(self) -> None:
            raise RuntimeError("the site's own fault")

    world = make()
    world.settings["spawner_class"] = Failing
    await world.spawn()
    await world.user.stop("")
    assert await nothing_left(site)


async def test_a_stop_that_fails_inside_the_engine_is_tried_again(
    make: MakeWorld, site: Site, fake: FakeEngine
) -> None:
    world = make()
    await world.spawn()
    fake.rule("POST", "/containers/[^/]+/stop", status=500, message="no exit event", times=3)
    await world.user.stop("")
    assert await nothing_left(site)


async def test_a_stop_of_what_is_known_only_by_name_is_owed_too(
    make: MakeWorld, site: Site, fake: FakeEngine
) -> None:
    world = make()
    spawner = await world.spawn()
    state = {key: value for key, value in spawner.get_state().items() if key != "object_id"}
    spawner.orm_spawner.state = {**state, "phase": "starting"}
    world = world.restarted()
    fresh = world.new_spawner("")
    with fake.away():
        await fresh.stop()
    assert await nothing_left(site)


async def test_a_refused_image_does_not_lock_the_user_out(make: MakeWorld) -> None:
    world = make()
    with pytest.raises(Exception, match="cannot be chosen"):
        await world.spawn(image="evil:1", other=5)
    spawner = await world.spawn()
    assert spawner.user_options == {"other": 5}
    await world.user.stop("")


async def test_a_failing_hook_of_the_site_does_not_keep_what_is_left(
    make: MakeWorld, site: Site, fake: FakeEngine
) -> None:
    async def hook(_: DockerSpawner) -> None:
        raise RuntimeError("the site's own fault")

    world = make(post_stop_hook=hook)
    spawner = await world.spawn()
    fake.die(spawner.object_id, 5)
    async with asyncio.timeout(5):
        while (status := await spawner.poll()) is None:  # noqa: ASYNC110 - the Hub polls too
            await asyncio.sleep(0.01)
    assert status == 5
    await world.user.stop("")
    assert site.containers() == []


async def test_advice_that_cannot_be_complete_does_not_fail_the_spawn(
    make: MakeWorld, fake: FakeEngine, log: pytest.LogCaptureFixture
) -> None:
    fake.rule("GET", "/networks/.*", status=403, message="forbidden")
    world = make(hub_connect_url="http://127.0.0.1:8081")
    await world.spawn()
    await world.user.stop("")
    assert "cannot reach the Hub" in log.text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"extra_create_kwargs": {"working_dir": Path("/tmp")}}, ["JSON"]),
        ({"extra_host_config": lambda _: dict[str, Any]()["missing"]}, ["extra_host_config", "missing"]),
        ({"volumes": {"v": "/w"}, "format_volume_name": lambda *_: 1 / 0}, ["format_volume_name", "zero"]),
    ],
)
async def test_what_the_configuration_does_wrong_is_told_in_the_log_and_the_user_whom_to_ask(
    make: MakeWorld, site: Site, log: pytest.LogCaptureFixture, options: dict[str, Any], words: list[str]
) -> None:
    world = make(**options)
    with pytest.raises(web.HTTPError) as caught:
        await world.spawn()
    message = caught.value.jupyterhub_message  # type: ignore[attr-defined]
    assert "Tell the administrator" in message
    assert [word for word in words if word in message] == []
    assert [word for word in words if word not in log.text] == []
    assert await nothing_left(site)


SEAMS = """check_allowed template_namespace pull_image get_env get_command volume_binds create_object
    start_object get_ip_and_port"""


@pytest.mark.parametrize("seam", SEAMS.split())
async def test_a_sites_own_code_that_fails_is_a_sentence_for_the_user_and_a_traceback_in_the_log(
    make: MakeWorld, site: Site, log: pytest.LogCaptureFixture, seam: str
) -> None:
    def failing(spawner: Any, *given: Any) -> Any:
        raise LookupError(f"no {seam} today")

    ours: Any = getattr(DockerSpawner, seam)
    broken = property(failing) if isinstance(ours, property) else failing
    world = make()
    world.settings["spawner_class"] = kind = type("Broken", (DockerSpawner,), {seam: broken})
    world.settings["config"].DockerSpawner.allowed_images = {"one": site.kind("stub")["image"]}
    with pytest.raises(web.HTTPError) as caught:
        await world.spawn(image="one")
    setattr(kind, seam, ours)
    assert "Tell the administrator" in caught.value.jupyterhub_message  # type: ignore[attr-defined]
    assert seam not in caught.value.jupyterhub_message  # type: ignore[attr-defined]
    assert f"LookupError: no {seam} today" in log.text
    assert "Traceback" in log.text
    assert await nothing_left(site)


@pytest.mark.parametrize("hook", ["pre_spawn_hook", "auth_state_hook", "group_overrides"])
async def test_a_hook_that_fails_is_a_sentence_for_the_user_and_named_in_the_log(
    make: MakeWorld, site: Site, log: pytest.LogCaptureFixture, hook: str
) -> None:
    async def failing(*given: Any) -> None:
        raise LookupError("/nfs/secret is away")

    with pytest.raises(web.HTTPError) as caught:
        await make(**{hook: failing}).spawn()
    assert "Tell the administrator" in caught.value.jupyterhub_message  # type: ignore[attr-defined]
    assert "secret" not in caught.value.jupyterhub_message  # type: ignore[attr-defined]
    assert f"`{hook}`" in log.text
    assert "LookupError: /nfs/secret is away" in log.text
    assert site.containers() == []


@pytest.mark.parametrize("hook", ["pre_spawn_hook", "mem_limit", "extra_host_config"])
async def test_what_a_sites_code_says_to_its_user_is_shown(make: MakeWorld, hook: str) -> None:
    def closed(spawner: Any) -> None:
        raise web.HTTPError(403, "closed for the %s", "holidays")

    with pytest.raises(web.HTTPError) as caught:
        await make(**{hook: closed}).spawn()
    assert caught.value.status_code == 403
    assert caught.value.jupyterhub_message == "closed for the holidays"  # type: ignore[attr-defined]


async def test_a_hub_that_lost_its_cookie_secret_is_told_how_to_get_its_servers_back(
    make: MakeWorld, site: Site, log: pytest.LogCaptureFixture
) -> None:
    world, made = await kept(make)
    spawner = world.new_spawner("")
    spawner.object_id, spawner.hub_id = "", "another"
    with pytest.raises(Exception, match="is taken") as caught:
        await spawner.start()
    assert f"set `hub_id` to {site.hub_id!r}" in log.text
    assert "hub" not in str(caught.value)
    assert [one["Id"] for one in site.containers()] == [made]


async def test_spawns_that_wait_for_a_failing_pull_fail_together(make: MakeWorld, fake: FakeEngine) -> None:
    fake.rule("POST", "/images/create", delay_before=0.3)
    world = make(image="registry.test/unknown:1")
    results = await asyncio.gather(
        *(world.spawn(f"s{number}") for number in range(6)), return_exceptions=True
    )
    assert all("could not be pulled" in str(result) for result in results)
    assert len(fake.requests("POST", "/images/create")) == 1
