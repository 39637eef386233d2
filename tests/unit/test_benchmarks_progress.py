"""What a run of the benchmarks shows of how far it is: bars on a terminal, lines elsewhere."""

from __future__ import annotations

import asyncio
import io

import pytest

from benchmarks.frame.progress import Bars
from tests.support import guards


class Terminal(io.StringIO):
    """Claims to be a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def usual_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nothing in the environment say what the stream is; it is wide enough for a bar."""
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")


def shown(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give what a run of one case writes there, whose number of steps is found out late."""
    monkeypatch.setattr("sys.stderr", stream)
    with Bars() as bars:
        bars.begin("storm", 9)
        bars.begin("storm", 2)
        bars.step("storm: ours, 1")
        bars.say("polls: [measured] already")
        bars.step("storm: ours, 2")
    return stream.getvalue()


async def test_on_a_terminal_each_case_has_a_bar_that_goes_on_with_its_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A thread that draws it would be measured with the rest.
    with guards.no_threads(asyncio.get_running_loop()):
        text = shown(Terminal(), monkeypatch)
    assert [text.find(told) >= 0 for told in ("storm", "━", "0/9", "0/2", "1/2", "2/2")] == [True] * 6
    assert text.index("0/9") < text.index("0/2") < text.index("1/2") < text.index("2/2")
    assert "polls: [measured] already" in text
    # The bar says it.
    assert "ours, 1" not in text


def test_elsewhere_each_step_is_a_line_without_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(io.StringIO(), monkeypatch)
    assert text.splitlines() == ["storm: ours, 1", "polls: [measured] already", "storm: ours, 2"]


def test_a_step_before_any_case_and_one_without_words_are_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    with Bars() as bars:
        bars.step()
        bars.begin("storm", 1)
        bars.step()
    assert stream.getvalue() == ""
