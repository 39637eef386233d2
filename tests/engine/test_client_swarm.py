"""The client's verbs on services, tasks, nodes, secrets and configs, over a swarm."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest

from asyncdockerspawner import errors
from asyncdockerspawner.client.client import Client
from asyncdockerspawner.client.events import SwarmEvent, SwarmKind
from asyncdockerspawner.client.registry_auth import encoded
from tests.fake_engine import FakeEngine
from tests.support.clients import opened
from tests.support.services import none_left, spec, task_in, tasks

LABELS = {"owner": "alice"}


@pytest.fixture
async def client(fake: FakeEngine) -> AsyncIterator[Client]:
    """A client of a manager."""
    fake.swarm.become("manager")
    async with opened(fake.url) as client:
        yield client


async def test_a_service_lives_and_every_verb_may_be_repeated(client: Client) -> None:
    made = await client.services.create(spec("alice", LABELS))
    task = await task_in(client, LABELS, "running")
    assert (task["ServiceID"], task["DesiredState"]) == (made, "running")
    assert await client.tasks.inspect(task["ID"]) == task
    for ref in (made, "alice"):
        found = await client.services.inspect(ref)
        assert found is not None
        assert (found["ID"], found["Spec"]["Labels"]) == (made, LABELS)
    assert [each["ID"] for each in await client.services.list({"label": ["owner=alice"]})] == [made]
    assert await client.services.list({"label": ["owner=bob"]}) == []
    await client.services.remove("alice")
    await client.services.remove(made)
    assert await client.services.inspect("alice") is None
    await none_left(client, LABELS)
    assert await client.tasks.inspect(task["ID"]) is None


async def test_a_taken_name_is_a_conflict(client: Client) -> None:
    await client.services.create(spec("alice", LABELS))
    with pytest.raises(errors.NameConflict, match="service alice already exists") as caught:
        await client.services.create(spec("alice", LABELS))
    assert (caught.value.holder, caught.value.status, caught.value.subject) == (None, 409, "alice")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"name": "bad name"}, "DNS name"),
        ({"name": 64 * "a"}, "63 characters or fewer"),
        ({"image": "UP:1"}, "not a valid repository"),
        ({"task": {"Networks": [{"Target": "nowhere"}]}}, "network nowhere not found"),
        ({"task": {"Placement": {"Constraints": ["node.role"]}}}, "expected one operator"),
        ({"task": {"Placement": {"Constraints": ["n!==1"]}}}, "key 'n!' is invalid"),
        ({"task": {"Resources": {"Limits": {"NanoCPUs": 1000}}}}, "at least 0.001"),
        ({"container": {"Mounts": [{"Type": "nope", "Target": "/x"}]}}, "invalid MountType"),
        ({"condition": "nope"}, "invalid RestartCondition"),
        ({"EndpointSpec": {"Mode": "dnsrr", "Ports": [{"TargetPort": 1}]}}, "can't be used with dnsrr"),
    ],
)
async def test_what_cannot_be_created_is_refused_and_leaves_nothing(
    client: Client, words: dict[str, Any], message: str
) -> None:
    with pytest.raises(errors.InvalidConfig, match=message) as caught:
        await client.services.create(spec(**{"name": "alice", "labels": LABELS, **words}))
    assert "rpc error" not in str(caught.value)
    assert await client.services.list({}) == []


async def test_a_service_gets_another_spec_once(client: Client) -> None:
    await client.services.create(spec("alice", LABELS))
    before = await task_in(client, LABELS, "running")
    found = await client.services.inspect("alice")
    assert found is not None
    version = found["Version"]["Index"]
    fresh = spec("alice", LABELS, task={"ForceUpdate": 1})
    await client.services.update("alice", version, fresh)
    with pytest.raises(errors.EngineRefused, match="out of sequence"):
        await client.services.update("alice", version, fresh)
    with pytest.raises(errors.ObjectNotFound):
        await client.services.update("bob", version, spec("bob", LABELS))
    after = await task_in(client, LABELS, "running", but=before["ID"])
    states = {each["ID"]: each["Status"]["State"] for each in await tasks(client, LABELS)}
    assert states == {before["ID"]: "shutdown", after["ID"]: "running"}


async def test_tasks_are_found_by_label_node_and_service_until_that_is_gone(
    client: Client, fake: FakeEngine
) -> None:
    made = await client.services.create(spec("alice", LABELS))
    task = await task_in(client, LABELS, "running")
    asked = {"service": made, "node": task["NodeID"], "desired-state": "running", "id": task["ID"]}
    for filters in [{}, *({key: [value]} for key, value in asked.items())]:
        assert [each["ID"] for each in await client.tasks.list(filters)] == [task["ID"]]
    with fake.swarm.holding("stopping"):
        await client.services.remove(made)
        with pytest.raises(errors.ObjectNotFound):
            await client.tasks.list({"service": [made]})
        assert [each["DesiredState"] for each in await tasks(client, LABELS)] == ["remove"]
    await none_left(client, LABELS)


async def test_many_tasks_come_one_by_one(client: Client, fake: FakeEngine) -> None:
    fake.swarm.populate(300, labels_of=lambda number: {"number": str(number)})
    async with client.tasks.one_by_one({}) as found:
        ids = [each["ID"] async for each in found]
    assert ids == [each["ID"] for each in await client.tasks.list({})]
    async with client.tasks.one_by_one({"label": ["number=7"]}) as found:
        assert len([each async for each in found]) == 1
    async with client.tasks.one_by_one({}) as found:
        await anext(found)
    with pytest.raises(errors.ObjectNotFound):
        async with client.tasks.one_by_one({"service": ["none"]}):
            pass


async def test_a_list_of_tasks_that_breaks_off_is_no_list(client: Client, fake: FakeEngine) -> None:
    fake.swarm.populate(10)
    fake.rule("GET", "^/tasks$", garbage_body=True)
    with pytest.raises(errors.EngineLost):
        async with client.tasks.one_by_one({}) as found:
            assert [each async for each in found]


@pytest.mark.parametrize(("tail", "lines"), [(10, ["out 1", "out 2", "boom"]), (1, ["boom"])])
async def test_the_last_lines_of_a_task_come_through_the_manager(
    client: Client, tail: int, lines: list[str]
) -> None:
    env = ["FAKE_EXIT=3", "FAKE_STDOUT=out 1\nout 2", "FAKE_STDERR=boom"]
    await client.services.create(spec("alice", LABELS, container={"Env": env}))
    task = await task_in(client, LABELS, "failed")
    assert (task["Status"]["Err"], task["DesiredState"]) == ("task: non-zero exit (3)", "shutdown")
    assert (await client.tasks.logs(task["ID"], tail=tail)).splitlines() == lines
    with pytest.raises(errors.ObjectNotFound):
        await client.tasks.logs("none", tail=1)


async def test_a_node_that_is_away_gives_no_lines(client: Client, fake: FakeEngine) -> None:
    on_the_worker = {"Placement": {"Constraints": ["node.role==worker"]}}
    await client.services.create(spec("alice", LABELS, task=on_the_worker))
    task = await task_in(client, LABELS, "running")
    fake.swarm.change_node("worker", state="down")
    assert await client.tasks.logs(task["ID"], tail=10) == ""


async def test_logs_that_do_not_end_are_not_waited_for(
    client: Client, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncdockerspawner.client.tasks.LOGS_TIMEOUT", 0.2)
    await client.services.create(spec("alice", LABELS, container={"Env": ["FAKE_STDOUT=a\nb"]}))
    task = await task_in(client, LABELS, "running")
    fake.rule("GET", "^/tasks/.*/logs$", slow_drip=60)
    with pytest.raises(errors.EngineTimeout):
        await client.tasks.logs(task["ID"], tail=10)


async def test_nodes_are_listed_and_found_by_name(client: Client, fake: FakeEngine) -> None:
    manager, worker = await client.nodes.list()
    assert (manager["Spec"]["Role"], worker["Spec"]["Role"]) == ("manager", "worker")
    assert await client.nodes.inspect(worker["Description"]["Hostname"]) == worker
    fake.swarm.change_node("worker", state="down")
    found = await client.nodes.inspect(worker["ID"])
    assert found is not None
    assert found["Status"]["State"] == "down"
    assert await client.nodes.inspect("none") is None


@pytest.mark.parametrize("kind", ["secret", "config"])
async def test_a_file_lives_as_long_as_a_service_uses_it(client: Client, kind: str) -> None:
    files = getattr(client, f"{kind}s")
    made = await files.create("key", b"\x00secret", LABELS)
    with pytest.raises(errors.NameConflict, match="key already exists"):
        await files.create("key", b"other", {})
    with pytest.raises(errors.InvalidConfig, match="larger than 0"):
        await files.create("empty", b"", {})
    found = await files.inspect("key")
    assert found is not None
    assert (found["ID"], found["Spec"]["Labels"]) == (made, LABELS)
    shown = {"secret": None, "config": base64.b64encode(b"\x00secret").decode()}
    assert found["Spec"].get("Data") == shown[kind]
    assert [each["ID"] for each in await files.list(LABELS)] == [made]
    assert await files.list({"owner": "bob"}) == []
    word, target = kind.title(), {"Name": "key.pem", "UID": "0", "GID": "0", "Mode": 0o444}
    used = {f"{word}s": [{f"{word}ID": made, f"{word}Name": "key", "File": target}]}
    await client.services.create(spec("alice", LABELS, container=used))
    with pytest.raises(errors.InvalidConfig, match=f"{kind} 'key' is in use by the following service: alice"):
        await files.remove("key")
    await client.services.remove("alice")
    await files.remove("key")
    await files.remove(made)
    assert await files.inspect(made) is None


async def test_a_registry_tells_digest_and_platforms_to_whom_it_lets_in(
    client: Client, fake: FakeEngine
) -> None:
    login = {"username": "u", "password": "p", "serveraddress": "registry.test"}
    platforms = [{"architecture": "arm64", "os": "linux"}]
    fake.add_pullable("registry.test/private:1", auth=login, platforms=platforms)
    wrong = encoded({**login, "password": "x"})
    for auth, told in (("", "no basic auth credentials"), (wrong, "unauthorized")):
        with pytest.raises(errors.PullError, match=told) as caught:
            await client.distribution.inspect("registry.test/private:1", registry_auth=auth)
        assert (caught.value.reason, caught.value.operation) == (errors.PullReason.DENIED, "resolve image")
    found = await client.distribution.inspect("registry.test/private:1", registry_auth=encoded(login))
    assert found["Descriptor"]["digest"].startswith("sha256:")
    assert found["Platforms"] == platforms
    with pytest.raises(errors.PullError, match="manifest unknown") as caught:
        await client.distribution.inspect("registry.test/none:1")
    assert caught.value.reason is errors.PullReason.UNKNOWN


async def test_a_registry_that_is_slow_is_not_waited_for(client: Client, fake: FakeEngine) -> None:
    fake.rule("GET", "^/distribution/", hang=True)
    with pytest.raises(errors.EngineTimeout):
        await client.distribution.inspect("registry.test/none:1", timeout=0.1)


async def test_credentials_go_to_the_nodes(client: Client, fake: FakeEngine) -> None:
    login = {"username": "u", "password": "p"}
    fake.add_pullable("registry.test/private:1", auth=login)
    await client.services.create(spec("alice", LABELS, "registry.test/private:1"))
    rejected = await task_in(client, LABELS, "rejected")
    assert rejected["Status"]["Err"] == "No such image: registry.test/private:1"
    await client.services.remove("alice")
    bob = {"owner": "bob"}
    await client.services.create(
        spec("bob", bob, f"registry.test/private:1@sha256:{64 * '0'}"), registry_auth=encoded(login)
    )
    assert (await task_in(client, bob, "running", "rejected"))["Status"]["State"] == "running"


async def test_what_happens_to_services_and_nodes_is_heard(client: Client, fake: FakeEngine) -> None:
    async with client.events.services_and_nodes() as events:
        made = await client.services.create(spec("alice", LABELS))
        await task_in(client, LABELS, "running")
        fake.swarm.change_node("worker", state="down")
        await client.services.remove(made)
        heard = [await anext(events) for _ in range(3)]
    node = (await client.nodes.list())[1]["ID"]
    assert [(each.kind, each.object_id, each.action) for each in heard] == [
        (SwarmKind.SERVICE, made, "create"),
        (SwarmKind.NODE, node, "update"),
        (SwarmKind.SERVICE, made, "remove"),
    ]
    assert heard[1].attributes == {"name": "worker", "state.old": "ready", "state.new": "down"}
    assert 0 < heard[0].time < heard[2].time


async def test_events_of_anything_else_are_left_out_and_malformed_ones_are_counted(
    client: Client, fake: FakeEngine
) -> None:
    async with client.events.services_and_nodes() as events:
        fake.emit_raw('no event\n{"Type": "service"}\n')
        fake.emit_raw('{"Type": "container", "Action": "die", "Actor": {"ID": "x"}}\n')
        fake.emit_raw('{"Type": "node", "Action": "remove", "Actor": {"ID": "n"}}\n')
        assert await anext(events) == SwarmEvent(SwarmKind.NODE, "n", "remove")
    assert client.events.malformed == 2


@pytest.mark.parametrize(
    ("mode", "kind", "message"),
    [
        ("inactive", errors.NotSwarmManager, "docker swarm init"),
        ("worker", errors.NotSwarmManager, "Worker nodes"),
        ("locked", errors.NotSwarmManager, "unlock"),
        ("leaderless", errors.EngineUnavailable, "leader"),
    ],
)
async def test_an_engine_that_manages_no_swarm_says_so_of_everything(
    client: Client, fake: FakeEngine, mode: str, kind: type[errors.EngineError], message: str
) -> None:
    fake.swarm.become(mode)
    for ask in (
        client.services.create(spec("x", LABELS)),
        client.services.inspect("x"),
        client.services.list({}),
        client.services.update("x", 1, spec("x", LABELS)),
        client.services.remove("x"),
        client.tasks.list({}),
        client.tasks.inspect("x"),
        client.tasks.logs("x", tail=1),
        client.nodes.list(),
        client.nodes.inspect("x"),
        client.secrets.create("x", b"x", {}),
        client.secrets.list({}),
        client.secrets.inspect("x"),
        client.configs.remove("x"),
    ):
        with pytest.raises(errors.EngineError, match=message) as caught:
            await ask
        assert type(caught.value) is kind
