"""Both spawners, alternately, in one run on one Engine; exit status 1 if a target is missed."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import sys
import tempfile
from contextlib import AsyncExitStack
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from benchmarks.bed import Bed, bring_up
from benchmarks.bystander import bystander
from benchmarks.command_line import CUT_OFF, cancel_on_sigterm, up_to
from benchmarks.crowd import crowd, crowd_users
from benchmarks.engine_floor import BareEngine, engine_floor
from benchmarks.hubs import Contender, MeasuredHub, measured_hub
from benchmarks.pull import SlowImage, pull, slow_image
from benchmarks.report import OURS, THEIRS, Results, table, verdicts
from benchmarks.storm import storm
from tests.testbed.dockerspawner import dockerspawner_python

OUR_CLASS = "asyncdockerspawner.DockerSpawner"
THEIR_CLASS = "dockerspawner.DockerSpawner"
BENCHMARKS = ("storm", "crowd", "bystander", "pull")
MOST_USERS = 200
MOST_CROWD = 100  # real servers take about 100 MB each
MOST_ROUNDS = 20


def main() -> int:
    """Run as asked; 1 if a target was missed."""
    asked = _arguments()
    contenders = [
        Contender(name, key, spawner_class, python())
        for name, key, spawner_class, python in (
            (THEIRS, "theirs", THEIR_CLASS, dockerspawner_python),
            (OURS, "ours", OUR_CLASS, lambda: Path(sys.executable)),
        )
        if asked.spawner in (key, "both")
    ]
    try:
        results = asyncio.run(_run(asked, contenders, bring_up(singleuser=_wants(asked, "crowd"))))
    except (KeyboardInterrupt, asyncio.CancelledError):
        _say("cut off: Hubs are ended and containers removed")
        return CUT_OFF
    print("\n" + table(results))
    if asked.json:
        asked.json.write_text(json.dumps(results.document(), indent=1))
    return 0 if all(verdict.met for verdict in verdicts(results)) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--users", type=up_to(MOST_USERS), default=24, help="users of the storm (default 24)")
    add("--crowd", type=up_to(MOST_CROWD), default=20, help="users with real servers (default 20)")
    add("--rounds", type=up_to(MOST_ROUNDS), default=3, help="rounds of all but the crowd (default 3)")
    add("--crowd-rounds", type=up_to(MOST_ROUNDS), default=1, help="rounds of the crowd (default 1)")
    add("--only", choices=BENCHMARKS, help="one benchmark alone")
    add("--spawner", choices=("ours", "theirs", "both"), default="both", help="one spawner alone")
    add("--json", type=Path, metavar="FILE", help="all figures, written to FILE")
    return parser.parse_args()


def _wants(asked: argparse.Namespace, benchmark: str) -> bool:
    return asked.only in (None, benchmark)


async def _run(asked: argparse.Namespace, contenders: list[Contender], bed: Bed) -> Results:
    """Bring up one Hub per contender and measure them alternately."""
    cancel_on_sigterm()
    run = secrets.token_hex(3)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="asyncdockerspawner-bench-")))
        engine = await stack.enter_async_context(BareEngine(bed.engine_url))
        results = Results(asked.users, asked.crowd, await _machine(engine))
        slow = None
        if _wants(asked, "pull"):
            slow = await stack.enter_async_context(slow_image(bed.images.stub, folder))
            bed = replace(bed, images=replace(bed.images, pulled=slow.reference))
        hubs = []
        for contender in contenders:
            _say(f"Hub with {contender.name} ...")
            hub = await stack.enter_async_context(measured_hub(contender, bed, engine, run, folder))
            results.idle_threads[contender.name] = await hub.idle_threads()
            await _warm_up(hub, "warm")
            hubs.append(hub)
        for index in range(asked.rounds):
            order = _order(hubs, index)
            if _wants(asked, "storm"):
                await _floor(engine, bed.images.stub, f"bench-{run}-floor", results)
                await _storms(order, results, index)
            if _wants(asked, "bystander"):
                await _bystanders(order, results, index)
            if slow:
                await _pulls(order, engine, slow, results, index)
        if _wants(asked, "crowd"):
            await _crowds(hubs, results, asked.crowd_rounds)
    return results


def _order(hubs: list[MeasuredHub], index: int) -> list[MeasuredHub]:
    """Who goes first: in turns, so that nobody is always measured on the warmer machine."""
    return hubs if index % 2 == 0 else hubs[::-1]


async def _floor(engine: BareEngine, image: str, prefix: str, results: Results) -> None:
    """The bare Engine's rate, beside each round of the storm."""
    results.floor.append(await engine_floor(engine, prefix, image, results.users))
    _say(f"the bare Engine: {results.floor[-1]:.1f} containers per second")


async def _storms(hubs: list[MeasuredHub], results: Results, index: int) -> None:
    """One round of the storm on each Hub."""
    for hub in hubs:
        users = [f"u{index}-{number}" for number in range(results.users)]
        one = await storm(hub, users)
        results.storms[hub.contender.name].append(one)
        _say(f"round {index + 1}: {hub.contender.name} {one.start.rate:.1f} starts per second")
        for fault in one.faults[:3]:
            _say(f"  fault: {fault}")


async def _bystanders(hubs: list[MeasuredHub], results: Results, index: int) -> None:
    """One round of the bystander on each Hub."""
    for hub in hubs:
        one = await bystander(hub, str(index))
        results.bystanders[hub.contender.name].append(one)
        _say(f"round {index + 1}: {hub.contender.name} bystander {one.ratio:.2f} times slower than alone")


async def _pulls(
    hubs: list[MeasuredHub], engine: BareEngine, image: SlowImage, results: Results, index: int
) -> None:
    """One round of the start beside a pull on each Hub."""
    for hub in hubs:
        one = await pull(hub, engine, image, str(index))
        results.pulls[hub.contender.name].append(one)
        _say(f"round {index + 1}: {hub.contender.name} beside a pull {one.ratio:.2f} times slower than alone")
        for fault in one.waiting.faults[:3]:
            _say(f"  fault: {fault}")


async def _crowds(hubs: list[MeasuredHub], results: Results, rounds: int) -> None:
    """All rounds of the crowd; the image's files are in memory before the first."""
    for hub in hubs:
        await _warm_up(hub, *crowd_users("warm", 1))
    for index in range(rounds):
        for hub in _order(hubs, index):
            one = await crowd(hub, crowd_users(str(index), results.crowd_users))
            results.crowds[hub.contender.name].append(one)
            _say(f"crowd {index + 1}: {hub.contender.name} median {one.median:.1f} s, last {one.last:.1f} s")
            for fault in one.faults[:3]:
                _say(f"  fault: {fault}")


async def _warm_up(hub: MeasuredHub, user: str) -> None:
    """One start and stop, so that nobody's first use of a client or a template is measured."""
    await hub.api.create_user(user)
    try:
        await hub.api.start_server(user)
        await hub.api.stop_server(user)
    finally:
        await hub.api.delete_user(user)


async def _machine(engine: BareEngine) -> dict[str, str]:
    found = await engine.version()
    return {
        "CPUs": str(os.cpu_count()),
        "Docker Engine": str(found["Version"]),
        "JupyterHub": version("jupyterhub"),
        "Python": sys.version.split()[0],
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
