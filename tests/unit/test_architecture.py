"""The page for those who take over names rooms, and calls upward, that there are."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any, Protocol

import pytest

from asyncdockerspawner.lifecycle.protocols import Link, Overrides
from asyncdockerspawner.workloads.protocol import Workload

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


def test_no_protocol_has_more_than_a_dozen_members() -> None:
    classes = {
        each
        for path in PACKAGE.rglob("*.py")
        if path.stem != "__main__"
        for each in vars(importlib.import_module(module_name(path))).values()
        if isinstance(each, type) and getattr(each, "_is_protocol", False) and each is not Protocol
    }
    ours = {each for each in classes if each.__module__.startswith(PACKAGE.name)}
    assert {Overrides, Link, Workload} <= ours
    assert {each.__qualname__: len(members(each)) for each in ours if len(members(each)) > 12} == {}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def members(protocol: Any) -> set[str]:
    """Return what a class needs to be one: also what stands in a Protocol that it is made from."""
    parts = [vars(each) for each in protocol.__mro__ if getattr(each, "_is_protocol", False)]
    names = {name for part in parts for name in [*part, *part.get("__annotations__", {})]}
    return {name for name in names if not name.startswith("_")}
