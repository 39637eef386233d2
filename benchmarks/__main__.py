"""Measure this spawner, DockerSpawner 14 and the bare Engine in one run on one Engine."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.command_line import CUT_OFF, allow_many_descriptors, cancel_on, up_to
from benchmarks.frame import readme
from benchmarks.frame.case import Case, Who
from benchmarks.frame.plots import draw
from benchmarks.frame.progress import Bars
from benchmarks.frame.run import Size, run
from benchmarks.frame.store import NEWEST, RESULTS, Store
from benchmarks.frame.table import table, verdicts
from benchmarks.suite import CASES, chosen

MOST_ROUNDS = 50


def main(words: Sequence[str] | None = None) -> int:
    """Run as asked; 1 where something of ours failed. No time is a failure."""
    asked = _arguments(words)
    cases = chosen(asked.only or [], everything=asked.all, newest=asked.newest)
    if asked.list:
        print("\n".join(f"{case.name:20} {case.level:8} {case.n:6}  {case.title}" for case in CASES))
        return 0
    store = Store(asked.results / NEWEST if asked.newest else asked.results)
    try:
        if not asked.report:
            allow_many_descriptors()
            asyncio.run(_measure(asked, cases, store))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("cut off: Hubs are ended and containers removed; --resume goes on", file=sys.stderr, flush=True)
        return CUT_OFF
    return _report(asked, store, cases)


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    # noxfile.py looks for some of these words, which therefore have to be written in full.
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    names = [case.name for case in CASES]
    add("--only", choices=names, action="append", metavar="CASE", help="this case alone; may be repeated")
    add("--all", action="store_true", help="every case, not only the usual ones")
    add("--list", action="store_true", help="tell the cases")
    add("--n", type=up_to(max(case.most for case in CASES)), help="how many servers, users or polls")
    add("--rounds", type=up_to(MOST_ROUNDS), help="how often each case is measured")
    add("--spawner", choices=("ours", "theirs", "both"), default="both", help="one spawner alone")
    add("--small", action="store_true", help="see in little time that every case works")
    add("--resume", action="store_true", help="leave out what was measured completely on this machine")
    add("--report", action="store_true", help="measure nothing: make table and plots of what was found")
    add("--results", type=Path, default=RESULTS, metavar="FOLDER", help=f"where they go (default {RESULTS})")
    add("--readme", action="store_true", help="put table and plots into the README")
    add("--newest", action="store_true", help=f"on the Engine in DOCKER_HOST, into {NEWEST} below FOLDER")
    asked = parser.parse_args(words)
    if asked.newest and not os.environ.get("DOCKER_HOST"):
        parser.error("--newest: DOCKER_HOST has to name the newest Engine; `nox -s bench -- --all` does that")
    return asked


async def _measure(asked: argparse.Namespace, cases: Sequence[Case], store: Store) -> None:
    cancel_on(signal.SIGTERM)
    who = {"ours": {Who.OURS, Who.FLOOR}, "theirs": {Who.PEER, Who.FLOOR}, "both": set(Who)}[asked.spawner]
    with tempfile.TemporaryDirectory(prefix="asyncdockerspawner-bench-") as folder, Bars() as bars:
        async with Bench(Path(folder), who, small=asked.small).in_use() as bench:
            for case in cases:
                size = _size(asked, case)
                if asked.n and asked.n > case.most:
                    bars.say(f"{case.name}: {case.most} at most")
                if asked.resume and store.is_done(case, *size, bench.machine):
                    bars.say(f"{case.name}: measured already")
                else:
                    await run(case, size, bench, store, bars)


def _size(asked: argparse.Namespace, case: Case) -> Size:
    usual = Size(case.small, 1) if asked.small else Size(case.n, case.rounds)
    return Size(min(asked.n or usual.n, case.most), asked.rounds or usual.rounds)


def _report(asked: argparse.Namespace, store: Store, cases: Sequence[Case]) -> int:
    """Print and write table and plots of all that was found; the status is of the cases of this run."""
    asked.results.mkdir(parents=True, exist_ok=True)
    usual, newest = Store(asked.results), Store(asked.results / NEWEST)
    found, more = usual.all(CASES), newest.all(CASES)
    text = table(CASES, [*found, *more])
    print(f"\n{text}\n")
    for verdict in verdicts(CASES, [*found, *more]):
        print(f"- {'met' if verdict.met else 'MISSED'}: {verdict}")
    (usual.folder / "table.md").write_text(text + "\n")
    plots = draw(found, usual.folder)
    for file in [*plots, *draw(more, newest.folder)]:
        print(f"plot: {file}")
    if asked.readme:
        readme.put(text, plots)
    return 1 if any(one.faults() for one in store.all(cases)) else 0


if __name__ == "__main__":
    sys.exit(main())
