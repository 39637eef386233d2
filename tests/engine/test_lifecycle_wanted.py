"""What is wanted of an object is done to that one alone, once, and by force only where that was said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from asyncdockerspawner.client.client import Client
from asyncdockerspawner.engine.janitor import Janitor
from asyncdockerspawner.lifecycle import wanted
from asyncdockerspawner.lifecycle.wanted import End, Wanted, want, want_late
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.container.workload import ContainerWorkload
from tests.support.clients import body, opened
from tests.support.site import Site
from tests.support.waiting import until


class Bed:
    """A client, a janitor, and containers with a spawn's labels."""

    def __init__(self, site: Site, client: Client) -> None:
        self.site, self.client = site, client
        self.workload, self.janitor = ContainerWorkload(client), Janitor()
        self.name = f"w{site.hub_id}"

    def owner(self, spawn_id: str) -> labels.Owner:
        return labels.Owner(hub_id=self.site.hub_id, username="u", servername="", spawn_id=spawn_id)

    async def made(self, spawn_id: str, *, started: bool = True) -> str:
        made = body(self.site, "slowstop", Labels=labels.ownership_labels_of(self.owner(spawn_id)))
        ref = await self.workload.create(self.name, made)
        if started:
            await self.workload.start(ref)
        return ref

    def wanted(self, spawn_id: str, end: End, object_id: str = "") -> Wanted:
        return Wanted(name=self.name, owner=self.owner(spawn_id), end=end, object_id=object_id, grace=0)

    def states(self) -> dict[str, str]:
        return {each["Id"]: each["State"] for each in self.site.containers()}

    async def reach(self, wish: Wanted) -> bool:
        return await want(self.janitor, self.workload, wish)


@pytest.fixture
async def bed(site: Site) -> AsyncIterator[Bed]:
    async with opened(site.url) as client:
        found = Bed(site, client)
        yield found
        await found.janitor.aclose()


@pytest.mark.parametrize(
    ("end", "left"),
    [
        (End.STOPPED, "exited"),
        (End.STOPPED_AND_REMOVED, ""),
        (End.REMOVED, ""),
        (End.REMOVED_IF_ENDED, "running"),
        (End.STOPPED_AND_REMOVED_IF_ENDED, ""),
    ],
)
@pytest.mark.parametrize("by_id", [True, False])
async def test_a_running_object_comes_to_its_wanted_end(bed: Bed, end: End, left: str, by_id: bool) -> None:
    ref = await bed.made("s1")
    assert await bed.reach(bed.wanted("s1", end, ref if by_id else "")) is (left != "running")
    assert bed.states() == ({ref: left} if left else {})


@pytest.mark.parametrize("by_id", [True, False])
async def test_another_object_that_has_the_name_by_then_is_left_alone(bed: Bed, by_id: bool) -> None:
    former = await bed.made("s1")
    await bed.workload.rename(former, f"{bed.name}-aside")
    other = await bed.made("s2")
    assert await bed.reach(bed.wanted("s1", End.REMOVED, former if by_id else ""))
    assert bed.states() == {other: "running"} | ({} if by_id else {former: "running"})


async def test_what_somebody_has_taken_over_is_not_due_any_more(bed: Bed) -> None:
    ref = await bed.made("s1")
    assert await bed.reach(replace(bed.wanted("s1", End.REMOVED, ref), is_due=lambda: False))
    assert bed.states() == {ref: "running"}


async def test_the_same_wish_is_queued_once_and_another_one_behind_it(bed: Bed) -> None:
    ref = await bed.made("s1")
    wish = bed.wanted("s1", End.STOPPED, ref)
    first = want(bed.janitor, bed.workload, wish)
    assert want(bed.janitor, bed.workload, replace(wish, is_due=lambda: True)) is first
    then = want(bed.janitor, bed.workload, bed.wanted("s1", End.REMOVED_IF_ENDED, ref))
    assert then is not first
    assert all(await asyncio.gather(first, then))
    assert bed.states() == {}


async def test_what_is_created_late_is_removed_unless_it_was_started(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wanted, "LATE_PAUSES", (0.05,) * 100)
    started = await bed.made("s1")
    want_late(bed.janitor, bed.workload, bed.wanted("s1", End.REMOVED_IF_ENDED))
    await bed.workload.stop(started, grace=0)
    await bed.workload.rename(started, f"{bed.name}-aside")
    late = await bed.made("s2", started=False)
    want_late(bed.janitor, bed.workload, bed.wanted("s2", End.REMOVED_IF_ENDED))
    await until(lambda: late not in bed.states())
    assert bed.states() == {started: "exited"}


async def test_what_is_started_late_is_stopped_again(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wanted, "LATE_PAUSES", (0.05,) * 100)
    ref = await bed.made("s1", started=False)
    want_late(bed.janitor, bed.workload, bed.wanted("s1", End.STOPPED, ref))
    await bed.workload.start(ref)
    await until(lambda: bed.states()[ref] == "exited")
