"""A Hub whose servers start in sandboxes: it is killed, finds them again, and takes over what is ready."""

from __future__ import annotations

from functools import partial

from asyncdockerspawner.names import labels
from tests.support.hub_site import HubSite, MakeHub, inspected, until
from tests.testbed.own_engine import OwnEngine


async def test_servers_in_sandboxes_outlive_the_hub_and_end_with_them(make_hub: MakeHub) -> None:
    await lived(make_hub(sandboxes=1, cleanup_servers=False))


async def test_servers_in_sandboxes_of_another_engine_do_so_too(
    make_hub: MakeHub, live_engine: OwnEngine
) -> None:
    # Of the machine's own version, whichever the other tests use.
    await lived(make_hub(own=live_engine, sandboxes=1, cleanup_servers=False))


async def lived(hub: HubSite) -> None:
    await hub.create_users("first", "alice", "bob")
    await hub.api.start_server("first")
    await hub.api.stop_server("first")
    await until(partial(number_of_sandboxes, hub), is_=1)
    await hub.api.start_server("alice")
    assert await hub.answers("alice")
    await until(partial(number_of_sandboxes, hub), is_=2)
    before, alices = sandboxes(hub), inspected(hub, "alice")
    assert holder_of(alices) in before

    hub.process.kill()
    hub.process.start()
    assert await hub.settled("alice")
    assert inspected(hub, "alice")["Id"] == alices["Id"]
    assert await hub.answers("alice")
    await hub.api.start_server("bob")
    assert await hub.answers("bob")
    assert holder_of(inspected(hub, "bob")) == next(iter(before - {holder_of(alices)}))

    for user in ("alice", "bob"):
        await hub.api.stop_server(user)
    # What is ready for the next server is all that is left.
    await until(partial(running_of, hub), is_=(0, 1))
    assert not sandboxes(hub) & before


def sandboxes(hub: HubSite) -> set[str]:
    """Return the ids of those that run."""
    running = (one for one in hub.containers() if one["State"] == "running")
    return {one["Id"] for one in running if labels.SANDBOX_FOR in one["Labels"]}


async def number_of_sandboxes(hub: HubSite) -> int:
    return len(sandboxes(hub))


async def running_of(hub: HubSite) -> tuple[int, int]:
    """Return how many containers there are beside running sandboxes, and how many of these."""
    run = len(sandboxes(hub))
    return len(hub.containers()) - run, run


def holder_of(document: dict[str, object]) -> str:
    """Return the id of the container whose network a server is in."""
    host = document["HostConfig"]
    assert isinstance(host, dict)
    return str(host["NetworkMode"]).partition("container:")[2]
