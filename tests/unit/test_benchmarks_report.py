"""What the suite makes of its figures: phases cut out of windows, medians, ratios, targets, plots."""

from __future__ import annotations

import asyncio
import json
import time
import xml.etree.ElementTree as ET
from dataclasses import replace
from math import inf, isfinite
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import httpx
import pytest

from benchmarks import suite
from benchmarks.contenders import Contender
from benchmarks.frame import readme
from benchmarks.frame.case import Case, Figure, Level, Sample, Target, Who
from benchmarks.frame.plots import middle_run, plots_of
from benchmarks.frame.run import order
from benchmarks.frame.store import Found, Store
from benchmarks.frame.svg import Axis, Line, chart
from benchmarks.frame.table import show, table, verdicts
from benchmarks.hubs import hub_probe
from benchmarks.hubs.hub import IMAGE, spawner_config
from benchmarks.hubs.probe import cut, probe_config, read_windows
from benchmarks.measures.notebooks import status_fault
from benchmarks.measures.servers import Batch, Cost, together

CASE = Case(
    name="storm",
    level=Level.SPAWNER,
    title="A storm",
    n=50,
    most=200,
    figures=(
        Figure("rate", "starts per second", (Target(to=Who.FLOOR, least=0.95),)),
        Figure("mean", "start, mean (s)", (Target(to=Who.PEER, most=0.3),)),
        Figure("stall", "stall (ms)", (Target(most=10),)),
    ),
    open=MagicMock(),
)
MACHINE = {"CPUs": 2}


def found(*rounds: dict[Who, Sample], complete: bool = True) -> Found:
    """What such rounds leave."""
    made = Found(CASE.name, CASE.level, CASE.title, 50, len(rounds), MACHINE, complete=complete)
    for index, measured in enumerate(rounds):
        for who, sample in measured.items():
            made.add(index, who, sample)
    return made


def a_round(ours: dict[str, float], **others: dict[str, float]) -> dict[Who, Sample]:
    return {Who.OURS: Sample(ours), **{Who(who): Sample(figures) for who, figures in others.items()}}


def windows(*stalls: float) -> list[dict[str, float]]:
    """Windows of one second each from moment 0, using 0.1 s of CPU each."""
    return [
        {
            "from": i,
            "to": i + 1,
            "stall": stall,
            "threads": 3 + i,
            "cpu": 1.0 + 0.1 * (i + 1),
            "memory": 2**20 * (50 + i),
        }
        for i, stall in enumerate(stalls)
    ]


# ---- the probe ----


def test_a_phase_is_cut_to_the_windows_it_touches() -> None:
    figures = cut(windows(0.9, 0.02, 0.05, 0.8), begun=1.2, ended=2.5)
    assert figures.longest_stall_ms == pytest.approx(50)
    assert figures.cpu_seconds == pytest.approx(0.2)
    assert figures.threads == 5
    assert figures.memory_mib == 52


def test_a_phase_from_the_hubs_beginning_counts_all_its_cpu() -> None:
    assert cut(windows(0.1), begun=0.5, ended=0.7).cpu_seconds == pytest.approx(1.1)


def test_a_phase_without_windows_is_a_fault() -> None:
    with pytest.raises(ValueError, match="did its Hub run"):
        cut(windows(0.1), begun=5, ended=6)


def test_a_line_still_being_written_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "figures.jsonl"
    assert read_windows(file) == []
    file.write_text(json.dumps({"from": 1.0}) + '\n{"fro')
    assert read_windows(file) == [{"from": 1.0}]


async def test_the_probe_sees_a_stall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_probe, "WINDOW", 0.02)
    file = tmp_path / "figures.jsonl"
    begun = time.monotonic()
    hub_probe.start(str(file))
    try:
        await asyncio.sleep(0.005)
        time.sleep(0.08)  # noqa: ASYNC251 - the stall that it shall see
        ended = time.monotonic()
        async with asyncio.timeout(5):
            while not read_windows(file):  # noqa: ASYNC110 - a file
                await asyncio.sleep(0.01)
    finally:
        hub_probe._running.pop().cancel()
    figures = cut(read_windows(file), begun, ended)
    assert 60 <= figures.longest_stall_ms < 5000
    assert figures.threads >= 1


async def test_the_probes_configuration_starts_it(tmp_path: Path) -> None:
    file = tmp_path / "figures.jsonl"
    names: dict[str, object] = {}
    exec(probe_config(file), names)  # noqa: S102 - as the Hub does with its configuration
    running = names["sys"].modules.pop("hub_probe")._running  # type: ignore[attr-defined]
    await asyncio.sleep(0.02)
    running.pop().cancel()
    assert file.exists()


# ---- batches ----


def test_a_batch_tells_rate_mean_and_last() -> None:
    done = Batch((1.0, 2.0))
    assert (done.rate, done.mean, done.last) == (1.0, 1.5, 2.0)


def test_a_batch_in_which_all_failed_has_no_rate() -> None:
    done = Batch((), ("no space",))
    assert (done.rate, done.mean, done.last) == (0.0, inf, inf)


def test_a_batch_tells_the_cpu_of_one_that_was_done() -> None:
    done = Batch((1.0, 2.0), cost=Cost(cpu_seconds=0.5, longest_stall_ms=20, threads=3, memory_mib=90))
    assert done.costs("start")["start_cpu_ms"] == 250
    assert Batch((1.0,)).costs("start") == {}


async def test_what_fails_in_a_batch_is_told_and_the_others_are_timed() -> None:
    async def act(user: str) -> None:
        if user == "bob":
            raise RuntimeError("no space")

    done = await together(["alice", "bob", "carol"], act)
    assert (len(done.seconds), done.faults) == (2, ("no space",))


# ---- table and targets ----


def test_medians_are_told_with_their_spread_and_ratios_are_of_the_same_round() -> None:
    one = found(
        a_round({"mean": 1.0}, peer={"mean": 4.0}),
        a_round({"mean": 2.0}, peer={"mean": 5.0}),
        a_round({"mean": 3.0}, peer={"mean": 20.0}),
    )
    text = table([CASE], [one])
    assert "| **A storm** (`storm`, 50; rounds: 3) |" in text
    assert (
        "| start, mean (s) | 5 (4…20) | 2 (1…3) | – | 0.25 (0.15…0.4) | – | ≤ 0.3 of DockerSpawner 14 met |"
        in text
    )
    assert "CPUs 2." in text


@pytest.mark.parametrize(
    ("ours", "others", "met"),
    [
        ({"mean": 1.2}, {"peer": {"mean": 4.0}}, [True]),
        ({"mean": 1.3}, {"peer": {"mean": 4.0}}, [False]),
        ({"mean": inf}, {"peer": {"mean": 4.0}}, [False]),
        ({"mean": 1.2}, {"peer": {"mean": inf}}, []),
        ({"mean": 1.2}, {}, []),
        ({"rate": 9.5}, {"floor": {"rate": 10.0}}, [True]),
        ({"rate": 9.4}, {"floor": {"rate": 10.0}}, [False]),
        ({"rate": 9.4}, {"floor": {"rate": 0.0}}, []),
        ({"stall": 10.0}, {"peer": {"stall": 1.0}}, [True]),
        ({"stall": 10.1}, {}, [False]),
    ],
)
def test_a_target_is_judged_where_there_is_something_to_compare(
    ours: dict[str, float], others: dict[str, dict[str, float]], met: list[bool]
) -> None:
    judged = verdicts([CASE], [found(a_round(ours, **others))])
    assert [verdict.met for verdict in judged] == met
    assert ("**missed**" in table([CASE], [found(a_round(ours, **others))])) is (False in met)


@pytest.mark.parametrize(
    ("engine", "least"), [("20.10.24", [1.8]), ("25.0.1", [1.8]), ("26.1", [1.3]), ("28.5", [1.3])]
)
def test_a_target_may_be_for_some_engines(engine: str, least: list[float]) -> None:
    figure = Figure("rate", "", (Target(least=1.8, before=26), Target(least=1.3, since=26)))
    one = replace(found(a_round({"rate": 2.0})), machine={"Docker Engine": engine})
    assert [each.target.least for each in verdicts([replace(CASE, figures=(figure,))], [one])] == least


def test_what_went_wrong_and_what_was_cut_off_is_told() -> None:
    failed = {Who.OURS: Sample({"mean": 1.0}, faults=["no | space\nleft"])}
    text = table([CASE], [found(failed, complete=False)])
    assert "faults of ours: 1, as no / space left" in text
    assert "cut off after 1" in text


def test_numbers_are_told_with_three_digits() -> None:
    assert [show(each) for each in (0.12345, 12.0, 12.345, 12345.6, inf)] == [
        "0.123",
        "12",
        "12.3",
        "12,346",
        "inf",
    ]


# ---- results on disk ----


def test_results_are_json_that_everybody_reads_and_come_back(tmp_path: Path) -> None:
    store, one = Store(tmp_path / "results"), found(a_round({"mean": inf, "rate": 2.0}))
    store.save(one)
    text = (tmp_path / "results" / "storm.json").read_text()
    assert "Infinity" not in text
    again = store.load("storm")
    assert again == one
    assert again.values("mean", Who.OURS) == {0: inf}


@pytest.mark.parametrize(
    ("complete", "n", "rounds", "machine", "done"),
    [
        (True, 50, 1, MACHINE, True),
        (False, 50, 1, MACHINE, False),
        (True, 40, 1, MACHINE, False),
        (True, 50, 2, MACHINE, False),
        (True, 50, 1, {"CPUs": 4}, False),
    ],
)
def test_a_run_goes_on_behind_what_is_complete_and_the_same(
    tmp_path: Path, *, complete: bool, n: int, rounds: int, machine: dict[str, Any], done: bool
) -> None:
    store = Store(tmp_path)
    assert not store.is_done(CASE, n, rounds, machine)
    store.save(found(a_round({"mean": 1.0}), complete=complete))
    assert store.is_done(CASE, n, rounds, machine) is done


# ---- plots ----


def test_a_chart_is_well_formed_and_leaves_out_what_has_no_place() -> None:
    lines = [Line("a < b", "#123456", [(0.0, 1.0), (1.0, 10.0), (10.0, 100.0), (100.0, inf)])]
    text = chart("A & B", Axis("n", logarithmic=True), Axis("s", logarithmic=True), lines)
    drawn = ET.fromstring(text)  # noqa: S314 - our own
    points = [each.get("points") or "" for each in drawn if each.tag.endswith("polyline")]
    assert [len(each.split()) for each in points] == [2]
    assert all(isfinite(float(number)) for each in points for number in each.replace(",", " ").split())


def test_a_chart_of_nothing_has_its_title() -> None:
    drawn = ET.fromstring(chart("A storm", Axis("x"), Axis("y"), [Line("a", "#123456", [])]))  # noqa: S314
    assert "A storm" in [each.text for each in drawn]


@pytest.mark.parametrize("high", [0.004, 1.0, 7.3, 50.0, 12345.0])
def test_an_axis_has_some_round_ticks(high: float) -> None:
    ticks = Axis("x").ticks(0, high)
    assert 3 <= len(ticks) <= 7
    assert (ticks[0], ticks[-1] <= high) == (0, True)


def test_the_middle_run_is_drawn() -> None:
    rounds = [
        {who: Sample({"last": last, "mean": 1.0}, {"starts": [last]}) for who in Who}
        for last in (3.0, 1.0, 2.0)
    ]
    one = found(*rounds)
    middle = middle_run(one, Who.PEER)
    assert middle is not None
    assert middle["figures"]["last"] == 2.0
    assert [name for name, _ in plots_of(one)] == ["over-time", "by-place"]
    assert plots_of(one)[0][1].count("<polyline") == 3


def test_a_bystanders_starts_are_drawn_alone_and_beside() -> None:
    series = {"alone": [0.2, 0.2], "beside": [10.0]}
    (name, text), *more = plots_of(found({Who.PEER: Sample({}, series)}))
    assert (name, more, text.count("<circle")) == ("latency", [], 3)


def test_growth_is_drawn_for_each_figure() -> None:
    one = found({Who.OURS: Sample({}, {"n": [1, 10], "cpu_ms": [2.0, 2.1], "stall_ms": [1.0, 3.0]})})
    one.level = Level.GROWTH
    assert [name for name, _ in plots_of(one)] == ["cost-cpu_ms", "cost-stall_ms"]


# ---- the README ----


def test_the_readme_has_a_place_for_table_and_plots(tmp_path: Path) -> None:
    file, text = tmp_path / "README.md", readme.README.read_text()
    file.write_text(text)
    plots = [tmp_path / "results" / f"storm-{name}.svg" for name in ("by-place", "over-time")]
    for _ in range(2):
        readme.put("| a table |", plots, file)
    before, after = text.partition(readme.BEGIN)[0], text.partition(readme.END)[2]
    words = readme.SHOWN["storm-over-time"]
    new = f"| a table |\n\n![{words}](results/storm-over-time.svg)\n"
    assert file.read_text() == f"{before}{readme.BEGIN}\n{new}\n{readme.END}{after}"


def test_a_readme_without_a_place_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text("nothing")
    with pytest.raises(ValueError, match="no place for a table"):
        readme.put("| a table |", [], file)
    assert file.read_text() == "nothing"


# ---- the cases ----


def test_those_who_are_measured_take_turns_to_begin() -> None:
    measures: dict[Who, Any] = dict.fromkeys([Who.PEER, Who.OURS], AsyncMock())
    assert [order(measures, index)[0] for index in range(3)] == [Who.PEER, Who.OURS, Who.PEER]


def test_cases_have_names_of_their_own_and_their_sizes_are_allowed() -> None:
    assert len({case.name for case in suite.CASES}) == len(suite.CASES)
    assert [case.name for case in suite.CASES if not 1 <= case.small <= case.n <= case.most] == []


def test_a_run_has_the_named_cases_or_the_usual_ones_or_all() -> None:
    assert [case.name for case in suite.chosen(["polls"], everything=False)] == ["polls"]
    usual = {case.name for case in suite.chosen([], everything=False)}
    assert {"storm", "bystander", "stops", "polls", "notebooks"} <= usual < {c.name for c in suite.CASES}
    assert suite.chosen([], everything=True) == list(suite.CASES)


def test_users_get_the_image_that_their_options_name() -> None:
    options = {"image": "stub:1", "prefix": "bench", "remove": True}
    text = spawner_config(Contender(Who.OURS, Path("python"), options))
    names: dict[str, Any] = {"c": MagicMock()}
    exec(text, names)  # noqa: S102 - as the Hub does with its configuration
    spawners = [SimpleNamespace(user_options=each, image="stub:1") for each in ({}, {IMAGE: "notebook:1"})]
    for spawner in spawners:
        names["_choose_image"](spawner)
    assert [spawner.image for spawner in spawners] == ["stub:1", "notebook:1"]
    assert (names["c"].DockerSpawner.prefix, names["c"].DockerSpawner.remove) == ("bench", True)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx.Response(200, json={"kernels": 0}), ""),
        (httpx.Response(200, text="<html>"), "JSONDecodeError"),
        (httpx.Response(503), "HTTP 503"),
        (httpx.ReadError("gone"), "gone"),
    ],
)
async def test_only_a_notebook_servers_answer_is_no_fault(
    answer: httpx.Response | Exception, words: str
) -> None:
    api = MagicMock(server_status=AsyncMock(side_effect=[answer]))
    fault = await status_fault(api, "crowd-0-1")
    assert (words in fault) if words else fault == ""
