"""What the Engine has and the Hub's database does not know is dealt with, over the fake Engine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field, replace

import pytest

from asyncdockerspawner.client.settings import EngineSettings
from asyncdockerspawner.engine.claims import Claim
from asyncdockerspawner.engine.engine import Engine
from asyncdockerspawner.lifecycle import reconcile as room
from asyncdockerspawner.lifecycle.policy import OrphanPolicy
from asyncdockerspawner.lifecycle.reconcile import Key, Reconciler, Row
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.container.workload import ContainerWorkload
from tests.fake_engine import FakeEngine
from tests.support.rows import LEFT, inactive
from tests.support.waiting import until

OWNER = labels.ownership_labels(hub_id="h", username="alice", servername="", spawn_id="s1")


@dataclass
class Bed:
    """An Engine, what the database says of its containers, and a log."""

    fake: FakeEngine
    engine: Engine
    rows: dict[Key, Row] = field(default_factory=dict)
    asked: list[set[str]] = field(default_factory=list)

    def put(self, name: str, *, running: bool = True, row: Row | None = None, keep: str = "") -> str:
        """Make a container of the user `name`, and the server's row; `keep` is a label's word."""
        owner = labels.ownership_labels(hub_id="h", username=name, servername="", spawn_id=f"s1-{name}")
        if keep:
            owner[labels.KEEP] = keep
        if row is not None:
            created = {"spawn_id": f"s1-{name}"} if "spawn_id" in row.state else {}
            self.rows[name, ""] = replace(row, state={**row.state, **created})
        return self.put_labelled(name, owner, running=running)

    def put_labelled(self, name: str, owner: dict[str, str], *, running: bool = True) -> str:
        body = {"Image": "stub:1", "Env": ["FAKE_HTTP=0"], "Labels": owner}
        made = self.fake.http.post("/containers/create", params={"name": name}, json=body)
        ref = str(made.raise_for_status().json()["Id"])
        if running:
            self.fake.http.post(f"/containers/{ref}/start").raise_for_status()
        return ref

    def look_up(self, usernames: Iterable[str]) -> Mapping[Key, Row]:
        self.asked.append(set(usernames))
        return {key: row for key, row in self.rows.items() if key[0] in self.asked[-1]}

    def look_for(self, words: Iterable[str]) -> Iterable[Row]:
        return [row for row in self.rows.values() if set(words) & set(map(str, row.state.values()))]

    async def reconciler(self, policy: str = "keep") -> Reconciler:
        watch = self.engine.watch("h")
        await watch.find("", "first list")
        return Reconciler(
            hub_id="h",
            watch=watch,
            workload=ContainerWorkload(self.engine.client),
            janitor=self.engine.janitor,
            claims=self.engine.claims,
            rows=self.look_up,
            naming=self.look_for,
            orphan_policy=OrphanPolicy(policy),
            log=logging.getLogger("hub"),
        )

    async def run(self, policy: str = "keep") -> dict[str, str]:
        """Reconcile and finish the work; gives the state of what is left, by name."""
        await (await self.reconciler(policy)).run()
        return await self.left()

    async def left(self) -> dict[str, str]:
        for name in list(self.engine.janitor._tails):
            await self.engine.janitor.settled(name)
        return {each["Name"].lstrip("/"): each["State"]["Status"] for each in self.fake.containers()}


@pytest.fixture
async def bed(fake: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bed]:
    monkeypatch.setattr(room, "GRACE_SECONDS", 0)
    made = Bed(fake, Engine(EngineSettings(url=fake.url, api_version="1.41")))
    yield made
    await made.engine.aclose()


async def test_a_stop_that_is_owed_is_done_at_once_and_what_is_kept_is_not_removed(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "GRACE_SECONDS", 60)
    bed.put("gone", row=inactive(owed=True))
    bed.put("kept", row=inactive(owed=True), keep="true")
    bed.put("waits", row=inactive(**LEFT))
    bed.put("orphan")
    running = asyncio.create_task((await bed.reconciler("remove")).run())
    await until(lambda: bool(bed.engine.janitor._tails))
    assert await bed.left() == {"kept": "exited", "waits": "running", "orphan": "running"}
    running.cancel()


async def test_thousands_are_compared_in_pieces_with_a_turn_for_others_after_each(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "AT_A_TIME", 2)
    for name in ("anna", "bob", "cleo", "dora", "emil", "fay"):
        bed.put(name, running=False, keep="true")
    reconciler, turns, turn_of_ask = await bed.reconciler(), 0, []

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def look_up(usernames: Iterable[str]) -> Mapping[Key, Row]:
        turn_of_ask.append(turns)
        return bed.look_up(usernames)

    waiting = asyncio.create_task(others())
    await replace(reconciler, rows=look_up).run()
    waiting.cancel()
    # At once and after the grace all are looked at, and nothing is looked up for a container by itself.
    assert list(map(sorted, bed.asked)) == [["anna", "bob"], ["cleo", "dora"], ["emil", "fay"]] * 2
    assert len(set(turn_of_ask)) == 6


async def test_what_a_start_has_left_is_removed_after_the_grace(bed: Bed) -> None:
    bed.put("started", row=inactive(**LEFT))
    bed.put("made", running=False, row=inactive(**LEFT))
    bed.put("kept", row=inactive(**LEFT), keep="true")
    assert await bed.run() == {"kept": "exited"}


async def test_what_the_database_knows_is_left_alone(bed: Bed, caplog: pytest.LogCaptureFixture) -> None:
    bed.put("runs", row=Row(active=True, state={}))
    resting = bed.put("rests", running=False)
    bed.rows["rests", ""] = inactive(object_id=resting)
    assert await bed.run("remove") == {"runs": "running", "rests": "created"}
    assert bed.asked == [{"runs", "rests"}] * 2
    assert caplog.records == []


@pytest.mark.parametrize(
    ("policy", "left"),
    [
        ("keep", {"one": "running", "kept": "running", "made": "created", "rests": "created"}),
        ("stop", {"one": "exited", "kept": "exited", "made": "created", "rests": "created"}),
        ("remove", {"kept": "exited", "rests": "created"}),
    ],
)
async def test_orphans_are_told_by_name_and_dealt_with_as_the_site_says(
    bed: Bed, caplog: pytest.LogCaptureFixture, policy: str, left: dict[str, str]
) -> None:
    bed.put("kept", keep="true")
    bed.put("one")
    bed.put("made", running=False)
    bed.put("rests", running=False, keep="true")
    assert await bed.run(policy) == left
    [told] = [record.getMessage() for record in caplog.records]
    assert f"label: kept, made, one (`orphan_policy` is '{policy}')" in told


async def test_what_is_kept_says_so_with_one_word(bed: Bed) -> None:
    bed.put("other", keep="false")
    assert await bed.run("remove") == {}


async def test_what_carries_no_label_of_ours_is_no_orphan(bed: Bed, caplog: pytest.LogCaptureFixture) -> None:
    old = bed.put_labelled("old", {})
    bed.put_labelled("half", {labels.HUB: "h"})
    bed.put_labelled("foreign", {**OWNER, labels.HUB: "other"})
    assert await bed.engine.watch("h").find(old, "", labelled=False) is not None
    assert await bed.run("remove") == {"old": "running", "half": "running", "foreign": "running"}
    assert caplog.records == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (inactive(owed=True), Row(active=True, state={})),
        (inactive(**LEFT), Row(active=True, state={})),
        (None, Row(active=True, state={})),
    ],
    ids=["owed", "leftover", "orphan"],
)
async def test_what_a_user_has_taken_over_before_its_turn_came_is_left_alone(
    bed: Bed, before: Row | None, after: Row
) -> None:
    bed.put("one", row=before)
    turn = asyncio.Event()

    async def earlier_work() -> None:
        await turn.wait()

    bed.engine.janitor.submit("one", earlier_work, what="keep it waiting")
    await (await bed.reconciler("remove")).run()
    bed.rows["one", ""] = after
    turn.set()
    assert await bed.left() == {"one": "running"}


async def test_the_server_of_a_renamed_user_is_no_orphan(bed: Bed, caplog: pytest.LogCaptureFixture) -> None:
    running, resting = bed.put("alice", keep="true"), bed.put("carol", running=False)
    bed.rows["bob", ""] = Row(active=True, state={"object_id": running}, base_url="/user/alice/")
    bed.rows["dave", ""] = inactive(object_id=resting)
    # Somebody new has the former name.
    bed.rows["alice", ""] = inactive()
    assert await bed.run("remove") == {"alice": "running", "carol": "created"}
    assert caplog.records == []


async def test_a_stop_that_a_renamed_user_is_owed_is_done(bed: Bed) -> None:
    running = bed.put("alice")
    bed.rows["bob", ""] = inactive(owed=True, object_id=running)
    assert await bed.run("keep") == {}


async def test_what_was_put_aside_for_its_files_is_never_removed(bed: Bed) -> None:
    ref = bed.put("alice")
    bed.fake.http.post(f"/containers/{ref}/rename", params={"name": f"alice-kept-{ref[:12]}"})
    assert await bed.run("remove") == {f"alice-kept-{ref[:12]}": "exited"}


@dataclass(eq=False)
class Starting:
    """A spawner that is starting something."""

    claim: Claim | None


@pytest.mark.parametrize("row", [None, inactive(owed=True), inactive(**LEFT)], ids=["orphan", "owed", "left"])
@pytest.mark.parametrize("how", ["id", "name", "creation"])
async def test_what_this_process_is_starting_is_nobody_elses(bed: Bed, row: Row | None, how: str) -> None:
    ref = bed.put("one", row=row)
    claim = {
        "id": Claim(ref, "", ""),
        "name": Claim("", "one", ""),
        "creation": Claim("", "", "s1-one"),
    }
    starting = Starting(claim[how])
    bed.engine.claims.hear(starting)
    assert await bed.run("remove") == {"one": "running"}
    starting.claim = None
    assert await bed.run("remove") == {}


async def test_what_this_process_follows_is_nobody_elses(bed: Bed) -> None:
    ref = bed.put("one")
    bed.engine.watch("h").follow(ref, lambda _: None)
    assert await bed.run("remove") == {"one": "running"}


@pytest.mark.parametrize(("step", "left"), [("stop", "running"), ("remove", "exited")])
async def test_what_is_taken_over_between_two_steps_is_left_as_it_is(bed: Bed, step: str, left: str) -> None:
    ref = bed.put("one", row=inactive(owed=True))
    starting = Starting(None)
    bed.engine.claims.hear(starting)
    turn = asyncio.Event()

    async def earlier_work() -> None:
        await turn.wait()

    bed.engine.janitor.submit("one", earlier_work, what="keep it waiting")
    await (await bed.reconciler("remove")).run()
    if step == "remove":
        bed.fake.rule("POST", "/stop$", delay_after=0.3)
        turn.set()
        await until(lambda: bed.fake.containers()[0]["State"]["Status"] == "exited")
    starting.claim = Claim(ref, "", "")
    turn.set()
    assert await bed.left() == {"one": left}


async def test_it_runs_in_the_background(bed: Bed) -> None:
    bed.put("one", row=inactive(owed=True))
    (await bed.reconciler()).begin()
    await until(lambda: bed.fake.containers() == [])


async def test_a_database_that_cannot_be_asked_is_told_in_the_log(
    bed: Bed, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(_self: Bed, _usernames: Iterable[str]) -> Mapping[Key, Row]:
        raise OSError("the database is locked")

    monkeypatch.setattr(Bed, "look_up", locked)
    bed.put("one")
    (await bed.reconciler("remove")).begin()
    await until(lambda: "the database is locked" in caplog.text)
    assert "Could not compare" in caplog.text
    assert await bed.left() == {"one": "running"}
