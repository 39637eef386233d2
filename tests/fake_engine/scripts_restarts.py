"""Scripts about ends and new beginnings: restarts and their policies, memory used up, changed files."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from datetime import datetime
from typing import Any

from tests.fake_engine import policy
from tests.fake_engine.player import Player
from tests.fake_engine.scripts import DEAF, PUBLISHED, SHELL, SPEAKS_AND_EXITS, probe, script
from tests.fake_engine.scripts_around import last_heard, listening

GREEDY: dict[str, Any] = {
    "Cmd": ["/bin/busybox", "tail", "/dev/zero"],
    "HostConfig": {"Memory": 16 * 2**20},
    "Labels": {"fake.exit": "137", "fake.oom": "1"},
}
FAILS: dict[str, Any] = {"Cmd": [*SHELL, "exit 3"], "Labels": {"fake.exit": "3", "fake.exit_after": "0.01"}}
WRITES = "A /home/jovyan/x\nC /home\nC /home/jovyan\nC /www\nD /www/index.html\nA /new\nA /new/f"


@script
async def changed_files(p: Player) -> None:
    await p.ask("GET", f"/containers/{p.name('none')}/changes")
    command = "/bin/busybox touch /home/jovyan/x; /bin/busybox rm /www/index.html; "
    command += "/bin/busybox mkdir /new; /bin/busybox touch /new/f"
    ends = {"fake.exit": "0"}
    for word, body in (
        ("a", {"Cmd": [*SHELL, "true"], "Labels": ends}),
        ("b", {"Cmd": [*SHELL, command], "Labels": {**ends, "fake.changes": WRITES}}),
        # Where something is mounted, the Engine makes a folder.
        ("c", {"Cmd": [*SHELL, "true"], "Labels": ends, "HostConfig": _mounts(p)}),
    ):
        ref = await p.create(word, **body)
        await p.ask("GET", f"/containers/{ref}/changes")
        await p.ask("POST", f"/containers/{ref}/start")
        await p.ask("POST", f"/containers/{ref}/wait")
        found = (await p.ask("GET", f"/containers/{ref}/changes")).json()
        p.see("changes", 0, sorted([each["Path"], each["Kind"]] for each in found or ()))
        await p.ask("DELETE", f"/containers/{ref}", params={"v": 1})
    await p.ask("DELETE", f"/volumes/{p.name('v')}")


def _mounts(p: Player) -> dict[str, Any]:
    volume, tmpfs = f"{p.name('v')}:/home/w", {"Type": "tmpfs", "Target": "/tm/p"}
    return {"Binds": [volume, f"{p.name('v')}:/home/jovyan/work"], "Mounts": [tmpfs], "Tmpfs": {"/t": ""}}


@script
async def out_of_memory(p: Player) -> None:
    async with listening(p) as heard:
        ref = await p.running("a", **GREEDY)
        done = await p.ask("POST", f"/containers/{ref}/wait")
        p.see("code", 0, done.json())
        await asyncio.sleep(0.3)
    await p.look(ref)
    told = [[event["Action"], event["Actor"]["Attributes"].get("exitCode")] for event in heard]
    # A real Engine tells it once for each process that the kernel has killed.
    p.see("events", 0, [each for each, _ in itertools.groupby(told)])


@script
async def restarts_on_request(p: Player) -> None:
    async with listening(p) as heard:
        ref = await p.running("a", HostConfig=PUBLISHED)
        ports = [await _port(p, ref)]
        await p.ask("POST", f"/containers/{ref}/restart", params={"t": 5})
        await p.look(ref)
        ports.append(await _port(p, ref))
        p.see("http", await probe(ports[-1]))
        await p.ask("POST", f"/containers/{ref}/stop", params={"t": 5})
        await p.ask("POST", f"/containers/{ref}/restart")
        ports.append(await _port(p, ref))
        fresh = await p.create("b")
        await p.ask("POST", f"/containers/{fresh}/restart")
        deaf = await p.running("c", **DEAF)
        await p.ask("POST", f"/containers/{deaf}/restart", params={"t": 0})
        passing = await p.running("d", HostConfig={"AutoRemove": True})
        await p.ask("POST", f"/containers/{passing}/restart", params={"t": 5})
        await p.look(passing)
        await p.ask("POST", f"/containers/{p.name('none')}/restart")
        await last_heard(heard, "restart", p.name("d"))
    p.see("different ports", len(set(ports)))
    p.see("events", 0, [_told(event) for event in await p.orderly(heard)])


async def _port(p: Player, ref: str) -> int:
    found = (await p.http.get(f"/containers/{ref}/json")).json()
    return int(found["NetworkSettings"]["Ports"]["8888/tcp"][0]["HostPort"])


def _told(event: dict[str, Any]) -> list[str]:
    return [event["Action"], event["Actor"]["Attributes"]["name"]]


@script
async def restarts_by_policy(p: Player) -> None:
    async with listening(p) as heard:
        # It waits for 1.5 s in all.
        again = {"Name": "on-failure", "MaximumRetryCount": 4}
        ref = await p.running("a", **FAILS, HostConfig={**PUBLISHED, "RestartPolicy": again})
        waiting = await _waiting(p, ref, 1)
        p.see("published", 0, waiting["NetworkSettings"]["Ports"])
        p.see("address", 0, waiting["NetworkSettings"]["Networks"]["bridge"]["IPAddress"])
        for _ in range(200):
            if not (await p.http.get(f"/containers/{ref}/json")).json()["State"]["Running"]:
                break
            await asyncio.sleep(0.05)
        p.see("count", (await p.look(ref))["RestartCount"])
        well = {**SPEAKS_AND_EXITS, "Cmd": [*SHELL, "true"], "Labels": {"fake.exit": "0"}}
        done = await p.running("b", **well, HostConfig={"RestartPolicy": again})
        await p.ask("POST", f"/containers/{done}/wait")
        await p.look(done)
        await last_heard(heard, "die", p.name("b"))
    p.see("events", 0, [_told(event) for event in heard])


async def _waiting(p: Player, ref: str, restarts: int, seconds: float = 0) -> dict[str, Any]:
    """The container as it waits for its next start, after so many at least, and will for so long at least."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        found = (await p.http.get(f"/containers/{ref}/json")).json()
        if found["State"]["Restarting"] and found["RestartCount"] >= restarts and _left(found) >= seconds:
            break
        await asyncio.sleep(0.005)
    state = {key: found["State"][key] for key in ("Status", "Running", "Restarting", "Pid", "ExitCode")}
    p.see("waiting", 0, state)
    return dict(found)


def _left(found: dict[str, Any]) -> float:
    """The seconds until its next start."""
    ended = datetime.fromisoformat(found["State"]["FinishedAt"]).timestamp()
    return ended + policy.FIRST_PAUSE * 2.0 ** (int(found["RestartCount"]) - 1) - time.time()


@script
async def while_it_waits_for_its_next_start(p: Player) -> None:
    always = {**FAILS, "HostConfig": {"RestartPolicy": {"Name": "always"}}}
    asked = (
        ("POST", "/start"),
        ("POST", "/rename?name=xyz"),
        ("DELETE", ""),
        ("POST", "/kill"),
        ("POST", "/stop"),
    )
    refs = [await p.running(f"r{number}", **always) for number in range(len(asked))]
    for ref, (method, path) in zip(refs, asked, strict=True):
        await _waiting(p, ref, 6, seconds=2)  # long enough for all that follows
        query = {"all": 1, "filters": json.dumps({"id": [ref], "status": ["restarting"]})}
        shown = (await p.ask("GET", "/containers/json", params=query)).json()
        p.see(
            "shown", 0, [[each["State"], each["Status"].partition(")")[0], each["Ports"]] for each in shown]
        )
        async with listening(p, container=[ref]) as heard:
            await p.ask(method, f"/containers/{ref}{path}")
            if path == "/stop":
                await last_heard(heard, "stop", p.name("r4"))
            else:
                await asyncio.sleep(0.05)
        p.see("events", 0, [_told(event) for event in heard])
        await p.look(ref)
    for ref in refs:
        await p.ask("DELETE", f"/containers/{ref}", params={"force": 1})
