"""What the benchmark makes of its figures: phases cut out of the probe's windows, the table, the verdicts."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import httpx
import pytest

from benchmarks import hub_probe
from benchmarks.bed import Images
from benchmarks.bystander import Bystander
from benchmarks.crowd import Crowd, crowd_users, status_fault
from benchmarks.hubs import spawner_config
from benchmarks.probe import HubFigures, cut, probe_config, read_windows
from benchmarks.pull import Pull
from benchmarks.report import OURS, THEIRS, Results, table, verdicts
from benchmarks.storm import Phase, Storm

COST = HubFigures(cpu_seconds=0.5, longest_stall_ms=20.0, threads=3)


def windows(*stalls: float) -> list[dict[str, float]]:
    """Windows of one second each from moment 0, using 0.1 s of CPU each."""
    return [
        {"from": i, "to": i + 1, "stall": stall, "threads": 3 + i, "cpu": 1.0 + 0.1 * (i + 1)}
        for i, stall in enumerate(stalls)
    ]


def phase(*seconds: float, faults: tuple[str, ...] = ()) -> Phase:
    return Phase(seconds, faults, COST)


def one_storm(last: float, faults: tuple[str, ...] = ()) -> Storm:
    return Storm(phase(last / 2, last, faults=faults), phase(0.1, 0.2), phase(0.5, 1.0))


def one_crowd(middle: float, last: float, silent: tuple[str, ...] = ()) -> Crowd:
    return Crowd(phase(middle / 2, middle, last), silent)


def results(theirs: float, ours: float, beside: float, faults: tuple[str, ...] = ()) -> Results:
    return Results(
        users=2,
        crowd_users=3,
        machine={"CPUs": "2"},
        floor=[8.0],
        storms={THEIRS: [one_storm(theirs)], OURS: [one_storm(ours, faults)]},
        bystanders={
            THEIRS: [Bystander((0.3, 0.3), (10.0,), 10.1)],
            OURS: [Bystander((0.3, 0.3), (beside, beside), 10.1)],
        },
    )


def crowd_results(median: float, last: float, silent: tuple[str, ...] = ()) -> Results:
    """A run of the crowd alone, in which DockerSpawner's median is 20 s and its last 30 s."""
    crowds = {THEIRS: [one_crowd(20.0, 30.0)], OURS: [one_crowd(median, last, silent)]}
    return Results(users=2, crowd_users=3, machine={}, crowds=crowds)


def pull_results(beside: float, last: float = 9.0, faults: tuple[str, ...] = ()) -> Results:
    """A run of the pull alone, in which a start takes 0.5 s where nobody pulls."""
    theirs = Pull((0.5, 0.5), (10.0,), phase(12.0))
    ours = Pull((0.5, 0.5), (beside, beside), phase(last, faults=faults))
    return Results(users=2, crowd_users=3, machine={}, pulls={THEIRS: [theirs], OURS: [ours]})


# ---- the probe ----


def test_a_phase_is_cut_to_the_windows_it_touches() -> None:
    figures = cut(windows(0.9, 0.02, 0.05, 0.8), begun=1.2, ended=2.5)
    assert figures.longest_stall_ms == pytest.approx(50)
    assert figures.cpu_seconds == pytest.approx(0.2)
    assert figures.threads == 5


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


# ---- phases and rounds ----


def test_a_phase_tells_rate_mean_and_last() -> None:
    done = phase(1.0, 2.0)
    assert (done.rate, done.mean, done.last) == (1.0, 1.5, 2.0)


def test_a_phase_in_which_all_failed_has_no_rate() -> None:
    done = phase(faults=("no space",))
    assert (done.rate, done.mean, done.last) == (0.0, float("inf"), float("inf"))


def test_a_stop_without_its_grace_measures_nothing() -> None:
    assert not Bystander((0.3,), (0.3,), stop=0.4).valid


# ---- table and verdicts ----


def test_all_targets_met() -> None:
    found = results(theirs=8.0, ours=2.0, beside=0.33)
    assert [verdict.met for verdict in verdicts(found)] == [True, True, True, True]
    text = table(found)
    assert text.startswith("Storm of 2 users; medians of the rounds; CPUs 2.")
    assert "| starts per second | 0.25 | 1 | 4 |" in text
    assert "| bystander: times slower than alone | 33.3 | 1.1 | 0.033 |" in text
    assert "8 containers per second" in text
    assert "MISSED" not in text


def test_a_target_that_is_just_met() -> None:
    assert all(verdict.met for verdict in verdicts(results(theirs=5.0, ours=2.0, beside=0.3)))
    assert all(verdict.met for verdict in verdicts(crowd_results(median=12.4, last=30.0)))
    assert all(verdict.met for verdict in verdicts(pull_results(beside=0.6)))


def test_the_crowd_is_told_and_judged() -> None:
    found = crowd_results(median=10.0, last=24.0)
    assert [verdict.met for verdict in verdicts(found)] == [True, True, True]
    text = table(found)
    assert text.startswith("Crowd of 3 users;")
    assert "| crowd: ready, median (s) | 20 | 10 | 0.5 |" in text
    assert "| crowd: ready, last (s) | 30 | 24 | 0.8 |" in text
    assert "starts per second" not in text
    assert json.loads(json.dumps(found.document()))["crowd"][OURS][0]["start"]["seconds"] == [5.0, 10.0, 24.0]


def test_the_start_beside_a_pull_is_told_and_judged() -> None:
    found = pull_results(beside=0.55)
    assert [verdict.met for verdict in verdicts(found)] == [True, True]
    text = table(found)
    assert "| pull: start while 10 others wait for theirs (s) | 10 | 0.55 | 0.055 |" in text
    assert "| pull: times slower than alone | 20 | 1.1 | 0.055 |" in text
    assert "| pull: who waits for it, last (s) | 12 | 9 | 0.75 |" in text
    document = json.loads(json.dumps(found.document()))["pull"][OURS][0]
    assert document["waiting"]["seconds"] == [9.0]


@pytest.mark.parametrize(
    ("found", "missed"),
    [
        (results(theirs=4.0, ours=3.0, beside=0.3), "throughput 1.33 times"),
        (results(theirs=4.0, ours=2.0, beside=0.3), "mean start 0.5 times DockerSpawner's"),
        (results(theirs=8.0, ours=2.0, beside=0.39), "bystander 1.3 times"),
        (results(theirs=8.0, ours=2.0, beside=0.3, faults=("no space",)), "1 faults of ours: no space"),
        (crowd_results(median=13.0, last=20.0), "crowd's median 0.65 times"),
        (crowd_results(median=10.0, last=30.5), "crowd's last 1.02 times"),
        (crowd_results(median=10.0, last=20.0, silent=("503",)), "1 faults of ours in the crowd: 503"),
        (pull_results(beside=0.65), "a start beside a pull 1.3 times slower"),
        (pull_results(beside=0.5, last=1.5), "a pull that should take 8 s took 1.5 s"),
        (pull_results(beside=0.5, faults=("denied",)), "1 faults of ours beside the pull: denied"),
    ],
)
def test_a_missed_target_is_said(found: Results, missed: str) -> None:
    assert next(one.text for one in verdicts(found) if not one.met).startswith(missed)
    assert f"- MISSED: {missed}" in table(found)


def test_a_stop_that_was_too_short_is_a_miss() -> None:
    found = results(theirs=8.0, ours=2.0, beside=0.3)
    found.bystanders[OURS].append(Bystander((0.3,), (0.3,), stop=0.4))
    assert "- MISSED: a stop that should take 10 s took 0.4 s" in table(found)


def test_one_spawner_alone_has_no_ratio_and_the_report_is_json() -> None:
    found = Results(users=2, crowd_users=3, machine={}, storms={THEIRS: [one_storm(4.0)], OURS: []})
    assert verdicts(found) == []
    assert "| starts per second | 0.5 | – | – |" in table(found)
    assert "bystander" not in table(found)
    assert json.loads(json.dumps(found.document()))["storm"][OURS] == []


def test_one_spawners_crowd_alone_has_no_verdict() -> None:
    found = Results(users=2, crowd_users=3, machine={}, crowds={THEIRS: [], OURS: [one_crowd(9.0, 12.0)]})
    assert verdicts(found) == []
    assert "| crowd: ready, median (s) | – | 9 | – |" in table(found)


def test_where_all_starts_failed_no_comparison_is_won() -> None:
    failed = Crowd(phase(faults=("no space",)), ())
    assert (failed.median, failed.last, failed.faults) == (float("inf"), float("inf"), ("no space",))
    theirs, ours = [failed], [one_crowd(9.0, 12.0)]
    found = Results(users=2, crowd_users=3, machine={}, crowds={THEIRS: theirs, OURS: ours})
    assert [verdict.met for verdict in verdicts(found)] == [False, False, True]
    found = Results(users=2, crowd_users=3, machine={}, crowds={THEIRS: ours, OURS: theirs})
    assert [verdict.met for verdict in verdicts(found)] == [False, False, False]
    assert "| crowd: ready, median (s) | 9 | inf | inf |" in table(found)


def test_users_get_the_image_that_their_name_asks_for() -> None:
    text = spawner_config("bench", Images("stub:1", "stubborn:1", "singleuser:1", "pulled:1"))
    names: dict[str, Any] = {"c": MagicMock()}
    exec(text, names)  # noqa: S102 - as the Hub does with its configuration
    given = {}
    for name in (*crowd_users("0", 1), "stubborn-0", "pull-0-1", "u0-crowd-1"):
        spawner = SimpleNamespace(user=SimpleNamespace(name=name), image="stub:1")
        names["_choose_image"](spawner)
        given[name] = spawner.image
    assert given == {
        "crowd-0-0": "singleuser:1",
        "stubborn-0": "stubborn:1",
        "pull-0-1": "pulled:1",
        "u0-crowd-1": "stub:1",
    }


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
