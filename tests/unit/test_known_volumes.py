"""What is remembered of volumes, and not for ever."""

from __future__ import annotations

from asyncdockerspawner.engine.known_volumes import KnownVolumes

ALICE = ("hub", "alice")


def test_what_was_learned_is_known_until_it_is_forgotten() -> None:
    volumes = KnownVolumes(2)
    volumes.learn("v", ALICE).right_for.add("made")
    known = volumes.get("v")
    assert known is not None
    assert (known.owner, known.is_right_for("made"), known.is_right_for("other")) == (ALICE, True, False)
    known.settled = True
    assert known.is_right_for("other")
    volumes.forget("v")
    volumes.forget("v")
    assert volumes.get("v") is None


def test_however_many_come_no_more_are_kept_and_what_is_learned_anew_is_the_newest() -> None:
    volumes = KnownVolumes(2)
    for name in ("a", "b", "a", "c"):
        volumes.learn(name, None)
    assert [volumes.get(name) is not None for name in "abc"] == [True, False, True]
