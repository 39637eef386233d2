"""Many spawns and stops of our DockerSpawner in one process; exit status 1 if anything fails or grows."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.command_line import CUT_OFF, cancel_on, up_to
from benchmarks.soak.run import FAKE, REAL, Plan, soak
from benchmarks.soak.verdict import Soaked, table, verdicts
from tests.fake_engine import FakeEngine
from tests.support.site import Site, real_client, site_over

MOST_CYCLES = 10_000_000


def main() -> int:
    """Run as asked; 1 if a verdict was missed."""
    asked = _arguments()
    met = True
    try:
        # The real Engine first: memory that the longer soak has freed would hide what this one keeps.
        if asked.only != "fake":
            met &= _over_the_real_engine(replace(REAL, cycles=asked.cycles_real))
        if asked.only != "real":
            met &= _over_the_fake_engine(replace(FAKE, cycles=asked.cycles_fake))
    except (KeyboardInterrupt, asyncio.CancelledError):
        _say("cut off: containers are removed")
        return CUT_OFF
    return 0 if met else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    for engine, plan in (("real", REAL), ("fake", FAKE)):
        parser.add_argument(
            f"--cycles-{engine}",
            type=up_to(MOST_CYCLES),
            default=plan.cycles,
            help=f"on the {engine} Engine (default {plan.cycles})",
        )
    parser.add_argument("--only", choices=("real", "fake"), help="one Engine alone")
    return parser.parse_args()


def _over_the_real_engine(plan: Plan) -> bool:
    url, http = real_client()
    with http:
        return _flat("the real Engine", Site(url, http), plan)


def _over_the_fake_engine(plan: Plan) -> bool:
    with (
        tempfile.TemporaryDirectory(prefix="asyncdockerspawner-soak-") as folder,
        FakeEngine.start(Path(folder)) as fake,
    ):
        return _flat("the fake Engine", site_over(fake), plan)


def _flat(name: str, site: Site, plan: Plan) -> bool:
    with tempfile.TemporaryDirectory(prefix="asyncdockerspawner-soak-") as folder:
        soaked = asyncio.run(_soaked(name, site, Path(folder), plan))
    print(table(soaked) + "\n", flush=True)
    return all(verdict.met for verdict in verdicts(soaked))


async def _soaked(name: str, site: Site, folder: Path, plan: Plan) -> Soaked:
    cancel_on(signal.SIGTERM)
    return await soak(name, site, folder, plan, _say)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
