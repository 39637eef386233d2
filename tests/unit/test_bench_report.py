"""What the benchmark makes of its figures: phases cut out of the probe's windows, the table, the verdicts."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from benchmarks import hub_probe
from benchmarks.bystander import Bystander
from benchmarks.probe import HubFigures, cut, probe_config, read_windows
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


def results(theirs: float, ours: float, beside: float, faults: tuple[str, ...] = ()) -> Results:
    return Results(
        users=2,
        machine={"CPUs": "2"},
        floor=[8.0],
        storms={THEIRS: [one_storm(theirs)], OURS: [one_storm(ours, faults)]},
        bystanders={
            THEIRS: [Bystander((0.3, 0.3), (10.0,), 10.1)],
            OURS: [Bystander((0.3, 0.3), (beside, beside), 10.1)],
        },
    )


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
    found = results(theirs=4.0, ours=2.0, beside=0.33)
    assert [verdict.met for verdict in verdicts(found)] == [True, True, True]
    text = table(found)
    assert "| starts per second | 0.5 | 1 | 2 |" in text
    assert "| bystander: times slower than alone | 33.3 | 1.1 | 0.033 |" in text
    assert "8 containers per second" in text
    assert "MISSED" not in text


@pytest.mark.parametrize(
    ("found", "missed"),
    [
        (results(theirs=4.0, ours=3.0, beside=0.3), "throughput 1.33 times"),
        (results(theirs=4.0, ours=2.0, beside=0.39), "bystander 1.3 times"),
        (results(theirs=4.0, ours=2.0, beside=0.3, faults=("no space",)), "1 faults of ours: no space"),
    ],
)
def test_a_missed_target_is_said(found: Results, missed: str) -> None:
    assert next(one.text for one in verdicts(found) if not one.met).startswith(missed)
    assert f"- MISSED: {missed}" in table(found)


def test_a_stop_that_was_too_short_is_a_miss() -> None:
    found = results(theirs=4.0, ours=2.0, beside=0.3)
    found.bystanders[OURS].append(Bystander((0.3,), (0.3,), stop=0.4))
    assert "- MISSED: a stop that should take 10 s took 0.4 s" in table(found)


def test_one_spawner_alone_has_no_ratio_and_the_report_is_json() -> None:
    found = Results(users=2, machine={}, storms={THEIRS: [one_storm(4.0)], OURS: []})
    assert verdicts(found) == []
    assert "| starts per second | 0.5 | – | – |" in table(found)
    assert "bystander" not in table(found)
    assert json.loads(json.dumps(found.document()))["storm"][OURS] == []
