"""Servers of a real Hub as services of a real swarm of two nodes: the Hub is on this machine, beside them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from tests.support.hub_api import ServerFailed
from tests.support.hub_site import AT_ONCE, DIES, SHELL, HubSite, MakeHub
from tests.support.swarm_hub import left, node_of, nothing_left, said_in
from tests.support.workloads import Services
from tests.testbed.engine import ensure_engine
from tests.testbed.images import STUB
from tests.testbed.swarm import Swarm

pytestmark = pytest.mark.timeout(400)

PINNED = """
def pinned(spawner):
    node = {"alice": "manager", "bob": "worker"}.get(spawner.user.name)
    return {"constraints": [f"node.hostname=={node}"]} if node else {}

c.SwarmSpawner.extra_placement_spec = pinned
"""


async def test_each_of_two_users_gets_volume_path_memory_and_secret_at_a_node_of_its_own(
    make_hub: MakeHub, swarm: Swarm, tmp_path: Path
) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "note").write_text("from this machine")
    hub = make_hub(
        swarm=swarm,
        config=PINNED,
        volumes={"{prefix}-{username}": "/home/jovyan/work", str(tmp_path / "shared"): "/shared"},
        mounts=[{"type": "tmpfs", "target": "/scratch", "tmpfs_size": 1 << 20}],
        secrets={"key": {"content": "of nobody else", "uid": 1000, "mode": 0o400}},
        configs={"/etc/site.conf": "for all"},
    )
    await hub.create_users("alice", "bob")
    await asyncio.gather(hub.api.start_server("alice"), hub.api.start_server("bob"))
    assert await hub.answers("alice")
    assert await hub.answers("bob")
    for user, node in (("alice", swarm.manager), ("bob", swarm.worker)):
        assert node_of(hub, swarm, user).name == node.name
        shell = "cat /run/secrets/key /etc/site.conf /shared/note; touch /home/jovyan/work/kept /scratch/x"
        assert said_in(hub, swarm, user, *SHELL, shell) == "of nobody elsefor allfrom this machine"
        mounts = said_in(hub, swarm, user, *SHELL, "cat /proc/mounts")
        assert " /scratch tmpfs " in mounts
        assert " /run/secrets/key tmpfs " in mounts
        with node.client() as http:
            assert http.get(f"/volumes/{hub.prefix}-{user}").status_code == 200
    assert set(left(hub)) == {"services", "tasks", "secrets", "configs"}
    for user in ("alice", "bob"):
        await hub.api.stop_server(user)
    await nothing_left(hub)


async def test_ten_users_and_a_named_server_at_once(make_hub: MakeHub, swarm: Swarm) -> None:
    hub = make_hub(swarm=swarm)
    users = [f"user{number}" for number in range(10)]
    await hub.create_users(*users)
    await asyncio.gather(*map(hub.api.start_server, users), hub.api.start_server("user0", "lab"))
    assert all([await hub.answers(user) for user in users])
    assert await hub.answers("user0", "lab")
    nodes = {node_of(hub, swarm, user).name for user in users}
    assert nodes == {"manager", "worker"}
    await asyncio.gather(*map(hub.api.stop_server, users), hub.api.stop_server("user0", "lab"))
    await nothing_left(hub)


async def test_a_server_can_be_started_again_right_after_its_stop(make_hub: MakeHub, swarm: Swarm) -> None:
    hub = make_hub(swarm=swarm)
    await hub.create_users("alice")
    for _ in range(2):
        await hub.api.start_server("alice")
        assert await hub.answers("alice")
        await hub.api.stop_server("alice")
        tasks = Services(hub.engine).labelled("tasks", hub.hub_id)
        assert {task["Status"]["State"] for task in tasks} <= {"shutdown"}, "stop waits for its process"
        assert set(left(hub)) <= {"tasks"}


CREDENTIALS = """
def credentials(spawner, host):
    passwords = {"alice": %r, "bob": "another"}
    if host == %r and spawner.user.name in passwords:
        return {"username": %r, "password": passwords[spawner.user.name]}

c.SwarmSpawner.registry_auth = credentials
"""


@pytest.fixture
def private(swarm: Swarm) -> Iterator[str]:
    """An image that only the registry has, of a name of this test's own: a node keeps what it has pulled."""
    image = swarm.registry.add(f"t{uuid.uuid4().hex[:8]}", STUB, ensure_engine())
    yield image
    for node in swarm.nodes:
        with node.client() as http:
            http.delete(f"/images/{image}", params={"force": 1})


async def test_a_private_image_is_pulled_by_the_worker_with_its_users_own_credentials(
    make_hub: MakeHub, swarm: Swarm, private: str
) -> None:
    account = swarm.account
    config = CREDENTIALS % (account.password, swarm.registry.address, account.name)
    hub = make_hub(
        swarm=swarm,
        config=config,
        image=private,
        extra_placement_spec={"constraints": ["node.hostname==worker"]},
    )
    await hub.create_users("alice", "bob")
    with pytest.raises(ServerFailed, match="image"):
        await hub.api.start_server("bob")
    await hub.api.start_server("alice")
    assert await hub.answers("alice")
    name = private.partition("/")[2].partition(":")[0]
    spec = hub.objects.inspect(f"{hub.prefix}-alice")["Spec"]["TaskTemplate"]
    assert spec["ContainerSpec"]["Image"] == f"{private}@{swarm.registry.digest(name)}"
    assert spec["Placement"]["Platforms"] == [{"Architecture": "amd64", "OS": "linux"}]
    assert account.password not in hub.process.log_text()
    await hub.api.stop_server("alice")
    await nothing_left(hub)


async def test_driver_options_are_the_users_own_and_wait_for_a_node_is_told_until_it_is_cancelled(
    make_hub: MakeHub, swarm: Swarm
) -> None:
    options = {"type": "nfs", "o": "addr=198.18.0.1,rw", "device": ":/export/{username}"}
    hub = make_hub(
        swarm=swarm,
        config=AT_ONCE,
        volumes={"{prefix}-{username}": "/home/jovyan/work"},
        volume_driver_options=options,
        extra_placement_spec={"constraints": ["node.hostname==nowhere"]},
    )
    await hub.create_users("alice")
    await hub.api.request_start("alice")
    async with aclosing(hub.api.progress("alice")) as events:
        async for event in events:
            if "scheduling constraints not satisfied on 2 nodes" in event["message"]:
                break
    template = hub.objects.inspect(f"{hub.prefix}-alice")["Spec"]["TaskTemplate"]
    (mount,) = template["ContainerSpec"]["Mounts"]
    driver = mount["VolumeOptions"]["DriverConfig"]
    assert driver["Options"] == {**options, "device": ":/export/alice"}
    assert mount["Source"] == f"{hub.prefix}-alice"
    await hub.api.stop_server("alice")
    await nothing_left(hub)


BY_USER = """
options = {options!r}

def as_its_user_has_it(spawner):
    for name, value in options[spawner.user.name].items():
        setattr(spawner, name, value)

c.Spawner.pre_spawn_hook = as_its_user_has_it
"""
FAILS: dict[str, tuple[dict[str, Any], str]] = {
    "nowhere": (
        {"extra_placement_spec": {"constraints": ["node.hostname==nowhere"]}, "placement_timeout": 2},
        "scheduling constraints not satisfied on 2 nodes",
    ),
    "greedy": ({"mem_guarantee": 1 << 40, "placement_timeout": 2}, "insufficient resources on 2 nodes"),
    "imageless": ({"image": "no-such-image:1"}, "No such image: no-such-image:1"),
    "pathless": ({"volumes": {"/no/such/path": "/data"}}, "bind source path does not exist: /no/such/path"),
    "short": ({"cmd": DIES}, "exited with code 7"),
}
"""User → what its servers are made from, and the reason that the swarm has against them."""
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unconnected": ({"network_name": "no-such-network"}, "Check `network_name`"),
    "slow": ({"cpu_limit": 0.0001}, "cpu_limit is 0.0001, but"),
    "small": ({"mem_limit": 1024}, "mem_limit is 1024 bytes, but"),
    "placeless": (
        {"extra_placement_spec": {"constraints": ["node.hostname=x"]}},
        "extra_placement_spec.constraints",
    ),
    "long": ({"object_name": 64 * "x"}, "`name_template`"),
}
"""User → what its servers are made from, and what the administrator reads."""


async def failures(hub: HubSite, users: Iterable[str]) -> dict[str, str]:
    """Have all these users ask for servers at once; gives what each of them reads."""
    await hub.create_users(*users)
    ended = await asyncio.gather(*map(hub.api.start_server, users), return_exceptions=True)
    await nothing_left(hub)
    return {user: str(each) for user, each in zip(users, ended, strict=True)}


async def test_a_start_ends_with_the_reason_that_the_swarm_gives(make_hub: MakeHub, swarm: Swarm) -> None:
    options = {user: given for user, (given, _) in FAILS.items()}
    hub = make_hub(swarm=swarm, config=BY_USER.format(options=options))
    told = await failures(hub, FAILS)
    assert {user: text for user, text in told.items() if FAILS[user][1] not in text} == {}


async def test_what_a_manager_refuses_is_told_to_the_administrator_by_the_options_name(
    make_hub: MakeHub, swarm: Swarm
) -> None:
    options = {user: given for user, (given, _) in REFUSED.items()}
    hub = make_hub(swarm=swarm, config=BY_USER.format(options=options))
    told = await failures(hub, REFUSED)
    ends = "Tell the administrator: the Hub's log says more."
    assert {user: text for user, text in told.items() if not text.endswith(ends)} == {}
    log = hub.process.log_text()
    assert [words for _, words in REFUSED.values() if words not in log] == []
    assert "rpc error" not in log
    assert "Traceback" not in log
