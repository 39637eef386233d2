"""`nox -s soak` in small: no spawn fails, nothing is left, nothing grows; and a leak is seen."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asyncdockerspawner import DockerSpawner
from benchmarks.soak.cycles import EVERY, USUAL
from benchmarks.soak.gauge import Sample
from benchmarks.soak.run import FAKE, REAL, Plan, soak
from benchmarks.soak.verdict import MIB, Soaked, table, verdicts
from tests.fake_engine import FakeEngine
from tests.support.site import Site, site_over

LEVEL = Sample(
    cycles=0, memory=100 * MIB, objects=100_000, spawners=1, descriptors=20, sockets=10, tasks=2, rows=9
)


def missed(soaked: Soaked) -> list[str]:
    return [verdict.text for verdict in verdicts(soaked) if not verdict.met]


@pytest.fixture
def _unlogged() -> Iterator[None]:
    # pytest keeps every record until the test ends, which looks like a leak.
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.timeout(400)
@pytest.mark.usefixtures("_unlogged")
async def test_a_short_soak_fails_nowhere_and_leaves_nothing(site: Site, tmp_path: Path) -> None:
    plan = replace(REAL, cycles=100, users=8) if site.fake is None else replace(FAKE, cycles=800)
    soaked = await soak("this Engine", site, tmp_path, plan, lambda _: None)
    assert missed(soaked) == [], table(soaked)
    assert soaked.done.total() == plan.cycles + plan.users
    assert all(soaked.done[kind] > 0 for kind in (USUAL, *EVERY))


# ---- what a soak sees ----


@pytest.fixture
def kept() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


async def test_a_leak_and_a_failure_are_seen(
    fake: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: ExitStack
) -> None:
    pile: list[Any] = []
    clear_state = DockerSpawner.clear_state

    def leaking(spawner: DockerSpawner) -> None:
        clear_state(spawner)
        pile.append((spawner, [[] for _ in range(100)]))
        kept.callback(os.close, os.dup(0))
        kept.callback(asyncio.ensure_future(asyncio.sleep(3600)).cancel)

    monkeypatch.setattr(DockerSpawner, "clear_state", leaking)
    fake.rule("POST", "/containers/create", status=500, message="out of cheese", times=1)
    plan = Plan(cycles=40, in_flight=4, users=4, patience=0.2)
    soaked = await soak("a leak", site_over(fake), tmp_path, plan, lambda _: None)
    kept.close()
    await asyncio.sleep(0)
    assert "cheese" in soaked.failures[0]
    words = [text.split()[:2] for text in missed(soaked)]
    assert words == [
        ["1", "failures:"],
        ["Python", "objects"],
        ["spawners", "alive"],
        ["open", "descriptors"],
        ["asyncio", "tasks"],
        ["with", "the"],
    ]


def level_soak(closed: Sample = LEVEL) -> Soaked:
    """A soak in which nothing grew."""
    return Soaked("this Engine", in_flight=4, samples=[LEVEL] * 20, closed=[LEVEL, closed])


@pytest.mark.parametrize(
    ("last", "still", "word"),
    [
        ("memory", 107 * MIB, "memory"),
        ("objects", 101_100, "Python"),
        ("spawners", 1, "spawners"),
        ("descriptors", 28, "open"),
        ("sockets", 18, "sockets"),
        ("tasks", 2, "asyncio"),
    ],
)
def test_growth_is_missed_where_it_begins(last: str, still: int, word: str) -> None:
    level, grown = level_soak(), level_soak()
    level.samples[-2:] = [replace(LEVEL, **{last: still})] * 2
    grown.samples[-2:] = [replace(LEVEL, **{last: still + 1})] * 2
    assert missed(level) == []
    assert [text.split()[0] for text in missed(grown)] == [word]


def test_what_is_told_when_something_is_left() -> None:
    soaked = level_soak(closed=replace(LEVEL, sockets=11))
    soaked.left.append("jupyter-ada")
    soaked.done["usual"], soaked.seconds = 20, 4.0
    assert missed(soaked) == [
        "1 containers left: jupyter-ada",
        "with the Engine closed: descriptors 20 → 20, sockets 10 → 11, tasks 2 → 2",
    ]
    assert "20 usual; 5.0 cycles per second" in table(soaked)
    assert "- MISSED: 1 containers left: jupyter-ada" in table(soaked)


def test_what_grows_in_the_warm_up_is_not_compared() -> None:
    soaked = level_soak()
    soaked.samples[0] = replace(LEVEL, memory=MIB, tasks=0)
    assert missed(soaked) == []
    soaked.samples[1:3] = [replace(LEVEL, tasks=0)] * 2
    assert [text.split()[0] for text in missed(soaked)] == ["asyncio"]
