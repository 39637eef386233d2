"""Both spawners, alternately, in one run on one Engine; exit status 1 if a target is missed."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from importlib.metadata import version
from pathlib import Path

from benchmarks.bed import Bed, bring_up
from benchmarks.bystander import bystander
from benchmarks.engine_floor import BareEngine, engine_floor
from benchmarks.environments import dockerspawner_python, our_python
from benchmarks.hubs import Contender, MeasuredHub, measured_hub
from benchmarks.report import OURS, THEIRS, Results, table, verdicts
from benchmarks.storm import storm

OUR_CLASS = "asyncdockerspawner.DockerSpawner"
THEIR_CLASS = "dockerspawner.DockerSpawner"
MOST_USERS = 200
MOST_ROUNDS = 20


def main() -> int:
    """Run as asked; 1 if a target was missed."""
    asked = _arguments()
    contenders = [
        Contender(name, key, spawner_class, python())
        for name, key, spawner_class, python in (
            (THEIRS, "theirs", THEIR_CLASS, dockerspawner_python),
            (OURS, "ours", OUR_CLASS, our_python),
        )
        if asked.spawner in (key, "both")
    ]
    try:
        results = asyncio.run(_run(asked, contenders, bring_up()))
    except (KeyboardInterrupt, asyncio.CancelledError):
        _say("cut off: Hubs are ended and containers removed")
        return 130
    print("\n" + table(results))
    if asked.json:
        asked.json.write_text(json.dumps(results.document(), indent=1))
    return 0 if all(verdict.met for verdict in verdicts(results)) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--users", type=_up_to(MOST_USERS), default=20, help="users at once (default 20)")
    parser.add_argument("--rounds", type=_up_to(MOST_ROUNDS), default=3, help="rounds of each (default 3)")
    parser.add_argument("--only", choices=("storm", "bystander"), help="one benchmark alone")
    parser.add_argument(
        "--spawner", choices=("ours", "theirs", "both"), default="both", help="one spawner alone"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="all figures, written to FILE")
    return parser.parse_args()


def _up_to(most: int) -> Callable[[str], int]:
    def count(text: str) -> int:
        if not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"must be from 1 to {most}")
        return int(text)

    return count


async def _run(asked: argparse.Namespace, contenders: list[Contender], bed: Bed) -> Results:
    """Bring up one Hub per contender and measure them alternately."""
    _cancel_on_sigterm()
    run = secrets.token_hex(3)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="asyncdockerspawner-bench-")))
        engine = await stack.enter_async_context(BareEngine(bed.engine_url))
        results = Results(asked.users, await _machine(engine))
        hubs = []
        for contender in contenders:
            _say(f"Hub with {contender.name} ...")
            hub = await stack.enter_async_context(measured_hub(contender, bed, engine, run, folder))
            results.idle_threads[contender.name] = await hub.idle_threads()
            await _warm_up(hub)
            hubs.append(hub)
        for index in range(asked.rounds):
            order = hubs if index % 2 == 0 else hubs[::-1]
            if asked.only != "bystander":
                await _floor(engine, bed.images.stub, f"bench-{run}-floor", results)
                await _storms(order, results, index)
            if asked.only != "storm":
                await _bystanders(order, results, index)
    return results


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


async def _warm_up(hub: MeasuredHub) -> None:
    """One start and stop, so that nobody's first use of a client or a template is measured."""
    await hub.api.create_user("warm")
    try:
        await hub.api.start_server("warm")
        await hub.api.stop_server("warm")
    finally:
        await hub.api.delete_user("warm")


async def _machine(engine: BareEngine) -> dict[str, str]:
    found = await engine.version()
    return {
        "CPUs": str(os.cpu_count()),
        "Docker Engine": str(found["Version"]),
        "JupyterHub": version("jupyterhub"),
        "Python": sys.version.split()[0],
    }


def _cancel_on_sigterm() -> None:
    """End in order, cleaning up, when told to end."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
