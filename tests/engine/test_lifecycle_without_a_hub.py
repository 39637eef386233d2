"""Spawners as sites' own tests make them, without user, Hub or row; and wrapped ones, over both Engines."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from jupyterhub.spawner import Spawner
from traitlets import directional_link
from traitlets.config import Config

from asyncdockerspawner import DockerSpawner
from tests.fake_engine import FakeEngine
from tests.support.site import Site
from tests.support.world import MakeWorld, World


def options_of(site: Site, **options: Any) -> Config:
    values = {"prefix": f"t{site.hub_id}", "hub_id": site.hub_id, "client_kwargs": {"base_url": site.url}}
    return Config({"DockerSpawner": {**values, "remove": True, **site.kind("stub"), **options}})


@pytest.mark.parametrize("user", [None, SimpleNamespace(name="alice", url="/user/alice/")])
async def test_a_spawner_by_itself_starts_polls_and_stops(site: Site, user: Any) -> None:
    spawner = DockerSpawner(config=options_of(site, environment={"A": "1"}), user=user)
    assert await spawner.poll() == 0
    ip, port = await spawner.start()
    assert (ip, port) == ("127.0.0.1", port)
    assert await spawner.poll() is None
    assert "A=1" in site.inspect(spawner.object_id)["Config"]["Env"]
    assert site.names() == [f"t{site.hub_id}-{'alice' if user else ''}"]
    await spawner.stop()
    assert await spawner.poll() == 0
    assert site.containers() == []
    # The Hub's other questions have answers too.
    assert spawner.get_state() == {}
    await spawner.run_pre_spawn_hook()
    spawner._managed.hub.save(commit=True)
    spawner.clear_state()


class Wrapper(Spawner):
    """Passes on what wrapspawner does, and nothing else."""

    child: DockerSpawner | None = None
    child_state: dict[str, Any] = {}  # noqa: RUF012 - set for each

    def made(self) -> DockerSpawner:
        if self.child is None:
            self.child = DockerSpawner(user=self.user, hub=self.hub, config=self.config)
            self.child.clear_state()
            if self.child_state:
                self.child.load_state(self.child_state)
            for name in ("orm_spawner", "api_token", "user_options", "oauth_client_id"):
                directional_link((self, name), (self.child, name))
        return self.child

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self.child_state = state.get("child_state", {})
        self.made()

    def get_state(self) -> dict[str, Any]:
        state: dict[str, Any] = {**super().get_state(), "wrapper": "mine"}
        if self.child:
            state["child_state"] = self.child.get_state()
        return state

    def clear_state(self) -> None:
        super().clear_state()
        if self.child:
            self.child.clear_state()
        self.child = None
        self.child_state = {}

    async def start(self) -> Any:
        return await self.made().start()

    async def stop(self, now: bool = False) -> None:
        if self.child:
            await self.child.stop(now)

    async def poll(self) -> int | None:
        return await self.child.poll() if self.child else 1


def wrapped(world: World) -> World:
    world.settings["spawner_class"] = Wrapper
    return world


async def test_the_row_of_a_wrapped_server_has_the_wrappers_state(make_world: MakeWorld, site: Site) -> None:
    on_disk: list[dict[str, Any]] = []

    def looks(spawner: DockerSpawner) -> dict[str, Any]:
        # Called for the body, after what is about to be made was put down; another request ends badly.
        world.db.rollback()
        on_disk.append(dict(spawner.orm_spawner.state))
        return {}

    world = wrapped(make_world(extra_create_kwargs=looks))
    await world.spawn("lab")
    assert {each["wrapper"] for each in on_disk} == {"mine"}
    assert {each["child_state"]["phase"] for each in on_disk} == {"starting"}
    state = world.user.orm_user.orm_spawners["lab"].state
    assert (state["wrapper"], state["child_state"]["object_id"]) == ("mine", site.containers()[0]["Id"])
    assert site.names() == [f"t{site.hub_id}-alice--lab"]
    assert await world.spawner("lab").poll() is None
    await world.user.stop("lab")
    assert site.containers() == []


@pytest.mark.parametrize("site", ["fake"], indirect=True)
async def test_a_wrapped_server_that_ended_by_itself_leaves_nothing(
    make_world: MakeWorld, site: Site, fake: FakeEngine
) -> None:
    world = wrapped(make_world())
    await world.spawn()
    spawner: Any = world.spawner()
    child = spawner.child
    site.http.post(f"/containers/{child.object_id}/kill").raise_for_status()
    # As the Hub does: it asks, and stops nothing that has ended.
    while await spawner.poll() is None:  # noqa: ASYNC110 - it is what is asked
        await asyncio.sleep(0.01)
    await world.user.stop("")
    await child.engine.janitor.settled(child.object_name)
    assert fake.containers() == []


async def test_a_wrapped_kept_server_keeps_its_token(make_world: MakeWorld, site: Site) -> None:
    world = wrapped(make_world(remove=False))
    await world.spawn()
    token = world.spawner().api_token
    made = site.containers()[0]["Id"]
    await world.user.stop("")
    await world.spawn()
    assert [one["Id"] for one in site.containers()] == [made]
    assert world.spawner().api_token == token
    await world.user.stop("")
