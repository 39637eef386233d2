"""Servers in the Hub's database and at the fake Engine, without starting any of them."""

from __future__ import annotations

from jupyterhub import orm

from asyncdockerspawner import DockerSpawner
from asyncdockerspawner.names import labels
from tests.fake_engine import FakeEngine
from tests.support.world import World

FIRST_PORT = 20_000


def a_fleet(
    world: World, fake: FakeEngine, count: int, *, labelled: bool = True, known_by_id: bool = True
) -> list[DockerSpawner]:
    """Give the spawners of so many running servers, as a Hub that has just started has them.

    Those that are not `labelled` are as DockerSpawner makes them; those not `known_by_id` were starting when
    the Hub ended.
    """
    hub_id = world.site.hub_id
    ids = fake.populate(
        count,
        name=lambda number: f"t{hub_id}-alice--s{number}",
        labels_of=lambda number: (
            labels.ownership_labels(
                hub_id=hub_id, username="alice", servername=f"s{number}", spawn_id=f"{number:016}"
            )
            if labelled
            else {}
        ),
        port_of=lambda number: FIRST_PORT + number,
    )
    for number, container_id in enumerate(ids):
        state = {"object_name": f"t{hub_id}-alice--s{number}"}
        if known_by_id:
            state["object_id"] = container_id
        if labelled:
            state |= {"spawn_id": f"{number:016}", "phase": "running" if known_by_id else "starting"}
        server = orm.Server(
            base_url=f"/user/alice/s{number}/", ip="127.0.0.1", port=FIRST_PORT + number, proto="http"
        )
        world.db.add(orm.Spawner(name=f"s{number}", user=world.user.orm_user, state=state, server=server))
    world.db.commit()
    fake.clear_requests()
    return [world.spawner(f"s{number}") for number in range(count)]
