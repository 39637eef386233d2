"""Scripts about what is not a container alone: images, volumes, networks, events."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from asyncdockerspawner.images import pause
from asyncdockerspawner.rebase.recipe import archive
from tests.fake_engine.player import LABEL, Player, shape
from tests.fake_engine.scripts import DEAF, PUBLISHED, SHELL, SPEAKS_AND_EXITS, script


@script
async def images(p: Player) -> None:
    found = await p.ask("GET", f"/images/{p.image}/json")
    p.see("config", 0, [found.json()["RepoTags"], found.json()["Config"]["Cmd"]])
    for ref in ("no-such/image:1", "no-such%2Fimage", "UP:1"):
        await p.ask("GET", f"/images/{ref}/json")
    filters = json.dumps({"reference": [p.image]})
    await p.ask("GET", "/images/json", params={"filters": filters})
    await p.create("a")
    await p.ask("DELETE", "/images/no-such-image:1")
    await p.ask("DELETE", f"/images/{p.image}")
    await p.ask("POST", "/images/create", params={"fromImage": "127.0.0.1:9/x/y", "tag": "1"})
    await p.ask("POST", "/images/create", params={"fromImage": "Bad Ref", "tag": "1"})


@script
async def builds(p: Player) -> None:
    stages = (
        f"FROM {p.image} AS a\nRUN true\nFROM a AS b\nLABEL stage={p.tag}\nFROM a\nCOPY --from=b /www /w\n"
    )
    made = await built(p, stages + 'CMD ["x"]\n', labels=json.dumps({"k": "v"}), t=p.name("i"))
    found = await p.http.get(f"/images/{p.name('i')}/json")
    p.see("config", 0, [found.json()["Config"][key] for key in ("Cmd", "Labels")])
    left = json.dumps({"label": [f"stage={p.tag}"], "dangling": ["true"]})
    await p.ask("GET", "/images/json", params={"filters": left})
    for _ in range(2):
        await p.ask("POST", "/images/prune", params={"filters": left})
    await p.ask("GET", "/images/json", params={"filters": left})
    for ref, repo in ((made, p.name("j")), (p.name("none"), p.name("j")), (made, "UP")):
        await p.ask("POST", f"/images/{ref}/tag", params={"repo": repo, "tag": "1"})
    for name in ("i", "j:1"):
        await p.ask("DELETE", f"/images/{p.name(name)}")
    for wrong in ("RUN exit 3\n", "BOGUS x\n"):
        await built(p, f"FROM {p.image}\n{wrong}")
    await built(p, "FROM UP:1\n")
    await built(p, f"FROM {p.image}\n")
    await built(p, f"FROM {p.image}\n", t="UP:1")


async def built(p: Player, dockerfile: str, **params: str) -> str:
    """Build an image; what is said on the way is compared."""
    words = {"version": "1", "rm": "1", "forcerm": "1", "nocache": "1", **params}
    context = archive([("Dockerfile", dockerfile.encode())])
    answer = await p.http.post("/build", params=words, content=context)
    lines = [json.loads(line) for line in answer.text.splitlines()]
    p.see("built", answer.status_code, lines)
    return next((str(line["aux"]["ID"]) for line in reversed(lines) if "aux" in line), "")


@script
async def volumes(p: Player) -> None:
    asked = {"Name": p.name("v"), "Labels": p.labels()}
    await p.ask("POST", "/volumes/create", asked)
    again = await p.ask("POST", "/volumes/create", {**asked, "Labels": {"other": "1"}})
    p.see("same", 0, again.json()["Labels"])
    await p.ask("GET", f"/volumes/{p.name('v')}")
    await p.ask("GET", "/volumes", params={"filters": json.dumps({"label": [f"{LABEL}={p.tag}"]})})
    await p.ask("POST", "/volumes/create", {"Labels": p.labels()})
    for wrong in ({"Name": "bad name!"}, {"Name": "x"}, {"Name": p.name("d"), "Driver": "nope"}):
        await p.ask("POST", "/volumes/create", wrong)
    for method in ("GET", "DELETE"):
        await p.ask(method, f"/volumes/{p.name('none')}")
    bind = await p.create("a", HostConfig={"Binds": [f"{p.name('v')}:/data:ro"]})
    p.see("mounts", 0, (await p.look(bind))["Mounts"])
    mount = {"Type": "volume", "Source": p.name("v"), "Target": "/y"}
    other = await p.create("b", HostConfig={"Mounts": [mount]})
    p.see("mounts", 0, (await p.look(other))["Mounts"])
    await p.ask("DELETE", f"/containers/{other}", params={"v": 1})
    await p.ask("DELETE", f"/volumes/{p.name('v')}")
    await p.ask("DELETE", f"/containers/{bind}", params={"v": 1})
    await p.ask("DELETE", f"/volumes/{p.name('v')}")


@script
async def networks(p: Player) -> None:
    name = p.name("n")
    asked = {"Name": name, "Labels": p.labels(), "CheckDuplicate": True}
    await p.ask("POST", "/networks/create", asked)
    await p.ask("POST", "/networks/create", asked)
    await p.ask("GET", f"/networks/{name}")
    await p.ask("GET", "/networks", params={"filters": json.dumps({"label": [f"{LABEL}={p.tag}"]})})
    await p.ask("GET", f"/networks/{p.name('none')}")
    await p.ask("POST", "/networks/create", {})
    await p.ask("POST", "/networks/create", {"Name": p.name("m"), "Driver": "nope"})
    await p.ask("DELETE", "/networks/bridge")
    await p.ask("POST", f"/networks/{name}/connect", {"Container": p.name("none")})
    ref = await p.running("a", HostConfig={"NetworkMode": name})
    await p.look(ref)
    await p.ask("POST", f"/networks/{p.name('none')}/connect", {"Container": ref})
    await p.ask("POST", f"/networks/{name}/connect", {"Container": ref})
    await p.ask("POST", "/networks/bridge/connect", {"Container": ref})
    await p.look(ref)
    await p.ask("GET", f"/networks/{name}")
    await p.ask("DELETE", f"/networks/{name}")
    await p.ask("DELETE", f"/containers/{ref}", params={"force": 1})
    await p.ask("DELETE", f"/networks/{name}")
    await p.ask("DELETE", f"/networks/{name}")


@script
async def networks_made_anew(p: Player) -> None:
    name = p.name("n")
    asked = {"Name": name, "Labels": p.labels(), "CheckDuplicate": True}
    await p.ask("POST", "/networks/create", asked)
    ref = await p.running("a", HostConfig={"NetworkMode": name})
    await p.ask("POST", f"/containers/{ref}/stop", params={"t": 0})
    await p.ask("DELETE", f"/networks/{name}")
    await p.ask("POST", f"/containers/{ref}/start")
    await p.ask("POST", "/networks/create", asked)
    await p.ask("POST", f"/containers/{ref}/start")
    leave = {"Container": ref, "Force": True}
    await p.ask("POST", f"/networks/{name}/disconnect", leave)
    await p.ask("POST", f"/networks/{name}/disconnect", leave)
    again = {"Container": ref, "EndpointConfig": {"Aliases": ["lab"]}}
    await p.ask("POST", f"/networks/{name}/connect", again)
    await p.ask("POST", f"/containers/{ref}/start")
    await p.look(ref)
    await p.ask("DELETE", f"/containers/{ref}", params={"force": 1})
    await p.ask("DELETE", f"/networks/{name}")


@script
async def other_modes(p: Player) -> None:
    for word, mode in (("a", "none"), ("b", "host")):
        ref = await p.running(word, HostConfig={"NetworkMode": mode}, Cmd=[*SHELL, "/bin/busybox sleep 60"])
        await p.look(ref)
        await p.ask("DELETE", f"/containers/{ref}", params={"force": 1})


@script
async def in_anothers_network(p: Player) -> None:
    holder = await p.create("a", HostConfig=PUBLISHED, Cmd=["/bin/busybox", "sleep", "60"])
    guest = await p.create("b", HostConfig={"NetworkMode": f"container:{p.name('a')}"}, Cmd=["/serve"])
    await p.ask("POST", f"/containers/{guest}/start")
    for ref in (holder, guest):
        await p.ask("POST", f"/containers/{ref}/start")
    found = await p.look(guest)
    # From 28 on, all is shown that the Engine would take.
    same = found["Config"]["Hostname"] == holder[:12]
    p.see("whose", 0, [found["HostConfig"]["NetworkMode"] == f"container:{holder}", same])
    listed = await p.http.get("/containers/json", params={"filters": json.dumps({"id": [guest]}), "all": "1"})
    entry = listed.json()[0]
    p.see("listed", 0, [entry["Ports"], entry["NetworkSettings"], entry["HostConfig"]["NetworkMode"][:9]])
    await p.ask("POST", f"/containers/{holder}/kill")
    still = await p.http.get(f"/containers/{guest}/json")
    p.see("still", 0, still.json()["State"]["Running"])
    await p.ask("POST", f"/containers/{guest}/kill")
    await p.ask("POST", f"/containers/{guest}/wait")
    await p.ask("POST", f"/containers/{guest}/start")
    await p.ask("DELETE", f"/containers/{holder}", params={"force": 1})
    await p.ask("POST", f"/containers/{guest}/start")
    await p.look(guest)


@script
async def loaded_images(p: Player) -> None:
    image = pause.image("amd64")
    assert image is not None
    for _ in range(2):
        headers = {"Content-Type": "application/x-tar"}
        answer = await p.http.post(
            "/images/load", content=image.archive, headers=headers, params={"quiet": 1}
        )
        p.see("loaded", answer.status_code, [json.loads(line) for line in answer.text.splitlines()])
    found = await p.ask("GET", f"/images/{image.reference}/json")
    config = found.json()["Config"]
    p.see("config", 0, [found.json()["RepoTags"], config["Entrypoint"], config.get("Cmd"), config["User"]])
    body = {"Image": image.reference, "Labels": p.labels()}
    made = await p.ask("POST", "/containers/create", body, params={"name": p.name("s")})
    ref = made.json()["Id"]
    await p.ask("POST", f"/containers/{ref}/start")
    found = await p.ask("GET", f"/containers/{ref}/json")
    p.see("entry", 0, [found.json()["Path"], found.json()["Args"], found.json()["State"]["Running"]])
    await p.ask("POST", f"/containers/{ref}/stop", params={"t": 5})
    found = await p.http.get(f"/containers/{ref}/json")
    p.see("ended", 0, found.json()["State"]["ExitCode"])


@script
async def event_orders(p: Player) -> None:
    async with listening(p) as heard:
        died = await p.running("a", **SPEAKS_AND_EXITS)
        await p.ask("POST", f"/containers/{died}/wait")
        await p.ask("POST", f"/containers/{died}/rename", params={"name": p.name("z")})
        await p.ask("DELETE", f"/containers/{died}")
        stopped = await p.running("b")
        await p.ask("POST", f"/containers/{stopped}/stop", params={"t": 5})
        await p.ask("DELETE", f"/containers/{stopped}")
        killed = await p.running("c", **DEAF)
        await p.ask("POST", f"/containers/{killed}/stop", params={"t": 0})
        await p.ask("DELETE", f"/containers/{killed}")
        forced = await p.running("d", **DEAF)
        await p.ask("DELETE", f"/containers/{forced}", params={"force": 1})
        await last_heard(heard, "destroy", p.name("d"))
    stamps = [event["timeNano"] for event in heard]
    assert stamps == sorted(stamps)
    for event in await p.orderly(heard):
        p.see("event", 0, shape(event))
        attributes = event["Actor"]["Attributes"]
        if "execDuration" in attributes:
            attributes["execDuration"] = "N"  # seconds
        p.see("event", 0, [event["Action"], event["status"], event["from"], attributes])
    await p.ask("GET", "/events", params={"since": 1, "until": 2, "filters": json.dumps({"nope": ["x"]})})
    await p.ask("GET", "/events", params={"until": 1, "filters": "xx"})


@script
async def events_by_filter(p: Player) -> None:
    async with listening(p, event=["die", "destroy"]) as heard:
        for word in ("a", "b"):
            ref = await p.running(word)
            await p.ask("DELETE", f"/containers/{ref}", params={"force": 1})
        await last_heard(heard, "destroy", p.name("b"))
    p.see("events", 0, [[event["Action"], event["Actor"]["Attributes"]["name"]] for event in heard])


@asynccontextmanager
async def listening(p: Player, **own: list[str]) -> AsyncIterator[list[dict[str, Any]]]:
    """The events of this player's containers, from the headers' arrival on."""
    heard: list[dict[str, Any]] = []
    filters = json.dumps({"type": ["container"], "label": [f"{LABEL}={p.tag}"], **own})

    async def read(answer: httpx.Response) -> None:
        async for line in answer.aiter_lines():
            heard.append(json.loads(line))  # noqa: PERF401 - told while it grows

    async with p.http.stream("GET", "/events", params={"filters": filters}, timeout=60) as answer:
        reader = asyncio.create_task(read(answer))
        yield heard
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)


async def last_heard(heard: list[dict[str, Any]], action: str, name: str) -> None:
    """Wait for the event that is to be the last, and a moment for any that should not be."""
    end = time.monotonic() + 20
    while time.monotonic() < end and (name, action) not in map(_named, heard):  # noqa: ASYNC110 - see listening
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)


def _named(event: dict[str, Any]) -> tuple[str, str]:
    return event["Actor"]["Attributes"]["name"], event["Action"]
