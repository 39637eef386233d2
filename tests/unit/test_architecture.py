"""The page for those who take over names rooms, and calls upward, that there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from asyncdockerspawner.lifecycle.protocols import Link, Overrides

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / ".github" / "ARCHITECTURE.md").read_text()
PACKAGE = ROOT / "src" / "asyncdockerspawner"
FLOORS = {each.name for each in PACKAGE.iterdir() if each.is_dir() and each.name != "__pycache__"}
ROOMS = {each for each in re.findall(r"`([a-z_]+(?:/[a-z_]+)+)/?`", PAGE) if each.partition("/")[0] in FLOORS}


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_room_that_the_page_names_is_there(room: str) -> None:
    assert (PACKAGE / f"{room}.py").is_file() or (PACKAGE / room).is_dir()


def test_the_page_names_every_floor() -> None:
    house = PAGE.partition("```")[2].partition("```")[0]
    assert {each for each in FLOORS if each not in house} == set()
    assert len(ROOMS) > 25


@pytest.mark.parametrize(("protocol", "behind"), [(Overrides, "`Overrides` only:"), (Link, "`Link` only:")])
def test_the_calls_upward_are_all_on_the_page(protocol: Any, behind: str) -> None:
    listed = PAGE.partition(behind)[2].partition("(implemented")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == members(protocol)
    assert len(members(protocol)) <= 12


def members(protocol: Any) -> set[str]:
    return {name for name in vars(protocol) if not name.startswith("_")}
