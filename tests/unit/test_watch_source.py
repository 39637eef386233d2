"""A watch of objects whose truth is a list, as a swarm's tasks are: listed often while somebody waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from asyncdockerspawner import errors
from asyncdockerspawner.engine.watch import Watch
from asyncdockerspawner.workloads.observed import Observed, Phase
from asyncdockerspawner.workloads.source import Happened, Hint
from tests.support.waiting import until

RUNS = Observed(id="a", name="n", hub_id="h", phase=Phase.RUNNING)
ENDED = replace(RUNS, phase=Phase.ENDED)


@dataclass
class Listed:
    """A source that tells the whole truth in lists, and only that there is something else in hints."""

    tells_ends = True

    objects: dict[str, Observed] = field(default_factory=lambda: {"a": RUNS})
    told: asyncio.Queue[Hint] = field(default_factory=asyncio.Queue)
    lists: int = 0
    finds: list[str] = field(default_factory=list)
    paces: list[bool] = field(default_factory=list)
    """Whether somebody waited, whenever the pause between two lists was asked for."""

    @asynccontextmanager
    async def hints(self) -> AsyncIterator[AsyncIterator[Hint]]:
        yield self._hints()

    async def _hints(self) -> AsyncIterator[Hint]:
        while True:
            yield await self.told.get()

    async def list(self, hub_id: str, also: Collection[str]) -> list[Observed]:
        self.lists += 1
        return [each for each in self.objects.values() if each.hub_id == hub_id or each.id in also]

    async def find(self, object_id: str) -> Observed | None:
        self.finds.append(object_id)
        return self.objects.get(object_id)

    def pause(self, *, waited_for: bool) -> float:
        self.paces.append(waited_for)
        return 0.001 if waited_for else 1000


@pytest.fixture
def source() -> Listed:
    return Listed()


@pytest.fixture
async def watch(source: Listed) -> AsyncIterator[Watch]:
    made = Watch(source, "h")
    yield made
    await made.aclose()


async def test_it_lists_more_often_from_when_somebody_waits_until_nobody_does(
    watch: Watch, source: Listed
) -> None:
    assert await watch.find("a", "") == RUNS
    assert source.lists == 1
    with watch.waiting("a"):
        await until(lambda: source.lists > 3)
    # The pause under way is a long one from then on.
    await until(lambda: not source.paces[-1])
    assert source.paces[0] is False


async def test_a_list_that_tells_an_end_is_asked_about_and_told(watch: Watch, source: Listed) -> None:
    told = list[Observed | None]()
    await watch.find("a", "")
    watch.follow("a", told.append)
    source.objects["a"] = ENDED
    with watch.waiting("x"):
        await until(lambda: told)
    assert (told[0], watch.known("a"), "a" in source.finds) == (ENDED, ENDED, True)


async def test_a_hint_that_tells_nothing_but_that_something_has_changed_is_asked_about(
    watch: Watch, source: Listed
) -> None:
    await watch.find("a", "")
    source.objects |= {"a": ENDED, "b": replace(RUNS, id="b", name="m")}
    for object_id in ("a", "b"):
        hint = Hint(kind=Happened.CHANGED, observed=Observed(id=object_id, hub_id="h"))
        source.told.put_nowait(hint)
    await until(lambda: watch.known("b") is not None and watch.known("a") == ENDED)
    assert sorted(source.finds) == ["a", "b"]
    assert source.lists == 1


async def test_what_others_learn_counts_while_the_watch_gets_no_answer_itself(
    watch: Watch, source: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = asyncio.Event()

    async def never(object_id: str) -> Observed | None:
        await gate.wait()
        raise errors.EngineLost("inspect service", object_id, "gone")

    await watch.find("", "n")
    source.objects.clear()
    monkeypatch.setattr(source, "find", never)
    with watch.starting(Observed(id="b", hub_id="h")):
        await until(lambda: watch._rechecks)
        watch.asked("b")(replace(RUNS, id="b"))
        gate.set()
        await until(lambda: not watch._rechecks)
        known = watch.known("b")
    assert known is not None
    assert known.runs


async def test_what_was_asked_before_is_no_news(watch: Watch) -> None:
    await watch.find("a", "")
    early, late = watch.asked("a"), watch.asked("a")
    late(ENDED)
    early(replace(RUNS))
    assert watch.known("a") == ENDED


async def test_what_somebody_else_has_learnt_counts_while_the_watch_is_still_asking(
    source: Listed, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await watch.find("a", "") == RUNS
    asking, answers = asyncio.Event(), asyncio.Queue[Observed]()

    async def slow(object_id: str) -> Observed | None:
        source.finds.append(object_id)
        asking.set()
        return await answers.get()

    monkeypatch.setattr(source, "find", slow)
    source.told.put_nowait(Hint(kind=Happened.CHANGED, observed=RUNS))
    await asking.wait()
    watch.asked("a")(ENDED)
    assert watch.known("a") == ENDED
    # What was asked before that is out of date, and is asked again.
    answers.put_nowait(RUNS)
    await until(lambda: len(source.finds) == 2)
    assert watch.known("a") == ENDED
    answers.put_nowait(ENDED)
    await until(lambda: not watch._rechecks)
    assert watch.known("a") == ENDED
