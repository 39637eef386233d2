"""What a run of the suite measures and where that goes, without anything that is measured."""

from __future__ import annotations

import gc
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from benchmarks import __main__ as program
from benchmarks import suite
from benchmarks.bench import Bench
from benchmarks.frame import machine, readme
from benchmarks.frame.case import Case, Figure, Level, Measure, Sample, Who
from benchmarks.frame.run import Size, run
from benchmarks.frame.store import Found, Store
from benchmarks.frame.table import table
from benchmarks.growth.cases import figures_of, steps
from benchmarks.spawners.gauge import Gauge

OLD, NEW = {"CPUs": 2, "Docker Engine": "20.10.24"}, {"CPUs": 2, "Docker Engine": "28.5.2"}


def found(name: str, machine: Mapping[str, object], *samples: Sample) -> Found:
    """What rounds of ours leave of a case of the suite."""
    case = suite.case(name)
    one = Found(case.name, case.level, case.title, 24, len(samples), machine, complete=True)
    for index, sample in enumerate(samples):
        one.add(index, Who.OURS, sample)
    return one


# ---- what cannot be measured ----


def case_of(*who: Who, obstacle: str = "") -> Case:
    @asynccontextmanager
    async def opened(bench: Bench, n: int) -> AsyncIterator[Mapping[Who, Measure]]:
        async def measure(index: int) -> Sample:
            return Sample({"starts": 1.0}, engine="28.5.2")

        yield dict.fromkeys(who, measure)

    figures = (Figure("starts", "starts"),)
    common = Case(name="c", level=Level.LEVER, title="C", n=2, most=2, figures=figures, open=opened)
    return replace(common, obstacle=lambda: obstacle)


@pytest.mark.parametrize(
    ("case", "why"),
    [
        (case_of(Who.OURS, obstacle="only root may"), "c: not measured: only root may"),
        (case_of(), "c: not measured: it has nothing for those who were asked for"),
    ],
)
async def test_a_case_that_nobody_could_be_measured_in_is_told_and_tried_again(
    tmp_path: Path, case: Case, why: str
) -> None:
    store, teller = Store(tmp_path), MagicMock()
    await run(case, Size(2, 1), MagicMock(machine=OLD), store, teller)
    teller.say.assert_called_once_with(why)
    assert not store.is_done(case, 2, 1, OLD)
    # As older runs have written it.
    store.save(Found("c", "lever", "C", 2, 1, OLD, complete=True))
    assert not store.is_done(case, 2, 1, OLD)


async def test_a_case_that_was_measured_is_complete_and_knows_an_engine_of_its_own(tmp_path: Path) -> None:
    store, case = Store(tmp_path), case_of(Who.FLOOR)
    await run(case, Size(2, 2), MagicMock(machine=OLD), store, MagicMock())
    assert store.is_done(case, 2, 2, OLD)
    kept = store.load("c")
    assert kept is not None
    assert (len(kept.runs), kept.engine, kept.where) == (2, "28.5.2", NEW)


def test_only_a_machine_that_can_have_a_swarm_measures_those_of_its_daemons() -> None:
    with_obstacle = {"daemon", "daemon-newest"}
    default = Case.__dataclass_fields__["obstacle"].default
    assert {case.name for case in suite.CASES if case.obstacle is not default} == with_obstacle


# ---- where it was measured ----


def test_rows_of_several_places_name_their_note_and_another_engine_than_the_first() -> None:
    storm = Sample({"starts": 4.0})
    text = table(
        suite.CASES,
        [
            found("storm", {**OLD, "Linux": "6.1"}, storm),
            found("levers", {**NEW, "Linux": "6.1"}, storm),
            found("daemon", {**OLD, "Linux": "6.1"}, storm),
        ],
    )
    assert "(`storm`, 24; rounds: 1; note 1)" in text
    assert "(`levers`, 24; rounds: 1; Engine 28.5.2; note 2)" in text
    assert "(`daemon`, 24; rounds: 1; note 1)" in text
    notes = "CPUs 2, Linux 6.1.\nNotes:\n\n1. Docker Engine 20.10.24.\n2. Docker Engine 28.5.2.\n\nMedians"
    assert notes in text


def test_an_engine_of_its_own_is_told_of_a_case_in_a_run_on_another() -> None:
    new = found("daemon-newest", OLD, Sample({"starts": 4.0}, engine="28.5.2"))
    text = table(suite.CASES, [found("daemon", OLD, Sample({"starts": 4.0})), new])
    assert "(`daemon-newest`, 24; rounds: 1; Engine 28.5.2; note 2)" in text


def test_rows_of_one_place_need_no_note() -> None:
    text = table(suite.CASES, [found(name, OLD, Sample({"starts": 4.0})) for name in ("daemon", "levers")])
    assert "(`levers`, 24; rounds: 1)" in text
    assert "\nCPUs 2, Docker Engine 20.10.24.\nMedians" in text


# ---- the newest Engine ----


def test_on_the_newest_engine_those_are_measured_that_are_asked_for_and_depend_on_it() -> None:
    every = suite.chosen([], everything=True, newest=True)
    assert {case.name for case in every} == suite.ON_THE_NEWEST
    assert [case.name for case in suite.chosen(["polls", "storm"], everything=True, newest=True)] == ["storm"]


def test_the_newest_engine_has_to_be_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    with pytest.raises(SystemExit):
        program.main(["--newest", "--report"])
    assert "DOCKER_HOST has to name the newest Engine" in capsys.readouterr().err


def test_a_report_has_what_was_measured_on_either_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put = MagicMock()
    monkeypatch.setattr(readme, "put", put)
    series = {"starts": [1.0, 2.0]}
    for folder, where, last in ((tmp_path, OLD, 2.0), (tmp_path / "newest", NEW, 1.0)):
        Store(folder).save(found("storm", where, Sample({"rate": 4.0, "last": last}, series)))
    assert program.main(["--all", "--report", "--readme", "--results", str(tmp_path)]) == 0
    text, plots = put.call_args.args
    assert (text.count("`storm`"), "Engine 28.5.2" in text, "Engine 20.10.24" in text) == (2, True, True)
    assert text in capsys.readouterr().out
    assert {plot.parent for plot in plots} == {tmp_path}
    assert (tmp_path / "newest" / "storm-over-time.svg").exists()


@pytest.mark.parametrize(("words", "status"), [([], 0), (["--newest"], 1)])
def test_faults_count_where_this_run_measures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], status: int
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    Store(tmp_path).save(found("storm", OLD, Sample({"rate": 4.0})))
    Store(tmp_path / "newest").save(found("storm", NEW, Sample({"rate": 4.0}, faults=["no space"])))
    assert program.main(["--report", "--results", str(tmp_path), *words]) == status


def test_a_report_of_nothing_is_made_too(tmp_path: Path) -> None:
    assert program.main(["--report", "--results", str(tmp_path / "new")]) == 0


def test_options_are_written_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        program.main(["--repor"])
    assert "unrecognized arguments" in capsys.readouterr().err


# ---- growth ----


@pytest.mark.parametrize(("most", "counts"), [(1, [1]), (5, [1, 5]), (1000, [1, 10, 100, 1000])])
def test_growth_begins_with_one(most: int, counts: list[int]) -> None:
    assert steps(most) == counts


def test_growth_is_compared_with_ten() -> None:
    rows = [{"cpu_ms": 9.0}, {"cpu_ms": 2.0}, {"cpu_ms": 3.0}]
    assert figures_of([1, 10, 100], rows) == {"cpu_ms": 3.0, "slower": 1.5}
    assert figures_of([1, 5], rows[:2]) == {"cpu_ms": 2.0}


def test_what_a_run_writes_makes_no_other_version_of_what_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*words: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", "-C", str(tmp_path), *who, *words], check=True, capture_output=True)

    monkeypatch.setattr(machine, "ROOT", tmp_path)
    # The folder of temporary files may lie in a checkout itself.
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert "(" not in machine.revision()
    code, results = tmp_path / "code.py", tmp_path / "benchmarks" / "results" / "storm.json"
    results.parent.mkdir(parents=True)
    for file in (code, results, tmp_path / "README.md"):
        file.write_text("first")
    git("init")
    git("add", ".")
    git("commit", "--message", "first")
    committed = machine.revision()
    for file in (results, tmp_path / "README.md"):
        file.write_text("second")
    assert machine.revision() == committed
    code.write_text("second")
    assert machine.revision() == committed.replace(")", "-dirty)")


async def test_a_gauge_tells_the_longest_garbage_collection_of_its_block_alone() -> None:
    before = list(gc.callbacks)
    async with Gauge() as gauge:
        gc.collect()
    told = gauge.document()["longest_collection_ms"]
    assert told > 0
    assert gc.callbacks == before
    gc.collect()
    assert gauge.document()["longest_collection_ms"] == told
