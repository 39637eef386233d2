"""Engines and Hubs for the cases of a fault matrix, which run side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fake_engine import FakeEngine
from tests.support.databases import close_databases
from tests.support.faults.matrix import QUICK, Ambushes, Bed, Place
from tests.support.site import site_over
from tests.support.workloads import Containers
from tests.support.world import new_world


@contextmanager
def places_of(folders: Sequence[Path], workload: type[Containers] = Containers) -> Iterator[list[Place]]:
    """A fake Engine and a Hub in each folder."""
    made: list[Place] = []
    try:
        for folder in folders:
            fake = FakeEngine.start(folder)
            site = site_over(fake, hub_id="h", workload=workload)
            made.append(Place(fake, new_world(site, folder)))
        yield made
    finally:
        close_databases()
        for place in made:
            place.fake.stop()


@contextmanager
def bed_over(places: Sequence[Place], monkeypatch: pytest.MonkeyPatch) -> Iterator[Bed]:
    """The places, free, with short pauses; an exception that nobody hears is a failure. In a running loop."""
    for name, value in QUICK.items():
        monkeypatch.setattr(f"asyncdockerspawner.{name}", value)
    free: asyncio.Queue[Place] = asyncio.Queue()
    for each in places:
        free.put_nowait(each)
    ambushes = Ambushes()
    ambushes.lay(monkeypatch)
    unheard: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: unheard.append(str(context)))
    yield Bed(free, ambushes)
    loop.set_exception_handler(None)
    assert unheard == []
