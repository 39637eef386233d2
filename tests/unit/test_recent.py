"""What is remembered once, and not for ever."""

from __future__ import annotations

from asyncdockerspawner.engine.recent import Recent


def test_only_the_newest_are_remembered() -> None:
    recent = Recent(3)
    for text in ("a", "b", "c", "a", "d"):
        recent.add(text)
    assert [text in recent for text in "abcd"] == [True, False, True, True]
    assert len(recent) == 3
    recent.discard("a")
    recent.discard("never there")
    assert "a" not in recent
    assert len(recent) == 2


def test_however_many_come_no_more_are_kept() -> None:
    recent = Recent(10)
    for number in range(10_000):
        recent.add(str(number))
    assert len(recent) == 10
