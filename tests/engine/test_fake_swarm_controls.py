"""What a test may do to the fake Engine's swarm, and what its tasks come to then."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest

from asyncdockerspawner import errors
from asyncdockerspawner.client.client import Client
from asyncdockerspawner.jsontypes import JsonObject
from tests.fake_engine import FakeEngine
from tests.support.clients import opened
from tests.support.services import none_left, spec, task_in, task_that, tasks
from tests.support.waiting import until

LABELS = {"owner": "alice"}
GPU = [{"DiscreteResourceSpec": {"Kind": "GPU", "Value": 1}}]
ON = {name: {"Placement": {"Constraints": [f"node.hostname=={name}"]}} for name in ("manager", "worker")}


@pytest.fixture
async def client(fake: FakeEngine) -> AsyncIterator[Client]:
    """A client of a manager."""
    fake.swarm.become("manager")
    async with opened(fake.url) as client:
        yield client


@pytest.fixture
def overlay(fake: FakeEngine) -> Callable[..., str]:
    """Make an overlay network; gives its id."""

    def make(name: str = "net", **words: Any) -> str:
        body = {"Name": name, "Driver": "overlay", "Attachable": True, **words}
        return str(fake.http.post("/networks/create", json=body).raise_for_status().json()["Id"])

    return make


def answers(address: str, port: int = 8888) -> bool:
    with socket.socket() as tried:
        tried.settimeout(2)
        return tried.connect_ex((address, port)) == 0


async def start(client: Client, *states: str, **words: Any) -> JsonObject:
    """Create a service; gives its task when it has come to one of these states."""
    await client.services.create(spec("alice", LABELS, **words))
    return await task_in(client, LABELS, *(states or ("running",)))


@pytest.mark.parametrize("node", ["manager", "worker"])
async def test_a_task_answers_at_its_address_in_an_overlay_network_on_every_node(
    client: Client, overlay: Callable[..., str], node: str
) -> None:
    overlay()
    task = await start(client, task={**ON[node], "Networks": [{"Target": "net"}]})
    (attached,) = task["NetworksAttachments"]
    address = attached["Addresses"][0].partition("/")[0]
    assert attached["Network"]["Spec"]["Name"] == "net"
    assert answers(address)
    await client.services.remove("alice")
    await none_left(client, LABELS)
    assert not answers(address)


@pytest.mark.parametrize("node", ["manager", "worker"])
async def test_a_task_answers_at_its_host_port_on_its_node(
    client: Client, fake: FakeEngine, node: str
) -> None:
    port = {"TargetPort": 8888, "PublishMode": "host"}
    task = await start(client, task=ON[node], EndpointSpec={"Mode": "dnsrr", "Ports": [port]})
    (published, again) = task["Status"]["PortStatus"]["Ports"]
    assert published == again
    found = await client.nodes.inspect(node)
    assert found is not None
    assert answers(found["Status"]["Addr"], published["PublishedPort"])


async def test_one_host_port_is_had_once_on_each_node(client: Client) -> None:
    port = {"TargetPort": 8888, "PublishMode": "host", "PublishedPort": 18888}
    endpoint = {"Mode": "dnsrr", "Ports": [port]}
    nodes = set()
    for name in "ab":
        await client.services.create(spec(name, {"n": name}, EndpointSpec=endpoint))
        nodes.add((await task_in(client, {"n": name}, "running"))["NodeID"])
    assert len(nodes) == 2
    await client.services.create(spec("c", {"n": "c"}, EndpointSpec=endpoint))
    assert await reason(client, {"n": "c"}) == "no suitable node (host-mode port already in use on 2 nodes)"
    await client.services.remove("a")
    await task_in(client, {"n": "c"}, "running")


async def reason(client: Client, labels: dict[str, str] = LABELS) -> str:
    """Give what the scheduler says of a task that waits."""
    return str((await task_that(client, labels, lambda each: each["Status"].get("Err")))["Status"]["Err"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"Placement": {"Constraints": ["node.role == boss"]}}, "scheduling constraints not satisfied on 2"),
        ({"Placement": {"Constraints": ["node.nope==1"]}}, "scheduling constraints not satisfied on 2"),
        ({"Placement": {"Platforms": [{"Architecture": "s390x"}]}}, "unsupported platform on 2"),
        ({"Resources": {"Reservations": {"MemoryBytes": 2**40}}}, "insufficient resources on 2"),
        ({"Resources": {"Reservations": {"NanoCPUs": 10**12}}}, "insufficient resources on 2"),
        ({"Resources": {"Reservations": {"GenericResources": GPU}}}, "insufficient resources on 2"),
    ],
)  # fmt: skip
async def test_a_task_that_no_node_takes_waits_and_says_why(
    client: Client, words: dict[str, Any], told: str
) -> None:
    await client.services.create(spec("alice", LABELS, task=words))
    assert await reason(client) == f"no suitable node ({told} nodes)"
    await client.services.remove("alice")
    await none_left(client, LABELS)


async def test_reasons_are_told_together_the_most_nodes_first(client: Client, fake: FakeEngine) -> None:
    fake.swarm.change_node("worker", availability="pause")
    volume = {"Type": "volume", "Source": "v", "Target": "/v"}
    driver = {"VolumeOptions": {"DriverConfig": {"Name": "nope"}}}
    await client.services.create(spec("alice", LABELS, container={"Mounts": [{**volume, **driver}]}))
    told = "1 node not available for new tasks; missing plugin on 1 node"
    assert await reason(client) == f"no suitable node ({told})"
    fake.swarm.change_node("manager", volume_drivers=["local", "nope"])
    await task_in(client, LABELS, "running")


async def test_what_is_reserved_is_had_once(client: Client, fake: FakeEngine) -> None:
    for node in ("manager", "worker"):
        fake.swarm.change_node(node, generic=[{"NamedResourceSpec": {"Kind": "GPU", "Value": "a"}}])
    words = {"Resources": {"Reservations": {"GenericResources": GPU, "MemoryBytes": 2**30}}}
    for name in "ab":
        await client.services.create(spec(name, {"n": name}, task=words))
        await task_in(client, {"n": name}, "running")
    await client.services.create(spec("alice", LABELS, task=words))
    assert await reason(client) == "no suitable node (insufficient resources on 2 nodes)"
    fake.swarm.die("a")
    await task_in(client, LABELS, "running")


async def test_a_task_without_an_address_stays_new_and_says_nothing(
    client: Client, overlay: Callable[..., str]
) -> None:
    overlay(IPAM={"Config": [{"Subnet": "127.215.255.0/30"}]})
    networks = {"Networks": [{"Target": "net"}]}
    # The only address is its service's.
    await client.services.create(spec("a", {"n": "a"}, task=networks, EndpointSpec={"Mode": "vip"}))
    task = await task_in(client, {"n": "a"}, "new")
    assert (task["Status"].get("Err"), task.get("NetworksAttachments")) == (None, None)
    await client.services.remove("a")
    await none_left(client, {"n": "a"})
    assert (await start(client, "preparing", task=networks))["NetworksAttachments"][0]["Addresses"]


@pytest.mark.parametrize(
    ("words", "state", "told"),
    [
        ({"image": "nobody/none:1"}, "rejected", "No such image: nobody/none:1"),
        (
            {"container": {"Mounts": [{"Type": "bind", "Source": "/nope/x", "Target": "/x"}]}},
            "rejected",
            'invalid mount config for type "bind": bind source path does not exist: /nope/x',
        ),
        ({"container": {"Env": ["FAKE_REJECTED=disk on fire"]}}, "rejected", "disk on fire"),
        (
            {"container": {"Command": ["no-such"]}},
            "failed",
            "starting container failed: failed to create",
        ),
        ({"image": "dies:1"}, "failed", "task: non-zero exit (3)"),
        ({"image": "oom:1"}, "failed", "task: non-zero exit (137)"),
        ({"container": {"Env": ["FAKE_EXIT=0"]}}, "complete", ""),
        ({"container": {"Env": ["FAKE_UNHEALTHY=1"]}}, "complete", ""),
        (
            {"container": {"Env": ["FAKE_UNHEALTHY=1", "FAKE_TERM_CODE=1"]}},
            "failed",
            "task: non-zero exit (1)",
        ),
    ],
)
async def test_a_task_that_ends_says_how_and_is_wanted_no_more(
    client: Client, words: dict[str, Any], state: str, told: str
) -> None:
    task = await start(client, state, **words)
    assert (task["Status"].get("Err") or "").startswith(told)
    await task_that(client, LABELS, lambda each: each["DesiredState"] == "shutdown")
    assert len(await tasks(client, LABELS)) == 1
    await client.services.remove("alice")
    await none_left(client, LABELS)


@pytest.mark.parametrize(
    ("condition", "code", "again"),
    [("none", 1, False), ("on-failure", 1, True), ("on-failure", 0, False), ("any", 0, True)],
)
async def test_a_restart_policy_decides_whether_another_takes_its_place(
    client: Client, fake: FakeEngine, condition: str, code: int, again: bool
) -> None:
    policy = {"RestartPolicy": {"Condition": condition, "Delay": 0, "MaxAttempts": 1}}
    first = await start(client, task=policy)
    fake.swarm.die("alice", code)
    await task_in(client, LABELS, "running" if again else "complete" if code == 0 else "failed")
    await until(lambda: len(fake.swarm.tasks("alice")) == (2 if again else 1))
    if again:
        second = await task_in(client, LABELS, "running", but=first["ID"])
        assert second["Slot"] == first["Slot"]
        fake.swarm.die("alice", code)
        await task_in(client, LABELS, "failed", "complete")
        # It was the last attempt.
        assert len(fake.swarm.tasks("alice")) == 2


async def test_a_replacement_waits_ready_for_its_delay(client: Client, fake: FakeEngine) -> None:
    policy = {"RestartPolicy": {"Condition": "any", "Delay": 3600 * 10**9}}
    await start(client, task=policy)
    fake.swarm.die("alice")
    assert (await task_in(client, LABELS, "ready"))["DesiredState"] == "ready"
    await client.services.remove("alice")
    await none_left(client, LABELS)


@pytest.mark.parametrize("condition", ["none", "on-failure"])
async def test_a_task_of_a_lost_node_seems_to_run_and_is_wanted_no_more(
    client: Client, fake: FakeEngine, condition: str
) -> None:
    policy = {"RestartPolicy": {"Condition": condition, "Delay": 0}}
    fake.swarm.change_node("manager", availability="pause")
    lost = await start(client, task=policy)
    fake.swarm.change_node("manager", availability="active")
    fake.swarm.change_node("worker", state="down")
    found = await client.tasks.inspect(lost["ID"])
    assert found is not None
    assert (found["Status"]["State"], found["DesiredState"]) == ("running", "shutdown")
    if condition == "on-failure":
        moved = await task_in(client, LABELS, "running", but=lost["ID"])
        assert moved["NodeID"] != lost["NodeID"]
    # Also of a service that is gone, as long as nobody hears of the node.
    await client.services.remove("alice")
    await until(lambda: len(fake.swarm.state()["tasks"]) == 1)
    fake.swarm.change_node("worker", state="ready")
    await none_left(client, LABELS)


async def test_a_drained_node_ends_its_tasks(client: Client, fake: FakeEngine) -> None:
    fake.swarm.change_node("manager", availability="pause")
    task = await start(client)
    fake.swarm.change_node("worker", availability="drain")
    assert (await task_in(client, LABELS, "shutdown"))["ID"] == task["ID"]
    again = spec("bob", {"owner": "bob"}, condition="any")
    await client.services.create(again)
    assert await reason(client, {"owner": "bob"}) == "no suitable node (2 nodes not available for new tasks)"


@pytest.mark.parametrize("state", ["new", "pending", "assigned", "preparing", "ready", "starting"])
async def test_a_task_that_is_held_somewhere_can_be_seen_there_and_removed(
    client: Client, fake: FakeEngine, state: str
) -> None:
    with fake.swarm.holding(state):
        task = await start(client, state)
        assert (task["DesiredState"], "NodeID" in task) == ("running", state not in {"new", "pending"})
        await client.services.remove("alice")
        await none_left(client, LABELS)


async def test_volumes_are_a_nodes_own(client: Client, fake: FakeEngine) -> None:
    mount = {"Type": "volume", "Source": "home-{{.Node.Hostname}}", "Target": "/home"}
    await start(client, task=ON["worker"], container={"Mounts": [mount]})
    assert fake.swarm.state()["volumes"] == {"manager": [], "worker": ["home-worker"]}
    assert fake.state()["volumes"] == []


async def test_containers_of_the_manager_are_seen_there(client: Client, fake: FakeEngine) -> None:
    task = await start(client, task=ON["manager"])
    (container,) = fake.containers()
    assert container["Id"] == task["Status"]["ContainerStatus"]["ContainerID"]
    assert container["Config"]["Labels"]["com.docker.swarm.task.id"] == task["ID"]
    await client.services.remove("alice")
    await none_left(client, LABELS)
    assert fake.containers() == []


async def test_a_manager_that_is_restarted_loses_its_own_tasks_only(client: Client, fake: FakeEngine) -> None:
    for node in ("manager", "worker"):
        await client.services.create(spec(node, {"n": node}, task=ON[node]))
        await task_in(client, {"n": node}, "running")
    fake.restart_engine(live_restore=False)
    fake.come_back()
    lost = await task_in(client, {"n": "manager"}, "failed")
    assert lost["Status"]["Err"] == f"No such container: manager.1.{lost['ID']}"
    assert (await tasks(client, {"n": "worker"}))[0]["Status"]["State"] == "running"


async def test_networks_of_a_swarm_are_kept_while_they_are_used(
    client: Client, fake: FakeEngine, overlay: Callable[..., str]
) -> None:
    made = overlay()
    assert fake.http.post("/networks/create", json={"Name": "net", "Driver": "overlay"}).status_code == 409
    found = await client.networks.inspect("net")
    assert found is not None
    assert (found["Id"], found["Scope"], found["Attachable"]) == (made, "swarm", True)
    await start(client, task={"Networks": [{"Target": "net"}]})
    refused = fake.http.delete(f"/networks/{made}")
    assert (refused.status_code, "is in use by service" in refused.text) == (400, True)
    await client.services.remove("alice")
    await none_left(client, LABELS)
    assert fake.http.delete(f"/networks/{made}").status_code == 204
    shown = fake.http.get("/networks", params={"filters": json.dumps({"scope": ["swarm"]})}).json()
    assert [each["Name"] for each in shown] == ["ingress"]


@pytest.mark.parametrize("attachable", [True, False])
async def test_a_container_joins_an_overlay_network_that_lets_it(
    client: Client, fake: FakeEngine, overlay: Callable[..., str], attachable: bool
) -> None:
    overlay(Attachable=attachable)
    made = await client.containers.create("hub", {"Image": "stub:1", "HostConfig": {"NetworkMode": "net"}})
    if not attachable:
        with pytest.raises(errors.EngineRefused, match="network net not manually attachable"):
            await client.containers.start(made)
        return
    await client.containers.start(made)
    found = await client.containers.inspect(made)
    assert found is not None
    assert answers(found["NetworkSettings"]["Networks"]["net"]["IPAddress"])


async def test_an_engine_without_a_swarm_makes_no_overlay_network(fake: FakeEngine) -> None:
    async with opened(fake.url) as client:
        with pytest.raises(errors.NotSwarmManager, match="docker swarm init"):
            await client.connection.request(
                "POST",
                "networks/create",
                operation="create network",
                body={"Name": "net", "Driver": "overlay"},
            )


async def test_an_engine_tells_its_place_in_the_swarm(client: Client, fake: FakeEngine) -> None:
    told = (await client.system.info())["Swarm"]
    assert (told["LocalNodeState"], told["ControlAvailable"], told["Nodes"]) == ("active", True, 2)
    assert fake.http.get("/_ping").headers["Swarm"] == "active/manager"
    fake.swarm.become("worker")
    assert (await client.system.info())["Swarm"]["ControlAvailable"] is False


async def test_replicas_may_be_none_and_more(client: Client, fake: FakeEngine) -> None:
    await start(client)
    for replicas in (3, 0):
        found = await client.services.inspect("alice")
        assert found is not None
        mode = {"Mode": {"Replicated": {"Replicas": replicas}}}
        await client.services.update("alice", found["Version"]["Index"], {**found["Spec"], **mode})
        await until(partial(runs, fake, replicas))


def runs(fake: FakeEngine, count: int) -> bool:
    states = [each["Status"]["State"] for each in fake.swarm.tasks("alice")]
    return states.count("running") == count


async def test_nothing_of_a_swarm_is_left_after_a_reset(client: Client, fake: FakeEngine) -> None:
    await start(client)
    await client.secrets.create("x", b"x", {})
    fake.reset()
    fake.swarm.become("manager")
    state = fake.swarm.state()
    assert (state["services"], state["tasks"], state["secrets"]) == ([], [], [])
