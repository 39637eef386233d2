"""What is asked of the fake and of the real Engine: every answer that the fake can give."""

from __future__ import annotations

import asyncio
import json
import re
import struct
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from tests.fake_engine.player import LABEL, Player, digest
from tests.testbed.plain_http import NO_TLS

SHELL = ["/bin/busybox", "sh", "-c"]
SPEAKS_AND_EXITS: dict[str, Any] = {
    "Cmd": [*SHELL, "echo out; /bin/busybox sleep 0.2; echo err >&2; exit 3"],
    "Labels": {"fake.exit": "3", "fake.stdout": "out", "fake.stderr": "err"},
}
DEAF: dict[str, Any] = {"Cmd": ["/serve-stubborn"], "Labels": {"fake.slowstop": "1"}}
PUBLISHED: dict[str, Any] = {"PortBindings": {"8888/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}}

Script = Callable[[Player], Awaitable[None]]
SCRIPTS: list[Script] = []


def script(play: Script) -> Script:
    """Enter a script into the table."""
    SCRIPTS.append(play)
    return play


@script
async def system(p: Player) -> None:
    ping = await p.ask("GET", "/_ping")
    head = await p.ask("HEAD", "/_ping")
    p.see("headers", 0, [ping.headers["Api-Version"], head.headers["Ostype"], ping.headers["Content-Type"]])
    for path in ("/version", "/info", "/v1.41/version", "/v1.99/info", "/nope"):
        await p.ask("GET", path)
    await p.ask("PUT", "/containers/json")


@script
async def create_conflict(p: Player) -> None:
    await p.create("a")
    await p.create("a")
    await p.create()
    await p.ask("POST", "/containers/create?name=bad name!", {"Image": p.image})
    await p.ask("POST", "/containers/create?name=b", {"Image": p.image})
    for image in ("no-such-image:1", "no-such-image", "Bad Ref", ""):
        await p.ask("POST", "/containers/create", {"Image": image})
    both: dict[str, Any] = {"bridge": {}, "host": {}}
    body = {"Image": p.image, "Labels": p.labels(), "NetworkingConfig": {"EndpointsConfig": both}}
    told = await p.http.post("/containers/create", json=body)
    words = told.json().get("message", "").replace(",", "").split()
    p.see("two networks", told.status_code, sorted(words))  # 20.10 tells them in any order


@script
async def create_refusals(p: Player) -> None:
    wrong: list[dict[str, Any]] = [
        {"Memory": 1000},
        {"Memory": 10_000_000, "MemoryReservation": 20_000_000},
        {"NanoCpus": 10**9, "CpuQuota": 1000},
        {"NanoCpus": 10**9, "CpuPeriod": 1000},
        {"Memory": "x"},
        {"AutoRemove": True, "RestartPolicy": {"Name": "always"}},
        {"Runtime": "nope"},
        {"Binds": ["rel/x:/y"]},
        {"Mounts": [{"Type": "bind", "Source": "/nonexistent-xyz", "Target": "/y"}]},
        {"PortBindings": {"x/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}},
    ]
    for host in wrong:
        await p.create("a", HostConfig=host)
    await p.create("a", Env="x")
    await p.create("a", Cmd={"a": 1})
    typed = {"Content-Type": "application/json"}
    await p.ask("POST", "/containers/create", content=b"{", headers={"Content-Type": "text/plain"})
    await p.ask("POST", "/containers/create", content=b"", headers=typed)
    await p.ask("POST", "/containers/create", content=b"{", headers=typed)
    await p.ask("POST", "/containers/create", content=b"[", headers=typed)
    await p.ask("POST", "/containers/create", content=b"{}", headers=typed)


@script
async def a_life(p: Player) -> None:
    ref = await p.create("a", HostConfig={**PUBLISHED, "Memory": 32_000_000}, Env=["A=1"])
    await p.look(ref)
    await p.ask("POST", f"/containers/{ref}/start")
    await p.ask("POST", f"/containers/{ref}/start")
    found = await p.look(ref)
    await p.look(p.name("a"))
    for path in (f"/containers/%2F{p.name('a')}/json", "/containers//abc/json?x=1"):
        moved = await p.ask("GET", path)
        p.see("moved", moved.status_code, moved.headers["Location"])
    await p.look(ref[:20])
    port = found["NetworkSettings"]["Ports"]["8888/tcp"][0]["HostPort"]
    p.see("http", await probe(int(port)))
    await p.ask("DELETE", f"/containers/{ref}")
    await p.ask("POST", f"/containers/{ref}/stop", params={"t": 5})
    await p.ask("POST", f"/containers/{ref}/stop")
    await p.look(ref)
    await p.ask("POST", f"/containers/{ref}/kill")
    await p.ask("DELETE", f"/containers/{ref}", params={"v": 1})
    await p.ask("GET", f"/containers/{ref}/json")


async def probe(port: int) -> int:
    """Ask a published port over HTTP until it answers."""
    async with httpx.AsyncClient(verify=NO_TLS) as client:
        for _ in range(100):
            try:
                return (await client.get(f"http://127.0.0.1:{port}/")).status_code
            except httpx.TransportError:
                await asyncio.sleep(0.05)
    return 0


@script
async def nothing_there(p: Player) -> None:
    for method, path in (
        ("GET", "json"),
        ("POST", "start"),
        ("POST", "stop"),
        ("POST", "kill"),
        ("POST", "wait"),
        ("GET", "logs?stdout=1"),
        ("POST", "rename?name=xyz"),
    ):
        await p.ask(method, f"/containers/{p.name('none')}/{path}")
    await p.ask("DELETE", f"/containers/{p.name('none')}")


@script
async def starts_that_fail(p: Player) -> None:
    first = await p.running("a", HostConfig=PUBLISHED)
    port = (await p.look(first))["NetworkSettings"]["Ports"]["8888/tcp"][0]["HostPort"]
    taken = {"8888/tcp": [{"HostIp": "127.0.0.1", "HostPort": port}]}
    for word, body in (
        ("b", {"Cmd": ["no-such-command"]}),
        ("c", {"Cmd": ["/no-such/command"]}),
        ("d", {"HostConfig": {"NetworkMode": "no-such-network"}}),
        ("e", {"HostConfig": {"PortBindings": taken}}),
    ):
        ref = await p.running(word, **body)
        if word != "e":  # its Error holds an endpoint's id
            await p.look(ref)
        await p.ask("DELETE", f"/containers/{ref}")
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    foreign = {"8888/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(server.sockets[0].getsockname()[1])}]}
    await p.running("f", HostConfig={"PortBindings": foreign})
    server.close()
    await server.wait_closed()


@script
async def kills(p: Player) -> None:
    ref = await p.running("a", **DEAF)
    await p.ask("POST", f"/containers/{ref}/kill", params={"signal": "NOPE"})
    await p.ask("POST", f"/containers/{ref}/kill", params={"signal": "SIGTERM"})
    await asyncio.sleep(0.2)
    await p.look(ref)
    await p.ask("POST", f"/containers/{ref}/kill")
    await p.look(ref)
    await p.ask("POST", f"/containers/{ref}/kill")
    ref = await p.running("b", **DEAF)
    await p.ask("POST", f"/containers/{ref}/stop", params={"t": 1})
    await p.look(ref)
    ref = await p.running("c", **DEAF)
    await p.ask("DELETE", f"/containers/{ref}", params={"force": 1})


@script
async def lists(p: Player) -> None:
    ref = await p.running("a", HostConfig=PUBLISHED, Labels={"k": "v"})
    other = await p.create("b")
    mine = [f"{LABEL}={p.tag}"]
    asked: list[dict[str, Any]] = [
        {"all": 1},
        {"all": 0},
        {"all": 1, "label": ["k"]},
        {"all": 1, "label": ["k=w"]},
        {"all": 1, "name": [f"^{p.name('a')}$"]},
        {"all": 1, "name": [f"^/{p.name('b')}$"]},
        {"all": 1, "id": [other]},
        {"status": ["created"]},
        {"status": ["running", "exited"]},
    ]
    for params in asked:
        everything = params.pop("all", None)
        label: list[str] = params.get("label") or []
        filters: dict[str, Any] = {**params, "label": [*mine, *label]}
        query = {"filters": json.dumps(filters)} | ({} if everything is None else {"all": str(everything)})
        answer = await p.ask("GET", "/containers/json", params=query)
        words = ("Names", "State", "Status", "Image", "Command", "Labels", "HostConfig")
        p.see("listed", 0, [{word: _status(one[word]) for word in words} for one in answer.json()])
    for filters in ({"nope": ["a"]}, {"status": ["nope"]}):
        await p.ask("GET", "/containers/json", params={"filters": json.dumps(filters)})
    await p.ask("GET", "/containers/json", params={"filters": "xx"})
    await p.ask("DELETE", f"/containers/{ref}", params={"force": 1})


@script
async def list_entries(p: Player) -> None:
    alias = {"EndpointsConfig": {"bridge": {"DriverOpts": {"x": "y"}}}}
    binds = {
        "Binds": [f"{p.name('v')}:/data:ro", "/etc:/host"],
        "Mounts": [{"Type": "tmpfs", "Target": "/t"}],
    }
    refs = [
        await p.running("a", HostConfig={**PUBLISHED, **binds}, NetworkingConfig=alias),
        await p.running("b", **SPEAKS_AND_EXITS),
        await p.create("c", Cmd=["a b", "it's x", "$Y", ""], HostConfig={"NetworkMode": "host"}),
    ]
    await p.ask("POST", f"/containers/{refs[1]}/wait")
    await _listed_as_exited(p, refs[1])
    await _see_entries(p)
    await _see_filters(p, refs[0])


async def _listed_as_exited(p: Player, ref: str) -> None:
    """Wait for it: new Engines answer wait, and inspect, before the list knows."""
    query = {"all": "1", "filters": json.dumps({"id": [ref], "status": ["exited"]})}
    for _ in range(100):
        if (await p.http.get("/containers/json", params=query)).json():
            return
        await asyncio.sleep(0.05)


async def _see_entries(p: Player) -> None:
    query: dict[str, Any] = {"all": 1, "filters": json.dumps({"label": [f"{LABEL}={p.tag}"]})}
    for one in (await p.http.get("/containers/json", params=query)).json():
        inspected = (await p.http.get(f"/containers/{one['Id']}/json")).json()
        p.see("entry", 0, _entry(one))
        same = [one["ImageID"] == inspected["Image"], abs(one["Created"] - time.time()) < 60]
        for name, endpoint in one["NetworkSettings"]["Networks"].items():
            there = inspected["NetworkSettings"]["Networks"][name]
            same += [
                endpoint[key] == there[key] for key in ("IPAddress", "Gateway", "NetworkID", "EndpointID")
            ]
        p.see("as inspected", 0, same)


async def _see_filters(p: Player, ref: str) -> None:
    mine = {"label": [f"{LABEL}={p.tag}"]}
    network = (await p.http.get("/networks/bridge")).json()["Id"]
    for word, values in (
        ("network", ["bridge"]), ("network", [network[:12]]), ("network", ["host", "none"]),
        ("volume", [p.name("v")]), ("volume", ["/data"]), ("volume", ["/dat"]), ("ancestor", [p.image]),
        ("ancestor", ["no-such"]), ("exited", ["3", "4"]), ("exited", ["0"]), ("health", ["none"]),
        ("name", ["[bad"]), ("id", [ref[:9]]), ("id", [ref[2:9]]), ("label", ["fake.exit=3"]),
    ):  # fmt: skip
        filters = {**mine, word: [*mine["label"], *values] if word == "label" else values}
        found = await p.http.get("/containers/json", params={"all": 1, "filters": json.dumps(filters)})
        p.see(f"found by {word}", found.status_code, [one["Names"] for one in found.json()])
    for wrong in ({"health": ["nope"]}, {"exited": ["x"]}):
        await p.ask("GET", "/containers/json", params={"filters": json.dumps(wrong)})
    last = await p.http.get("/containers/json", params={"limit": 1, "filters": json.dumps(mine)})
    p.see("last", 0, [one["Names"] for one in last.json()])


def _entry(one: dict[str, Any]) -> list[Any]:
    """What is the same at every Engine; the order of ports and mounts is not."""
    ports = [{**port, "PublicPort": "PublicPort" in port} for port in one["Ports"]]
    mounts = sorted(({**each, "Name": each.get("Name", "")} for each in one["Mounts"]), key=str)
    words = [one[word] for word in ("Names", "State", "Image", "Command", "Labels", "HostConfig")]
    return [*words, _status(one["Status"]), ports, mounts, sorted(one)]


def _status(value: Any) -> Any:
    return re.sub(r"(Less than a|\d+) seconds?", "N seconds", value) if isinstance(value, str) else value


@script
async def exits(p: Player) -> None:
    # Two pipes have no order among them but that of time.
    slowly = [*SHELL, "echo out; /bin/busybox sleep 1; echo err >&2; exit 3"]
    ref = await p.running("a", **{**SPEAKS_AND_EXITS, "Cmd": slowly})
    done = await p.ask("POST", f"/containers/{ref}/wait")
    p.see("code", 0, done.json())
    await p.look(ref)
    for query in ("stdout=1&stderr=1", "stdout=1", "stderr=1", "stdout=1&stderr=1&tail=1", "stdout=1&tail=0"):
        answer = await p.ask("GET", f"/containers/{ref}/logs?{query}")
        p.see("frames", answer.status_code, frames(answer.content))
        p.see("type", 0, answer.headers.get("Content-Type"))
    await p.ask("GET", f"/containers/{ref}/logs")
    again = await p.ask("POST", f"/containers/{ref}/wait", params={"condition": "not-running"})
    p.see("code", 0, again.json())


def frames(raw: bytes) -> list[list[Any]]:
    """The Engine's frames: stream and text of each."""
    found: list[list[Any]] = []
    while raw:
        stream, size = struct.unpack(">BxxxL", raw[:8])
        found.append([stream, raw[8 : 8 + size].decode()])
        raw = raw[8 + size :]
    return found


@script
async def waits(p: Player) -> None:
    ref = await p.create("a", **SPEAKS_AND_EXITS)
    next_exit, removed = [await _wait_begun(p, ref, condition) for condition in ("next-exit", "removed")]
    await p.ask("POST", f"/containers/{ref}/start")
    p.see("next exit", next_exit.status_code, json.loads(await next_exit.aread()))
    await p.ask("DELETE", f"/containers/{ref}")
    p.see("removed", removed.status_code, json.loads(await removed.aread()))


async def _wait_begun(p: Player, ref: str, condition: str) -> httpx.Response:
    """Have the Engine wait: its headers say that it does."""
    path = f"/containers/{ref}/wait?condition={condition}"
    return await p.http.send(p.http.build_request("POST", path, timeout=20), stream=True)


@script
async def renames(p: Player) -> None:
    ref = await p.create("a")
    await p.create("b")
    for name in (p.name("a"), p.name("b"), p.name("c"), "b!d", ""):
        await p.ask("POST", f"/containers/{ref}/rename", params={"name": name})
    await p.look(p.name("c"))


@script
async def removed_by_many(p: Player) -> None:
    ref = await p.running("a", **DEAF)
    path = f"/containers/{ref}?force=1"
    # With connections that are open already, all ask while the first removal lasts.
    await asyncio.gather(*(p.http.get("/_ping") for _ in range(3)))
    answers = await asyncio.gather(*(p.http.delete(path) for _ in range(3)))
    p.see("statuses", 0, sorted({each.status_code for each in answers}))
    p.see("texts", 0, sorted({digest(each) for each in answers if each.is_error}))
    await p.ask("GET", f"/containers/{ref}/json")


@script
async def removes_itself(p: Player) -> None:
    ref = await p.running("a", HostConfig={"AutoRemove": True})
    await p.ask("POST", f"/containers/{ref}/stop", params={"t": 5})
    for _ in range(100):
        gone = await p.http.get(f"/containers/{ref}/json")
        if gone.status_code == 404:
            break
        await asyncio.sleep(0.05)
    p.see("gone", gone.status_code, digest(gone))
