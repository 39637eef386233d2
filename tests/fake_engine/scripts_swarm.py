"""What is asked of the fake swarm and of a real one of two nodes."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable
from typing import Any

from tests.fake_engine.player import LABEL, Player, shape
from tests.fake_engine.scripts import SHELL, Script
from tests.fake_engine.scripts_around import listening

SCRIPTS: list[Script] = []
SPEAKS: dict[str, Any] = {
    "Command": [*SHELL, "echo out; /bin/busybox sleep 0.2; echo err >&2; exit 3"],
    "Labels": {"fake.exit": "3", "fake.stdout": "out", "fake.stderr": "err", "fake.exit_after": "0.2"},
}
SECONDS = 60.0


def script(play: Script) -> Script:
    """Enter a script into the table."""
    SCRIPTS.append(play)
    return play


def spec(p: Player, word: str = "s", **words: Any) -> dict[str, Any]:
    """A service of one task; `Container` and `Task` are parts of its task's template."""
    container = {"Image": p.image, **words.pop("Container", {})}
    task = {"ContainerSpec": container, "RestartPolicy": {"Condition": "none"}, **words.pop("Task", {})}
    endpoint = {"Mode": "dnsrr"}
    name, labels = p.name(word), {**p.labels(), "word": word}
    return {"Name": name, "Labels": labels, "TaskTemplate": task, "EndpointSpec": endpoint, **words}


async def create(p: Player, word: str = "s", **words: Any) -> None:
    await p.ask("POST", "/services/create", spec(p, word, **words))


async def tasks(p: Player, word: str) -> list[dict[str, Any]]:
    """The tasks of a service, gone or not, the oldest first; not compared."""
    filters = json.dumps({"label": [f"{LABEL}={p.tag}", f"word={word}"]})
    found = (await p.http.get("/tasks", params={"filters": filters})).json()
    return sorted(found, key=lambda each: str(each["CreatedAt"]))


async def settled(
    p: Player, word: str, test: Callable[[list[dict[str, Any]]], object]
) -> list[dict[str, Any]]:
    """Wait for tasks that are as wanted; what a spawner reads of them is compared."""
    end = time.monotonic() + SECONDS
    while not test(found := await tasks(p, word)) and time.monotonic() < end:  # noqa: ASYNC110 - no events
        await asyncio.sleep(0.02)
    p.see("tasks", len(found), [_read(each) for each in found])
    return found


def _read(task: dict[str, Any]) -> list[Any]:
    status = task["Status"]
    container = dict(status.get("ContainerStatus") or {})
    ports = [{**each, "PublishedPort": 0} for each in status["PortStatus"].get("Ports") or ()]
    known = ("NodeID" in task, len(task.get("NetworksAttachments") or ()), container.get("ExitCode"))
    return [status["State"], status["Message"], status.get("Err"), task["DesiredState"], *known, ports]


def reached(*states: str) -> Callable[[list[dict[str, Any]]], object]:
    """Tell whether the newest task is in one of these states, and is wanted no more where it has ended."""

    def test(found: list[dict[str, Any]]) -> bool:
        if not found or found[-1]["Status"]["State"] not in states:
            return False
        lives = found[-1]["Status"]["State"] in {"new", "pending", "running"}
        return lives or found[-1]["DesiredState"] == "shutdown"

    return test


def waits(found: list[dict[str, Any]]) -> bool:
    """Tell whether the scheduler has found nothing."""
    return bool(found and found[-1]["Status"].get("Err"))


@script
async def a_services_life(p: Player) -> None:
    async with listening(p, type=["service"], label=[]) as heard:
        await create(p, Task={"Networks": [{"Target": p.name("net")}]})  # there is none yet
        network = {"Name": p.name("net"), "Driver": "overlay", "Attachable": True, "Labels": p.labels()}
        await p.ask("POST", "/networks/create", network)
        await p.ask("POST", "/networks/create", network)
        on = {"Placement": {"Constraints": ["node.role==manager"]}}
        await create(p, Task={"Networks": [{"Target": p.name("net")}], **on})
        await create(p)
        (task,) = await settled(p, "s", reached("running"))
        await p.ask("GET", f"/tasks/{task['ID']}")
        for params in ({}, {"status": "true"}):
            filters = {"filters": json.dumps({"label": [f"{LABEL}={p.tag}"]}), **params}
            await p.ask("GET", "/services", params=filters)
        found = (await p.ask("GET", f"/services/{p.name('s')}")).json()
        p.see("spec", 0, found["Spec"])
        for key, value in (("service", found["ID"]), ("node", task["NodeID"]), ("id", task["ID"])):
            shown = (await p.ask("GET", "/tasks", params={"filters": json.dumps({key: [value]})})).json()
            p.see("shown", sum(each["ID"] == task["ID"] for each in shown))
        await p.ask("GET", f"/networks/{p.name('net')}")
        await p.ask("DELETE", f"/networks/{p.name('net')}")
        for _ in range(2):
            await p.ask("DELETE", f"/services/{p.name('s')}")
        gone = json.dumps({"service": [found["ID"]]})
        await p.ask("GET", "/tasks", params={"filters": gone})
        await settled(p, "s", lambda each: not each)
        await p.ask("GET", f"/tasks/{task['ID']}")
        await p.ask("DELETE", f"/networks/{p.name('net')}")
    told = [each for each in heard if each["Actor"]["Attributes"].get("name") == p.name("s")]
    p.see("events", 0, [[each["Type"], each["Action"], each["scope"]] for each in told])
    p.see("attributes", 0, [each["Actor"]["Attributes"] for each in told])


@script
async def what_cannot_be_created(p: Player) -> None:
    limits: Any = {"NanoCPUs": 1000}
    ports = [{"TargetPort": 80}]
    secret = {"SecretID": "x", "SecretName": "y"}
    target = {"Name": "z", "UID": "0", "GID": "0", "Mode": 292}
    mount = {"Type": "volume", "Source": "a", "Target": "/x"}
    cases: tuple[dict[str, Any], ...] = (
        {"Name": "bad name"},
        {"Name": "-x"},
        {"Name": 64 * "a"},
        {"Container": {"Image": "UP:1"}},
        {"Container": {"Image": ""}},
        {"Container": {"Mounts": [mount, {**mount, "Source": "b"}]}},
        {"Container": {"Mounts": [{"Type": "nope"}]}},
        {"Container": {"Secrets": [secret]}},
        {"Container": {"Secrets": [{**secret, "File": target}]}},
        {"Container": {"Configs": [{"ConfigID": "x", "ConfigName": "y", "File": target}]}},
        {"Task": {"Networks": [{"Target": p.name("none")}]}},
        {"Task": {"Networks": [{"Target": "ingress"}]}},
        {"Task": {"Resources": {"Limits": limits}}},
        {"Task": {"Resources": {"Limits": {"MemoryBytes": 1000}}}},
        {"Task": {"Resources": {"Reservations": {"MemoryBytes": -1}}}},
        {"Task": {"Resources": {"Limits": {"MemoryBytes": "x"}}}},
        {"Task": {"Placement": {"Constraints": ["nope"]}}},
        {"Task": {"Placement": {"Constraints": ["n!==1"]}}},
        {"Task": {"RestartPolicy": {"Condition": "nope"}}},
        {"EndpointSpec": {"Mode": "nope"}},
        {"EndpointSpec": {"Mode": "dnsrr", "Ports": ports}},
        {"Labels": []},
        {"TaskTemplate": {}},
    )
    for words in cases:
        await create(p, **words)
    await p.ask("POST", "/services/create", content=b"", headers={"Content-Type": "application/json"})
    await p.ask("POST", "/networks/create", {"Name": p.name("local"), "Labels": p.labels()})
    await create(p, Task={"Networks": [{"Target": p.name("local")}]})


@script
async def what_there_is_not(p: Player) -> None:
    # A letter or two would be the beginning of some node's id.
    kinds = ("services", "tasks", "nodes", "secrets", "configs")
    for kind in kinds:
        await p.ask("GET", f"/{kind}/no-such")
    await p.ask("GET", "/tasks/no-such/logs?stdout=1")
    for kind in ("services", "secrets", "configs"):
        await p.ask("DELETE", f"/{kind}/no-such")
    for kind in kinds:
        await p.ask("GET", f"/{kind}", params={"filters": json.dumps({"nope": ["no-such"]})})
    for key in ("service", "node", "desired-state"):
        await p.ask("GET", "/tasks", params={"filters": json.dumps({key: ["no-such"]})})
    await p.ask("POST", "/services/no-such/update?version=1", spec(p))


@script
async def ends_of_tasks(p: Player) -> None:
    gone = {"Mounts": [{"Type": "bind", "Source": "/nope/x", "Target": "/x"}]}
    on = {"Placement": {"Constraints": ["node.role==manager"]}}
    for word, state, container in (
        ("exits", "failed", SPEAKS),
        ("ends", "complete", {"Command": [*SHELL, "true"], "Labels": {"fake.exit": "0"}}),
        ("rejected", "rejected", gone),
        ("image", "rejected", {"Image": "127.0.0.1:9/nobody/none:1"}),
        ("latest", "rejected", {"Image": "127.0.0.1:9/nobody/none"}),
        ("command", "failed", {"Command": ["/no-such"]}),
    ):
        await create(p, word, Container=container, Task=on)
        (task,) = await settled(p, word, reached(state))
        await p.ask("GET", f"/tasks/{task['ID']}")
        for query in ("stdout=1&stderr=1&tail=1", "stdout=1", "stderr=1", ""):
            if word == "exits":
                raw = await p.ask("GET", f"/tasks/{task['ID']}/logs?{query}")
                p.see("log", raw.status_code, raw.content.hex() if raw.is_success else raw.json())
        await p.ask("DELETE", f"/services/{p.name(word)}")
        await settled(p, word, lambda found: not found)


@script
async def tasks_that_wait(p: Player) -> None:
    driver = {"VolumeOptions": {"DriverConfig": {"Name": "nope"}}}
    gpu = [{"DiscreteResourceSpec": {"Kind": "nope", "Value": 1}}]
    for word, words in (
        ("role", {"Task": {"Placement": {"Constraints": ["node.role==boss"]}}}),
        ("unknown", {"Task": {"Placement": {"Constraints": ["node.nope==1"]}}}),
        ("case", {"Task": {"Placement": {"Constraints": ["NODE.ROLE == WORKER", "node.role!=worker"]}}}),
        ("platform", {"Task": {"Placement": {"Platforms": [{"Architecture": "s390x", "OS": "linux"}]}}}),
        ("memory", {"Task": {"Resources": {"Reservations": {"MemoryBytes": 2**50}}}}),
        ("cpus", {"Task": {"Resources": {"Reservations": {"NanoCPUs": 10**14}}}}),
        ("generic", {"Task": {"Resources": {"Reservations": {"GenericResources": gpu}}}}),
        (
            "driver",
            {"Container": {"Mounts": [{"Type": "volume", "Source": "v", "Target": "/v", **driver}]}},
        ),
    ):
        await create(p, word, **words)
        (task,) = await settled(p, word, waits)
        await p.ask("GET", f"/tasks/{task['ID']}")
        await p.ask("DELETE", f"/services/{p.name(word)}")


@script
async def host_ports(p: Player) -> None:
    port = {"TargetPort": 8888, "PublishMode": "host", "PublishedPort": 18764}
    on = {"Placement": {"Constraints": ["node.role==worker"]}}
    endpoint = {"Mode": "dnsrr", "Ports": [port]}
    await create(p, "a", Task=on, EndpointSpec=endpoint)
    (task,) = await settled(p, "a", reached("running"))
    p.see("port", task["Status"]["PortStatus"]["Ports"][0]["PublishedPort"])
    await create(p, "b", Task=on, EndpointSpec=endpoint)
    await settled(p, "b", waits)
    found = (await p.ask("GET", f"/services/{p.name('a')}")).json()
    p.see("endpoint", 0, [found["Spec"]["EndpointSpec"], found["Endpoint"]])
    any_port = {"TargetPort": 8888, "PublishMode": "host"}
    await create(p, "c", Task=on, EndpointSpec={"Mode": "dnsrr", "Ports": [any_port]})
    (task,) = await settled(p, "c", reached("running"))
    p.see("a port", int(task["Status"]["PortStatus"]["Ports"][0]["PublishedPort"] > 0))


@script
async def updates(p: Player) -> None:
    async with listening(p, type=["service"], label=[]) as heard:
        await create(p)
        await settled(p, "s", reached("running"))
        path = f"/services/{p.name('s')}"
        version = (await p.http.get(path)).json()["Version"]["Index"]
        fresh = spec(p, Task={"ForceUpdate": 1})
        for query in ("?version=1", "", f"?version={version}"):
            await p.ask("POST", f"{path}/update{query}", fresh)
        await settled(p, "s", lambda found: len(found) == 2 and reached("running")(found))
        version = (await p.ask("GET", path)).json()["Version"]["Index"]
        renamed = {**fresh, "Name": p.name("r")}
        await p.ask("POST", f"{path}/update?version={version}", renamed)
        none = {**fresh, "Mode": {"Replicated": {"Replicas": 0}}}
        await p.ask("POST", f"{path}/update?version={version}", none)
        await settled(p, "s", lambda found: len(found) == 1)
    told = [each for each in heard if each["Actor"]["Attributes"].get("name") == p.name("s")]
    # How far an update had come is a matter of its monitor's seconds.
    attributes = [each["Actor"]["Attributes"] for each in told]
    p.see("events", 0, [each for each in attributes if not any("updatestate" in key for key in each)])


@script
async def restarts(p: Player) -> None:
    policy = {"RestartPolicy": {"Condition": "on-failure", "Delay": 10**8, "MaxAttempts": 1}}
    await create(p, Container=SPEAKS, Task=policy)
    await settled(p, "s", lambda found: len(found) == 2 and reached("failed")(found))
    policy = {"RestartPolicy": {"Condition": "any", "Delay": 3600 * 10**9}}
    await create(p, "late", Container=SPEAKS, Task=policy)
    await settled(p, "late", lambda found: len(found) == 2 and found[1]["Status"]["State"] == "ready")


@script
async def files(p: Player) -> None:
    for kind in ("secret", "config"):
        path, name = f"/{kind}s", p.name("f")
        data = base64.b64encode(b"hello").decode()
        body = {"Name": name, "Labels": p.labels(), "Data": data}
        for asked in (body, body, {**body, "Name": "bad name"}, {**body, "Data": ""}, {**body, "Data": "%%"}):
            made = await p.ask("POST", f"{path}/create", asked)
            if asked is body and made.is_success:
                number = made.json()["ID"]
        found = (await p.ask("GET", f"{path}/{name}")).json()
        p.see("found", 0, found["Spec"])
        for filters in ({"label": [f"{LABEL}={p.tag}"]}, {"name": [name[:-1]]}, {"names": [name[:-1]]}):
            shown = (await p.ask("GET", path, params={"filters": json.dumps(filters)})).json()
            p.see("shown", len(shown))
        word, target = kind.title(), {"Name": "z", "UID": "0", "GID": "0", "Mode": 292}
        used = {f"{word}s": [{f"{word}ID": number, f"{word}Name": name, "File": target}]}
        await create(p, kind, Container=used)
        await settled(p, kind, reached("running"))
        await p.ask("DELETE", f"{path}/{name}")
        await p.ask("DELETE", f"/services/{p.name(kind)}")
        await p.ask("DELETE", f"{path}/{number}")
        await p.ask("DELETE", f"{path}/{number}")


@script
async def nodes(p: Player) -> None:
    # A swarm lists them by their ids, which are random: which one is first says nothing.
    answer = await p.http.get("/nodes")
    shown = sorted(answer.json(), key=lambda each: str(each["Spec"]["Role"]))
    p.see(
        "nodes",
        answer.status_code,
        [[each["Spec"]["Role"], each["Description"]["Hostname"], shape(each)] for each in shown],
    )
    for name in ("manager", "worker"):
        await p.ask("GET", f"/nodes/{name}")
    for filters in ({"role": ["worker"]}, {"name": ["work"]}, {"node.label": ["nope=1"]}):
        found = (await p.ask("GET", "/nodes", params={"filters": json.dumps(filters)})).json()
        p.see("found", len(found))
    await p.ask("POST", f"/nodes/{shown[0]['ID']}/update?version=1", shown[0]["Spec"])


@script
async def registries(p: Player) -> None:
    for ref in ("127.0.0.1:9/x/y", "127.0.0.1:9/x/y:1", "UP:1"):
        await p.ask("GET", f"/distribution/{ref}/json")
